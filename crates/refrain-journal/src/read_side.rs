//! What reading needs: the index, the names, the files and the threads that read them.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError, Weak};

use refrain_core::port::journal::{Cursor, ReadError};
use refrain_core::{Name, Position};

use crate::buffers::Buffers;
use crate::cursor::{FileCursor, Until};
use crate::index::{Follower, Index};
use crate::names::Names;
use crate::readers::Readers;
use crate::storage::Disk;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::tracker::Tracker;

/// Shared by cursors, and by whoever adds to the index.
#[derive(Debug)]
pub(crate) struct ReadSide {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) names: Arc<Names>,
    pub(crate) readers: Arc<Readers>,
    /// What chunks lend their entries from.
    pub(crate) buffers: Buffers,
    index: Mutex<Index>,
    /// Brings the index up to date when somebody else writes the journal.
    tracker: OnceLock<Weak<Tracker>>,
    /// Cursors so far.
    cursors: AtomicU64,
    /// Whether nothing more will be added to the index.
    is_ended: AtomicBool,
}

impl ReadSide {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: PathBuf, index: Index) -> ReadSide {
        ReadSide {
            disk,
            dir,
            names: Arc::clone(index.names()),
            readers: Arc::default(),
            buffers: Buffers::default(),
            index: Mutex::new(index),
            tracker: OnceLock::new(),
            cursors: AtomicU64::new(0),
            is_ended: AtomicBool::new(false),
        }
    }

    pub(crate) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has `tracker` asked when files are not where the index says.
    pub(crate) fn set_tracker(&self, tracker: Weak<Tracker>) {
        let set = self.tracker.set(tracker);
        assert!(set.is_ok(), "a journal has one writer");
    }

    /// A file that the index names is gone. Whoever writes the journal has changed the index before
    /// that; a reader of another's journal looks what there is now.
    pub(crate) fn look_again(&self) -> Result<(), ReadError> {
        match self.tracker.get().and_then(Weak::upgrade) {
            Some(tracker) => tracker.refresh(),
            None => Ok(()),
        }
    }

    /// Says that nothing more will come, to those who wait for it as well.
    pub(crate) fn end(&self) {
        self.is_ended.store(true, Ordering::Release);
        let followers = self.index().take_all_followers();
        for waker in followers {
            waker.wake();
        }
    }

    /// Whether nothing more will come. Asked with the index locked, so that whoever then registers
    /// to be woken is woken by [`ReadSide::end`].
    pub(crate) fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::Acquire)
    }

    /// The first kept position of `stream` and its next one.
    pub(crate) fn bounds(&self, stream: &Name) -> (u64, u64) {
        let id = self.names.find(stream);
        self.index().bounds(id)
    }

    pub(crate) fn head(&self, stream: &Name) -> Option<Position> {
        let (_, next) = self.bounds(stream);
        Position::new(next - 1)
    }

    pub(crate) fn first(&self, stream: &Name) -> Option<Position> {
        let (first, next) = self.bounds(stream);
        Position::new(first).filter(|_| first < next)
    }

    /// A cursor from `from` to the head as it is now.
    pub(crate) fn read(
        self: &Arc<ReadSide>,
        stream: &Name,
        from: Position,
    ) -> Result<Box<dyn Cursor>, ReadError> {
        let (first, next) = self.bounds(stream);
        check_first(stream, from.get(), first)?;
        Ok(self.cursor(stream, from, Until::Before(next)))
    }

    /// A cursor from `from` on that waits for more.
    pub(crate) fn follow(
        self: &Arc<ReadSide>,
        stream: &Name,
        from: Position,
    ) -> Result<Box<dyn Cursor>, ReadError> {
        let (first, _) = self.bounds(stream);
        check_first(stream, from.get(), first)?;
        Ok(self.cursor(stream, from, Until::Closed))
    }

    fn cursor(
        self: &Arc<ReadSide>,
        stream: &Name,
        from: Position,
        until: Until,
    ) -> Box<dyn Cursor> {
        let follower = Follower(self.cursors.fetch_add(1, Ordering::Relaxed));
        let side = Arc::clone(self);
        Box::new(FileCursor::new(
            side,
            stream.clone(),
            from,
            (until, follower),
        ))
    }
}

pub(crate) fn check_first(stream: &Name, wanted: u64, first: u64) -> Result<(), ReadError> {
    if wanted >= first {
        return Ok(());
    }
    let position = |number| Position::new(number).expect("positions start at 1");
    Err(ReadError::Forgotten {
        stream: stream.clone(),
        wanted: position(wanted),
        first: position(first),
    })
}

pub(crate) fn closed() -> ReadError {
    ReadError::Unavailable("the journal is closed".into())
}
