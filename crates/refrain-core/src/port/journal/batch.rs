//! Entries on their way into a journal and out of it: one buffer, and where each entry ends.

use bytes::Bytes;

use crate::id::Position;

/// Entries for one append: one buffer, and where each entry ends in it.
///
/// ```
/// use refrain_core::port::journal::Batch;
///
/// let mut batch = Batch::default();
/// batch.push(b"first");
/// batch.push(b"second");
/// assert_eq!(batch.entries().collect::<Vec<_>>(), [b"first".as_slice(), b"second"]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Batch {
    /// An empty batch with room for so many entries and bytes.
    #[must_use]
    pub fn with_capacity(entries: usize, bytes: usize) -> Batch {
        Batch {
            bytes: Vec::with_capacity(bytes),
            ends: Vec::with_capacity(entries),
        }
    }

    /// Adds one entry.
    ///
    /// # Panics
    /// When the batch outgrows 4 GiB; callers stay far below, see [`crate::limit`].
    pub fn push(&mut self, entry: &[u8]) {
        self.push_with(|bytes| bytes.extend_from_slice(entry));
    }

    /// Adds the entry that `write` appends to the buffer it is given.
    ///
    /// # Panics
    /// When the batch outgrows 4 GiB.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.end_entry();
    }

    /// As [`Batch::push_with`], but nothing is added when `write` fails.
    pub(crate) fn try_push_with<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.bytes.len();
        match write(&mut self.bytes) {
            Ok(()) => self.end_entry(),
            Err(error) => {
                self.bytes.truncate(start);
                return Err(error);
            }
        }
        Ok(())
    }

    fn end_entry(&mut self) {
        let end = u32::try_from(self.bytes.len()).expect("a batch stays below 4 GiB");
        assert!(
            end >= self.ends.last().copied().unwrap_or(0),
            "entries only add bytes"
        );
        self.ends.push(end);
    }

    /// Takes the last entry out, into a batch of its own.
    pub(crate) fn split_last(&mut self) -> Batch {
        let mut last = Batch::default();
        if self.ends.pop().is_some() {
            let start = self.ends.last().map_or(0, |end| *end as usize);
            last.push(&self.bytes[start..]);
            self.bytes.truncate(start);
        }
        last
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of all entries together.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// All entries, one after the other, without anything between them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where each entry ends in [`Batch::bytes`].
    #[must_use]
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The entries in order.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        slices(&self.bytes, &self.ends)
    }

    /// Empties the batch and keeps its buffers.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// Consecutive entries of one stream, as a reader gets them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    first: Position,
    bytes: Bytes,
    ends: Vec<u32>,
}

impl Chunk {
    /// A chunk whose first entry is at `first`; `ends` says where each entry ends in `bytes`.
    ///
    /// # Panics
    /// When there is no entry, or `ends` do not fit `bytes`.
    #[must_use]
    pub fn new(first: Position, bytes: Bytes, ends: Vec<u32>) -> Chunk {
        assert!(ends.is_sorted(), "entries follow each other");
        assert_eq!(
            ends.last().map(|end| *end as usize),
            Some(bytes.len()),
            "entries fill the chunk"
        );
        Chunk { first, bytes, ends }
    }

    /// The position of the first entry.
    #[must_use]
    pub fn first(&self) -> Position {
        self.first
    }

    /// The position of the last entry.
    #[must_use]
    pub fn last(&self) -> Position {
        self.first.plus(self.ends.len() as u64 - 1)
    }

    /// The entries with their positions, in order.
    pub fn entries(&self) -> impl Iterator<Item = (Position, &[u8])> {
        slices(&self.bytes, &self.ends)
            .enumerate()
            .map(|(index, entry)| (self.first.plus(index as u64), entry))
    }

    /// The entry at `position` as shared bytes, if it is in this chunk.
    #[must_use]
    pub fn entry(&self, position: Position) -> Option<Bytes> {
        let index = usize::try_from(position.get().checked_sub(self.first.get())?).ok()?;
        let end = *self.ends.get(index)? as usize;
        let start = index
            .checked_sub(1)
            .map_or(0, |before| self.ends[before] as usize);
        Some(self.bytes.slice(start..end))
    }
}

fn slices<'a>(bytes: &'a [u8], ends: &'a [u32]) -> impl ExactSizeIterator<Item = &'a [u8]> {
    let mut start = 0;
    ends.iter().map(move |end| {
        let entry = &bytes[start..*end as usize];
        start = *end as usize;
        entry
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_gives_each_entry_by_its_position() {
        let chunk = Chunk::new(
            Position::new(5).unwrap(),
            Bytes::from_static(b"abcde"),
            vec![2, 2, 5],
        );
        assert_eq!(chunk.entry(Position::new(5).unwrap()).unwrap(), "ab");
        assert_eq!(chunk.entry(Position::new(6).unwrap()).unwrap(), "");
        assert_eq!(chunk.entry(Position::new(7).unwrap()).unwrap(), "cde");
        assert_eq!(chunk.entry(Position::new(8).unwrap()), None);
        assert_eq!(chunk.entry(Position::FIRST), None);
        assert_eq!(chunk.last().get(), 7);
    }
}
