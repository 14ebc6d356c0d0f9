//! The journal: named streams of opaque entries, appended at an expected position.
//!
//! The expected position is the fence: whoever is stale fails in the append itself. A journal knows
//! nothing of what entries mean.

use bytes::Bytes;

use super::BoxFuture;
use crate::id::{Name, Position};

/// The durable, ordered record that is the truth.
///
/// What every implementation promises, and `refrain-testkit`'s conformance suite asks for:
///
/// * A batch is appended whole or not at all, at the expected position or not at all.
/// * An append that was answered with a position is durable at [`Journal::durability`]; nothing
///   that is not durable is ever shown to a reader.
/// * Positions of a stream start at 1, have no gaps and are never used again, also after
///   [`Journal::forget`].
/// * Appends of one caller to one stream take effect in the order of the calls.
pub trait Journal: Send + Sync + std::fmt::Debug + 'static {
    /// Appends `batch` to `stream`, its first entry at position `at`, and completes with the position
    /// of its last entry when all of it is durable. Creates the stream with its first entry.
    ///
    /// The append is submitted by this call, before the future is polled; dropping the future does
    /// not take it back. Appends to one stream complete in the order in which they were submitted, and several may be
    /// in flight: each names the position after the one before.
    ///
    /// # Errors
    /// [`AppendError`] says whether it certainly did not happen or may have.
    fn append(
        &self,
        stream: &Name,
        at: Position,
        batch: Batch,
    ) -> BoxFuture<'static, Result<Position, AppendError>>;

    /// A cursor over the durable entries of `stream` from position `from` on (inclusive), that ends
    /// at the head as it was when this was called. A stream that does not exist is empty.
    ///
    /// # Errors
    /// [`ReadError::Forgotten`] when `from` lies below the first kept entry.
    fn read(
        &self,
        stream: &Name,
        from: Position,
    ) -> BoxFuture<'_, Result<Box<dyn Cursor>, ReadError>>;

    /// As [`Journal::read`], but the cursor waits for more instead of ending.
    ///
    /// # Errors
    /// [`ReadError::Forgotten`] when `from` lies below the first kept entry.
    fn follow(
        &self,
        stream: &Name,
        from: Position,
    ) -> BoxFuture<'_, Result<Box<dyn Cursor>, ReadError>>;

    /// The position of the last durable entry of `stream`; `None` when it has none.
    ///
    /// # Errors
    /// When the journal cannot be asked.
    fn head(&self, stream: &Name) -> BoxFuture<'_, Result<Option<Position>, ReadError>>;

    /// The position of the first entry that is still kept; `None` when the stream has none.
    ///
    /// # Errors
    /// When the journal cannot be asked.
    fn first(&self, stream: &Name) -> BoxFuture<'_, Result<Option<Position>, ReadError>>;

    /// Up to `limit` streams whose names start with `prefix`, in order of their names, after the name
    /// `after`.
    ///
    /// # Errors
    /// When the journal cannot be asked.
    fn streams(
        &self,
        prefix: &str,
        after: Option<&Name>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Name>, ReadError>>;

    /// Allows the journal to drop the entries of `stream` below `below`. They are gone for readers
    /// at once and on the medium when it suits the journal. The head stays what it was. At most the
    /// whole stream can be forgotten; what is acknowledged stays forgotten after reopening.
    ///
    /// # Errors
    /// [`AppendError`], as for an append.
    fn forget(&self, stream: &Name, below: Position) -> BoxFuture<'_, Result<(), AppendError>>;

    /// What an acknowledged append survives.
    fn durability(&self) -> Durability;

    /// The largest entry that this journal takes, in bytes.
    fn entry_bytes_max(&self) -> usize;
}

/// Pulls entries in order, a bounded chunk at a time.
pub trait Cursor: Send + std::fmt::Debug {
    /// The next entries, or `None` at the end (a following cursor has none).
    ///
    /// # Errors
    /// [`ReadError`]; the cursor is of no further use. So it is when this future was dropped before it
    /// was ready.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Chunk>, ReadError>>;
}

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

/// What an acknowledged append survives. Later ones survive all that earlier ones do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Durability {
    /// Nothing: it lives in this process's memory.
    Memory,
    /// The end of the process, not of the machine.
    Process,
    /// The loss of power.
    Power,
    /// The loss of a machine.
    Machine,
}

/// Why an append was not acknowledged.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// It certainly did not happen. The same append may be tried again if
    /// [`AppendError::disposition`] says so.
    #[error("append to {stream} at {at} was rejected: {reason}")]
    Rejected {
        /// The stream.
        stream: Name,
        /// The expected position that the append named.
        at: Position,
        /// What stood in the way.
        reason: RejectReason,
    },
    /// It certainly did not happen, because `at` is not the stream's next position: somebody else
    /// writes it, or an append before this one failed. `next` counts appends in flight.
    #[error("append to {stream} at {at} is fenced: the stream's next position is {next}")]
    Fenced {
        /// The stream.
        stream: Name,
        /// The expected position that the append named.
        at: Position,
        /// The position that an append would have to name.
        next: Position,
    },
    /// It may or may not have happened. Append at the same expected position to find out; reading
    /// alone cannot tell, for it may still happen.
    #[error("append to {stream} at {at} has an unknown outcome: {reason}")]
    Unknown {
        /// The stream.
        stream: Name,
        /// The expected position that the append named.
        at: Position,
        /// What went wrong.
        reason: String,
    },
}

/// Why a journal rejected an append before anything happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RejectReason {
    /// An entry or the batch is larger than the journal takes.
    #[error("{bytes} bytes are more than the {bytes_max} that fit")]
    TooLarge {
        /// The size that was given.
        bytes: usize,
        /// The largest size.
        bytes_max: usize,
    },
    /// The batch has no entry.
    #[error("the batch is empty")]
    Empty,
    /// The medium is full; reading goes on, and appends do when there is room again.
    #[error("the medium is full")]
    Full,
    /// The journal was stopped by an earlier failure and takes nothing until it is opened again.
    #[error("the journal stopped after a failure: {0}")]
    Stopped(String),
    /// The journal is closing.
    #[error("the journal is closed")]
    Closed,
    /// Too much waits to be written.
    #[error("too much waits to be written")]
    Overloaded,
}

/// What the caller of a failed operation does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// It may succeed when repeated as it is.
    Again,
    /// It will fail again; something in the request must change.
    Reject,
    /// This instance must stop and recover before it goes on.
    Halt,
}

impl AppendError {
    /// What to do now.
    ///
    /// ```
    /// use refrain_core::port::journal::{AppendError, Disposition, RejectReason};
    /// use refrain_core::{Name, Position};
    ///
    /// let full = AppendError::Rejected {
    ///     stream: Name::new("orders")?,
    ///     at: Position::FIRST,
    ///     reason: RejectReason::Full,
    /// };
    /// assert_eq!(full.disposition(), Disposition::Again);
    /// # Ok::<(), refrain_core::NameError>(())
    /// ```
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            AppendError::Rejected { reason, .. } => match reason {
                RejectReason::Full | RejectReason::Overloaded => Disposition::Again,
                RejectReason::TooLarge { .. } | RejectReason::Empty => Disposition::Reject,
                RejectReason::Stopped(_) | RejectReason::Closed => Disposition::Halt,
            },
            AppendError::Fenced { .. } | AppendError::Unknown { .. } => Disposition::Halt,
        }
    }
}

/// Why entries could not be read.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The wanted entries were forgotten.
    #[error("{stream} starts at {first}, position {wanted} is gone")]
    Forgotten {
        /// The stream.
        stream: Name,
        /// The position that was asked for.
        wanted: Position,
        /// The first position that is left.
        first: Position,
    },
    /// Stored bytes are damaged. Nothing of them was served.
    #[error("{place}: {detail}")]
    Corrupt {
        /// The file and offset, or whatever names the place.
        place: String,
        /// What is wrong there.
        detail: String,
    },
    /// The medium or the connection failed; reading again may succeed.
    #[error("the journal cannot be read: {0}")]
    Unavailable(String),
}

impl ReadError {
    /// What to do now.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            ReadError::Forgotten { .. } => Disposition::Reject,
            ReadError::Corrupt { .. } => Disposition::Halt,
            ReadError::Unavailable(_) => Disposition::Again,
        }
    }
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
