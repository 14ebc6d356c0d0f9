//! The clock of the ring: faults happen at times, on real disks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use refrain_core::Timestamp;

/// A moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// Now.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks; real processes run in real time"
    )]
    pub(crate) fn start() -> Clock {
        Clock(Instant::now())
    }

    /// Since then.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Lets time pass for other processes.
#[expect(
    clippy::disallowed_methods,
    reason = "a fault at a random time needs that time to pass; nothing signals it"
)]
pub(crate) fn pass(span: Duration) {
    std::thread::sleep(span);
}

/// The time of day, as the system says it now.
#[expect(
    clippy::disallowed_methods,
    reason = "what a wall clock shows is what the ring moves and compares"
)]
pub(crate) fn time_of_day() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = since.unwrap_or_default().as_micros();
    Timestamp::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}
