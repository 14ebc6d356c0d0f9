//! One processor's entries as a journal would hold them, and the facts that can be read off them
//! without the engine.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bytes::Bytes;
use refrain_core::port::journal::{Batch, Chunk};
use refrain_core::{Cause, Entry, Key, Move, Position, Settlement, Step, StepVerdict};

/// A delivery, by channel number and number.
pub(crate) type Which = (u16, u64);

#[derive(Debug, Default)]
pub(crate) struct Stream {
    entries: Vec<Vec<u8>>,
    /// How many of them are durable.
    durable: usize,
    facts: Facts,
}

/// What the entries say, read straight from them.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) envelopes: HashMap<Which, Sent>,
    /// Deliveries without a settlement.
    open: BTreeSet<Which>,
    /// Where each delivery was settled.
    pub(crate) settled: HashMap<Which, u64>,
    /// What was settled, by where.
    settlements: BTreeMap<u64, Vec<Which>>,
    /// Where each redelivery was recorded, by its attempt.
    pub(crate) announced: HashMap<(Which, u32), u64>,
    /// Channels that were redirected.
    pub(crate) redirected: HashSet<u16>,
    /// Channels by number.
    pub(crate) channels: Vec<String>,
    keys: HashSet<Key>,
    /// Where what was handled, by its identity.
    handled: HashMap<String, u64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) position: u64,
    pub(crate) key: Key,
    pub(crate) order_key: Option<u64>,
    pub(crate) payload: Vec<u8>,
}

impl Stream {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn durable(&self) -> usize {
        self.durable
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(crate) fn entries(&self) -> &[Vec<u8>] {
        &self.entries
    }

    pub(crate) fn entry(&self, position: Position) -> &[u8] {
        &self.entries[index(position)]
    }

    pub(crate) fn append(&mut self, at: Position, batch: &Batch) {
        assert_eq!(index(at), self.entries.len(), "no gap between batches");
        for entry in batch.entries() {
            self.entries.push(entry.to_vec());
            self.facts.add(self.entries.len() as u64, entry);
        }
    }

    pub(crate) fn sync(&mut self, entries: usize) -> Position {
        self.durable = (self.durable + entries).min(self.entries.len());
        Position::new(self.durable as u64).expect("something was appended")
    }

    /// Loses all but `kept` of the entries that are not durable.
    pub(crate) fn crash(&mut self, kept: usize) {
        self.entries.truncate(self.durable + kept);
        self.durable = self.entries.len();
        self.facts = Facts::default();
        for (index, entry) in self.entries.iter().enumerate() {
            self.facts.add(index as u64 + 1, entry);
        }
    }

    /// Loses an entry that was said to be durable, as no journal may.
    pub(crate) fn lose_durable(&mut self) {
        self.durable = self.durable.saturating_sub(1);
    }

    /// Up to `count` durable entries from `from` on.
    pub(crate) fn read(&self, from: Position, count: usize) -> Option<Chunk> {
        let entries = &self.entries[index(from)..self.durable.min(index(from) + count)];
        if entries.is_empty() {
            return None;
        }
        let ends = entries.iter().scan(0, |end, entry| {
            *end += u32::try_from(entry.len()).expect("small");
            Some(*end)
        });
        let bytes = Bytes::from(entries.concat());
        Some(Chunk::new(from, bytes, ends.collect()))
    }
}

fn index(position: Position) -> usize {
    usize::try_from(position.get() - 1).expect("small")
}

impl Facts {
    fn add(&mut self, position: u64, entry: &[u8]) {
        match Entry::decode(entry).expect("the engine writes entries that can be read") {
            Entry::Begun(begun) => {
                let names = begun.channels.iter().map(|c| c.name.to_string());
                self.channels = names.collect();
            }
            Entry::Step(step) => {
                self.handle(&step, position);
                if let Some((id, Settlement::Confirm)) = step.settled {
                    self.settle((id.channel, id.number), position);
                }
                for envelope in step.envelopes.iter() {
                    let envelope = envelope.expect("readable");
                    let which = (envelope.delivery.channel, envelope.delivery.number);
                    let sent = Sent {
                        position,
                        key: envelope.key,
                        order_key: envelope.order_key,
                        payload: envelope.payload.to_vec(),
                    };
                    assert!(self.keys.insert(sent.key), "two deliveries have one key");
                    assert!(self.envelopes.insert(which, sent).is_none());
                    self.open.insert(which);
                }
            }
            Entry::ChannelMoved(moved) => self.moved(moved.channel, &moved.what, position),
            Entry::Watermark(_) => {}
        }
    }

    fn moved(&mut self, channel: u16, what: &Move<'_>, position: u64) {
        match what {
            Move::Settled(numbers) => {
                for number in numbers {
                    self.settle((channel, *number), position);
                }
            }
            Move::Redelivering { number, attempt } => {
                let before = self
                    .announced
                    .insert(((channel, *number), *attempt), position);
                assert!(before.is_none(), "attempt {attempt} was recorded twice");
            }
            Move::Redirected { .. } => _ = self.redirected.insert(channel),
            Move::Failed { .. }
            | Move::Restarting { .. }
            | Move::Stopped { .. }
            | Move::Delivering
            | Move::Parked { .. }
            | Move::Released { .. } => {}
        }
    }

    fn settle(&mut self, which: Which, position: u64) {
        assert!(
            self.envelopes.contains_key(&which),
            "{which:?} is settled but was never sent"
        );
        assert!(
            self.settled.insert(which, position).is_none(),
            "{which:?} is settled twice"
        );
        self.open.remove(&which);
        self.settlements.entry(position).or_default().push(which);
    }

    fn handle(&mut self, step: &Step<'_>, position: u64) {
        // The outcome of a parked delivery comes again once it is released.
        let is_outcome = matches!(step.cause, Cause::Outcome { .. } | Cause::Timer(_));
        if !(is_outcome && step.verdict == StepVerdict::Parked) {
            let before = self.handled.insert(identity(&step.cause), position);
            assert!(before.is_none(), "{step:?} was handled twice");
        }
    }

    /// Where the message was handled.
    pub(crate) fn handled_at(&self, cause: &Cause<'_>) -> Option<u64> {
        self.handled.get(&identity(cause)).copied()
    }

    /// Deliveries without a settlement, in order.
    pub(crate) fn open(&self) -> Vec<Which> {
        self.open.iter().copied().collect()
    }

    /// Deliveries of a channel below `number` without a durable settlement.
    pub(crate) fn unsettled_below(
        &self,
        (channel, number): Which,
        durable: u64,
    ) -> impl Iterator<Item = Which> {
        let open = self.open.range((channel, 0)..(channel, number));
        let late = self.settlements.range(durable + 1..);
        let late = late.flat_map(|(_, which)| which);
        open.chain(late.filter(move |(of, lower)| *of == channel && *lower < number))
            .copied()
    }
}

/// What makes a cause the same as another.
fn identity(cause: &Cause<'_>) -> String {
    match *cause {
        Cause::Delivered {
            sender,
            channel,
            number,
            ..
        } => format!("{sender}/{channel}#{number}"),
        Cause::Outcome { delivery, what, .. } => format!("{delivery:?} {what:?}"),
        cause => format!("{cause:?}"),
    }
}
