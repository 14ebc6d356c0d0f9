//! Why a journal could not be opened or closed.

use std::io;
use std::path::{Path, PathBuf};

use refrain_core::port::journal::Disposition;

use crate::options::SettingError;

/// Why a directory could not be opened as a journal. Each has a code and a page in `docs/errors`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// An option has a value that cannot be used.
    #[error("R0100: the journal's options cannot be used: {reason}")]
    Options {
        /// Which one, and what it may be.
        reason: String,
    },
    /// Another process, or another part of this one, has the journal open for writing.
    #[error("R0101: the journal in {} is open elsewhere", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// Stored bytes that were acknowledged are damaged or missing. Nothing was changed.
    #[error("R0102: the journal is damaged: {place}: {detail}")]
    Corrupt {
        /// File and offset.
        place: String,
        /// What is wrong there.
        detail: String,
    },
    /// The files were written in a format that this program does not know.
    #[error("R0103: {} has format version {version}, this program knows version 1", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// A newer version of this program wrote something that this one would misunderstand.
    #[error(
        "R0103: a newer version of Refrain wrote {place}: bytes are used that format 1 reserves"
    )]
    Newer {
        /// File and offset.
        place: String,
    },
    /// A file could not be used.
    #[error("R0104: {} cannot be used", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no journal in the directory, and the caller wanted one that is there.
    #[error("R0105: there is no journal in {}", dir.display())]
    Missing {
        /// The directory.
        dir: PathBuf,
    },
}

impl OpenError {
    /// The code, as in the name of its page in `docs/errors`.
    ///
    /// ```
    /// use refrain_journal::OpenError;
    ///
    /// let error = OpenError::Locked { dir: "orders-data".into() };
    /// assert_eq!(error.code(), "R0101");
    /// ```
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            OpenError::Options { .. } => "R0100",
            OpenError::Locked { .. } => "R0101",
            OpenError::Corrupt { .. } => "R0102",
            OpenError::Version { .. } | OpenError::Newer { .. } => "R0103",
            OpenError::Io { .. } => "R0104",
            OpenError::Missing { .. } => "R0105",
        }
    }

    /// What to do now.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            OpenError::Locked { .. } | OpenError::Io { .. } => Disposition::Again,
            OpenError::Options { .. }
            | OpenError::Version { .. }
            | OpenError::Newer { .. }
            | OpenError::Missing { .. } => Disposition::Reject,
            OpenError::Corrupt { .. } => Disposition::Halt,
        }
    }

    /// Gives an I/O error the place where it happened.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
        move |source| OpenError::Io {
            path: path.to_path_buf(),
            source,
        }
    }

    /// Reserved bytes are used at `offset` of `path`.
    pub(crate) fn newer(path: &Path, offset: u64) -> OpenError {
        OpenError::Newer {
            place: format!("{} at offset {offset}", path.display()),
        }
    }

    /// Damage at `offset` of `path`.
    pub(crate) fn corrupt(path: &Path, offset: u64, detail: impl Into<String>) -> OpenError {
        OpenError::Corrupt {
            place: format!("{} at offset {offset}", path.display()),
            detail: detail.into(),
        }
    }
}

/// Why compaction did not come to its end. Nothing was lost, and it goes on later by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompactError {
    /// There is not enough room for a new file beside what appends need.
    #[error("R0106: compaction needs more room than there is")]
    Full,
    /// The journal was closed or stopped meanwhile.
    #[error("R0107: the journal was closed during compaction")]
    Closed,
    /// A file could not be read or written, or is damaged.
    #[error("R0108: compaction failed: {reason}")]
    Failed {
        /// What failed.
        reason: String,
    },
}

impl CompactError {
    /// The code, as in the name of its page in `docs/errors`.
    ///
    /// ```
    /// use refrain_journal::CompactError;
    ///
    /// assert_eq!(CompactError::Full.code(), "R0106");
    /// ```
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            CompactError::Full => "R0106",
            CompactError::Closed => "R0107",
            CompactError::Failed { .. } => "R0108",
        }
    }

    /// What to do now.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            CompactError::Full | CompactError::Failed { .. } => Disposition::Again,
            CompactError::Closed => Disposition::Halt,
        }
    }
}

impl From<SettingError> for OpenError {
    fn from(error: SettingError) -> OpenError {
        OpenError::Options {
            reason: error.to_string(),
        }
    }
}
