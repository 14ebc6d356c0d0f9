//! Runs the simulation from the command line.

mod clock;
mod flags;
mod report;

use std::process::ExitCode;

use clap::Parser;
use sim::sometimes::LineCounter;
use sim::world::keep_panics_quiet;

use flags::Flags;

fn main() -> ExitCode {
    let flags = Flags::parse();
    keep_panics_quiet();
    if tracing::subscriber::set_global_default(LineCounter).is_err() {
        unreachable!("nobody set one before");
    }
    if report::carry_out(&flags) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
