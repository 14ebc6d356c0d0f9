//! What a seed means: sizes, pace, faults and the mix of work, each class on or off by its own coin.

use crate::baton::Pace;
use crate::chance::Chance;
use crate::disk::{End, Lie, Near, Op, Rates};

/// Bytes of the smallest segment.
pub const SEGMENT_BYTES: u64 = 8192;

/// One thing that a program does with its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Submits an append and does not wait.
    Append,
    /// Submits an append that fills half a segment.
    AppendLarge,
    /// Waits for the oldest append.
    Wait,
    /// Waits for all appends.
    WaitAll,
    /// Lets the journal's threads work.
    Pause,
    /// Reads a stream to its head.
    Read,
    /// Asks for heads, firsts and names.
    Ask,
    /// Follows a stream, or looks at what it follows.
    Follow,
    /// Forgets the beginning of a stream, or all of it.
    Forget,
    /// Appends at a wrong position.
    Misplace,
    /// Opens the journal a second time.
    OpenAgain,
    /// Reads everything as another process would.
    ReadElsewhere,
    /// Fills the disk.
    Fill,
    /// Makes room and waits until appends are taken again.
    Free,
    /// Has everything compacted, and waits for it or does not.
    Compact,
    /// Reads two streams at the same time, or one twice.
    ReadTwice,
    /// Follows a stream as another process would, or looks at what it follows.
    FollowElsewhere,
}

impl Act {
    /// All of them.
    pub const ALL: [Act; 17] = [
        Act::Append,
        Act::AppendLarge,
        Act::Wait,
        Act::WaitAll,
        Act::Pause,
        Act::Read,
        Act::Ask,
        Act::Follow,
        Act::Forget,
        Act::Misplace,
        Act::OpenAgain,
        Act::ReadElsewhere,
        Act::Fill,
        Act::Free,
        Act::Compact,
        Act::ReadTwice,
        Act::FollowElsewhere,
    ];
}

/// One run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What all choices come from.
    pub seed: u64,
    /// Number of streams.
    pub streams: usize,
    /// Appends that may wait.
    pub queue_appends_max: usize,
    /// Threads that read.
    pub reader_threads: usize,
    /// How often threads take turns.
    pub pace: Pace,
    /// The processes, one after the other.
    pub lives: Vec<LifePlan>,
    /// Which bit changes in the end.
    pub flip: Option<Flip>,
}

/// A bit that changes on the medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flip {
    /// Any, after a clean end.
    Anywhere,
    /// One of a frame with two frames after it, after a crash.
    BeforeLater,
    /// One of the last frame, after a kill: the durable mark covers it if anybody was told.
    Last,
}

/// One process.
#[derive(Debug, Clone)]
pub struct LifePlan {
    /// What it does.
    pub acts: Vec<Act>,
    /// Bytes of the segments that it makes.
    pub segment_bytes: u64,
    /// What goes wrong.
    pub rates: Rates,
    /// The disk operation, counted from its start, at which it ends, and how.
    pub end: Option<(u64, End)>,
    /// Where it ends instead, if it comes there before.
    pub near: Option<Near>,
}

impl Plan {
    /// The plan of `seed`.
    #[must_use]
    pub fn of_seed(seed: u64) -> Plan {
        let mut chance = Chance::new(seed, "plan");
        let mut weights: Vec<(Act, u64)> = Act::ALL
            .iter()
            .map(|act| (*act, weight(*act, &mut chance)))
            .collect();
        if chance.one_in(COMPACTING_ONE_IN) {
            compact_often(&mut weights);
        }
        let lies = chance.one_in(10);
        let count = 1 + chance.below(3);
        let lives = (0..count).map(|_| LifePlan::draw(&weights, lies, &mut chance));
        let lives = lives.collect();
        Plan {
            seed,
            streams: 1 + chance.index(3),
            queue_appends_max: chance.pick(&[2, 64, 64]),
            reader_threads: chance.pick(&[1, 2]),
            pace: Pace {
                switch_one_in: chance.pick(&[1, 2, 4, 16]),
                timeout_one_in: chance.pick(&[0, 16, 64]),
                lock_one_in: chance.pick(&[0, 0, 3]),
            },
            lives,
            flip: match (lies, chance.one_in(2)) {
                (true, true) => Some(Flip::Anywhere),
                (true, false) => None,
                (false, _) => chance.one_in(8).then_some(Flip::BeforeLater),
            },
        }
    }

    /// A plan of the given lives on two streams, with a schedule drawn from `seed`.
    #[must_use]
    pub fn of_lives(seed: u64, lives: Vec<LifePlan>) -> Plan {
        Plan {
            seed,
            streams: 2,
            queue_appends_max: 64,
            reader_threads: 1,
            pace: Pace {
                switch_one_in: 2,
                timeout_one_in: 0,
                lock_one_in: 0,
            },
            lives,
            flip: None,
        }
    }

    /// The same plan without the acts after the first `count`.
    #[must_use]
    pub fn shortened(mut self, count: usize) -> Plan {
        let mut left = count;
        for life in &mut self.lives {
            life.acts.truncate(left);
            left -= life.acts.len();
        }
        self
    }

    /// Acts of all lives together.
    #[must_use]
    pub fn acts(&self) -> usize {
        self.lives.iter().map(|life| life.acts.len()).sum()
    }
}

/// Once in how many seeds the journal is mostly compacted: for that, several segments must fill.
const COMPACTING_ONE_IN: u64 = 5;

fn compact_often(weights: &mut [(Act, u64)]) {
    for (act, weight) in weights {
        match act {
            Act::AppendLarge => *weight = 16,
            Act::Compact => *weight = 12,
            Act::WaitAll => *weight = 4,
            Act::Append
            | Act::Wait
            | Act::Pause
            | Act::Read
            | Act::Ask
            | Act::Follow
            | Act::Forget
            | Act::Misplace
            | Act::OpenAgain
            | Act::ReadElsewhere
            | Act::Fill
            | Act::Free
            | Act::ReadTwice
            | Act::FollowElsewhere => {}
        }
    }
}

fn weight(act: Act, chance: &mut Chance) -> u64 {
    match act {
        Act::Append => chance.pick(&[4, 8]),
        Act::AppendLarge | Act::Wait | Act::WaitAll => chance.pick(&[0, 2, 4]),
        Act::Pause | Act::Read | Act::Ask | Act::Forget | Act::Follow => chance.pick(&[0, 1, 2]),
        Act::Misplace | Act::OpenAgain | Act::ReadElsewhere => chance.pick(&[0, 0, 1]),
        Act::Fill | Act::Free => chance.pick(&[0, 0, 0, 1]),
        Act::Compact => chance.pick(&[0, 0, 1, 2]),
        Act::ReadTwice | Act::FollowElsewhere => chance.pick(&[0, 0, 1]),
    }
}

impl LifePlan {
    /// A process that does `acts`; nothing goes wrong before its end.
    #[must_use]
    pub fn of_acts(acts: &[Act], end: Option<(u64, End)>) -> LifePlan {
        LifePlan {
            acts: acts.to_vec(),
            segment_bytes: SEGMENT_BYTES,
            rates: Rates::default(),
            end,
            near: None,
        }
    }

    fn draw(weights: &[(Act, u64)], lies: bool, chance: &mut Chance) -> LifePlan {
        let total: u64 = weights.iter().map(|(_, weight)| weight).sum();
        let count = chance.pick(&[0, 3, 6, 12]);
        let acts = (0..count).map(|_| drawn(weights, chance.below(total)));
        let acts = acts.collect();
        let mut rates = Rates {
            faults: [0, 0, 0, 0, 0],
            sync_one_in: chance.pick(&[0, 0, 0, 30]),
            write_back_one_in: chance.pick(&[0, 3, 12]),
            lie: None,
            nth: None,
        };
        let often = [
            [0, 0, 0, 200],
            [0, 0, 0, 200],
            [0, 0, 20, 5],
            [0, 0, 20, 5],
            [0, 0, 0, 20],
        ];
        for (rate, choices) in rates.faults.iter_mut().zip(often) {
            *rate = chance.pick(&choices);
        }
        if lies {
            let lie = chance.pick(&[Lie::Phantom, Lie::Misdirected]);
            rates.lie = chance.one_in(2).then(|| (chance.below(200), lie));
        }
        let end = chance.pick(&[None, Some(End::Kill), Some(End::Cut), Some(End::Cut)]);
        let reach = chance.pick(&[30, 100, 200, 400]);
        let end = end.map(|end| (chance.below(reach), end));
        // Files are renamed and removed seldom, and much depends on what is lasting then.
        let near = chance.one_in(3).then(|| Near {
            op: chance.pick(&[Op::Remove, Op::Remove, Op::Rename, Op::SyncDir]),
            count: 1 + chance.below(8),
            after: chance.below(4),
        });
        LifePlan {
            acts,
            segment_bytes: chance.pick(&[
                SEGMENT_BYTES,
                SEGMENT_BYTES,
                SEGMENT_BYTES,
                12288,
                16384,
            ]),
            rates,
            end,
            near: near.filter(|_| end.is_some()),
        }
    }
}

fn drawn(weights: &[(Act, u64)], mut number: u64) -> Act {
    for (act, weight) in weights {
        if number < *weight {
            return *act;
        }
        number -= weight;
    }
    Act::Append
}
