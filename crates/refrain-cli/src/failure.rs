//! Why a command did not do what it was asked: what was wrong, and what to do.

use std::error::Error;
use std::io;
use std::iter::successors;

use refrain_backup::BackupError;
use refrain_core::port::journal::ReadError;
use refrain_journal::OpenError;

use crate::exit::Exit;

/// Ends a command.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    /// The error's code, which has a page in `docs/errors`.
    code: Option<&'static str>,
    what: String,
    remedy: Option<String>,
    is_broken_pipe: bool,
}

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Failure {
        Failure {
            exit,
            code: None,
            what: what.into(),
            remedy: None,
            is_broken_pipe: false,
        }
    }

    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Failure {
        self.remedy = Some(remedy.into());
        self
    }

    pub(crate) fn code(mut self, code: &'static str) -> Failure {
        self.code = Some(code);
        self
    }

    pub(crate) fn io(what: &str, error: &io::Error) -> Failure {
        Failure::new(Exit::Unusable, format!("{what}: {error}")).remedy(remedy_of(error))
    }

    /// Nobody reads any more what is printed, which is nobody's fault.
    pub(crate) fn printing(error: &io::Error) -> Failure {
        let mut failure = Failure::io("the output cannot be written", error);
        failure.is_broken_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        failure
    }

    pub(crate) fn is_broken_pipe(&self) -> bool {
        self.is_broken_pipe
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    pub(crate) fn error_code(&self) -> Option<&'static str> {
        self.code
    }

    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    pub(crate) fn what_to_do(&self) -> Option<&str> {
        self.remedy.as_deref()
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Failure {
        let (exit, remedy) = match &error {
            OpenError::Options { .. } => (Exit::Usage, "change the option"),
            OpenError::Locked { .. } => (
                Exit::InUse,
                "stop the program that has it open, and run the command again",
            ),
            OpenError::Corrupt { .. } => (Exit::Damaged, SEE_DAMAGE),
            OpenError::Version { .. } | OpenError::Newer { .. } => (
                Exit::Refused,
                "use the version of refrain that belongs to the program",
            ),
            OpenError::Io { source, .. } => (Exit::Unusable, remedy_of(source)),
            OpenError::Missing { .. } => (
                Exit::Missing,
                "check the path: a journal is a directory with a file `mark` in it; when only that is gone, \
                 `refrain journal verify` says so",
            ),
            // The enum grows with the journal; a new error is still a failure with its own text.
            _ => (Exit::Unusable, "see the error's page in docs/errors"),
        };
        Failure::new(exit, with_causes(&error))
            .code(error.code())
            .remedy(remedy)
    }
}

/// What to do about damage.
pub(crate) const SEE_DAMAGE: &str =
    "`refrain journal verify` names all that is damaged, `refrain journal repair` what can be done";

const MAKE_ROOM: &str = "make room, and run the command again";

/// What to do about a file that cannot be used.
fn remedy_of(error: &io::Error) -> &'static str {
    let remedies = [
        (io::ErrorKind::StorageFull, MAKE_ROOM),
        (io::ErrorKind::QuotaExceeded, MAKE_ROOM),
        (
            io::ErrorKind::PermissionDenied,
            "run the command as the user that the files belong to",
        ),
        (
            io::ErrorKind::ReadOnlyFilesystem,
            "name a place that can be written",
        ),
        (io::ErrorKind::NotADirectory, "name a directory"),
    ];
    let known = remedies.iter().find(|(kind, _)| *kind == error.kind());
    known.map_or("check the path, and whether the disk works", |(_, what)| {
        what
    })
}

/// An error and its causes on one line.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let texts: Vec<String> = successors(Some(error), |error| (*error).source())
        .map(ToString::to_string)
        .collect();
    texts.join(": ")
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Failure {
        let (exit, remedy) = match error {
            BackupError::Journal(error) => return error.into(),
            BackupError::Source { .. } => (Exit::Damaged, SEE_DAMAGE),
            BackupError::Damaged { .. } => (
                Exit::Damaged,
                "use another backup; if an object is named, remove it and take a new backup, which \
                 stores it again",
            ),
            BackupError::Target { .. } => (
                Exit::Refused,
                "name a directory of its own that is empty or not there; nothing was changed",
            ),
            BackupError::Missing { .. } => (
                Exit::Missing,
                "check the place; `refrain journal backup ls` lists its backups, --backup chooses one",
            ),
            BackupError::Store { .. } => (
                Exit::Unusable,
                "check the place, its keys and its room, and run the command again",
            ),
            BackupError::Fork { .. } => (
                Exit::Refused,
                "find out which of the two journals is the right one, and back the other one up \
                 elsewhere",
            ),
            BackupError::Format { .. } => (
                Exit::Refused,
                "use the version of refrain that took the backup, or a later one",
            ),
            // As for `OpenError`.
            _ => (Exit::Unusable, "see the error's page in docs/errors"),
        };
        Failure::new(exit, error.to_string())
            .code(error.code())
            .remedy(remedy)
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Failure {
        match &error {
            ReadError::Forgotten { first, .. } => Failure::new(Exit::Missing, error.to_string())
                .remedy(format!("start at position {first} or later")),
            ReadError::Corrupt { .. } => Failure::new(Exit::Damaged, error.to_string())
                .code("R0102")
                .remedy(SEE_DAMAGE),
            ReadError::Unavailable(_) | _ => Failure::new(Exit::Unusable, error.to_string())
                .remedy("`refrain journal verify` names every file that cannot be read"),
        }
    }
}
