//! The entries of a part of a stream, one after the other, for those who look back.

use std::ops::{Bound, RangeBounds};

use bytes::Bytes;
use refrain_core::port::journal::{Chunk, Cursor, Journal, ReadError};
use refrain_core::{Entry, FormatError, Name, Position};

/// The entries of a part of a stream, in order. Holds one chunk of them at a time. Made by
/// [`History::entries`](crate::History::entries).
#[derive(Debug)]
pub struct Entries {
    /// `None` when the part is empty.
    cursor: Option<Box<dyn Cursor>>,
    last: Option<Position>,
    chunk: Option<Chunk>,
    next: Position,
}

/// An entry and where it is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EntryAt {
    /// Its position.
    pub position: Position,
    /// Its stored form.
    pub stored: Bytes,
}

impl EntryAt {
    /// What it says.
    ///
    /// # Errors
    /// When its stored form is not understood.
    pub fn decode(&self) -> Result<Entry<'_>, FormatError> {
        Entry::decode(&self.stored)
    }
}

impl Entries {
    /// Those of `stream` in `range`, up to its end as it is now.
    pub(crate) async fn read(
        journal: &dyn Journal,
        stream: &Name,
        range: impl RangeBounds<Position>,
    ) -> Result<Entries, ReadError> {
        let head = journal.head(stream).await?;
        let (first, last) = limits(&range, head);
        let is_empty = last.is_none_or(|last| last < first);
        let cursor = match is_empty {
            true => None,
            false => Some(journal.read(stream, first).await?),
        };
        Ok(Entries {
            cursor,
            last,
            chunk: None,
            next: first,
        })
    }

    /// The next entry; `None` at the end.
    ///
    /// # Errors
    /// [`ReadError`]; these entries are of no further use then.
    pub async fn next(&mut self) -> Result<Option<EntryAt>, ReadError> {
        let Some(cursor) = &mut self.cursor else {
            return Ok(None);
        };
        loop {
            if Some(self.next) > self.last {
                self.cursor = None;
                self.chunk = None;
                return Ok(None);
            }
            if let Some(stored) = self.chunk.as_ref().and_then(|of| of.entry(self.next)) {
                let position = self.next;
                self.next = position.next();
                return Ok(Some(EntryAt { position, stored }));
            }
            // Let go before the next one is read.
            self.chunk = None;
            self.chunk = cursor.next().await?;
            if self.chunk.is_none() {
                self.last = None;
            }
        }
    }
}

/// The first and the last position of `range` in a stream that ends at `head`.
fn limits(
    range: &impl RangeBounds<Position>,
    head: Option<Position>,
) -> (Position, Option<Position>) {
    let first = match range.start_bound() {
        Bound::Unbounded => Position::FIRST,
        Bound::Included(first) => *first,
        Bound::Excluded(before) => before.next(),
    };
    let last = match range.end_bound() {
        Bound::Unbounded => head,
        Bound::Included(last) => head.min(Some(*last)),
        Bound::Excluded(after) => head.min(after.before()),
    };
    (first, last)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "this is test code")]
mod tests {
    use std::ops::Bound;

    use refrain_core::Position;

    use super::limits;

    fn at(number: u64) -> Position {
        Position::new(number).unwrap()
    }

    /// B2.2: every kind of start with every kind of end.
    #[test]
    fn limits_are_those_of_the_range_within_the_stream() {
        let starts = [
            (Bound::Unbounded, 1),
            (Bound::Included(at(3)), 3),
            (Bound::Excluded(at(3)), 4),
        ];
        let ends = [
            (Bound::Unbounded, Some(at(9))),
            (Bound::Included(at(5)), Some(at(5))),
            (Bound::Included(at(50)), Some(at(9))),
            (Bound::Excluded(at(5)), Some(at(4))),
            (Bound::Excluded(at(1)), None),
        ];
        for (start, first) in starts {
            for (end, last) in ends {
                let found = limits(&(start, end), Some(at(9)));
                assert_eq!(found, (at(first), last), "{start:?} {end:?}");
                let (_, last) = limits(&(start, end), None);
                assert_eq!(last, None, "an empty stream has no last entry");
            }
        }
    }
}
