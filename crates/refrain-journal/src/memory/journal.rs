//! `MemoryJournal`: the journal port over memory, and the test's control over it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use refrain_core::limit::ENTRY_BYTES_MAX;
use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{
    AppendError, Batch, Chunk, Cursor, Durability, Journal, ReadError,
};
use refrain_core::{Name, Position};
use tokio::sync::{oneshot, watch};

use super::cursor::{End, MemoryCursor};
use super::state::{Append, AppendFault, Flow, State};
use super::stream::Stream;

/// A journal in memory. Clones share their contents.
///
/// [`MemoryJournal::new`] makes every append durable at once. [`MemoryJournal::manual`] holds
/// appends back until the test releases them, so that a test can see what waits for durability.
/// "Durable" here means: still there after [`MemoryJournal::crash`].
///
/// Works in any async runtime and in none.
///
/// ```
/// use refrain_core::port::journal::{Batch, Journal};
/// use refrain_core::{Name, Position};
/// use refrain_journal::MemoryJournal;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let journal = MemoryJournal::manual();
/// let orders: Name = "orders".parse()?;
/// let mut batch = Batch::default();
/// batch.push(b"stored");
///
/// let append = journal.append(&orders, Position::FIRST, batch);
/// assert_eq!(journal.head(&orders).await?, None, "nothing is durable yet");
///
/// journal.release(1);
/// assert_eq!(append.await?, Position::FIRST);
/// assert_eq!(journal.head(&orders).await?, Some(Position::FIRST));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryJournal {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Told after every change; followers and waiting tests look again.
    changed: watch::Sender<()>,
}

impl MemoryJournal {
    /// An empty journal in which every append is durable at once.
    #[must_use]
    pub fn new() -> MemoryJournal {
        MemoryJournal::of(State::new(Flow::AtOnce, ENTRY_BYTES_MAX))
    }

    /// An empty journal that holds appends back until they are released.
    #[must_use]
    pub fn manual() -> MemoryJournal {
        MemoryJournal::of(State::new(Flow::WhenReleased, ENTRY_BYTES_MAX))
    }

    /// An empty journal in which every append is durable at once and no entry is larger than
    /// `bytes_max`.
    ///
    /// # Panics
    /// When `bytes_max` is above [`ENTRY_BYTES_MAX`].
    #[must_use]
    pub fn with_entry_bytes_max(bytes_max: usize) -> MemoryJournal {
        assert!(
            bytes_max <= ENTRY_BYTES_MAX,
            "a journal may take less, never more"
        );
        MemoryJournal::of(State::new(Flow::AtOnce, bytes_max))
    }

    /// Holds back what is appended from now on.
    pub fn hold(&self) {
        self.change(|state| state.set_flow(Flow::WhenReleased));
    }

    /// Releases all that is held, and from now on every append is durable at once.
    pub fn resume(&self) {
        self.change(|state| {
            state.set_flow(Flow::AtOnce);
            state.release(usize::MAX)
        });
    }

    /// Settles the oldest `count` held appends in the order in which they were submitted, and says
    /// how many there were.
    pub fn release(&self, count: usize) -> usize {
        self.change(|state| state.release(count))
    }

    /// Settles all held appends in the order in which they were submitted, and says how many there
    /// were.
    pub fn release_all(&self) -> usize {
        self.release(usize::MAX)
    }

    /// The next append to be settled fails with `fault` instead. Faults queue up: each meets one
    /// append. In a journal that holds appends back, the append is settled when it is released.
    pub fn fail_next(&self, fault: AppendFault) {
        self.change(|state| state.add_fault(fault));
    }

    /// Lets the appends that failed with [`AppendFault::UnknownLate`] happen now, each if its
    /// expected position is still free, and says how many did.
    pub fn arrive_late(&self) -> usize {
        self.change(State::arrive_late)
    }

    /// The number of appends that are held back.
    #[must_use]
    pub fn held(&self) -> usize {
        self.lock().held()
    }

    /// Waits until at least `count` appends are held back.
    pub async fn held_at_least(&self, count: usize) {
        let mut changed = self.shared.changed.subscribe();
        while self.held() < count {
            changed
                .changed()
                .await
                .expect("the journal keeps the sender alive");
        }
    }

    /// Ends this journal as the end of its process would, and gives the journal that the next
    /// process finds: all that was durable and nothing else. It holds appends back if this one did.
    ///
    /// Held appends end as unknown; this journal and its clones take nothing and show nothing any
    /// more.
    #[must_use]
    pub fn crash(&self) -> MemoryJournal {
        MemoryJournal::of(self.change(State::crash))
    }

    /// The entries of `stream` from `from` to `to`, as far as one chunk holds them.
    pub(super) fn chunk(
        &self,
        stream: &Name,
        from: Position,
        to: Option<Position>,
    ) -> Result<Option<Chunk>, ReadError> {
        let state = self.lock();
        let Some(entries) = state.stream(stream)? else {
            return Ok(None);
        };
        refuse_forgotten(entries, stream, from)?;
        Ok(entries.chunk(from, to))
    }

    fn of(state: State) -> MemoryJournal {
        MemoryJournal {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                changed: watch::Sender::new(()),
            }),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.shared.changed.send_replace(());
        result
    }

    /// The head of `stream`, for a reader that starts at `from`.
    fn open(&self, stream: &Name, from: Position) -> Result<Option<Position>, ReadError> {
        let state = self.lock();
        let Some(entries) = state.stream(stream)? else {
            return Ok(None);
        };
        refuse_forgotten(entries, stream, from)?;
        Ok(entries.head())
    }

    fn cursor(&self, stream: &Name, from: Position, end: End) -> Box<dyn Cursor> {
        Box::new(MemoryCursor::new(self.clone(), stream.clone(), from, end))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .expect("nothing panics while it holds the lock")
    }
}

fn refuse_forgotten(entries: &Stream, stream: &Name, wanted: Position) -> Result<(), ReadError> {
    let first = entries.readable_from();
    if wanted < first {
        return Err(ReadError::Forgotten {
            stream: stream.clone(),
            wanted,
            first,
        });
    }
    Ok(())
}

impl Default for MemoryJournal {
    fn default() -> MemoryJournal {
        MemoryJournal::new()
    }
}

impl fmt::Debug for MemoryJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("MemoryJournal")
            .field("streams", &state.stream_count())
            .field("held", &state.held())
            .finish_non_exhaustive()
    }
}

impl Journal for MemoryJournal {
    fn append(
        &self,
        stream: &Name,
        at: Position,
        batch: Batch,
    ) -> BoxFuture<'static, Result<Position, AppendError>> {
        let append = Append {
            stream: stream.clone(),
            at,
            batch,
        };
        let abandoned = append.unknown();
        let (done, settled) = oneshot::channel();
        self.change(|state| state.submit(append, done));
        // The sender goes away unused only with the journal itself.
        Box::pin(async move { settled.await.unwrap_or(Err(abandoned)) })
    }

    fn read(
        &self,
        stream: &Name,
        from: Position,
    ) -> BoxFuture<'_, Result<Box<dyn Cursor>, ReadError>> {
        let cursor = self
            .open(stream, from)
            .map(|head| self.cursor(stream, from, End::After(head)));
        Box::pin(std::future::ready(cursor))
    }

    fn follow(
        &self,
        stream: &Name,
        from: Position,
    ) -> BoxFuture<'_, Result<Box<dyn Cursor>, ReadError>> {
        let cursor = self.open(stream, from).map(|_| {
            let changed = self.shared.changed.subscribe();
            self.cursor(stream, from, End::Never(changed))
        });
        Box::pin(std::future::ready(cursor))
    }

    fn head(&self, stream: &Name) -> BoxFuture<'_, Result<Option<Position>, ReadError>> {
        let state = self.lock();
        let head = state
            .stream(stream)
            .map(|entries| entries.and_then(Stream::head));
        Box::pin(std::future::ready(head))
    }

    fn first(&self, stream: &Name) -> BoxFuture<'_, Result<Option<Position>, ReadError>> {
        let state = self.lock();
        let first = state
            .stream(stream)
            .map(|entries| entries.and_then(Stream::first));
        Box::pin(std::future::ready(first))
    }

    fn streams(
        &self,
        prefix: &str,
        after: Option<&Name>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Name>, ReadError>> {
        let state = self.lock();
        let names = state
            .names(prefix, after)
            .map(|names| names.take(limit).cloned().collect());
        Box::pin(std::future::ready(names))
    }

    fn forget(&self, stream: &Name, below: Position) -> BoxFuture<'_, Result<(), AppendError>> {
        let forgotten = self.change(|state| state.forget(stream, below));
        Box::pin(std::future::ready(forgotten))
    }

    fn durability(&self) -> Durability {
        Durability::Memory
    }

    fn entry_bytes_max(&self) -> usize {
        self.lock().entry_bytes_max()
    }
}
