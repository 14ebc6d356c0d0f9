//! The journal: named streams of opaque entries, appended at an expected position.
//!
//! The expected position is the fence: whoever is stale fails in the append itself. A journal knows
//! nothing of what entries mean.

mod batch;

use super::BoxFuture;
use crate::id::Position;
use crate::name::Name;

pub use batch::{Batch, Chunk};

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

    /// The largest entry that this journal takes, in bytes. It takes several entries at once that are
    /// together no larger, counting [`STORED_BYTES_MAX`](crate::limit::STORED_BYTES_MAX) more for
    /// each.
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
    /// There is no room: the medium is full, or the program has no more files to open. Reading goes on,
    /// and appends do when there is room again.
    #[error("there is no room for it")]
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
