//! Why nothing was forgotten.

use refrain_core::port::hold::HoldError;
use refrain_core::port::journal::{AppendError, Disposition, ReadError};
use refrain_core::port::snapshots::SnapshotError;
use refrain_core::{FormatError, Position};

/// Why nothing of a stream was forgotten, though the policy wanted it. Nothing is lost by that, and
/// a repeat is safe.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RetainError {
    /// A hold could not say what it needs.
    #[error("{name} does not answer")]
    Hold {
        /// The hold.
        name: String,
        /// Why.
        #[source]
        cause: HoldError,
    },
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Read(#[from] ReadError),
    /// Snapshots cannot be listed.
    #[error("snapshots cannot be listed")]
    Snapshots(#[from] SnapshotError),
    /// An entry whose time was wanted is not there.
    #[error("the entry at {position} is gone")]
    Gone {
        /// Where it should be.
        position: Position,
    },
    /// An entry whose time was wanted is not understood.
    #[error("the entry at {position} is not understood")]
    Entry {
        /// Where it is.
        position: Position,
        /// Why.
        #[source]
        cause: FormatError,
    },
    /// The runtime has ended.
    #[error("the runtime has ended")]
    NotRunning,
    /// The journal did not take it.
    #[error("the journal does not take it")]
    Forget(#[from] AppendError),
}

impl RetainError {
    /// What to do now.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            RetainError::Hold { .. } | RetainError::Snapshots(_) | RetainError::Gone { .. } => {
                Disposition::Again
            }
            RetainError::Read(cause) => cause.disposition(),
            RetainError::Entry { .. } | RetainError::NotRunning => Disposition::Halt,
            RetainError::Forget(cause) => cause.disposition(),
        }
    }
}
