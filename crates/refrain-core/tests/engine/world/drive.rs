//! What a driver does: appends, tells what is durable, performs effects, and lets time pass.

use std::time::Duration;

use refrain_core::port::destination::{Attempted, Delivery, Reply};
use refrain_core::{
    DeliveredId, Effect, Input, MessageId, Name, StoredAnswer, Ticket, Timestamp, stored_answer,
};

use super::{Fault, Happening, Sent, Sync, Target, Tested, Told, Waiter, World};

/// How often the clock may stand still before the engine counts as spinning.
const STEPS_AT_ONE_TIME_MAX: u32 = 100_000;

impl<P: Tested> World<P> {
    /// Does what a driver does after a step, until there is nothing left to do at this time.
    pub(super) fn follow_up(&mut self, name: &'static str) {
        loop {
            let effects: Vec<Effect<P>> = self.node(name).engine().drain_effects().collect();
            let is_quiet = effects.is_empty();
            for effect in effects {
                self.perform(name, effect);
            }
            let (now, fault) = (self.now, self.fault);
            let moment = self.moment();
            let node = self.nodes.get_mut(name).expect("there is such a node");
            let engine = node.engine.as_mut().expect("the node runs");
            if let Some((at, batch)) = engine.take_batch(now) {
                node.stream.append(at, &batch);
                if fault == Some(Fault::EffectsBeforeDurable) {
                    let head = engine.head();
                    engine.step(moment, Input::Durable(head));
                    continue;
                }
            }
            if self.sync == Sync::AtOnce && node.stream.len() > node.stream.durable() {
                let durable = node.stream.sync(usize::MAX / 2);
                engine.step(moment, Input::Durable(durable));
                self.keep_snapshots(name);
                continue;
            }
            if engine.spoiled().is_some() {
                self.rebuild(name);
                continue;
            }
            if is_quiet {
                return;
            }
        }
    }

    /// The engine is spoiled: what it appended becomes durable, and a new one takes over.
    fn rebuild(&mut self, name: &'static str) {
        let moment = self.moment();
        let node = self.node(name);
        if node.stream.len() > node.stream.durable() {
            let durable = node.stream.sync(usize::MAX / 2);
            node.engine().step(moment, Input::Durable(durable));
            let effects: Vec<Effect<P>> = node.engine().drain_effects().collect();
            for effect in effects {
                self.perform(name, effect);
            }
        }
        let node = self.node(name);
        let spoiled = node.engine().spoiled().cloned();
        let replay = node.replay(None, None).expect("replays");
        node.start(replay, moment, spoiled, None);
        let incarnation = node.incarnation;
        // Whoever waits still does: the spoiled engine's callers are the new one's.
        for waiting in self.waiting.values_mut() {
            if waiting.node == name {
                waiting.incarnation = incarnation;
            }
        }
    }

    fn perform(&mut self, name: &'static str, effect: Effect<P>) {
        match effect {
            Effect::Answer { ticket, result } => {
                let told = match result {
                    Ok(answer) => Told::Answer(answer),
                    Err(error) => Told::Refused(error),
                };
                self.told(name, ticket, told);
            }
            Effect::Recall {
                ticket, position, ..
            } => {
                let told = match position {
                    Some(position) => {
                        let stream = &self.nodes[name].stream;
                        assert!(position.get() <= stream.durable() as u64, "not durable yet");
                        Told::Again(stored_answer(stream.entry(position)).unwrap())
                    }
                    None => Told::Forgotten,
                };
                self.told(name, ticket, told);
            }
            Effect::Seen { ticket } => self.told(name, ticket, Told::Seen),
            Effect::Deliver {
                channel,
                destination,
                delivery,
            } => self.deliver(name, channel, destination, *delivery),
            Effect::Load { channel, from } => {
                let incarnation = self.nodes[name].incarnation;
                let loaded = Happening::Loaded {
                    node: name,
                    incarnation,
                    channel,
                    from,
                };
                self.later(Duration::ZERO, loaded);
            }
            Effect::Announce(signal) => self.signals.push(signal),
        }
    }

    fn told(&mut self, name: &'static str, ticket: Ticket, told: Told<P>) {
        let waiting = self.waiting.remove(&ticket).expect("somebody waits");
        let node = self.node(name);
        assert_eq!(
            waiting.incarnation, node.incarnation,
            "asked of this engine"
        );
        let mut head = waiting.head.get();
        if let (Told::Answer(_), Some(id)) = (&told, &waiting.id) {
            let handled = node.stream.facts().handled_at(&id.as_cause());
            head = head.max(handled.expect("answered, so recorded"));
        }
        assert!(
            head <= node.stream.durable() as u64,
            "told before it was durable"
        );
        node.told_up_to = node.told_up_to.max(head);
        match waiting.who {
            Waiter::Test => {
                assert!(self.told.insert(ticket, told).is_none(), "told twice");
                self.told_order.push(ticket);
            }
            Waiter::Delivery {
                sender,
                incarnation,
                channel,
                number,
                attempt,
            } => {
                let mut reply = Vec::new();
                match told {
                    Told::Answer(answer) | Told::Again(StoredAnswer::Answer(answer)) => {
                        P::ENCODING.encode(&answer, &mut reply).unwrap();
                    }
                    Told::Refused(_) | Told::Again(_) | Told::Forgotten | Told::Seen => {}
                }
                let ended = Happening::Ended {
                    node: sender,
                    incarnation,
                    channel,
                    number,
                    attempt,
                    ended: Attempted::Replied(Reply::new(P::ENCODING, reply)),
                };
                self.later(Duration::ZERO, ended);
            }
        }
    }

    fn deliver(
        &mut self,
        name: &'static str,
        channel: u16,
        destination: Option<Name>,
        mut delivery: Delivery,
    ) {
        if self.fault == Some(Fault::ChangeKey) && delivery.attempt > 1 {
            delivery.key = refrain_core::Key::new([9; 16]);
        }
        self.node(name).check_delivery(channel, &delivery);
        self.sent.push(Sent {
            at: self.now,
            from: name,
            destination: destination.clone(),
            delivery: delivery.clone(),
        });
        let target = match &destination {
            Some(destination) => destination.to_string(),
            None => delivery.channel.to_owned(),
        };
        let heard = match self.targets.get_mut(&(name, target.clone())) {
            Some(Target::Script(script)) => script(&delivery),
            Some(Target::Node(to)) => {
                let to = *to;
                self.deliver_to_node(name, channel, to, &delivery);
                Vec::new()
            }
            None => panic!("nothing stands at the end of {target}"),
        };
        let incarnation = self.nodes[name].incarnation;
        let ended = |ended| Happening::Ended {
            node: name,
            incarnation,
            channel,
            number: delivery.number,
            attempt: delivery.attempt,
            ended,
        };
        for (after, attempted) in heard {
            self.later(after, ended(attempted));
        }
        self.later(delivery.timeout, ended(Attempted::NotResponding));
    }

    fn deliver_to_node(
        &mut self,
        sender: &'static str,
        channel: u16,
        to: &'static str,
        delivery: &Delivery,
    ) {
        let who = Waiter::Delivery {
            sender,
            incarnation: self.nodes[sender].incarnation,
            channel,
            number: delivery.number,
            attempt: delivery.attempt,
        };
        let id = MessageId::Delivered(Box::new(DeliveredId {
            sender: Name::new(sender).unwrap(),
            channel: Name::new(delivery.channel).unwrap(),
            number: delivery.number,
            settled_below: delivery.settled_below,
            key: delivery.key,
            correlation: delivery.correlation,
        }));
        let message = delivery.encoding.decode(&delivery.request).unwrap();
        let arrived = Happening::Arrived {
            to,
            id,
            message,
            who,
        };
        self.later(Duration::ZERO, arrived);
    }

    fn later(&mut self, after: Duration, what: Happening<P>) {
        self.count += 1;
        self.queue.insert((self.now + after, self.count), what);
    }

    /// Lets time pass until nothing more happens before `end`.
    pub(crate) fn run_until(&mut self, end: Timestamp) {
        let mut steps = 0;
        loop {
            let happening = self.queue.first_key_value().map(|((at, _), _)| *at);
            let due = self.next_due();
            let next = [happening, due.map(|(at, _)| at)].into_iter().flatten();
            let Some(next) = next.min().filter(|next| *next <= end) else {
                break;
            };
            steps = if next > self.now { 0 } else { steps + 1 };
            assert!(steps < STEPS_AT_ONE_TIME_MAX, "time stands still");
            self.now = self.now.max(next);
            match (happening, due) {
                (Some(at), _) if at <= self.now => {
                    let (_, what) = self.queue.pop_first().expect("looked at");
                    self.happen(what);
                }
                (_, Some((_, name))) => self.input(name, Input::Tick),
                _ => unreachable!("one of them was the next"),
            }
        }
        self.now = self.now.max(end);
    }

    pub(crate) fn run(&mut self, span: Duration) {
        self.run_until(self.now + span);
    }

    fn next_due(&mut self) -> Option<(Timestamp, &'static str)> {
        let nodes = self.nodes.iter();
        let due = nodes.filter_map(|(name, node)| {
            let engine = node.engine.as_ref()?;
            Some((engine.next_due()?, *name))
        });
        due.min()
    }

    fn happen(&mut self, what: Happening<P>) {
        match what {
            Happening::Ended {
                node: name,
                incarnation,
                channel,
                number,
                attempt,
                ended,
            } => {
                let node = self.node(name);
                if node.incarnation != incarnation || node.engine.is_none() {
                    return;
                }
                let is_last = node.attempts.get(&(channel, number)) == Some(&attempt);
                let is_first = is_last && node.under_way.remove(&(channel, number));
                if !is_first && ended == Attempted::NotResponding {
                    return;
                }
                self.input(
                    name,
                    Input::Attempted {
                        channel,
                        number,
                        attempt,
                        ended,
                    },
                );
            }
            Happening::Arrived {
                to,
                id,
                message,
                who,
            } => {
                if self.nodes[to].engine.is_some() {
                    self.message(to, id, message, who);
                }
            }
            Happening::Loaded {
                node: name,
                incarnation,
                channel,
                from,
            } => {
                let node = self.node(name);
                if node.incarnation == incarnation && node.engine.is_some() {
                    let entries = node.stream.read(from, 64);
                    self.input(name, Input::Loaded { channel, entries });
                }
            }
        }
    }
}
