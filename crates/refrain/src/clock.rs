//! The only place of the runtime that asks what time it is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use refrain_core::Timestamp;
use tokio::time::Instant;

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
        Clock {
            start: Timestamp::from_micros(micros),
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

    /// Waits until `time`; for ever when there is none.
    pub(crate) async fn until(&self, time: Option<Timestamp>) {
        match time {
            Some(time) => tokio::time::sleep_until(self.instant(time)).await,
            None => std::future::pending().await,
        }
    }

    pub(crate) async fn wait(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}
