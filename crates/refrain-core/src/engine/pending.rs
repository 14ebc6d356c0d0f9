//! Entries that wait to be appended, in batches that every journal takes.

use std::collections::VecDeque;

use crate::limit::{BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, STORED_BYTES_MAX};
use crate::port::journal::Batch;

/// A batch has one entry, or at most [`BATCH_ENTRIES_MAX`] that are together no larger than the largest
/// entry that the journal takes, nor than [`BATCH_BYTES_MAX`].
#[derive(Debug)]
pub(super) struct Pending {
    /// Bytes of a batch with several entries.
    bytes_max: usize,
    full: VecDeque<Batch>,
    open: Batch,
}

impl Pending {
    /// Nothing yet, for a journal whose largest entry has so many bytes.
    pub(super) fn new(entry_bytes_max: usize) -> Pending {
        Pending {
            bytes_max: BATCH_BYTES_MAX.min(entry_bytes_max),
            full: VecDeque::new(),
            open: Batch::default(),
        }
    }

    /// Adds the entry that `write` appends to the buffer it is given.
    pub(super) fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.make_room();
        self.open.push_with(write);
        self.keep_small();
    }

    /// As [`Pending::push_with`], but nothing is added when `write` fails.
    pub(super) fn try_push_with<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.make_room();
        self.open.try_push_with(write)?;
        self.keep_small();
        Ok(())
    }

    #[inline]
    fn make_room(&mut self) {
        if self.is_open_full() {
            self.close();
        }
    }

    #[inline]
    fn is_open_full(&self) -> bool {
        self.open.len() >= BATCH_ENTRIES_MAX || weight(&self.open) >= self.bytes_max
    }

    /// An entry that makes the batch too large begins the next one.
    #[inline]
    fn keep_small(&mut self) {
        if self.open.len() > 1 && weight(&self.open) > self.bytes_max {
            let last = self.open.split_last();
            self.full.push_back(std::mem::replace(&mut self.open, last));
        }
    }

    /// The next batch is likely to be about as large as this one.
    fn close(&mut self) {
        let next = Batch::with_capacity(self.open.len(), self.open.byte_len());
        self.full.push_back(std::mem::replace(&mut self.open, next));
    }

    /// Whether a batch is ready that takes nothing more.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        !self.full.is_empty() || self.is_open_full()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.full.is_empty() && self.open.is_empty()
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.full.iter().map(Batch::len).sum::<usize>() + self.open.len()
    }

    #[inline]
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

/// Bytes of a batch as a journal may store it.
#[inline]
fn weight(batch: &Batch) -> usize {
    batch.byte_len() + batch.len() * STORED_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_entries_of_a_batch_are_no_larger_than_the_largest_entry() {
        for entry_bytes_max in [100, 1000, 10_000] {
            let mut pending = Pending::new(entry_bytes_max);
            for len in (0..200).map(|number| number * 37 % entry_bytes_max) {
                pending.push_with(|bytes| bytes.resize(bytes.len() + len, 1));
            }
            assert_eq!(pending.len(), 200);
            let mut count = 0;
            while let Some(batch) = pending.take() {
                assert!(batch.len() == 1 || weight(&batch) <= entry_bytes_max);
                count += batch.len();
            }
            assert_eq!(count, 200);
        }
    }
}
