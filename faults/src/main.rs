//! Real faults for real processes: a worker appends to a journal on a real disk, something goes
//! wrong, and the checker looks whether everything that was acknowledged is there.
//!
//! `faults run` is the checker; it starts `faults work`, the worker, and judges what it said. What
//! goes wrong is in `ring/`, one file for each class of faults. `docs/reliability.md` says what is
//! tested and how to read the figures.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the ring talks to the person who started it"
)]

mod chance;
mod clock;
mod findings;
mod history;
mod image;
mod line;
mod lying_disk;
mod order;
mod payload;
mod power;
mod process;
mod reopening;
mod ring;
mod run;
mod runtime_work;
mod shelter;
mod strace;
mod wall_clock;
mod work;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use run::Flags;

/// Kills, power cuts, failing calls, full and paused disks for the embedded journal.
#[derive(Debug, Parser)]
#[command(name = "faults")]
struct Program {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Runs the ring.
    Run(Flags),
    /// Appends until it is stopped; the ring starts it.
    Work {
        /// What to do, as JSON.
        order: String,
    },
}

fn main() -> ExitCode {
    let done = match Program::parse().task {
        Task::Run(flags) => run::run(&flags),
        Task::Work { order } => serde_json::from_str(&order)
            .map_err(|error| error.to_string())
            .and_then(|order| work::work(&order))
            .map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|reason| {
        eprintln!("{reason}");
        ExitCode::FAILURE
    })
}
