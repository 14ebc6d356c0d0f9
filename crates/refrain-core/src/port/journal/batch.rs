//! Entries on their way into a journal and out of it: one buffer, and where each entry ends.

use bytes::Bytes;

use crate::id::Position;

/// Entries for one append: one buffer, and where each entry but the last ends in it. So a batch of one
/// entry, the most frequent one, has one allocation.
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
    /// Where an entry ends and the next one starts.
    seams: Vec<u32>,
    entries: usize,
}

impl Batch {
    /// An empty batch with room for so many entries and bytes.
    #[must_use]
    pub fn with_capacity(entries: usize, bytes: usize) -> Batch {
        Batch {
            bytes: Vec::with_capacity(bytes),
            seams: Vec::with_capacity(entries.saturating_sub(1)),
            entries: 0,
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
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.end_entry(start);
    }

    /// As [`Batch::push_with`], but nothing is added when `write` fails.
    pub(crate) fn try_push_with<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.bytes.len();
        match write(&mut self.bytes) {
            Ok(()) => self.end_entry(start),
            Err(error) => {
                self.bytes.truncate(start);
                return Err(error);
            }
        }
        Ok(())
    }

    #[inline]
    fn end_entry(&mut self, start: usize) {
        assert!(start <= self.bytes.len(), "entries only add bytes");
        assert!(
            u32::try_from(self.bytes.len()).is_ok(),
            "a batch stays below 4 GiB"
        );
        if self.entries > 0 {
            let seam = u32::try_from(start).expect("it lies before the end");
            self.seams.push(seam);
        }
        self.entries += 1;
    }

    /// Takes the last of several entries out, into a batch of its own.
    pub(crate) fn split_last(&mut self) -> Batch {
        let start = self.seams.pop().expect("there are several entries") as usize;
        let mut last = Batch::default();
        last.push(&self.bytes[start..]);
        self.bytes.truncate(start);
        self.entries -= 1;
        last
    }

    /// The number of entries.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries
    }

    /// Whether there is no entry.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// The bytes of all entries together.
    #[inline]
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// All entries, one after the other, without anything between them.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where each entry ends in [`Batch::bytes`].
    #[inline]
    pub fn ends(&self) -> impl ExactSizeIterator<Item = u32> {
        (0..self.entries).map(|place| self.end(place))
    }

    /// The entries in order.
    #[inline]
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let mut start = 0;
        (0..self.entries).map(move |place| {
            let end = self.end(place) as usize;
            let entry = &self.bytes[start..end];
            start = end;
            entry
        })
    }

    /// Where the entry at `place` ends: at a seam, or with all bytes.
    #[inline]
    fn end(&self, place: usize) -> u32 {
        let all = || u32::try_from(self.bytes.len()).expect("checked as entries were added");
        self.seams.get(place).copied().unwrap_or_else(all)
    }

    /// Empties the batch and keeps its buffers.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.seams.clear();
        self.entries = 0;
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
    fn a_batch_gives_back_its_entries_empty_ones_too_and_none_that_failed() {
        let entries: [&[u8]; 4] = [b"", b"one", b"", b"three"];
        let mut batch = Batch::default();
        assert_eq!((batch.len(), batch.entries().len()), (0, 0));
        for round in 0..2 {
            for (count, entry) in (1..).zip(entries) {
                batch.push(entry);
                let failed = batch.try_push_with(|bytes| {
                    bytes.extend_from_slice(b"failed");
                    Err(round)
                });
                assert_eq!(failed, Err(round));
                assert!(batch.entries().eq(entries[..count].iter().copied()));
            }
            assert!(batch.ends().eq([0, 3, 3, 8]));
            assert_eq!((batch.len(), batch.bytes()), (4, &b"onethree"[..]));
            batch.clear();
            assert!(batch.is_empty());
        }
    }

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
