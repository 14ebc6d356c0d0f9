//! Every workload of up to three acts, every crash point in it, every subset of what is not synced
//! there: all of them where there are few, some of them where there are many.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::baton::Baton;
use crate::chance::Chance;
use crate::disk::{End, SimDisk, Survival};
use crate::model::Violation;
use crate::plan::{Act, LifePlan, Plan};
use crate::world::{Manner, World, guarded};

/// The acts that workloads are made of.
const ALPHABET: [Act; 6] = [
    Act::Append,
    Act::AppendLarge,
    Act::WaitAll,
    Act::Forget,
    Act::ReadElsewhere,
    Act::Fill,
];

/// The most acts in a workload.
const ACTS_MAX: usize = 3;

/// Up to this many pending things, every subset of them survives once.
const SUBSETS_BITS_MAX: usize = 4;

/// How many subsets are tried where there are more.
const SAMPLES: u64 = 8;

/// What was tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Workloads.
    pub workloads: u64,
    /// Crash points.
    pub points: u64,
    /// Recoveries, one for each subset.
    pub schedules: u64,
    /// Crash points at which every subset was tried.
    pub complete: u64,
    /// The first failure: the workload, the crash point, the subset and the promise.
    pub failure: Option<(String, Violation)>,
}

/// All workloads of at most `acts_max` acts.
#[must_use]
pub fn workloads(acts_max: usize) -> Vec<Vec<Act>> {
    let mut all: Vec<Vec<Act>> = vec![Vec::new()];
    let mut longest = all.clone();
    for _ in 0..acts_max {
        let longer = longest.iter().flat_map(|acts| {
            ALPHABET.iter().map(|act| {
                let mut acts = acts.clone();
                acts.push(*act);
                acts
            })
        });
        longest = longer.collect();
        all.extend(longest.iter().cloned());
    }
    all
}

/// Tries workloads of at most `acts_max` acts on `threads` threads; `done` is told how many of how
/// many are tried.
pub fn exhaust(threads: usize, acts_max: usize, done: &(dyn Fn(usize, usize) + Sync)) -> Reach {
    let all = workloads(acts_max.min(ACTS_MAX));
    let next = AtomicUsize::new(0);
    let total = Mutex::new(Reach::default());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(acts) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let reach = workload(acts);
                    let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
                    total.add(reach);
                    if total.failure.is_some() {
                        return;
                    }
                    done(
                        usize::try_from(total.workloads).unwrap_or(usize::MAX),
                        all.len(),
                    );
                }
            });
        }
    });
    total.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl Reach {
    fn add(&mut self, other: Reach) {
        self.workloads += other.workloads;
        self.points += other.points;
        self.schedules += other.schedules;
        self.complete += other.complete;
        self.failure = self.failure.take().or(other.failure);
    }
}

/// The plan of one workload that the power ends at disk operation `point`.
fn plan(acts: &[Act], point: u64) -> Plan {
    let life = LifePlan::of_acts(acts, Some((point, End::Cut)));
    Plan::of_lives(1, vec![life])
}

/// Crashes a workload at each point until it is not reached any more.
fn workload(acts: &[Act]) -> Reach {
    let mut reach = Reach {
        workloads: 1,
        ..Reach::default()
    };
    for point in 0.. {
        let plan = plan(acts, point);
        let Some(mut crashed) = crash(&plan, &mut reach.failure) else {
            return reach;
        };
        reach.points += 1;
        crashed.subsets(&plan, &mut reach);
        if reach.failure.is_some() || !crashed.was_reached {
            return reach;
        }
    }
    unreachable!("a workload ends")
}

/// A world at the moment of its crash.
struct Crashed {
    world: World,
    was_reached: bool,
}

/// Runs a workload up to its crash; `None` when it broke a promise before.
fn crash(plan: &Plan, failure: &mut Option<(String, Violation)>) -> Option<Crashed> {
    let baton = Baton::new(Chance::new(plan.seed, "schedule"), plan.pace);
    let disk = SimDisk::new(
        Arc::clone(&baton),
        Chance::new(plan.seed, "disk"),
        crate::disk::Trace::default(),
    );
    let mut world = World::on(plan, Manner::default(), &baton, disk);
    let mut was_reached = false;
    let violation = guarded(&baton, || {
        was_reached = world.live_until_end(&plan.lives[0])?;
        Ok(())
    });
    if let Some(violation) = violation {
        *failure = Some((format!("{:?}", plan.lives[0]), violation));
        return None;
    }
    Some(Crashed { world, was_reached })
}

impl Crashed {
    /// Recovers from each subset of what was pending.
    fn subsets(&mut self, plan: &Plan, reach: &mut Reach) {
        let pending = self.world.disk.pending();
        let survivals: Vec<Survival> = if pending <= SUBSETS_BITS_MAX {
            reach.complete += 1;
            (0..1 << pending).map(Survival::Bits).collect()
        } else {
            let edges = [Survival::Bits(0), Survival::Bits(u64::MAX)];
            let seeds = (0..SAMPLES).map(|seed| Survival::Chance(Chance::new(seed, "survival")));
            edges.into_iter().chain(seeds).collect()
        };
        for survival in survivals {
            reach.schedules += 1;
            let baton = Baton::new(Chance::new(plan.seed, "schedule"), plan.pace);
            let disk = self
                .world
                .disk
                .copy(Arc::clone(&baton), Chance::new(plan.seed, "disk"));
            disk.survive_cut(survival.clone());
            let mut world = World::on(plan, Manner::default(), &baton, disk);
            world.model = self.world.model.clone();
            if let Some(violation) = guarded(&baton, || world.prove_twice()) {
                let text = format!("{:?}, of {pending} pending {survival:?}", plan.lives[0]);
                reach.failure = Some((text, violation));
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workloads_are_all_sequences_of_the_alphabet() {
        assert_eq!(workloads(2).len(), 1 + 6 + 36);
    }

    #[test]
    fn every_crash_in_every_workload_of_one_act_keeps_every_promise() {
        let reach = exhaust(1, 1, &|_, _| {});
        assert_eq!(reach.failure, None);
        assert_eq!(reach.workloads, 7);
        assert!(reach.complete > 100, "{reach:?}");
    }
}
