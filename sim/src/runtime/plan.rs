//! What a seed means for the runtime: the processes, what they do, what goes wrong.

use crate::baton::Pace;
use crate::chance::Chance;
use crate::disk::{End, Fault, Rates};

/// Bytes of the segments.
const SEGMENT_BYTES: u64 = 16 * 1024;

/// What a program does with its processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Asks something new.
    Ask,
    /// Asks what was asked before, by the same identity.
    AskAgain,
    /// Looks at the state.
    Look,
    /// Lets everybody work.
    Turn,
    /// As [`Act::Turn`], while time passes.
    Pass,
    /// Wants a snapshot.
    Snapshot,
    /// Fills the disk.
    Fill,
    /// Makes room.
    Free,
}

/// What happens to the disk while nobody runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Between {
    Nothing,
    /// One bit of a snapshot changes.
    FlipSnapshot,
    /// A build of another version left a snapshot: its checksum is right, its content means another
    /// state here.
    SnapshotOfAnotherBuild,
    /// The journal is put back to where it was before this process, the snapshots are not.
    PutBack,
}

/// One process.
#[derive(Debug, Clone)]
pub(super) struct LifePlan {
    pub(super) acts: Vec<Act>,
    pub(super) rates: Rates,
    pub(super) end: Option<(u64, End)>,
    pub(super) after: Between,
}

/// One run.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) pace: Pace,
    pub(super) segment_bytes: u64,
    /// Entries between two snapshots.
    pub(super) snapshot_every: Option<u64>,
    /// Every so many attempts go wrong; 0 for none.
    pub(super) trouble_one_in: u64,
    pub(super) window: u32,
    pub(super) lives: Vec<LifePlan>,
}

impl Plan {
    pub(super) fn of_seed(seed: u64) -> Plan {
        let mut chance = Chance::new(seed, "runtime plan");
        let weights = Weights::draw(&mut chance);
        let count = 1 + chance.below(4);
        let lives = (0..count).map(|_| LifePlan::draw(&weights, &mut chance));
        let lives = lives.collect();
        Plan {
            seed,
            pace: Pace {
                switch_one_in: chance.pick(&[1, 2, 4]),
                timeout_one_in: chance.pick(&[0, 16, 64]),
                lock_one_in: chance.pick(&[0, 0, 3]),
            },
            segment_bytes: SEGMENT_BYTES,
            snapshot_every: chance.pick(&[None, Some(1), Some(3), Some(8)]),
            trouble_one_in: chance.pick(&[0, 2, 4]),
            window: chance.pick(&[1, 2, 8]),
            lives,
        }
    }
}

impl Plan {
    /// Appends that may wait in the journal: in one run of three fewer than a processor has under way,
    /// so that the journal refuses some.
    pub(super) fn queue_appends_max(&self) -> usize {
        if self.seed.is_multiple_of(3) { 1 } else { 64 }
    }
}

struct Weights([(Act, u64); 8]);

impl Weights {
    fn draw(chance: &mut Chance) -> Weights {
        Weights([
            (Act::Ask, chance.pick(&[4, 8])),
            (Act::AskAgain, chance.pick(&[0, 1, 3])),
            (Act::Look, chance.pick(&[1, 2])),
            (Act::Turn, chance.pick(&[2, 4])),
            (Act::Pass, chance.pick(&[0, 2, 4])),
            (Act::Snapshot, chance.pick(&[0, 0, 1])),
            (Act::Fill, chance.pick(&[0, 0, 1])),
            (Act::Free, chance.pick(&[0, 1])),
        ])
    }

    fn pick(&self, chance: &mut Chance) -> Act {
        let total: u64 = self.0.iter().map(|(_, weight)| weight).sum();
        let mut number = chance.below(total);
        for (act, weight) in self.0 {
            if number < weight {
                return act;
            }
            number -= weight;
        }
        Act::Ask
    }
}

impl LifePlan {
    fn draw(weights: &Weights, chance: &mut Chance) -> LifePlan {
        let count = chance.pick(&[4, 10, 24]);
        let acts = (0..count).map(|_| weights.pick(chance)).collect();
        let mut rates = Rates {
            faults: [0; 5],
            sync_one_in: chance.pick(&[0, 0, 0, 40]),
            write_back_one_in: chance.pick(&[0, 3]),
            lie: None,
            nth: None,
        };
        let often = [
            (Fault::Fails, [0, 0, 0, 300]),
            (Fault::Interrupted, [0, 0, 20, 5]),
            (Fault::Short, [0, 0, 20, 5]),
            (Fault::Stalls, [0, 0, 0, 20]),
        ];
        for (fault, choices) in often {
            let place = Fault::ALL.iter().position(|one| *one == fault);
            rates.faults[place.expect("all are listed")] = chance.pick(&choices);
        }
        let end = chance.pick(&[None, Some(End::Kill), Some(End::Cut), Some(End::Cut)]);
        let reach = chance.pick(&[60, 150, 400]);
        LifePlan {
            acts,
            rates,
            end: end.map(|end| (chance.below(reach), end)),
            after: chance.pick(&[
                Between::Nothing,
                Between::Nothing,
                Between::FlipSnapshot,
                Between::SnapshotOfAnotherBuild,
                Between::PutBack,
            ]),
        }
    }
}
