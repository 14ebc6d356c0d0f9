//! What a channel is doing now: the part of it that no entry holds and no crash needs.
//!
//! A lane decides which delivery may start. It knows numbers only; what is delivered, and what is
//! recorded of it, is in the ledger's channel.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::channel::{ChannelKind, ChannelOptions, Order};
use crate::entry::StopReason;
use crate::id::Position;
use crate::ledger::{Channel, STRICT};
use crate::time::Timestamp;

#[derive(Debug)]
pub(super) struct Lane {
    /// The place of the channel's route in the processor's `CHANNELS`; `None` when the code no
    /// longer has it, and its deliveries wait until it does.
    pub(super) route: Option<usize>,
    pub(super) kind: ChannelKind,
    pub(super) options: ChannelOptions,
    pub(super) activity: Activity,
    /// Deliveries that this writer has not attempted, in order, each with the position that must be
    /// durable before.
    pub(super) fresh: VecDeque<(u64, Position)>,
    /// Redeliveries, timers and deliveries in doubt, by the time they are due.
    pub(super) due: BTreeSet<(Timestamp, u64)>,
    /// Redeliveries whose entry is not durable yet.
    pub(super) announced: BTreeSet<u64>,
    /// Attempts under way.
    pub(super) in_flight: BTreeMap<u64, u32>,
    /// Order keys with an unsettled delivery, and the deliveries that wait behind it.
    pub(super) busy_keys: HashMap<u64, VecDeque<u64>>,
    /// One-way confirmations that are not recorded yet.
    pub(super) confirmed: BTreeSet<u64>,
    /// Recorded settlements that are not durable yet.
    pub(super) settling: usize,
    /// The highest number that a durable entry mentions.
    pub(super) durable_highest: u64,
    /// Deliveries up to this number may have been sent by the writer before.
    pub(super) doubtful_up_to: u64,
    pub(super) loading: Loading,
    pub(super) last_failure: StopReason,
    pub(super) counts: Counts,
}

/// Whether attempts may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activity {
    Active,
    RestartingUntil(Timestamp),
    Stopped(StopReason),
}

/// Whether the backlog is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loading {
    Idle,
    Asked,
}

/// What happened since this writer began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) attempts: u64,
    pub(super) late: u64,
}

impl Lane {
    pub(super) fn new(route: Option<usize>, kind: ChannelKind, options: ChannelOptions) -> Lane {
        Lane {
            route,
            kind,
            options,
            activity: Activity::Active,
            fresh: VecDeque::new(),
            due: BTreeSet::new(),
            announced: BTreeSet::new(),
            in_flight: BTreeMap::new(),
            busy_keys: HashMap::new(),
            confirmed: BTreeSet::new(),
            settling: 0,
            durable_highest: 0,
            doubtful_up_to: 0,
            loading: Loading::Idle,
            last_failure: StopReason::NotResponding,
            counts: Counts::default(),
        }
    }

    /// What this writer declares: how far beyond recorded deliveries it may send.
    pub(super) fn run_ahead(&self) -> u32 {
        match (self.options.order, self.kind) {
            (Order::Strict, ChannelKind::Default) => 1,
            (Order::Strict, _) => STRICT,
            // Twice the window: while as many settlements wait for the disk, the window stays full.
            (Order::PerKey { window } | Order::Unordered { window }, _) => 2 * window,
        }
    }

    fn slots_used(&self) -> usize {
        self.in_flight.len() + self.announced.len()
    }

    fn has_slot(&self) -> bool {
        self.activity == Activity::Active
            && self.route.is_some()
            && self.slots_used() < self.options.order.window() as usize
    }

    /// Takes the delivery that may be attempted for the first time now, if there is one.
    pub(super) fn take_fresh(
        &mut self,
        channel: &Channel,
        durable: Option<Position>,
    ) -> Option<u64> {
        let (number, gate) = *self.fresh.front()?;
        let may_start = self.has_slot()
            && durable.is_some_and(|durable| gate <= durable)
            && match self.run_ahead() {
                STRICT => self.settling == 0 && number == channel.settled_below(),
                run_ahead => number <= self.durable_highest + u64::from(run_ahead),
            };
        if !may_start {
            return None;
        }
        self.fresh.pop_front();
        Some(number)
    }

    /// The delivery that is due and may be attempted again now, if there is one.
    pub(super) fn due_now(&self, now: Timestamp) -> Option<u64> {
        let (due, number) = *self.due.first()?;
        (due <= now && self.has_slot()).then_some(number)
    }

    /// When this lane next has something to do, given that nothing else happens.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        match self.activity {
            Activity::Stopped(_) => None,
            Activity::RestartingUntil(until) => Some(until),
            // A full window is relieved by an outcome, not by time.
            Activity::Active if self.kind != ChannelKind::Timer && !self.has_slot() => None,
            Activity::Active => self.due.first().map(|(due, _)| *due),
        }
    }

    /// Takes a number out of wherever it waits.
    pub(super) fn remove(&mut self, number: u64) {
        self.due.retain(|(_, waiting)| *waiting != number);
        self.announced.remove(&number);
    }

    /// Occupies the key of a delivery, or lines the delivery up behind the one that does.
    pub(super) fn enter_key(&mut self, number: u64, key: Option<u64>) -> Turn {
        let (Order::PerKey { .. }, Some(key)) = (self.options.order, key) else {
            return Turn::Now;
        };
        match self.busy_keys.get_mut(&key) {
            Some(behind) => {
                behind.push_back(number);
                Turn::Later
            }
            None => {
                self.busy_keys.insert(key, VecDeque::new());
                Turn::Now
            }
        }
    }

    /// Gives a key up; the next delivery behind it has it from now on.
    pub(super) fn leave_key(&mut self, key: Option<u64>) -> Option<u64> {
        let (Order::PerKey { .. }, Some(key)) = (self.options.order, key) else {
            return None;
        };
        let next = self.busy_keys.get_mut(&key)?.pop_front();
        if next.is_none() {
            self.busy_keys.remove(&key);
        }
        next
    }
}

/// Whether a delivery is the first of its order key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Now,
    Later,
}
