//! Which faults a drill makes, and when: a pure function of its size and its seed.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Kills that belong to the outage: of the validator that stays away, and of the processor while its
/// channel is stopped.
pub const OUTAGE_KILLS: usize = 2;

/// The faults of a drill, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What happens, one after the other.
    pub faults: Vec<Fault>,
}

/// One fault: what is done to whom, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// It waits until so many orders are stored,
    pub stored: usize,
    /// and then so long, so that it meets requests in any state.
    pub pause: Duration,
    /// While it waits, clients may submit orders up to this number.
    pub released: usize,
    /// What is done.
    pub kind: FaultKind,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// One program is killed and started again.
    Strike(Strike),
    /// The validator stays away until the channel stops. Orders are submitted meanwhile, and the
    /// processor is killed as well; then delivery is switched on again.
    Outage,
}

/// How a program is killed and started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    /// The processor is killed, and started again after `down`.
    Processor {
        /// How long it is away.
        down: Duration,
    },
    /// The processor is killed, started, and killed again `into` its start, in the midst of its
    /// recovery or just after.
    ProcessorTwice {
        /// How long it is away after the second time.
        down: Duration,
        /// How long it lives in between.
        into: Duration,
    },
    /// The validator is killed, and started again after `down`.
    Validator {
        /// How long it is away.
        down: Duration,
    },
}

impl FaultKind {
    /// How many programs it kills.
    pub fn kills(self) -> usize {
        match self {
            FaultKind::Strike(Strike::Processor { .. } | Strike::Validator { .. }) => 1,
            FaultKind::Strike(Strike::ProcessorTwice { .. }) => 2,
            FaultKind::Outage => OUTAGE_KILLS,
        }
    }
}

impl Plan {
    /// The plan for so many orders and exactly so many kills, of which there are at least
    /// [`OUTAGE_KILLS`]. The same arguments give the same plan.
    pub fn draw(orders: usize, kills: usize, seed: u64) -> Plan {
        assert!(kills >= OUTAGE_KILLS, "the outage kills both programs");
        let mut random = StdRng::seed_from_u64(seed);
        let mut kinds = Vec::new();
        let mut left = kills - OUTAGE_KILLS;
        while left > 0 {
            let kind = FaultKind::Strike(draw_strike(&mut random, left));
            left -= kind.kills();
            kinds.push(kind);
        }
        kinds.insert(kinds.len() / 2, FaultKind::Outage);
        Plan {
            faults: schedule(&mut random, orders, &kinds),
        }
    }
}

fn draw_strike(random: &mut StdRng, kills_left: usize) -> Strike {
    let down = Duration::from_millis(random.random_range(0..200));
    match random.random_range(0..10) {
        0..4 => Strike::Validator { down },
        4..6 if kills_left >= 2 => {
            let into = Duration::from_millis(random.random_range(0..60));
            Strike::ProcessorTwice { down, into }
        }
        _ => Strike::Processor { down },
    }
}

/// Gives each fault its own share of the orders, and a place in the share that leaves orders to be
/// submitted while it lasts.
fn schedule(random: &mut StdRng, orders: usize, kinds: &[FaultKind]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (index, kind) in kinds.iter().enumerate() {
        let start = orders * index / kinds.len();
        let released = orders * (index + 1) / kinds.len();
        let share = released - start;
        faults.push(Fault {
            stored: start + random.random_range(0..=share * 3 / 4),
            pause: Duration::from_millis(random.random_range(0..30)),
            released,
            kind: *kind,
        });
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_gives_the_same_plan_and_another_seed_another() {
        assert_eq!(Plan::draw(2_000, 20, 7), Plan::draw(2_000, 20, 7));
        assert_ne!(Plan::draw(2_000, 20, 7), Plan::draw(2_000, 20, 8));
    }

    #[test]
    fn plan_has_exactly_the_kills_asked_for_and_one_outage() {
        for kills in OUTAGE_KILLS..80 {
            for seed in 0..20 {
                let plan = Plan::draw(500, kills, seed);
                let outages = plan
                    .faults
                    .iter()
                    .filter(|fault| fault.kind == FaultKind::Outage);
                let planned: usize = plan.faults.iter().map(|fault| fault.kind.kills()).sum();
                assert_eq!((planned, outages.count()), (kills, 1));
            }
        }
    }

    #[test]
    fn every_fault_can_be_reached_by_the_orders_released_for_it() {
        for orders in [1, 7, 100, 2_000] {
            for seed in 0..20 {
                let mut before = 0;
                for fault in Plan::draw(orders, 20, seed).faults {
                    assert!(before <= fault.stored && fault.stored <= fault.released);
                    assert!(fault.released <= orders);
                    before = fault.stored;
                }
            }
        }
    }
}
