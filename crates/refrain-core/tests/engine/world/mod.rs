//! Processors, their streams and their destinations in virtual time.
//!
//! The world does what a driver does: it appends what an engine gives, tells it what is durable,
//! performs its effects, and ends attempts whose time is up. Every effect is checked against the
//! entries themselves, read without the engine.

mod check;
pub(crate) mod destination;
mod drive;
mod node;
mod stream;
pub(crate) mod worker;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::time::Duration;

use refrain_core::port::destination::{Attempted, Delivery};
use refrain_core::{
    Actor, AskError, ChannelOptions, ChannelStatus, Command, Input, MessageId, Moment, Name,
    Position, Processor, Signal, StoredAnswer, Ticket, Timestamp,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use destination::Script;
pub(crate) use node::{Node, save};
use worker::Worker;

/// A processor that the world can compare and store.
pub(crate) trait Tested:
    Processor<Message: Clone> + Default + Debug + PartialEq + Serialize + DeserializeOwned
{
}

impl<P> Tested for P where
    P: Processor<Message: Clone> + Default + Debug + PartialEq + Serialize + DeserializeOwned
{
}

/// What a faulty driver or journal would do; each must be noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    EffectsBeforeDurable,
    DropEntry,
    ReplayTwice,
    ForgetInbox,
    ChangeKey,
    CountAttemptsAnew,
    LoseAcknowledged,
    WiderWindow,
}

/// When what was appended becomes durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sync {
    AtOnce,
    /// When the test says so.
    ByHand,
}

pub(crate) struct World<P: Tested = Worker> {
    pub(crate) now: Timestamp,
    pub(crate) sync: Sync,
    pub(crate) fault: Option<Fault>,
    pub(crate) nodes: BTreeMap<&'static str, Node<P>>,
    /// Every attempt that left, in order.
    pub(crate) sent: Vec<Sent>,
    /// What was told to those who asked.
    pub(crate) told: HashMap<Ticket, Told<P>>,
    /// In which order.
    pub(crate) told_order: Vec<Ticket>,
    pub(crate) signals: Vec<Signal>,
    targets: HashMap<(&'static str, String), Target>,
    /// What will happen, by time.
    queue: BTreeMap<(Timestamp, u64), Happening<P>>,
    waiting: HashMap<Ticket, Waiting>,
    count: u64,
    seed: u64,
}

/// An attempt that left.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) at: Timestamp,
    pub(crate) from: &'static str,
    pub(crate) destination: Option<Name>,
    pub(crate) delivery: Delivery,
}

enum Target {
    Script(Script),
    Node(&'static str),
}

enum Happening<P: Processor> {
    /// A delivery reaches another processor.
    Arrived {
        to: &'static str,
        id: MessageId,
        message: P::Message,
        who: Waiter,
    },
    Ended {
        node: &'static str,
        incarnation: u64,
        channel: u16,
        number: u64,
        attempt: u32,
        ended: Attempted,
    },
    Loaded {
        node: &'static str,
        incarnation: u64,
        channel: u16,
        from: Position,
    },
}

/// Who waits for something that rests at least on the entry `head`.
struct Waiting {
    node: &'static str,
    incarnation: u64,
    head: Position,
    /// The message, if it is one.
    id: Option<MessageId>,
    who: Waiter,
}

enum Waiter {
    Test,
    Delivery {
        sender: &'static str,
        incarnation: u64,
        channel: u16,
        number: u64,
        attempt: u32,
    },
}

#[derive(Debug)]
pub(crate) enum Told<P: Processor> {
    Answer(P::Answer),
    Refused(AskError<P::Rejection>),
    Again(StoredAnswer<P>),
    Forgotten,
    Seen,
}

/// A number that stands for the n-th second.
pub(crate) fn second(n: u64) -> Timestamp {
    Timestamp::from_micros(n * 1_000_000)
}

pub(crate) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

impl<P: Tested> World<P> {
    pub(crate) fn new() -> World<P> {
        worker::silence_panics();
        World {
            now: second(1000),
            sync: Sync::AtOnce,
            fault: None,
            nodes: BTreeMap::new(),
            sent: Vec::new(),
            told: HashMap::new(),
            told_order: Vec::new(),
            signals: Vec::new(),
            targets: HashMap::new(),
            queue: BTreeMap::new(),
            waiting: HashMap::new(),
            count: 0,
            seed: 1,
        }
    }

    /// A world with one processor called `p` that has begun.
    pub(crate) fn of_one(channels: Vec<(&'static str, ChannelOptions)>) -> World<P> {
        let mut world = World::new();
        world.add("p", channels);
        world.start("p");
        world
    }

    pub(crate) fn add(
        &mut self,
        name: &'static str,
        channels: Vec<(&'static str, ChannelOptions)>,
    ) {
        self.nodes.insert(name, Node::new(name, channels));
    }

    /// What stands at the end of a channel of `node`.
    pub(crate) fn destination(&mut self, node: &'static str, channel: &str, script: Script) {
        let target = Target::Script(script);
        self.targets.insert((node, channel.to_owned()), target);
    }

    /// What stands at the end of a channel of `node` after it was redirected to `name`.
    pub(crate) fn other_destination(&mut self, node: &'static str, name: &str, script: Script) {
        self.destination(node, name, script);
    }

    /// Another processor stands at the end of a channel.
    pub(crate) fn connect(&mut self, node: &'static str, channel: &str, to: &'static str) {
        let target = Target::Node(to);
        self.targets.insert((node, channel.to_owned()), target);
    }

    pub(crate) fn node(&mut self, name: &'static str) -> &mut Node<P> {
        self.nodes.get_mut(name).expect("there is such a node")
    }

    pub(crate) fn state(&self, name: &'static str) -> &P {
        let engine = self.nodes[name].engine.as_ref();
        engine.expect("the node runs").state()
    }

    pub(crate) fn channel(&self, node: &'static str, name: &str) -> ChannelStatus {
        let engine = self.nodes[node].engine.as_ref().expect("the node runs");
        let channels = engine.channels(self.now);
        let found = channels.into_iter().find(|c| c.name.as_str() == name);
        found.expect("there is such a channel")
    }

    fn moment(&mut self) -> Moment {
        self.seed = self.seed.wrapping_mul(0x5851_f42d_4c95_7f2d) + 1;
        Moment {
            now: self.now,
            seed: self.seed,
        }
    }

    /// Replays what is there and begins a new epoch.
    pub(crate) fn start(&mut self, name: &'static str) {
        let moment = self.moment();
        let fault = self.fault;
        let node = self.node(name);
        let newest = node.snapshots.last().map(|(_, bytes)| bytes.clone());
        assert!(
            node.stream.len() as u64 >= node.told_up_to,
            "something was told that is lost"
        );
        let replay = node.replay(newest.as_deref(), fault).expect("replays");
        node.start(replay, moment, None, fault);
        if fault == Some(Fault::CountAttemptsAnew) {
            // As if the engine had begun to count again.
            node.attempts.values_mut().for_each(|attempt| *attempt += 5);
        }
        self.follow_up(name);
    }

    /// Ends a node as a power loss would; `kept` entries that were not durable are there afterwards.
    pub(crate) fn crash(&mut self, name: &'static str, kept: usize) {
        let fault = self.fault;
        let node = self.node(name);
        node.check_replay(fault);
        node.engine = None;
        if fault == Some(Fault::LoseAcknowledged) {
            node.stream.lose_durable();
        }
        node.stream.crash(kept);
        let left = node.stream.len() as u64;
        node.snapshots.append(&mut node.pending_snapshots);
        node.snapshots.retain(|(position, _)| position.get() < left);
        self.waiting.retain(|_, waiting| waiting.node != name);
    }

    pub(crate) fn restart(&mut self, name: &'static str) {
        self.crash(name, usize::MAX / 2);
        self.start(name);
    }

    /// Stores a snapshot as soon as the entry that vouches for it is durable.
    pub(crate) fn snapshot(&mut self, name: &'static str) {
        let now = self.now;
        let node = self.node(name);
        let taken = node.engine().snapshot(now, node::save::<P>).unwrap();
        node.pending_snapshots.push(taken);
        self.follow_up(name);
        self.keep_snapshots(name);
    }

    fn keep_snapshots(&mut self, name: &'static str) {
        let node = self.node(name);
        let durable = node.stream.durable() as u64;
        let (kept, pending) = std::mem::take(&mut node.pending_snapshots)
            .into_iter()
            .partition(|(position, _)| position.get() < durable);
        node.snapshots.extend::<Vec<_>>(kept);
        node.pending_snapshots = pending;
    }

    pub(crate) fn tell_as(
        &mut self,
        name: &'static str,
        id: MessageId,
        message: P::Message,
    ) -> Ticket {
        self.message(name, id, message, Waiter::Test)
    }

    /// Tells a message under an identity that is new.
    pub(crate) fn tell(&mut self, name: &'static str, message: P::Message) -> Ticket {
        self.count += 1;
        let id = MessageId::given("test", &format!("message {}", self.count)).unwrap();
        self.tell_as(name, id, message)
    }

    fn message(
        &mut self,
        name: &'static str,
        id: MessageId,
        message: P::Message,
        who: Waiter,
    ) -> Ticket {
        self.count += 1;
        let ticket = self.count;
        let input = Input::Message {
            id,
            message,
            ticket: Some(ticket),
        };
        self.wait_for(name, ticket, who, input);
        ticket
    }

    /// Looks at the state, and is told when what was seen is durable.
    pub(crate) fn look(&mut self, name: &'static str) -> Ticket {
        self.count += 1;
        let ticket = self.count;
        self.wait_for(name, ticket, Waiter::Test, Input::Looked { ticket });
        ticket
    }

    fn wait_for(&mut self, name: &'static str, ticket: Ticket, who: Waiter, input: Input<P>) {
        let moment = self.moment();
        let id = match &input {
            Input::Message { id, .. } => Some(id.clone()),
            _ => None,
        };
        let node = self.node(name);
        let waiting = Waiting {
            node: name,
            incarnation: node.incarnation,
            head: node.engine().head(),
            id,
            who,
        };
        node.engine().step(moment, input);
        self.waiting.insert(ticket, waiting);
        self.follow_up(name);
    }

    pub(crate) fn input(&mut self, name: &'static str, input: Input<P>) {
        let moment = self.moment();
        self.node(name).engine().step(moment, input);
        self.follow_up(name);
    }

    pub(crate) fn command(&mut self, name: &'static str, channel: &str, command: Command) {
        let channel = Name::new(channel).unwrap();
        let by = Actor::Operator;
        let input = Input::Command {
            channel,
            by,
            command,
        };
        self.input(name, input);
    }

    /// Something is heard of an attempt, as it might be of a late one.
    pub(crate) fn outcome(
        &mut self,
        name: &'static str,
        of: &Delivery,
        channel: u16,
        ended: Attempted,
    ) {
        let which = (channel, of.number);
        let node = self.node(name);
        if node.attempts.get(&which) == Some(&of.attempt) {
            node.under_way.remove(&which);
        }
        let input = Input::Attempted {
            channel,
            number: of.number,
            attempt: of.attempt,
            ended,
        };
        self.input(name, input);
    }

    /// Makes up to `entries` more entries of a node durable.
    pub(crate) fn make_durable(&mut self, name: &'static str, entries: usize) {
        let moment = self.moment();
        let node = self.node(name);
        if node.stream.len() > node.stream.durable() {
            let durable = node.stream.sync(entries);
            node.engine().step(moment, Input::Durable(durable));
            self.keep_snapshots(name);
            self.follow_up(name);
        }
    }

    pub(crate) fn make_all_durable(&mut self, name: &'static str) {
        while self.nodes[name].stream.len() > self.nodes[name].stream.durable() {
            self.make_durable(name, usize::MAX / 2);
        }
    }

    /// Checks that every processor could be rebuilt as it is now.
    pub(crate) fn check(&self) {
        for node in self.nodes.values() {
            node.check_replay(self.fault);
        }
    }

    /// The times in whole seconds since `from` at which attempts left, and which they were.
    pub(crate) fn attempts_since(&self, from: Timestamp) -> Vec<(u64, u64, u32)> {
        self.sent
            .iter()
            .filter(|sent| sent.at >= from)
            .map(|sent| {
                let after = sent.at.since(from).as_secs();
                (after, sent.delivery.number, sent.delivery.attempt)
            })
            .collect()
    }
}
