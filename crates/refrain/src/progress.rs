//! How far a recovery is.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use refrain_core::{Name, Position, Timestamp};

use crate::signal::{Signal, Signals, WeakSignals};

/// Time between two signals of one recovery.
const TOLD_EVERY: Duration = Duration::from_secs(1);

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
    /// Entries applied in a second, on average so far.
    pub rate: u64,
    /// Whether the processor takes messages.
    pub is_done: bool,
    /// Why the recovery waits for the journal, while it does.
    pub waits_for: Option<String>,
    /// When the recovery began; the epoch of time before it did.
    pub began: Timestamp,
    /// When it ended; meaningless before.
    pub ended: Timestamp,
    /// The position of the snapshot that it started from.
    pub snapshot: Option<Position>,
}

/// Where a recovery stands, for its driver to tell and for anybody to look at.
///
/// The lock is held for a moment, once in a chunk of entries.
#[derive(Debug)]
pub(crate) struct Progress {
    signals: WeakSignals,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    status: RecoveryStatus,
    /// When subscribers were told last.
    told_at: Timestamp,
}

impl Progress {
    pub(crate) fn new(processor: Name, signals: &Signals) -> Progress {
        let status = RecoveryStatus {
            processor,
            entries: 0,
            remaining: 0,
            rate: 0,
            is_done: false,
            waits_for: None,
            began: Timestamp::EPOCH,
            ended: Timestamp::EPOCH,
            snapshot: None,
        };
        Progress {
            signals: signals.downgrade(),
            state: Mutex::new(State {
                status,
                told_at: Timestamp::EPOCH,
            }),
        }
    }

    /// Of a replay that is nobody's recovery: nobody is told.
    pub(crate) fn unwatched(processor: Name) -> Progress {
        Progress::new(processor, &Signals::new())
    }

    /// A replay begins; also again, when one before it came to nothing.
    pub(crate) fn begin(&self, now: Timestamp, snapshot: Option<Position>, remaining: u64) {
        let mut state = self.lock();
        state.status = RecoveryStatus {
            processor: state.status.processor.clone(),
            entries: 0,
            remaining,
            rate: 0,
            is_done: false,
            waits_for: None,
            began: now,
            ended: Timestamp::EPOCH,
            snapshot,
        };
        if remaining > 0 {
            self.tell(&mut state, now);
        }
    }

    pub(crate) fn applied(&self, count: u64, now: Timestamp) {
        let mut state = self.lock();
        state.status.entries += count;
        state.status.remaining = state.status.remaining.saturating_sub(count);
        state.status.rate = rate(state.status.entries, now.since(state.status.began));
        if now.since(state.told_at) >= TOLD_EVERY {
            self.tell(&mut state, now);
        }
    }

    /// The journal cannot go on, for this reason. Subscribers are told once for each reason.
    pub(crate) fn waits_for(&self, reason: &str) {
        let mut state = self.lock();
        if state.status.waits_for.as_deref() == Some(reason) {
            return;
        }
        state.status.is_done = false;
        state.status.waits_for = Some(reason.to_owned());
        self.signals.tell(Signal::Waiting {
            processor: state.status.processor.clone(),
            reason: reason.to_owned(),
        });
    }

    pub(crate) fn end(&self, now: Timestamp) {
        let status = &mut self.lock().status;
        status.remaining = 0;
        status.ended = now;
        status.is_done = true;
        status.waits_for = None;
    }

    pub(crate) fn status(&self) -> RecoveryStatus {
        self.lock().status.clone()
    }

    fn tell(&self, state: &mut State, now: Timestamp) {
        state.told_at = now;
        self.signals.tell(Signal::Recovering {
            processor: state.status.processor.clone(),
            entries: state.status.entries,
            remaining: state.status.remaining,
            rate: state.status.rate,
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Entries in a second. What took no time that could be measured took a microsecond.
fn rate(entries: u64, span: Duration) -> u64 {
    let micros = span.as_micros().max(1);
    let rate = u128::from(entries) * 1_000_000 / micros;
    u64::try_from(rate).unwrap_or(u64::MAX)
}
