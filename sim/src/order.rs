//! Orders of events that seeds seldom give, each as the smallest plans that lead there: those in which
//! the simulation found a bug of the journal, and what a few planted bugs take to be found.

use crate::disk::{End, Fault, Rates};
use crate::plan::{Act, Flip, LifePlan, Plan};

/// How many schedules and subsets of what was not synced are tried at each point.
const SEEDS: u64 = 4;

/// Where the rate of stalled operations stands.
const STALLS: usize = 4;

const _: () = assert!(matches!(Fault::ALL[STALLS], Fault::Stalls));

/// Such an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// A process was killed between giving a segment its name and syncing the directory. The next one
    /// found the segment in the cache and used it; then the power went, and the name with it.
    NameOfKilled,
    /// Behind the end lay a half-written segment and a spare one. Recovery removed the first and
    /// crashed: a gap was left, which was refused as damage ever after.
    GapOfRecovery,
    /// A segment's index was written when the log moved on, before a frame in the next segment was
    /// durable. After a crash the log went on in the old segment, and the index of its earlier end
    /// was believed.
    StaleIndex,
    /// A process was killed between naming the first mark and syncing the directory. The next one
    /// made the first segment; then the power went, the segment's name stayed and the mark's did not.
    LogWithoutMark,
    /// Both slots of the mark were written in turn without a sync between them: a loss of power that
    /// tore two sectors left no mark.
    NoWholeSlot,
    /// The disk is full while appends wait; later there is room.
    FullThenRoom,
    /// A frame is damaged that the durable mark does not cover after a crash, and later frames prove.
    DamageBeforeLater,
    /// The last frame is damaged after a kill, when the durable mark covers it.
    DamageBelowMark,
}

impl Order {
    /// All of them.
    pub const ALL: [Order; 8] = [
        Order::NameOfKilled,
        Order::GapOfRecovery,
        Order::StaleIndex,
        Order::LogWithoutMark,
        Order::NoWholeSlot,
        Order::FullThenRoom,
        Order::DamageBeforeLater,
        Order::DamageBelowMark,
    ];

    /// The plans.
    #[must_use]
    pub fn plans(self) -> Vec<Plan> {
        match self {
            Order::NameOfKilled => name_of_killed(),
            Order::GapOfRecovery => gap_of_recovery(),
            Order::StaleIndex => stale_index(),
            Order::LogWithoutMark => log_without_mark(),
            Order::NoWholeSlot => no_whole_slot(),
            Order::FullThenRoom => full_then_room(),
            Order::DamageBeforeLater => damage_before_later(),
            Order::DamageBelowMark => damage_below_mark(),
        }
    }
}

fn ended(acts: &[Act], point: u64, end: End) -> LifePlan {
    LifePlan::of_acts(acts, Some((point, end)))
}

fn name_of_killed() -> Vec<Plan> {
    let work = [
        Act::Append,
        Act::AppendLarge,
        Act::AppendLarge,
        Act::WaitAll,
    ];
    let mut plans = Vec::new();
    for point in 20..60 {
        for cut in 14..54 {
            let lives = vec![
                ended(&[Act::Append], point, End::Kill),
                ended(&work, cut, End::Cut),
            ];
            plans.push(Plan::of_lives(point + cut, lives));
        }
    }
    plans
}

fn gap_of_recovery() -> Vec<Plan> {
    let work = [
        Act::AppendLarge,
        Act::AppendLarge,
        Act::AppendLarge,
        Act::WaitAll,
    ];
    let mut plans = Vec::new();
    for written in (44..90).step_by(2) {
        for point in 18..34 {
            for seed in 0..SEEDS {
                let killed = LifePlan {
                    rates: stalls(),
                    ..ended(&work, written, End::Kill)
                };
                let lives = vec![killed, ended(&[], point, End::Cut)];
                plans.push(Plan::of_lives(seed, lives));
            }
        }
    }
    plans
}

/// Calls stall, so that the writer waits before its first frame in the next segment while the keeper
/// goes on.
fn stalls() -> Rates {
    let mut rates = Rates::default();
    rates.faults[STALLS] = 6;
    rates
}

fn stale_index() -> Vec<Plan> {
    let work = [Act::AppendLarge, Act::AppendLarge, Act::WaitAll];
    let more = [Act::Append, Act::AppendLarge];
    let mut plans = Vec::new();
    for point in 50..110 {
        for seed in 0..8 * SEEDS {
            let cut = LifePlan {
                rates: stalls(),
                ..ended(&work, point, End::Cut)
            };
            let lives = vec![cut, LifePlan::of_acts(&more, None)];
            plans.push(Plan::of_lives(seed, lives));
        }
    }
    plans
}

fn log_without_mark() -> Vec<Plan> {
    let mut plans = Vec::new();
    for killed in 6..10 {
        for cut in 10..16 {
            for seed in 0..16 * SEEDS {
                let lives = vec![ended(&[], killed, End::Kill), ended(&[], cut, End::Cut)];
                plans.push(Plan::of_lives(seed, lives));
            }
        }
    }
    plans
}

fn no_whole_slot() -> Vec<Plan> {
    let work = [Act::Append, Act::WaitAll].repeat(4);
    let mut plans = Vec::new();
    for point in 38..54 {
        for seed in 0..32 * SEEDS {
            plans.push(Plan::of_lives(seed, vec![ended(&work, point, End::Cut)]));
        }
    }
    plans
}

fn full_then_room() -> Vec<Plan> {
    let fill = [Act::Append, Act::Fill];
    let more = [
        Act::Append,
        Act::WaitAll,
        Act::Free,
        Act::Append,
        Act::WaitAll,
        Act::Read,
    ];
    let mut plans = Vec::new();
    for seed in 0..32 * SEEDS {
        for large in 1..5 {
            let wait = [Act::AppendLarge].repeat(large);
            let acts = [&fill[..], &wait, &more].concat();
            plans.push(Plan::of_lives(seed, vec![LifePlan::of_acts(&acts, None)]));
        }
    }
    plans
}

fn damage_before_later() -> Vec<Plan> {
    let work = [Act::Append, Act::WaitAll].repeat(5);
    let mut plans = Vec::new();
    for point in 44..60 {
        for seed in 0..8 * SEEDS {
            let mut plan = Plan::of_lives(seed, vec![ended(&work, point, End::Cut)]);
            plan.flip = Some(Flip::BeforeLater);
            plans.push(plan);
        }
    }
    plans
}

fn damage_below_mark() -> Vec<Plan> {
    let work = [Act::Append, Act::WaitAll].repeat(5);
    let mut plans = Vec::new();
    for point in 44..60 {
        for seed in 0..SEEDS {
            let mut plan = Plan::of_lives(seed, vec![ended(&work, point, End::Kill)]);
            plan.flip = Some(Flip::Last);
            plans.push(plan);
        }
    }
    plans
}
