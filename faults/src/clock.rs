//! The clock of the ring: faults happen at times, on real disks.

use std::time::{Duration, Instant};

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
