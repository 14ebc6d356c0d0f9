//! Damages small journals in every way that is known, and counts what comes of it.

#![allow(
    clippy::print_stdout,
    reason = "a task talks to the person who started it"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use hostile::damage::{self, Bits, Control, Meaningless, Seen, Tally, Zeros};
use hostile::specimen::{self, Specimen};
use serde_json::json;

/// Threads that flip bits.
const THREADS: usize = 2;

/// Damages small journals in every way that is known.
#[derive(Debug, Parser)]
struct Flags {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Flips each bit and damages each file of small journals; prints one JSON object.
    Damage {
        /// Each bit of zeros that mean nothing, too, instead of one of each byte.
        #[arg(long)]
        each_bit: bool,
    },
    /// Writes files and parts of small journals as the first inputs of the fuzzer's targets.
    Seeds {
        /// Where, in a directory per target.
        dir: PathBuf,
    },
    /// Names all targets, each with what it parses.
    Targets,
}

fn main() -> ExitCode {
    match Flags::parse().task {
        Task::Damage { each_bit: true } => damage(Zeros::EachBit),
        Task::Damage { each_bit: false } => damage(Zeros::OneBit),
        Task::Seeds { dir } => match hostile::seed::write(&dir) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                println!("{}: {error}", dir.display());
                ExitCode::FAILURE
            }
        },
        Task::Targets => {
            for target in hostile::TARGETS {
                println!("{}\t{}", target.name, target.what);
            }
            ExitCode::SUCCESS
        }
    }
}

fn damage(zeros: Zeros) -> ExitCode {
    let specimens = specimen::all();
    let flips = on_threads(&specimens, |specimen, from| {
        let stride = THREADS;
        damage::flips(
            specimen,
            Bits {
                from,
                stride,
                zeros,
            },
        )
    });
    let mut files = Tally::default();
    for specimen in &specimens {
        files.add(damage::files(specimen));
    }
    let snapshots = damage::snapshot_flips();
    let each =
        |control: fn(&Specimen) -> Control| specimens.iter().map(control).collect::<Vec<_>>();
    let controls = json!([
        summed(
            "flipped bits of entries with right checksums",
            each(damage::resealed_flips)
        ),
        summed("all files of an earlier time", each(damage::rolled_back)),
        summed(
            "flipped bits of a snapshot with a right checksum",
            vec![damage::resealed_snapshot_flips()],
        ),
    ]);
    let report = json!({
        "controls": controls,
        "flips": described(&flips),
        "files": described(&files),
        "snapshots": described(&snapshots),
    });
    println!("{report}");
    // Whoever reads the report judges the controls.
    let all = [flips, files, snapshots];
    if all.iter().all(|tally| tally.violations.is_empty()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The counts over all specimens, on two threads that take them as they come.
fn on_threads(specimens: &[Specimen], count: impl Fn(&Specimen, usize) -> Tally + Sync) -> Tally {
    let mut total = Tally::default();
    std::thread::scope(|scope| {
        let count = &count;
        let work = move |from| specimens.iter().map(move |specimen| count(specimen, from));
        let running: [_; THREADS] =
            std::array::from_fn(|from| scope.spawn(move || work(from).collect::<Vec<_>>()));
        for thread in running {
            let tallies = thread.join().expect("a panic is a violation as well");
            tallies.into_iter().for_each(|tally| total.add(tally));
        }
    });
    total
}

fn summed(name: &str, controls: Vec<Control>) -> serde_json::Value {
    let runs: u64 = controls.iter().map(|control| control.runs).sum();
    let red: u64 = controls.iter().map(|control| control.red).sum();
    json!({ "name": name, "runs": runs, "red": red })
}

fn described(tally: &Tally) -> serde_json::Value {
    let seen = tally.seen.iter();
    let seen: serde_json::Map<_, _> = seen
        .map(|(seen, count)| (name(*seen).to_owned(), json!(count)))
        .collect();
    json!({
        "runs": tally.runs(),
        "violations": tally.violations.len(),
        "first_violations": tally.violations.iter().take(20).collect::<Vec<_>>(),
        "seen": seen,
    })
}

fn name(seen: Seen) -> &'static str {
    match seen {
        Seen::Refused => "refused at opening",
        Seen::NotServed => "refused when read",
        Seen::Unchanged(meaningless) => match meaningless {
            Meaningless::Padding => "unchanged: padding of a segment",
            Meaningless::BehindTheEnd => "unchanged: behind the last frame",
            Meaningless::SealedFrame => "unchanged: frame header of a sealed segment",
            Meaningless::SealedDeclaration => "unchanged: declaration in a sealed segment",
            Meaningless::Index => "unchanged: an index, made again",
            Meaningless::Slot => "unchanged: a slot of the mark",
            Meaningless::BetweenSlots => "unchanged: between the slots of the mark",
            Meaningless::InDirectory => "unchanged: what the directory says too",
            Meaningless::Directory => "unchanged: the directory, gathered again",
            Meaningless::Spare => "unchanged: header of the spare segment",
            Meaningless::Whole => "unchanged: a file that is not needed, or is made again",
        },
    }
}
