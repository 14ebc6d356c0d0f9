//! `refrain`: the command line.
//!
//! Read from the top: [`flags`] is what may be written, [`cmd`] has one file per command, [`screen`]
//! is the only place that prints, and [`failure`] says how a command ends. Stored data never reaches
//! a terminal with a control character in it: the screen replaces them.

mod clock;
mod cmd;
mod exit;
mod failure;
mod flags;
mod progress;
mod screen;
mod shown;
mod visible;

use std::process::ExitCode;

use clap::Parser;

use failure::Failure;
use flags::{Area, Line};
use screen::Screen;

fn main() -> ExitCode {
    let line = Line::parse();
    let mut screen = Screen::new(line.json());
    let ended = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::io("the program cannot start its threads", &error))
        .and_then(|runtime| runtime.block_on(run(line, &mut screen)));
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            screen.failure(&failure);
            failure.exit().into()
        }
    }
}

async fn run(line: Line, screen: &mut Screen) -> Result<exit::Exit, Failure> {
    match line.area {
        Area::Journal(journal) => cmd::run(journal.command, screen).await,
    }
}
