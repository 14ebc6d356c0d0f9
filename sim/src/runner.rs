//! Many seeds on several threads, with progress, until one fails.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::model::Violation;
use crate::world::Manner;

/// Once in how many seeds a run is repeated and its hash compared.
const REPEATED_ONE_IN: u64 = 64;

/// What many runs came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs.
    pub schedules: u64,
    /// Processes killed and power cuts.
    pub crashes: u64,
    /// Disk operations.
    pub ops: u64,
    /// Runs that were repeated and gave the same trace.
    pub repeated: u64,
    /// The first failure.
    pub failure: Option<Failure>,
}

/// A seed that broke a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The promise.
    pub violation: Violation,
}

impl Tally {
    /// Adds what others counted; the failure of the lowest seed stays.
    pub fn add(&mut self, other: Tally) {
        self.schedules += other.schedules;
        self.crashes += other.crashes;
        self.ops += other.ops;
        self.repeated += other.repeated;
        let failures = self.failure.take().into_iter().chain(other.failure);
        self.failure = failures.min_by_key(|failure| failure.seed);
    }
}

/// Runs seeds from `from` on, on `threads` threads, while `goes_on` says so for the seed that is
/// next, and until one fails. `goes_on` is asked often and may show progress.
pub fn run_seeds(
    from: u64,
    threads: usize,
    manner: Manner,
    goes_on: &(dyn Fn(u64) -> bool + Sync),
) -> Tally {
    let next = AtomicU64::new(from);
    let has_failed = AtomicBool::new(false);
    let total = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut tally = Tally::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if has_failed.load(Ordering::Relaxed) || !goes_on(seed) {
                        break;
                    }
                    run_seed(seed, manner, &mut tally);
                    if tally.failure.is_some() {
                        has_failed.store(true, Ordering::Relaxed);
                    }
                }
                total
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .add(tally);
            });
        }
    });
    total.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Runs one seed; some are run twice to see that they are the same.
pub fn run_seed(seed: u64, manner: Manner, tally: &mut Tally) {
    let outcome = manner.scene.run(seed, manner);
    tally.schedules += 1;
    tally.crashes += outcome.crashes;
    tally.ops += outcome.ops;
    let mut violation = outcome.violation;
    if violation.is_none() && seed.is_multiple_of(REPEATED_ONE_IN) {
        let again = manner.scene.run(seed, manner);
        tally.repeated += 1;
        if again.hash != outcome.hash {
            let detail = format!("{:016x} and {:016x}", outcome.hash, again.hash);
            violation = Some(Violation::new("the same seed gives the same trace", detail));
        }
    }
    tally.failure = violation.map(|violation| Failure { seed, violation });
}
