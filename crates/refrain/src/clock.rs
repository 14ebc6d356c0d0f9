//! The only place of the runtime that asks what time it is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use refrain_core::Timestamp;
use tokio::time::{Instant, Sleep};

/// Time of day that never goes back: read once at the start, then counted by the runtime's steady
/// clock. Under a paused tokio clock it stands still with it, so tests move it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Timestamp,
    counted_from: Instant,
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the clock is where the time comes from"
    )]
    pub(crate) fn start() -> Clock {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let micros = u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX);
        Clock::start_at(Timestamp::from_micros(micros))
    }

    /// A clock that says it is `time` now.
    pub(crate) fn start_at(time: Timestamp) -> Clock {
        Clock {
            start: time,
            counted_from: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.start + self.counted_from.elapsed()
    }

    /// When the runtime's steady clock reaches `time`.
    pub(crate) fn instant(&self, time: Timestamp) -> Instant {
        self.counted_from + time.since(self.start)
    }

    /// The same clock, set forward if it is behind `time`: the time of a stream never goes back, and
    /// waits that follow from it must not become longer by as much as the clock is behind.
    pub(crate) fn not_before(&self, time: Timestamp) -> Clock {
        let behind = time.since(self.now());
        Clock {
            start: self.start + behind,
            ..*self
        }
    }

    /// Waits until `time`.
    pub(crate) fn until(&self, time: Timestamp) -> Sleep {
        tokio::time::sleep_until(self.instant(time))
    }

    /// Waits for `span`, from now on.
    pub(crate) fn after(&self, span: Duration) -> Sleep {
        tokio::time::sleep(span)
    }

    pub(crate) async fn wait(&self, span: Duration) {
        self.after(span).await;
    }
}
