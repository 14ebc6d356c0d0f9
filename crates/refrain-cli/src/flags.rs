//! What may be written on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use refrain_backup::BackupId;
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
    /// Mend what can be mended with proof, keeping the old bytes; without --apply only say what
    Repair(Repair),
    /// Take a backup, check one, list them
    Backup(Backup),
    /// Put a backup back into a directory that is empty or not there
    Restore(Restore),
    /// Rewrite sealed history by streams, and give back what is forgotten
    Compact(Compact),
    /// Copy all streams into a new journal, with their positions, and compare their digests
    Copy(Copy),
}

/// Works whether or not a program has the journal open.
#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// Directory of the journal
    pub(crate) dir: PathBuf,
    /// Only streams whose names start so
    #[arg(long, default_value = "")]
    pub(crate) prefix: String,
    /// Repository of its backups, to show what the oldest verified one holds
    #[arg(long, value_name = "REPOSITORY")]
    pub(crate) backups: Option<String>,
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

/// The old bytes of everything that is changed go into the directory `aside`.
#[derive(Debug, Args)]
pub(crate) struct Repair {
    /// Directory of the journal
    pub(crate) dir: PathBuf,
    /// Do it; the journal must not be open
    #[arg(long)]
    pub(crate) apply: bool,
    /// Repository of backups to take damaged segments from
    #[arg(long, value_name = "REPOSITORY")]
    pub(crate) from: Option<String>,
    /// Directory of its snapshots, to repair them as well
    #[arg(long, value_name = "DIR")]
    pub(crate) snapshots: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Backup {
    #[command(subcommand)]
    pub(crate) command: BackupCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Take a backup, up to what is durable now; programs may go on writing
    Create(BackupCreate),
    /// Read a backup back and check every byte of it
    Verify(BackupVerify),
    /// List the backups of a repository
    Ls(BackupLs),
}

/// Stores only what the repository does not have yet. A damaged journal is refused.
#[derive(Debug, Args)]
pub(crate) struct BackupCreate {
    /// Directory of the journal
    pub(crate) dir: PathBuf,
    /// Repository: a directory, or s3://bucket/path in a program built with `aws`
    pub(crate) to: String,
    /// Directory of its snapshots, to take them along
    #[arg(long, value_name = "DIR")]
    pub(crate) snapshots: Option<PathBuf>,
}

/// Needs no room on any disk: the backup is read as if it were a journal. That it is sound is noted in
/// the repository: from then on a program's retention keeps what the backup has not got.
#[derive(Debug, Args)]
pub(crate) struct BackupVerify {
    /// Repository: a directory, or s3://bucket/path in a program built with `aws`
    pub(crate) from: String,
    /// Name of the backup; the newest one unless given
    #[arg(long, value_name = "BACKUP")]
    pub(crate) backup: Option<BackupId>,
}

#[derive(Debug, Args)]
pub(crate) struct BackupLs {
    /// Repository: a directory, or s3://bucket/path in a program built with `aws`
    pub(crate) from: String,
}

/// Writes aside, checks everything, and only then renames.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// Repository: a directory, or s3://bucket/path in a program built with `aws`
    pub(crate) from: String,
    /// Directory that becomes the journal: empty or not there
    pub(crate) dir: PathBuf,
    /// Name of the backup; the newest one unless given
    #[arg(long, value_name = "BACKUP")]
    pub(crate) backup: Option<BackupId>,
    /// Directory that becomes the snapshots': empty or not there. Without it none are restored
    #[arg(long, value_name = "DIR")]
    pub(crate) snapshots: Option<PathBuf>,
}

/// A program compacts its journal by itself, within a budget; this does all of it at once. The journal
/// must not be open.
#[derive(Debug, Args)]
pub(crate) struct Compact {
    /// Directory of the journal
    pub(crate) dir: PathBuf,
}

/// Works whether or not a program has the journal open, up to what is durable when it begins.
#[derive(Debug, Args)]
pub(crate) struct Copy {
    /// Directory of the journal
    pub(crate) dir: PathBuf,
    /// Directory that becomes the new journal: empty or not there
    pub(crate) to: PathBuf,
}

fn position(text: &str) -> Result<Position, String> {
    let number: u64 = text.parse().map_err(|_| "not a number".to_owned())?;
    Position::new(number).ok_or_else(|| "positions start at 1".to_owned())
}
