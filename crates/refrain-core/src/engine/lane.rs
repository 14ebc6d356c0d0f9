//! What a channel is doing now: the part of it that no entry holds and no crash needs.
//!
//! A lane decides which delivery may start. It knows numbers only; what is delivered, and what is
//! recorded of it, is in the ledger's channel.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use super::due::Due;
use crate::channel::{ChannelKind, ChannelOptions, Order};
use crate::entry::StopReason;
use crate::id::Position;
use crate::ledger::{Channel, STRICT};
use crate::limit::{CHANNEL_LOADED_BYTES_MAX, WINDOW_MAX};
use crate::outbox::Chance;
use crate::planted;
use crate::port::destination::Attempted;
use crate::time::Timestamp;

#[derive(Debug)]
pub(super) struct Lane {
    /// The place of the channel's route in the processor's `CHANNELS`; `None` when the code no
    /// longer has it, and its deliveries wait until it does.
    pub(super) route: Option<usize>,
    pub(super) kind: ChannelKind,
    pub(super) options: ChannelOptions,
    pub(super) activity: Activity,
    /// Deliveries that this writer has not attempted and timers that are not looked at yet, each
    /// with the position that must be durable before.
    pub(super) fresh: BTreeMap<u64, Position>,
    /// Redeliveries, timers and deliveries in doubt, by the time they are due.
    pub(super) due: Due,
    /// Deliveries whose next attempt is recorded, in an entry that is not durable yet.
    pub(super) announced: BTreeSet<u64>,
    /// Attempts under way.
    pub(super) in_flight: BTreeMap<u64, u32>,
    /// Deliveries that failed and wait for the next recovery.
    pub(super) resting: BTreeSet<u64>,
    /// By order key, the deliveries that are to keep their order.
    keys: HashMap<u64, KeyLine>,
    /// Replies to requests that wait in the journal alone, with the attempt that brought each. They
    /// are handled once their request is in memory.
    pub(super) early: BTreeMap<u64, (u32, Attempted)>,
    /// One-way confirmations that are not recorded yet.
    pub(super) confirmed: BTreeSet<u64>,
    /// Recorded outcomes that are not durable yet.
    pub(super) recording: usize,
    /// The highest number that a durable entry mentions.
    pub(super) durable_highest: u64,
    pub(super) loading: Loading,
    pub(super) counts: Counts,
}

/// The deliveries of one order key, of which one at a time may be attempted.
#[derive(Debug)]
struct KeyLine {
    holder: u64,
    behind: VecDeque<u64>,
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

/// What a lane can do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ready {
    /// The time of a timer or redelivery has come.
    Due(u64),
    /// A first attempt, which needs no entry.
    Fresh(u64),
    /// A first attempt so far beyond what is recorded that it needs an entry.
    FarAhead(u64),
}

/// Whether a delivery is the first of its order key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Now,
    Later,
}

impl Lane {
    pub(super) fn new(route: Option<usize>, kind: ChannelKind, options: ChannelOptions) -> Lane {
        Lane {
            route,
            kind,
            options,
            activity: Activity::Active,
            fresh: BTreeMap::new(),
            due: Due::default(),
            announced: BTreeSet::new(),
            in_flight: BTreeMap::new(),
            early: BTreeMap::new(),
            resting: BTreeSet::new(),
            keys: HashMap::new(),
            confirmed: BTreeSet::new(),
            recording: 0,
            durable_highest: 0,
            loading: Loading::Idle,
            counts: Counts::default(),
        }
    }

    /// Whether deliveries leave one after the other, each when the one before is settled.
    pub(super) fn is_strict(&self) -> bool {
        match self.kind {
            ChannelKind::Reliable | ChannelKind::RequestReply => {
                self.options.order == Order::Strict
            }
            ChannelKind::Default | ChannelKind::Timer => false,
        }
    }

    /// What this writer declares: how far beyond recorded deliveries it may send.
    pub(super) fn run_ahead(&self) -> u32 {
        match self.options.order {
            Order::Strict if self.is_strict() => STRICT,
            Order::Strict => 1,
            // Twice the window: while as many settlements wait for the disk, the window stays full.
            Order::PerKey { window } | Order::Unordered { window } => 2 * window,
        }
    }

    fn has_slot(&self) -> bool {
        self.activity == Activity::Active
            && self.route.is_some()
            && self.in_flight.len() + self.announced.len() < self.options.order.window() as usize
    }

    /// What can be done now: redeliveries first, then first attempts in the order sent.
    pub(super) fn ready(
        &self,
        channel: &Channel,
        durable: Option<Position>,
        now: Timestamp,
    ) -> Option<Ready> {
        if !self.has_slot() {
            return None;
        }
        if let Some((due, number)) = self.first_due(channel)
            && due <= now
        {
            return Some(Ready::Due(number));
        }
        let (number, gate) = self.fresh.first_key_value()?;
        if durable < Some(*gate) && !planted::is("sent-before-intent") {
            return None;
        }
        let number = *number;
        if self.is_strict() {
            let is_first = channel.first_open() == Some(number) && self.recording == 0;
            return is_first.then_some(Ready::Fresh(number));
        }
        if number <= self.durable_highest + u64::from(self.run_ahead()) {
            return Some(Ready::Fresh(number));
        }
        // What is being recorded will allow it, without an entry of its own.
        let is_waiting =
            self.recording > 0 || !self.confirmed.is_empty() || !self.announced.is_empty();
        (!is_waiting).then_some(Ready::FarAhead(number))
    }

    /// What is due first; in strict order only the first open delivery counts.
    fn first_due(&self, channel: &Channel) -> Option<(Timestamp, u64)> {
        if !self.is_strict() {
            return self.due.first();
        }
        let first = channel.first_open()?;
        Some((self.due.time_of(first)?, first))
    }

    /// When this lane next has something to do, given that nothing else happens.
    pub(super) fn next_due(&self, channel: &Channel) -> Option<Timestamp> {
        match self.activity {
            Activity::Stopped(_) => None,
            Activity::RestartingUntil(until) => Some(until),
            // A full window is relieved by an outcome, not by time.
            Activity::Active if !self.has_slot() => None,
            Activity::Active => self.first_due(channel).map(|(due, _)| due),
        }
    }

    /// The time from a delivery's failure to its next attempt.
    pub(super) fn delay(&self, tries: u32, seed: u64, number: u64) -> Duration {
        // Deliveries that fail at the same moment are not to come back at the same moment.
        let chance = Chance::new(seed ^ number).next();
        self.options
            .redelivery
            .redelivery_delay
            .after(tries, chance)
    }

    /// Whether nothing is under way and nothing could be started, now or later.
    pub(super) fn is_idle(&self) -> bool {
        self.fresh.is_empty()
            && self.due.is_empty()
            && self.announced.is_empty()
            && self.in_flight.is_empty()
            && self.confirmed.is_empty()
    }

    /// Takes a number out of wherever it waits to be attempted.
    pub(super) fn remove(&mut self, number: u64) {
        self.fresh.remove(&number);
        self.due.remove(number);
        self.announced.remove(&number);
        self.resting.remove(&number);
    }

    /// Whether another reply may wait for its request: no more than could be under way, and no more
    /// bytes than a channel keeps in memory.
    pub(super) fn has_room_for(&self, ended: &Attempted) -> bool {
        let kept = self.early.values().map(|(_, ended)| ended);
        let bytes: usize = kept.chain([ended]).map(reply_bytes).sum();
        self.early.len() < WINDOW_MAX as usize && bytes <= CHANNEL_LOADED_BYTES_MAX
    }

    /// Forgets what waits and in which order; attempts under way stay what they are.
    pub(super) fn clear(&mut self) {
        self.fresh.clear();
        self.due.clear();
        self.announced.clear();
        self.keys.clear();
    }

    /// Occupies the key of a delivery, or lines the delivery up behind the one that does.
    pub(super) fn enter_key(&mut self, number: u64, key: Option<u64>) -> Turn {
        let (Order::PerKey { .. }, Some(key)) = (self.options.order, key) else {
            return Turn::Now;
        };
        match self.keys.get_mut(&key) {
            Some(_) if planted::is("order-of-key-lost") => Turn::Now,
            Some(line) => {
                line.behind.push_back(number);
                Turn::Later
            }
            None => {
                let behind = VecDeque::new();
                let holder = number;
                self.keys.insert(key, KeyLine { holder, behind });
                Turn::Now
            }
        }
    }

    /// Whether a delivery that has entered its key is the first of it.
    pub(super) fn turn(&self, number: u64, key: Option<u64>) -> Turn {
        let line = key.and_then(|key| self.keys.get(&key));
        match line {
            Some(line) if line.holder != number => Turn::Later,
            Some(_) | None => Turn::Now,
        }
    }

    /// Takes a delivery out of its key's line. If it was the first, the next one is, and is returned.
    pub(super) fn leave_key(&mut self, number: u64, key: Option<u64>) -> Option<u64> {
        let key = key?;
        let line = self.keys.get_mut(&key)?;
        if line.holder != number {
            line.behind.retain(|waiting| *waiting != number);
            return None;
        }
        match line.behind.pop_front() {
            Some(next) => {
                line.holder = next;
                Some(next)
            }
            None => {
                self.keys.remove(&key);
                None
            }
        }
    }
}

fn reply_bytes(ended: &Attempted) -> usize {
    match ended {
        Attempted::Replied(reply) => reply.bytes.len(),
        Attempted::Failed(_) | Attempted::NotResponding => 0,
    }
}
