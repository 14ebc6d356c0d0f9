//! How much memory and processor time one run may take (S8: nothing over 64 MiB, nothing over 1 s).
//!
//! Every allocation of the program is counted. A run that asks for more than its allowance gets
//! none: the process ends with the size that it asked for, which a fuzzer or a test runner reports.

use std::alloc::System;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cap::Cap;
use rustix::time::{ClockId, clock_gettime};

/// Bytes that one run may hold besides what was there before it.
pub const MEMORY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Processor time of one run, of all its threads; a busy machine does not count.
pub const PROCESSOR_TIME_MAX: Duration = Duration::from_secs(1);

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// Whether the processor's time counts: in a program that was built for speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// Longer than [`PROCESSOR_TIME_MAX`] is a failure.
    Counts,
    /// It is not looked at.
    Passes,
}

/// One run at a time: what another thread allocates would count as well.
static RUN: Mutex<()> = Mutex::new(());

/// Does `work` within the allowance.
///
/// # Panics
/// When it took too long. Too much memory ends the process.
pub fn within<T>(time: Time, work: impl FnOnce() -> T) -> T {
    let _alone = RUN.lock().unwrap_or_else(PoisonError::into_inner);
    let started = processor_time();
    let done = {
        let _limited = Limited::start();
        work()
    };
    let took = processor_time().saturating_sub(started);
    assert!(
        time == Time::Passes || took <= PROCESSOR_TIME_MAX,
        "it took {took:?} of the processor"
    );
    done
}

/// While this lives, allocations beyond the allowance fail. A panic ends it as well.
struct Limited;

impl Limited {
    fn start() -> Limited {
        let limit = MEMORY.allocated().saturating_add(MEMORY_BYTES_MAX);
        assert!(
            MEMORY.set_limit(limit).is_ok(),
            "the limit is above what is held"
        );
        Limited
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        let lifted = MEMORY.set_limit(usize::MAX);
        assert!(lifted.is_ok(), "limits can always grow");
    }
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_gets_its_allowance_and_not_more() {
        let asked = |bytes: usize| {
            within(Time::Passes, || {
                let mut memory: Vec<u8> = Vec::new();
                memory.try_reserve_exact(bytes).is_ok()
            })
        };
        assert!(asked(MEMORY_BYTES_MAX / 2));
        assert!(!asked(MEMORY_BYTES_MAX + 1));
        assert!(asked(MEMORY_BYTES_MAX / 2), "the next run has its own");
    }
}
