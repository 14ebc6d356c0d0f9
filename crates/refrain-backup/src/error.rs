//! Why a backup could not be taken, checked or put back.

use std::io;
use std::path::{Path, PathBuf};

use refrain_core::port::journal::Disposition;
use refrain_journal::OpenError;
use refrain_journal::inspect::Finding;

/// Why a backup could not be taken, checked or put back. Each has a code and a page in
/// `docs/errors`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The journal is damaged: a backup of it would look like a good one.
    #[error("R0120: the journal is damaged and not copied: {finding}")]
    Source {
        /// The first thing that is wrong.
        finding: Finding,
    },
    /// The backup is not what was stored.
    #[error("R0121: backup {backup} is damaged: {place}: {detail}")]
    Damaged {
        /// The backup.
        backup: String,
        /// The object, or the file with its offset.
        place: String,
        /// What is wrong there.
        detail: String,
    },
    /// A journal is never restored over something.
    #[error("R0122: {} cannot become a journal: {detail}", path.display())]
    Target {
        /// Where the journal should go.
        path: PathBuf,
        /// What stands in the way.
        detail: String,
    },
    /// There is no such backup.
    #[error("R0123: there is no {wanted} at {repository}")]
    Missing {
        /// What was asked for.
        wanted: String,
        /// Where it was looked for.
        repository: String,
    },
    /// The repository cannot be used.
    #[error("R0124: {repository} cannot be used: {reason}")]
    Store {
        /// Which one.
        repository: String,
        /// What the store said.
        reason: String,
    },
    /// The repository has a backup of the same journal at the same place with other contents, or of a
    /// later epoch: two histories came from one.
    #[error("R0125: backup {backup} is there already, with another history")]
    Fork {
        /// The backup.
        backup: String,
    },
    /// The backup was made by a later version.
    #[error("R0126: backup {backup} has format {format}, this program knows format {known}")]
    Format {
        /// The backup.
        backup: String,
        /// Its format.
        format: u32,
        /// The format that is known here.
        known: u32,
    },
    /// The journal itself cannot be used.
    #[error(transparent)]
    Journal(#[from] OpenError),
}

impl BackupError {
    /// The code that `docs/errors` has a page for.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            BackupError::Source { .. } => "R0120",
            BackupError::Damaged { .. } => "R0121",
            BackupError::Target { .. } => "R0122",
            BackupError::Missing { .. } => "R0123",
            BackupError::Store { .. } => "R0124",
            BackupError::Fork { .. } => "R0125",
            BackupError::Format { .. } => "R0126",
            BackupError::Journal(error) => error.code(),
        }
    }

    /// What to do now.
    ///
    /// ```
    /// use refrain_backup::BackupError;
    /// use refrain_core::port::journal::Disposition;
    ///
    /// let error = BackupError::Missing {
    ///     wanted: "backup".to_owned(),
    ///     repository: "/backups".to_owned(),
    /// };
    /// assert_eq!(error.disposition(), Disposition::Reject);
    /// ```
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            BackupError::Store { .. } => Disposition::Again,
            BackupError::Target { .. }
            | BackupError::Missing { .. }
            | BackupError::Format { .. } => Disposition::Reject,
            BackupError::Source { .. } | BackupError::Damaged { .. } | BackupError::Fork { .. } => {
                Disposition::Halt
            }
            BackupError::Journal(error) => error.disposition(),
        }
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
        move |source| {
            BackupError::Journal(OpenError::Io {
                path: path.to_path_buf(),
                source,
            })
        }
    }
}
