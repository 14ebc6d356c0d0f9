//! What holds whatever happens.

use refrain_core::port::destination::Delivery;
use refrain_core::{ChannelKind, Engine, Entry, Moment, Order, Position, Timestamp};

use super::node::{Node, image};
use super::{Fault, Tested};

impl<P: Tested> Node<P> {
    /// An attempt leaves: it rests on durable entries, comes in its turn, and is no repetition under
    /// a number that was used before.
    pub(crate) fn check_delivery(&mut self, channel: u16, delivery: &Delivery) {
        let number = delivery.number;
        let which = (channel, number);
        let durable = self.stream.durable() as u64;
        let facts = self.stream.facts();
        let sent = facts.envelopes.get(&which).expect("recorded");
        assert!(sent.position <= durable, "{which:?} left before its step");
        assert_eq!(sent.key, delivery.key, "{which:?} changed its key");
        assert_eq!(
            sent.payload, delivery.request,
            "{which:?} changed its bytes"
        );
        assert!(
            !facts.settled.contains_key(&which),
            "{which:?} was settled before"
        );

        let before = self.attempts.insert(which, delivery.attempt).unwrap_or(0);
        assert!(
            before < delivery.attempt,
            "{which:?}: attempt {} after {before}",
            delivery.attempt
        );
        if delivery.attempt > 1 {
            let announced = facts.announced.get(&(which, delivery.attempt));
            assert!(
                announced.is_some_and(|position| *position <= durable),
                "{which:?}: attempt {} left before its entry",
                delivery.attempt
            );
        }
        assert!(self.under_way.insert(which), "{which:?} is under way");
        self.check_order(channel, number, sent.order_key);
    }

    fn check_order(&self, channel: u16, number: u64, order_key: Option<u64>) {
        let facts = self.stream.facts();
        let name = &facts.channels[usize::from(channel)];
        let options = self.options(name);
        let count = self.under_way.iter().filter(|(of, _)| *of == channel);
        assert!(
            count.count() <= options.order.window() as usize,
            "more than a window is under way"
        );
        if facts.redirected.contains(&channel) || self.kind(name) == ChannelKind::Default {
            return;
        }
        let durable = self.stream.durable() as u64;
        let mut before = facts.unsettled_below((channel, number), durable);
        let in_order = match (options.order, order_key) {
            (Order::Strict, _) => before.next().is_none(),
            (Order::PerKey { .. }, Some(key)) => {
                before.all(|lower| facts.envelopes[&lower].order_key != Some(key))
            }
            _ => true,
        };
        assert!(in_order, "{channel}#{number} overtook another");
    }

    fn kind(&self, channel: &str) -> ChannelKind {
        let route = P::CHANNELS.iter().find(|route| route.name() == channel);
        route.expect("the code has it").kind()
    }

    /// A rebuilt processor is the live one, from the start or from any snapshot.
    pub(crate) fn check_replay(&self, fault: Option<Fault>) {
        let Some(engine) = &self.engine else {
            return;
        };
        if engine.head().get() != self.stream.len() as u64 {
            return;
        }
        self.check_rebuilt(None, fault);
        for (position, snapshot) in self.snapshots.iter().chain(&self.pending_snapshots) {
            self.check_vouched_for(*position, snapshot);
            self.check_rebuilt(Some(snapshot), fault);
        }
    }

    /// The entry after a snapshot is its watermark.
    fn check_vouched_for(&self, position: Position, snapshot: &[u8]) {
        let entry = Entry::decode(self.stream.entry(position.next()));
        let Ok(Entry::Watermark(watermark)) = entry else {
            panic!("{entry:?} after a snapshot at {position}");
        };
        assert!(watermark.vouches_for(snapshot), "at {position}");
    }

    fn check_rebuilt(&self, snapshot: Option<&[u8]>, fault: Option<Fault>) {
        let engine = self.engine.as_ref().expect("looked at");
        let rebuilt = self.replay(snapshot, fault).expect("replays");
        assert_eq!(
            rebuilt.state(),
            engine.state(),
            "a replay gives another state"
        );
        // How much of a long channel is in memory depends on who had to load it.
        if !self.has_backlog {
            assert_same(&image(&rebuilt), &self.image());
        }
        let owed = |engine: &Engine<P>| -> Vec<_> {
            let channels = engine.channels(Timestamp::EPOCH).into_iter();
            let owed = channels.map(|c| {
                let counts = (c.pending, c.parked, c.in_doubt);
                (c.name, counts, c.destination)
            });
            owed.collect()
        };
        let moment = Moment {
            now: rebuilt.time(),
            seed: 0,
        };
        let next = Engine::begin(rebuilt, self.settings.clone(), &self.writer(), moment);
        assert_eq!(owed(&next), owed(engine), "a replay owes something else");
    }

    pub(crate) fn is_done(&self) -> bool {
        self.stream.facts().open().is_empty()
    }

    /// Everything that was sent is settled, and nothing is on its way.
    pub(crate) fn check_done(&self) {
        assert_eq!(self.stream.facts().open(), [], "deliveries are left");
        assert!(self.under_way.is_empty(), "attempts are under way");
    }
}

fn assert_same(rebuilt: &[u8], live: &[u8]) {
    let place = rebuilt.iter().zip(live).position(|(a, b)| a != b);
    assert!(
        rebuilt == live,
        "a replay gives another ledger: {} and {} bytes, the first difference at {place:?}",
        rebuilt.len(),
        live.len()
    );
}
