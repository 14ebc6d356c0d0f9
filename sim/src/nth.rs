//! One workload that reaches everything, with its n-th disk operation failing: for every n and each
//! way to fail, followed by a kill or a power cut.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::disk::{End, Fault, Rates};
use crate::model::Violation;
use crate::plan::{Act, LifePlan, Plan};
use crate::world::{Manner, run};

/// Fills segments, forgets them, is idle, full and closed.
const ACTS: [Act; 19] = [
    Act::Append,
    Act::WaitAll,
    Act::AppendLarge,
    Act::AppendLarge,
    Act::WaitAll,
    Act::Append,
    Act::ReadElsewhere,
    Act::Forget,
    Act::AppendLarge,
    Act::WaitAll,
    Act::AppendLarge,
    Act::WaitAll,
    Act::Forget,
    Act::Read,
    Act::Pause,
    Act::Append,
    Act::Append,
    Act::WaitAll,
    Act::Ask,
];

/// What was tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Runs.
    pub schedules: u64,
    /// The operations that failed in turn, for each way.
    pub operations: u64,
    /// The first failure: which operation, how, and the promise.
    pub failure: Option<(String, Violation)>,
}

fn plan(n: u64, fault: Fault, end: Option<End>) -> Plan {
    let rates = Rates {
        nth: Some((n, fault)),
        ..Rates::default()
    };
    // The end comes when the acts are done, if the fault did not stop them.
    let life = |end: Option<End>| LifePlan {
        rates,
        ..LifePlan::of_acts(&ACTS, end.map(|end| (u64::MAX / 2, end)))
    };
    Plan::of_lives(3, vec![life(end), life(None)])
}

/// Lets every `step`-th operation fail in each way, on `threads` threads. `done` is told how many
/// operations have had their turn, and how many there are.
pub fn fail_each(threads: usize, step: u64, done: &(dyn Fn(u64, u64) + Sync)) -> Reach {
    let whole = run(&plan(u64::MAX, Fault::Fails, None), Manner::default());
    let operations = whole.ops;
    let next = AtomicU64::new(0);
    let total = Mutex::new(Reach {
        operations,
        ..Reach::default()
    });
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(step, Ordering::Relaxed);
                    let has_failed = lock(&total).failure.is_some();
                    if n >= operations || has_failed {
                        return;
                    }
                    for fault in Fault::ALL {
                        for end in [None, Some(End::Kill), Some(End::Cut)] {
                            fail(n, fault, end, &total);
                        }
                    }
                    done(n + 1, operations);
                }
            });
        }
    });
    total.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn fail(n: u64, fault: Fault, end: Option<End>, total: &Mutex<Reach>) {
    let outcome = run(&plan(n, fault, end), Manner::default());
    let mut total = lock(total);
    total.schedules += 1;
    if let Some(violation) = outcome.violation {
        let text = format!("operation {n} {fault:?}, then {end:?}");
        total.failure.get_or_insert((text, violation));
    }
}

fn lock(total: &Mutex<Reach>) -> std::sync::MutexGuard<'_, Reach> {
    total.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The workload is only worth failing if it gets everywhere.
    #[test]
    fn the_workload_ends_well_when_nothing_fails() {
        let outcome = run(&plan(u64::MAX, Fault::Fails, None), Manner::default());
        assert_eq!(outcome.violation, None);
        assert!(outcome.ops > 200, "{}", outcome.ops);
    }
}
