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
    #[arg(long, global = true, display_order = 900)]
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
    /// Print how much there is: files, segments, streams, bytes, the mark
    Stats(Stats),
    /// Check every byte: frames, records, indexes, streams, snapshots
    Verify(Verify),
    /// Mend what can be mended with proof; without --apply only say what
    Repair(Repair),
    /// Take a backup, check one, list them
    Backup(Backup),
    /// Put a backup back into a directory that is empty or not there
    Restore(Restore),
    /// Rewrite sealed history by streams, and give back what is forgotten
    Compact(Compact),
    /// Copy all streams into a new journal, and compare their digests
    Copy(Copy),
}

/// What is said of commands that only look.
const LOOKS: &str = "\
Changes nothing, and works whether or not a program has the journal open: it
goes as far as what is durable.";

#[derive(Debug, Args)]
#[command(after_help = exit::help(LOOKS))]
pub(crate) struct Ls {
    /// Directory of the journal
    pub(crate) dir: PathBuf,
    /// Only streams whose names start so
    #[arg(long)]
    pub(crate) prefix: Option<String>,
    /// Its backups, to show what is held for them
    #[arg(long, value_name = "REPOSITORY")]
    pub(crate) backups: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = exit::help(LOOKS))]
pub(crate) struct Cat {
    /// Directory of the journal
    pub(crate) dir: PathBuf,
    /// Name of the stream
    pub(crate) stream: Name,
    /// First position [default: the first that is kept]
    #[arg(long, value_name = "POSITION", value_parser = position)]
    pub(crate) from: Option<Position>,
    /// Last position [default: the last that is durable now]
    #[arg(long, value_name = "POSITION", value_parser = position, conflicts_with = "follow")]
    pub(crate) to: Option<Position>,
    /// Wait for more entries and print them, until interrupted
    #[arg(long)]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
#[command(after_help = exit::help(LOOKS))]
pub(crate) struct Stats {
    /// Directory of the journal
    pub(crate) dir: PathBuf,
    /// Directory of its snapshots, to count them as well
    #[arg(long, value_name = "DIR")]
    pub(crate) snapshots: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = exit::help(LOOKS))]
pub(crate) struct Verify {
    /// Directory of the journal
    pub(crate) dir: PathBuf,
    /// Directory of its snapshots, to check them as well
    #[arg(long, value_name = "DIR")]
    pub(crate) snapshots: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = exit::help("\
The old bytes of everything that is changed are kept in the directory `aside`
of the journal."))]
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
#[command(after_help = exit::HELP)]
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

#[derive(Debug, Args)]
#[command(after_help = exit::help("\
Programs may go on writing meanwhile. What the repository has already is not
stored again. A damaged journal is refused."))]
pub(crate) struct BackupCreate {
    /// Directory of the journal
    pub(crate) dir: PathBuf,
    /// Directory, or s3://bucket/path in a program built with `aws`
    #[arg(value_name = "REPOSITORY")]
    pub(crate) to: String,
    /// Directory of its snapshots, to take them along
    #[arg(long, value_name = "DIR")]
    pub(crate) snapshots: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = exit::help("\
Needs no room on any disk: the backup is read as if it were a journal. That
it is sound is noted in the repository: from then on a program's retention
keeps what the oldest sound backup has not got."))]
pub(crate) struct BackupVerify {
    /// Directory, or s3://bucket/path in a program built with `aws`
    #[arg(value_name = "REPOSITORY")]
    pub(crate) from: String,
    /// Name of the backup [default: the newest one]
    #[arg(long, value_name = "BACKUP")]
    pub(crate) backup: Option<BackupId>,
}

#[derive(Debug, Args)]
#[command(after_help = exit::help("\
VERIFIED says when `backup verify` found the backup sound."))]
pub(crate) struct BackupLs {
    /// Directory, or s3://bucket/path in a program built with `aws`
    #[arg(value_name = "REPOSITORY")]
    pub(crate) from: String,
}

#[derive(Debug, Args)]
#[command(after_help = exit::help("\
Writes aside, into the directory of the same name with `.restoring` at its
end, checks everything, and only then renames. Nothing is written over."))]
pub(crate) struct Restore {
    /// Directory, or s3://bucket/path in a program built with `aws`
    #[arg(value_name = "REPOSITORY")]
    pub(crate) from: String,
    /// Directory that becomes the journal: empty or not there
    pub(crate) dir: PathBuf,
    /// Name of the backup [default: the newest one]
    #[arg(long, value_name = "BACKUP")]
    pub(crate) backup: Option<BackupId>,
    /// Directory for its snapshots, empty or not there
    #[arg(long, value_name = "DIR")]
    pub(crate) snapshots: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = exit::help("\
No program may have the journal open. A program compacts its journal by
itself, within a budget; this does all of it at once."))]
pub(crate) struct Compact {
    /// Directory of the journal
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = exit::help("\
Works whether or not a program has the journal open, up to what is durable
when it begins. Positions stay; what was forgotten is not copied."))]
pub(crate) struct Copy {
    /// Directory of the journal
    pub(crate) dir: PathBuf,
    /// Directory that becomes the new journal: empty or not there
    #[arg(value_name = "NEW_DIR")]
    pub(crate) to: PathBuf,
}

fn position(text: &str) -> Result<Position, String> {
    let number: u64 = text.parse().map_err(|_| "not a number".to_owned())?;
    Position::new(number).ok_or_else(|| "positions start at 1".to_owned())
}
