//! What was submitted and is not yet settled.

use std::sync::Arc;

use refrain_core::port::journal::Batch;
use refrain_core::{Name, Position};

use crate::completion::Cell;
use crate::format::record::{DECLARATION_BYTES_MAX, Declaration, RECORD_HEADER_BYTES};

/// Something submitted.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) stream: u32,
    /// The position it names.
    pub(crate) at: Position,
    pub(crate) work: Work,
    pub(crate) ticket: u64,
    pub(crate) cell: Arc<Cell>,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Work {
    /// Record a batch, and the stream itself if it is its first.
    Append { batch: Batch, birth: Birth },
    /// Record that a stream starts later.
    Forget(Declaration),
}

/// Whether an append is the first of its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Birth {
    New(Name),
    Known,
}

impl Pending {
    /// Bytes that its records take.
    pub(crate) fn record_bytes(&self) -> usize {
        match &self.work {
            Work::Append { batch, birth } => {
                let declaration = match birth {
                    Birth::New(_) => DECLARATION_BYTES_MAX,
                    Birth::Known => 0,
                };
                entry_bytes(batch) + declaration
            }
            Work::Forget(_) => DECLARATION_BYTES_MAX,
        }
    }
}

/// Bytes of the records of a batch.
pub(crate) fn entry_bytes(batch: &Batch) -> usize {
    batch.byte_len() + batch.len() * RECORD_HEADER_BYTES
}
