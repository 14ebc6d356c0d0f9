//! The command line as it is written.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::effort::Effort;
use crate::print::Style;

/// Measures Refrain against references of the same run, prints tables, and writes them as JSON.
///
/// Without a command: what one processor does in memory and durably. A full run takes about five
/// minutes. It writes as fast as the disk takes it: of the order of ten gigabytes, and of those at
/// most a few at a time.
#[derive(Debug, Parser)]
#[command(name = "bench")]
pub(crate) struct Flags {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Short runs: figures to look at, not to write down.
    #[arg(long, global = true)]
    quick: bool,
    /// Only the tables with these names: memory, durable, request-reply, replay, journal,
    /// streams, compaction, reading, opening.
    #[arg(long, global = true, value_name = "NAME", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Where to write; a new directory below the current one unless set. Everything is removed again.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// How to print tables.
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub(crate) style: Style,
    /// Also writes the JSON to this file, besides `bench/results`.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Runs of each row; 5, or 3 with `--quick`.
    #[arg(long, global = true, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: Option<u16>,
    /// Length of a run in milliseconds; 1000, or 100 with `--quick`.
    #[arg(long, global = true, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=60_000))]
    run_ms: Option<u64>,
    /// Messages of the history that is replayed, and a quarter of the entries of the journals that
    /// are read and opened; 1000000, or 50000 with `--quick`.
    #[arg(long, global = true, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(2..=10_000_000))]
    history: Option<u64>,
    /// Only these numbers of operations in flight, of 1, 16, 256 and 4096.
    #[arg(long, global = true, value_name = "COUNT", value_delimiter = ',')]
    in_flight: Vec<usize>,
}

/// What else can be measured.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum Command {
    /// The embedded journal alone: appends to 64 streams and to more, beside compaction; reading and
    /// opening.
    Journal,
    /// What opening a journal adds to the memory of a process; the table of streams asks for it.
    #[command(hide = true)]
    MemoryOf {
        /// The journal.
        dir: PathBuf,
    },
}

impl Flags {
    /// Whether the figures are to look at, not to write down.
    pub(crate) fn is_short(&self) -> bool {
        let effort = self.effort();
        let is_brief = effort.runs < 5 || effort.run_ms < 500;
        is_brief || !effort.in_flight.is_empty() || !self.only.is_empty()
    }

    /// How much to measure.
    pub(crate) fn effort(&self) -> Effort {
        let usual = if self.quick {
            Effort::QUICK
        } else {
            Effort::FULL
        };
        Effort {
            runs: self.runs.map_or(usual.runs, usize::from),
            run_ms: self.run_ms.unwrap_or(usual.run_ms),
            history: self.history.unwrap_or(usual.history),
            in_flight: self.in_flight.clone(),
        }
    }
}
