//! Entries that wait to be appended, in batches that every journal takes.

use std::collections::VecDeque;

use crate::limit::{BATCH_BYTES_MAX, BATCH_ENTRIES_MAX};
use crate::port::journal::Batch;

/// A batch takes a further entry as long as it has less than [`BATCH_BYTES_MAX`] bytes and
/// [`BATCH_ENTRIES_MAX`] entries.
#[derive(Debug, Default)]
pub(super) struct Pending {
    full: VecDeque<Batch>,
    open: Batch,
}

impl Pending {
    /// Adds the entry that `write` appends to the buffer it is given.
    pub(super) fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if is_full(&self.open) {
            self.close();
        }
        self.open.push_with(write);
    }

    /// As [`Pending::push_with`], but nothing is added when `write` fails.
    pub(super) fn try_push_with<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        if is_full(&self.open) {
            self.close();
        }
        self.open.try_push_with(write)
    }

    /// The next batch is likely to be about as large as this one.
    fn close(&mut self) {
        let next = Batch::with_capacity(self.open.len(), self.open.byte_len());
        self.full.push_back(std::mem::replace(&mut self.open, next));
    }

    /// Whether a batch is ready that takes nothing more.
    pub(super) fn is_full(&self) -> bool {
        !self.full.is_empty() || is_full(&self.open)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.full.is_empty() && self.open.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.full.iter().map(Batch::len).sum::<usize>() + self.open.len()
    }

    pub(super) fn byte_len(&self) -> usize {
        self.full.iter().map(Batch::byte_len).sum::<usize>() + self.open.byte_len()
    }

    /// Takes the first batch, unless there is nothing.
    pub(super) fn take(&mut self) -> Option<Batch> {
        if self.full.is_empty() && !self.open.is_empty() {
            self.close();
        }
        self.full.pop_front()
    }
}

fn is_full(batch: &Batch) -> bool {
    batch.len() >= BATCH_ENTRIES_MAX || batch.byte_len() >= BATCH_BYTES_MAX
}
