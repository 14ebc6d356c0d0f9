//! Exit codes: part of what scripts rely on, so a number is never given another meaning.

use std::process::ExitCode;

use refrain_journal::inspect::Inspection;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done; where something was checked, nothing is wrong.
    Done = 0,
    /// Something is damaged, or two things differ that must not.
    Damaged = 1,
    /// The command line makes no sense. clap uses the same number.
    Usage = 2,
    /// Another process has the journal open for writing.
    InUse = 3,
    /// There is no such journal, stream or backup.
    Missing = 4,
    /// A file or a store cannot be used.
    Unusable = 5,
    /// Refused, because going on could lose or mix something.
    Refused = 6,
}

impl Exit {
    /// Of a command that looked at a whole journal.
    pub(crate) fn of(inspection: &Inspection) -> Exit {
        if inspection.is_sound() {
            Exit::Done
        } else {
            Exit::Damaged
        }
    }
}

/// What `--help` says behind the options: `what` is worth knowing of the command.
pub(crate) fn help(what: &str) -> String {
    format!("{what}\n\n{HELP}")
}

/// What `--help` says of them.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done; where something was checked, nothing is wrong
  1  something is damaged
  2  the command line makes no sense
  3  another process has the journal open for writing
  4  there is no such journal, stream or backup
  5  a file or a store cannot be used
  6  refused, because going on could lose or mix something";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}
