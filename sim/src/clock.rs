//! The clock of the command line: how long to go on, and how fast it was.

use std::time::{Duration, Instant};

/// A moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// Now.
    #[expect(
        clippy::disallowed_methods,
        reason = "only the command line asks how long a run takes; nothing simulated sees it"
    )]
    pub(crate) fn start() -> Clock {
        Clock(Instant::now())
    }

    /// Since then.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
