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
mod open_files;
mod progress;
mod screen;
mod shown;
mod visible;

use std::process::ExitCode;

use clap::Parser;

use failure::Failure;
use flags::{Area, Line};
use screen::{Form, Screen};

fn main() -> ExitCode {
    open_files::allow_all();
    let line = match Line::try_parse() {
        Ok(line) => line,
        Err(error) => return misused(&error),
    };
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

/// The command line makes no sense, or asks for help. What it says is JSON if that was asked for.
fn misused(error: &clap::Error) -> ExitCode {
    let wants_json = std::env::args_os().any(|argument| argument == "--json");
    if error.use_stderr() && wants_json {
        let text = error.to_string();
        let what = text.lines().next().unwrap_or_default();
        let what = what.strip_prefix("error: ").unwrap_or(what);
        let failure =
            Failure::new(exit::Exit::Usage, what).remedy("`--help` says what may be written");
        Screen::new(Form::Json).failure(&failure);
        return failure.exit().into();
    }
    // Nobody is left to tell when this fails.
    let _ = error.print();
    if error.use_stderr() {
        exit::Exit::Usage.into()
    } else {
        exit::Exit::Done.into()
    }
}

async fn run(line: Line, screen: &mut Screen) -> Result<exit::Exit, Failure> {
    match line.area {
        Area::Journal(journal) => cmd::run(journal.command, screen).await,
    }
}
