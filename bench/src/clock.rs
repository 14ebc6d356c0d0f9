//! The only place of the benchmarks that asks for the time.

use std::time::{Duration, Instant};

/// Runs from the moment it is started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[expect(
        clippy::disallowed_methods,
        reason = "benchmarks measure real time, and only here"
    )]
    pub(crate) fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    /// The time since it was started.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
