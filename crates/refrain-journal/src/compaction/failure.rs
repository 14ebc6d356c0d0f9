//! Why compaction gives up, and what it says of that to who asked.

use std::io;

use crate::error::{CompactError, OpenError};
use crate::parts::Misfit;
use crate::storage::is_full;

/// Why compaction did not come to its end. Nothing is lost by it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompactionFailure {
    #[error("there is not enough room beside what appends need")]
    Full,
    #[error("the journal is being closed")]
    Ending,
    #[error("{0}")]
    Failed(String),
}

impl From<OpenError> for CompactionFailure {
    fn from(error: OpenError) -> CompactionFailure {
        match error {
            OpenError::Io { source, .. } => source.into(),
            OpenError::Options { .. }
            | OpenError::Locked { .. }
            | OpenError::Corrupt { .. }
            | OpenError::Version { .. }
            | OpenError::Newer { .. }
            | OpenError::Missing { .. } => CompactionFailure::Failed(error.to_string()),
        }
    }
}

impl From<Misfit> for CompactionFailure {
    fn from(misfit: Misfit) -> CompactionFailure {
        CompactionFailure::Failed(misfit.to_string())
    }
}

impl From<io::Error> for CompactionFailure {
    fn from(error: io::Error) -> CompactionFailure {
        match error {
            error if is_full(&error) => CompactionFailure::Full,
            error => CompactionFailure::Failed(error.to_string()),
        }
    }
}

impl From<CompactionFailure> for CompactError {
    fn from(failure: CompactionFailure) -> CompactError {
        match failure {
            CompactionFailure::Full => CompactError::Full,
            CompactionFailure::Ending => CompactError::Closed,
            CompactionFailure::Failed(reason) => CompactError::Failed { reason },
        }
    }
}
