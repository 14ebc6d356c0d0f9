//! What may be written on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use refrain_core::{Name, Position};

use crate::exit;
use crate::screen::Form;

/// Looks at what Refrain stores, and takes care of it.
#[derive(Debug, Parser)]
#[command(name = "refrain", version, after_help = exit::HELP)]
pub(crate) struct Line {
    /// Print JSON, one value per line
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    pub(crate) area: Area,
}

impl Line {
    pub(crate) fn json(&self) -> Form {
        if self.json { Form::Json } else { Form::Text }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Area {
    /// Look at, check, repair, back up and restore the embedded journal
    Journal(Journal),
}

#[derive(Debug, Args)]
#[command(after_help = exit::HELP)]
pub(crate) struct Journal {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the streams: entries, bytes, first and last position and time
    Ls(Ls),
    /// Print the entries of a stream
    Cat(Cat),
    /// Print how much there is: files, segments, streams, bytes, the durable mark
    Stats(Stats),
    /// Check every byte: frames, records, indexes, streams, snapshots
    Verify(Verify),
}

/// Works whether or not a program has the journal open.
#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// Directory of the journal
    pub(crate) dir: PathBuf,
    /// Only streams whose names start so
    #[arg(long, default_value = "")]
    pub(crate) prefix: String,
}

/// Works whether or not a program has the journal open, up to what is durable.
#[derive(Debug, Args)]
pub(crate) struct Cat {
    /// Directory of the journal
    pub(crate) dir: PathBuf,
    /// Name of the stream
    pub(crate) stream: Name,
    /// First position; the first one that is kept unless given
    #[arg(long, value_parser = position)]
    pub(crate) from: Option<Position>,
    /// Last position; the last one that is durable now unless given
    #[arg(long, value_parser = position, conflicts_with = "follow")]
    pub(crate) to: Option<Position>,
    /// Wait for more entries and print them, until interrupted
    #[arg(long)]
    pub(crate) follow: bool,
}

/// Works whether or not a program has the journal open.
#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// Directory of the journal
    pub(crate) dir: PathBuf,
    /// Directory of its snapshots, to count them as well
    #[arg(long, value_name = "DIR")]
    pub(crate) snapshots: Option<PathBuf>,
}

/// Works whether or not a program has the journal open. Changes nothing.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Directory of the journal
    pub(crate) dir: PathBuf,
    /// Directory of its snapshots, to check them as well
    #[arg(long, value_name = "DIR")]
    pub(crate) snapshots: Option<PathBuf>,
}

fn position(text: &str) -> Result<Position, String> {
    let number: u64 = text.parse().map_err(|_| "not a number".to_owned())?;
    Position::new(number).ok_or_else(|| "positions start at 1".to_owned())
}
