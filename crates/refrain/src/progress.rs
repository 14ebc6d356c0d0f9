//! How far a recovery is.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use refrain_core::{Name, Position, Timestamp};

/// How far a processor's recovery is, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryStatus {
    /// The processor.
    pub processor: Name,
    /// Entries applied so far.
    pub entries: u64,
    /// Entries still to apply, as far as known.
    pub remaining: u64,
    /// Whether the processor takes messages.
    pub is_done: bool,
    /// When the recovery began.
    pub began: Timestamp,
    /// When it ended; meaningless before.
    pub ended: Timestamp,
    /// The position of the snapshot that it started from.
    pub snapshot: Option<Position>,
}

#[derive(Debug)]
pub(crate) struct Progress {
    processor: Name,
    entries: AtomicU64,
    remaining: AtomicU64,
    is_done: AtomicBool,
    began: AtomicU64,
    ended: AtomicU64,
    snapshot: AtomicU64,
}

impl Progress {
    pub(crate) fn new(processor: Name) -> Progress {
        Progress {
            processor,
            entries: AtomicU64::new(0),
            remaining: AtomicU64::new(0),
            is_done: AtomicBool::new(false),
            began: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            snapshot: AtomicU64::new(0),
        }
    }

    pub(crate) fn begin(&self, now: Timestamp, snapshot: Option<Position>, remaining: u64) {
        self.is_done.store(false, Ordering::Release);
        self.began.store(now.as_micros(), Ordering::Relaxed);
        self.entries.store(0, Ordering::Relaxed);
        self.remaining.store(remaining, Ordering::Relaxed);
        self.snapshot
            .store(snapshot.map_or(0, Position::get), Ordering::Relaxed);
    }

    pub(crate) fn applied(&self, count: u64) {
        self.entries.fetch_add(count, Ordering::Relaxed);
        let subtract = |remaining: u64| Some(remaining.saturating_sub(count));
        let _ = self
            .remaining
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, subtract);
    }

    pub(crate) fn end(&self, now: Timestamp) {
        self.remaining.store(0, Ordering::Relaxed);
        self.ended.store(now.as_micros(), Ordering::Relaxed);
        self.is_done.store(true, Ordering::Release);
    }

    pub(crate) fn status(&self) -> RecoveryStatus {
        RecoveryStatus {
            is_done: self.is_done.load(Ordering::Acquire),
            processor: self.processor.clone(),
            entries: self.entries.load(Ordering::Relaxed),
            remaining: self.remaining.load(Ordering::Relaxed),
            began: Timestamp::from_micros(self.began.load(Ordering::Relaxed)),
            ended: Timestamp::from_micros(self.ended.load(Ordering::Relaxed)),
            snapshot: Position::new(self.snapshot.load(Ordering::Relaxed)),
        }
    }
}
