//! One file per command.

mod backup;
mod cat;
mod compact;
mod ls;
mod repair;
mod stats;
mod verify;

use refrain_journal::inspect::{Inspection, Inspector, SeenEntry, Visitor};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::flags::Command;
use crate::progress::Progress;
use crate::screen::Screen;

/// Runs one command.
pub(crate) async fn run(command: Command, screen: &mut Screen) -> Result<Exit, Failure> {
    match command {
        Command::Ls(flags) => ls::run(&flags, screen).await,
        Command::Cat(flags) => cat::run(flags, screen).await,
        Command::Stats(flags) => stats::run(&flags, screen),
        Command::Verify(flags) => verify::run(&flags, screen),
        Command::Repair(flags) => repair::run(&flags, screen).await,
        Command::Backup(flags) => backup::run(flags, screen).await,
        Command::Compact(flags) => compact::run(&flags, screen).await,
        Command::Copy(flags) => backup::copy_to(&flags, screen).await,
        Command::Restore(flags) => backup::put_back(&flags, screen).await,
    }
}

/// Inspects with a bar, showing each entry to `visitor`.
fn inspect(
    inspector: &Inspector,
    what: &'static str,
    visitor: &mut dyn Visitor,
) -> Result<Inspection, Failure> {
    let mut watched = Watched {
        visitor,
        shown: Progress::of_bytes(what),
    };
    let inspected = inspector.run(&mut watched);
    watched.shown.clear();
    Ok(inspected?)
}

struct Watched<'a> {
    visitor: &'a mut dyn Visitor,
    shown: Progress,
}

impl Visitor for Watched<'_> {
    fn entry(&mut self, entry: &SeenEntry<'_>) {
        self.visitor.entry(entry);
    }

    fn progress(&mut self, done: u64, of: u64) {
        self.shown.show(done, of);
        self.visitor.progress(done, of);
    }

    fn restart(&mut self) {
        self.visitor.restart();
    }
}
