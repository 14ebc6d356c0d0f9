//! The project's own tasks.
//!
//! `cargo xtask test` is exactly what continuous integration runs; the other tasks are parts of it
//! or tools beside it. Nothing here is published, and no other crate depends on it.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a task talks to the person who started it"
)]

mod bench;
mod clock;
mod fuzz;
mod guarantees;
mod interleavings;
mod marked;
mod planted;
mod project;
mod reliability;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

use project::Project;

const USAGE: &str = "\
The project's own tasks.

usage: cargo xtask TASK [ARGUMENTS]

  test [STEP...]     everything that continuous integration runs, or the named steps of it
  tidy               the rules of STYLE.md that a machine can judge
  guarantees         writes the table of docs/guarantees.md from the tests' doc comments, and its
                     figures from docs/reliability.json
  bench [ARGUMENTS]  the benchmarks, in release mode
  fuzz [--seconds N] [TARGET...] | TARGET --repeat FILE | --minimise
                     fuzzes every parser of stored bytes, and damages small journals bit by bit
  interleavings      callers, writer and shutdown of the journal in thousands of orders of threads
  planted [NAME...]  plants bugs, and fails unless each is found
  reliability [--full --minutes N] [--record] [PART...]
                     simulation, planted bugs, fuzzing, orders of threads, faults on real disks, with
                     their figures: what every commit must pass, or N minutes of it
  tools              the tools of the system that faults on real disks need";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = match arguments.split_first() {
        Some((task, rest)) => (task.as_str(), rest),
        None => ("help", [].as_slice()),
    };
    let done = Project::find().and_then(|project| match task {
        "test" => test::run(&project, rest),
        "tidy" => tidy::run(&project),
        "guarantees" => guarantees::run(&project),
        "fuzz" => fuzz::run(&project, rest),
        "interleavings" => interleavings::run(&project),
        "planted" => planted::run(&project, rest),
        "tools" => tools::run(),
        "reliability" => reliability::run(&project, rest),
        "bench" => bench::run(&project, rest),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        unknown => Err(format!("there is no task `{unknown}`\n\n{USAGE}")),
    });
    done.unwrap_or_else(|complaint| {
        eprintln!("{complaint}");
        ExitCode::FAILURE
    })
}
