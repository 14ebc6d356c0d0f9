//! The only place of the benchmarks that asks for the time: that of the world, and that of a thread.

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

/// How long the calling thread has run on a processor, in nanoseconds; `None` where the system does
/// not say. On a busy machine it tells what something costs when the time of the world does not.
pub(crate) fn processor_ns() -> Option<u64> {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    statistics.split(' ').next()?.parse().ok()
}
