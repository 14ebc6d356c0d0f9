//! Benchmarks of Refrain, as ratios against references of the same run.
//!
//! One file per workload: [`memory`], [`durable`], [`request_reply`], [`replay`],
//! [`journal`], [`streams`], [`compaction`], [`reading`] and [`opening`].
//! A row and its references take turns ([`turns`]), each for several runs; printed are the median and
//! the spread. `docs/performance.md` says what bounds the figures and what is not measured.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark talks to the person who started it"
)]

mod alone;
mod bare;
mod callers;
mod clock;
mod cold;
mod compaction;
mod drive;
mod durable;
mod effort;
mod exchange;
mod flags;
mod journal;
mod ledger;
mod machine;
mod memory;
mod opening;
mod print;
mod reading;
mod reference;
mod replay;
mod report;
mod request_reply;
mod scan;
mod stats;
mod stored;
mod streams;
mod turns;
mod verdict;

use std::cell::Cell;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use clock::Stopwatch;
use effort::{Assignment, Failure};
use flags::{Command, Flags};
use machine::Machine;
use report::{Report, Table};

/// Where the JSON goes, below the current directory.
const RESULTS: &str = "bench/results";

/// A workload: the name of its table, and what fills that.
type Workload = (&'static str, fn(&Assignment) -> Result<Table, Failure>);

/// What is measured without a command.
const WORKLOADS: [Workload; 4] = [
    ("memory", |assignment| Ok(memory::measure(assignment))),
    ("durable", durable::measure),
    ("request-reply", request_reply::measure),
    ("replay", replay::measure),
];

/// What `journal` measures.
const JOURNAL: [Workload; 5] = [
    ("journal", journal::measure),
    ("streams", streams::measure),
    ("compaction", compaction::measure),
    ("reading", reading::measure),
    ("opening", opening::measure),
];

fn main() -> ExitCode {
    let flags = Flags::parse();
    let done = match &flags.command {
        Some(Command::MemoryOf { dir }) => streams::memory_of(dir).map(|bytes| println!("{bytes}")),
        None | Some(Command::Journal) => measure(&flags),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure(flags: &Flags) -> Result<(), Failure> {
    let stopwatch = Stopwatch::start();
    let workloads = wanted(flags)?;
    let below = match &flags.dir {
        Some(dir) => dir.clone(),
        None => std::env::current_dir()?,
    };
    let scratch = tempfile::Builder::new()
        .prefix("bench-scratch-")
        .tempdir_in(below)?;
    let dir = scratch.path().canonicalize()?;
    let mut report = Report {
        machine: Machine::look(&dir),
        effort: flags.effort(),
        seconds: 0.0,
        bytes_written: 0,
        tables: Vec::new(),
    };
    println!("{}", print::introduction(&report));
    let assignment = Assignment {
        effort: report.effort.clone(),
        dir,
        runtime: tokio::runtime::Runtime::new()?,
        written: Cell::new(0),
    };
    for (_, workload) in workloads {
        let table = workload(&assignment)?;
        println!("{}", print::table(&table, flags.style));
        report.tables.push(table);
    }
    report.seconds = stopwatch.elapsed().as_secs_f64();
    report.bytes_written = assignment.written.get();
    scratch.close()?;
    write(flags, &report)
}

/// The workloads that the command and `--only` ask for.
fn wanted(flags: &Flags) -> Result<Vec<Workload>, String> {
    if flags.only.is_empty() {
        return Ok(match flags.command {
            Some(Command::Journal) => JOURNAL.to_vec(),
            None | Some(Command::MemoryOf { .. }) => WORKLOADS.to_vec(),
        });
    }
    let all = WORKLOADS.iter().chain(&JOURNAL);
    let find = |name: &String| {
        let found = all.clone().find(|(of, _)| of == name);
        found
            .copied()
            .ok_or_else(|| format!("there is no table {name}"))
    };
    flags.only.iter().map(find).collect()
}

/// Writes the JSON. What `journal` measures has a file of its own, which is committed, unless the run
/// is a short one.
fn write(flags: &Flags, report: &Report) -> Result<(), Failure> {
    let name = match flags.command {
        Some(Command::Journal) if flags.is_short() => "journal-short.json",
        Some(Command::Journal) => "journal.json",
        None | Some(Command::MemoryOf { .. }) => "latest.json",
    };
    let usual = Path::new(RESULTS).join(name);
    std::fs::create_dir_all(RESULTS)?;
    let json = serde_json::to_string_pretty(report)?;
    let gigabytes = report.bytes_written as f64 / 1e9;
    println!("\n{:.0} s, {gigabytes:.1} GB written", report.seconds);
    for path in [Some(usual), flags.out.clone()].iter().flatten() {
        std::fs::write(path, format!("{json}\n"))?;
        println!("{}", path.display());
    }
    Ok(())
}
