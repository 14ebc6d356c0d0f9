//! The durable entries of one stream.

use std::collections::VecDeque;

use bytes::Bytes;
use refrain_core::Position;
use refrain_core::port::journal::{Batch, Chunk};

/// A chunk takes no further entry beyond this many bytes.
const CHUNK_BYTES: usize = 256 * 1024;

/// Entries at consecutive positions; those below `first` were forgotten.
///
/// A stream that nobody wrote to is the default: empty, and its next position is the first.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    first: Position,
    entries: VecDeque<Bytes>,
}

impl Default for Stream {
    fn default() -> Stream {
        Stream {
            first: Position::FIRST,
            entries: VecDeque::new(),
        }
    }
}

impl Stream {
    /// Adds the entries of `batch` behind the last one and gives the new head.
    pub(super) fn append(&mut self, batch: &Batch) -> Position {
        assert!(!batch.is_empty(), "an append has at least one entry");
        let shared = Bytes::copy_from_slice(batch.bytes());
        let mut start = 0;
        self.entries.extend(batch.ends().map(|end| {
            let end = end as usize;
            let entry = shared.slice(start..end);
            start = end;
            entry
        }));
        self.next()
            .before()
            .expect("there is an entry before the next one")
    }

    /// Drops the entries below `below`. The next position stays what it was.
    pub(super) fn forget(&mut self, below: Position) {
        let below = below.min(self.next());
        while self.first < below {
            self.entries.pop_front();
            self.first = self.first.next();
        }
    }

    /// The position that the next entry gets.
    pub(super) fn next(&self) -> Position {
        self.first.plus(self.entries.len() as u64)
    }

    /// The position of the last entry that was ever written.
    pub(super) fn head(&self) -> Option<Position> {
        self.next().before()
    }

    /// The position of the first entry that is kept.
    pub(super) fn first(&self) -> Option<Position> {
        (!self.entries.is_empty()).then_some(self.first)
    }

    /// The lowest position that a reader may ask for.
    pub(super) fn readable_from(&self) -> Position {
        self.first
    }

    /// The entries from `from` to `to` (both inclusive, to the head when `None`), as far as one chunk
    /// holds them; `None` when there are none. `from` was not forgotten.
    pub(super) fn chunk(&self, from: Position, to: Option<Position>) -> Option<Chunk> {
        let skipped = self.index(from)?;
        let end = to.map_or(Some(self.entries.len()), |to| self.index(to.next()))?;
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for entry in self.entries.iter().take(end).skip(skipped) {
            if !ends.is_empty() && bytes.len() + entry.len() > CHUNK_BYTES {
                break;
            }
            bytes.extend_from_slice(entry);
            ends.push(u32::try_from(bytes.len()).expect("a chunk stays below 4 GiB"));
        }
        (!ends.is_empty()).then(|| Chunk::new(from, bytes.into(), ends))
    }

    fn index(&self, position: Position) -> Option<usize> {
        usize::try_from(position.get().checked_sub(self.first.get())?).ok()
    }
}
