//! What the simulation found, each as the smallest plan that leads there, at every point of it.

use sim::disk::{End, Fault, Rates};
use sim::plan::{Act, LifePlan, Plan};
use sim::world::{Manner, run};

/// How many schedules and subsets of what was not synced are tried at each point.
const SEEDS: u64 = 4;

/// Where the rate of stalled operations stands.
const STALLS: usize = 4;

const _: () = assert!(matches!(Fault::ALL[STALLS], Fault::Stalls));

fn check(seed: u64, lives: Vec<LifePlan>) {
    let plan = Plan::of_lives(seed, lives);
    let outcome = run(&plan, Manner::default());
    assert_eq!(outcome.violation, None, "{plan:?}");
}

fn ended(acts: &[Act], point: u64, end: End) -> LifePlan {
    LifePlan::of_acts(acts, Some((point, end)))
}

/// A process was killed between giving a segment its name and syncing the directory. The next one
/// found the segment in the cache and used it; then the power went, and the name with it.
#[test]
fn a_segment_named_by_a_process_that_was_killed_outlives_a_loss_of_power() {
    let work = [
        Act::Append,
        Act::AppendLarge,
        Act::AppendLarge,
        Act::WaitAll,
    ];
    for point in 20..60 {
        for cut in 14..54 {
            let killed = ended(&[Act::Append], point, End::Kill);
            check(point + cut, vec![killed, ended(&work, cut, End::Cut)]);
        }
    }
}

/// Behind the end lay a half-written segment and a spare one. Recovery removed the first and
/// crashed: a gap was left, which was refused as damage ever after.
#[test]
fn a_crash_while_recovery_removes_segments_leaves_no_gap() {
    let work = [
        Act::AppendLarge,
        Act::AppendLarge,
        Act::AppendLarge,
        Act::WaitAll,
    ];
    for written in (30..80).step_by(2) {
        for point in (14..34).step_by(2) {
            let cut = ended(&work, written, End::Kill);
            check(written + point, vec![cut, ended(&[], point, End::Cut)]);
        }
    }
}

/// A segment's index was written when the log moved on, before a frame in the next segment was
/// durable. After a crash the log went on in the old segment, and the index of its earlier end was
/// believed.
#[test]
fn an_index_is_not_older_than_its_segment() {
    let work = [Act::AppendLarge, Act::AppendLarge, Act::WaitAll];
    let more = [Act::Append, Act::AppendLarge];
    let mut rates = Rates::default();
    // The writer stalls before its first frame in the next segment, the keeper goes on.
    rates.faults[STALLS] = 6;
    for point in 50..110 {
        for seed in 0..8 * SEEDS {
            let cut = LifePlan {
                rates,
                ..ended(&work, point, End::Cut)
            };
            check(seed, vec![cut, LifePlan::of_acts(&more, None)]);
        }
    }
}

/// A process was killed between naming the first mark and syncing the directory. The next one made
/// the first segment; then the power went, the segment's name stayed and the mark's did not.
#[test]
fn a_log_does_not_outlive_its_mark() {
    for killed in 0..20 {
        for cut in 0..20 {
            for seed in 0..SEEDS {
                let lives = vec![ended(&[], killed, End::Kill), ended(&[], cut, End::Cut)];
                check(seed, lives);
            }
        }
    }
}

/// Both slots of the mark were written in turn without a sync between them: a loss of power that
/// tore two sectors left no mark.
#[test]
fn a_loss_of_power_that_tears_sectors_leaves_a_mark() {
    let work = [Act::Append, Act::WaitAll].repeat(4);
    for point in 38..54 {
        for seed in 0..32 * SEEDS {
            check(seed, vec![ended(&work, point, End::Cut)]);
        }
    }
}
