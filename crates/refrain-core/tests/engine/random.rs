//! Thousands of schedules drawn from seeds: messages, duplicates, outcomes of every kind, partial
//! durability, crashes, snapshots, commands. The world checks every effect; at the end everything
//! that was sent is settled.
//!
//! `REFRAIN_SCHEDULES=100000` runs more of them, `REFRAIN_SEED=17` runs one.

use std::time::Duration;

use refrain_core::port::destination::{Attempted, Delivery, Reply};
use refrain_core::{
    ChannelOptions, Command, Delay, Encoding, InDoubt, MessageId, Name, Order, RedeliveryPolicy,
};

use crate::world::destination::{Script, failed, failed_for, prompt, reply};
use crate::world::worker::{Act, Ask, Do, Worker};
use crate::world::{Fault, Sync, World, seconds};

const CHANNELS: [&str; 5] = ["ask", "ask-too", "tell", "tell-too", "rest"];
const SCHEDULES: u64 = 600;

/// Numbers that follow from a seed (SplitMix64).
#[derive(Debug, Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        let index = self.below(of.len() as u64);
        of[usize::try_from(index).unwrap()].clone()
    }
}

/// One schedule under way.
struct Schedule {
    world: World<Worker>,
    dice: Dice,
    /// Identities and messages that were told.
    told: Vec<(MessageId, Do)>,
    sequence: u64,
    count: u64,
    bulk: usize,
}

/// Runs the schedule of `seed`, with a fault if one is given.
pub(crate) fn run(seed: u64, fault: Option<Fault>) {
    let mut dice = Dice(seed);
    let mut world = World::new();
    world.sync = Sync::ByHand;
    world.fault = fault;
    world.add("p", Vec::new());
    world.add("q", Vec::new());
    let bulk = if dice.one_in(100) { 1_300_000 } else { 0 };
    world.node("p").has_backlog = bulk > 0;
    world.node("q").has_backlog = bulk > 0;
    let mut schedule = Schedule {
        world,
        dice,
        told: Vec::new(),
        sequence: 0,
        count: 0,
        bulk,
    };
    schedule.wire();
    for node in ["p", "q"] {
        schedule.set_options(node);
        schedule.world.start(node);
    }
    let steps = 20 + schedule.dice.below(if bulk > 0 { 30 } else { 80 });
    for _ in 0..steps {
        schedule.step();
    }
    schedule.finish();
}

impl Schedule {
    fn wire(&mut self) {
        for channel in ["ask", "ask-too", "tell", "rest"] {
            let script = wild(self.dice.roll());
            self.world.destination("p", channel, script);
        }
        for channel in ["ask", "ask-too", "tell-too", "rest"] {
            let script = wild(self.dice.roll());
            self.world.destination("q", channel, script);
        }
        for node in ["p", "q"] {
            let script = wild(self.dice.roll());
            self.world.other_destination(node, "other", script);
        }
        // To each other, and to itself.
        self.world.connect("p", "tell-too", "q");
        self.world
            .connect("q", "tell", if self.dice.one_in(2) { "q" } else { "p" });
    }

    fn set_options(&mut self, node: &'static str) {
        let dice = &mut self.dice;
        let channels = CHANNELS.map(|channel| (channel, options(dice)));
        self.world.node(node).settings.channels = channels.to_vec();
    }

    fn step(&mut self) {
        let node = self.dice.pick(&["p", "p", "q"]);
        match self.dice.below(24) {
            0..=8 => self.tell(node),
            9 => self.tell_again(node),
            10 => _ = self.world.look(node),
            11..=13 => {
                let entries = 1 + self.dice.below(4);
                let entries = usize::try_from(entries).unwrap();
                self.world.make_durable(node, entries);
            }
            14 => self.world.make_all_durable(node),
            15..=18 => {
                let micros = self.dice.below(4_000_000);
                self.world.run(Duration::from_micros(micros));
            }
            19 => self.world.run(seconds(self.dice.clone().below(30))),
            20 => self.world.snapshot(node),
            21 => self.late_outcome(),
            22 => self.command(node),
            _ => self.crash(node),
        }
    }

    fn crash(&mut self, node: &'static str) {
        let kept = usize::try_from(self.dice.below(6)).unwrap();
        self.world.crash(node, kept);
        if self.dice.one_in(2) {
            self.world.run(seconds(3));
        }
        if self.dice.one_in(3) {
            self.set_options(node);
        }
        self.world.start(node);
    }

    fn tell(&mut self, node: &'static str) {
        self.count += 1;
        let message = message(&mut self.dice, 3, self.bulk);
        let id = match self.dice.below(4) {
            0 => {
                self.sequence += 1 + self.dice.below(2);
                MessageId::Sequenced {
                    source: Name::new("bus").unwrap(),
                    number: self.sequence,
                }
            }
            1 => MessageId::Drawn(u128::from(self.count).to_be_bytes()),
            _ => MessageId::given("someone", &self.count.to_string()).unwrap(),
        };
        self.told.push((id.clone(), message.clone()));
        self.world.tell_as(node, id, message);
    }

    fn tell_again(&mut self, node: &'static str) {
        if !self.told.is_empty() {
            let (id, message) = self.dice.pick(&self.told);
            self.world.tell_as(node, id, message);
        }
    }

    /// Something is heard of an attempt that was made long ago.
    fn late_outcome(&mut self) {
        if self.world.sent.is_empty() {
            return;
        }
        let sent = self.dice.pick(&self.world.sent);
        let node = self.world.node(sent.from);
        let name = sent.delivery.channel;
        let channels = &node.stream.facts().channels;
        let Some(channel) = channels.iter().position(|channel| channel == name) else {
            return;
        };
        let channel = u16::try_from(channel).unwrap();
        let which = (channel, sent.delivery.number);
        let envelope = node.stream.facts().envelopes.get(&which);
        if envelope.is_none_or(|envelope| envelope.key != sent.delivery.key)
            || node.attempts.get(&which) == Some(&sent.delivery.attempt)
        {
            return;
        }
        let ended = self
            .dice
            .pick(&[reply(7), failed("late"), Attempted::NotResponding]);
        self.world
            .outcome(sent.from, &sent.delivery, channel, ended);
    }

    fn command(&mut self, node: &'static str) {
        let channel = self
            .dice
            .pick(&["ask", "ask-too", "tell", "tell-too", "rest", "later"]);
        let is_elsewhere = (node, channel) == ("p", "tell-too") || (node, channel) == ("q", "tell");
        let command = match self.dice.below(4) {
            0 if !is_elsewhere => Command::Redirect {
                destination: Name::new("other").unwrap(),
                in_doubt: self.dice.pick(&[InDoubt::Wait, InDoubt::Move]),
            },
            _ => Command::Deliver,
        };
        self.world.command(node, channel, command);
    }

    /// Everything works from now on, and all that was put off is done.
    fn finish(&mut self) {
        self.world.sync = Sync::AtOnce;
        for node in ["p", "q"] {
            self.world.make_all_durable(node);
            for target in ["ask", "ask-too", "tell", "tell-too", "rest", "other"] {
                let is_wired =
                    (node, target) == ("p", "tell-too") || (node, target) == ("q", "tell");
                if !is_wired {
                    self.world.destination(node, target, prompt());
                }
            }
        }
        for node in ["p", "q"] {
            // More than whatever waits for events waits for.
            let acts = vec![Act::Note(0); 50];
            self.world.tell(node, Do(acts));
        }
        for _ in 0..6 {
            for node in ["p", "q"] {
                for channel in CHANNELS {
                    let destination = Name::new("other").unwrap();
                    if (node, channel) != ("p", "tell-too") && (node, channel) != ("q", "tell") {
                        let in_doubt = InDoubt::Move;
                        let redirect = Command::Redirect {
                            destination,
                            in_doubt,
                        };
                        self.world.command(node, channel, redirect);
                    }
                    self.world.command(node, channel, Command::Deliver);
                }
                self.world.command(node, "later", Command::Deliver);
            }
            self.world.run(seconds(100));
            self.world.check();
            if self.world.nodes.values().all(|node| node.is_done()) {
                break;
            }
            for node in ["p", "q"] {
                self.world.restart(node);
            }
        }
        for node in self.world.nodes.values() {
            node.check_done();
        }
    }
}

fn options(dice: &mut Dice) -> ChannelOptions {
    let mut options = ChannelOptions::from(RedeliveryPolicy {
        redelivery_max: u32::try_from(dice.below(4)).unwrap(),
        restart_max: u32::try_from(dice.below(2)).unwrap(),
        redelivery_delay: match dice.below(3) {
            0 => Delay::Exponential {
                first: Duration::from_millis(100),
                longest: seconds(2),
                jitter: 0.5,
            },
            _ => Delay::Fixed(Duration::from_millis(300)),
        },
        ..RedeliveryPolicy::default()
    });
    let window = 1 + u32::try_from(dice.below(4)).unwrap();
    options.order = match dice.below(3) {
        0 => Order::Strict,
        1 => Order::PerKey { window },
        _ => Order::Unordered { window },
    };
    if dice.one_in(12) {
        options = options.activated_by_application();
    }
    if dice.one_in(8) {
        options = options.without_side_effects();
    }
    options
}

/// A message that may lead to others, `depth` deep.
fn message(dice: &mut Dice, depth: u64, bulk: usize) -> Do {
    let acts = dice.below(4);
    Do((0..acts).map(|_| act(dice, depth, bulk)).collect())
}

fn act(dice: &mut Dice, depth: u64, bulk: usize) -> Act {
    if depth == 0 {
        return dice.pick(&[Act::Note(1), Act::Draw]);
    }
    let order_key = dice.one_in(2).then(|| dice.below(3));
    let next = |dice: &mut Dice| message(dice, depth - 1, 0);
    let events = usize::try_from(dice.below(40)).unwrap();
    match dice.below(16) {
        0 | 1 => Act::Note(dice.below(100)),
        2 => Act::Draw,
        3..=5 => Act::Ask(ask(dice, order_key, depth, bulk)),
        6 => Act::AskToo(ask(dice, order_key, depth, bulk)),
        7 | 8 => Act::Tell(order_key, next(dice)),
        9 | 10 => Act::TellToo(order_key, next(dice)),
        11 => Act::Rest(next(dice)),
        12 => Act::After(Duration::from_millis(dice.below(3000)), next(dice)),
        13 => Act::BombBelow(events),
        14 => Act::PanicBelow(events),
        _ if depth == 3 => Act::Reject,
        _ => Act::Note(2),
    }
}

fn ask(dice: &mut Dice, order_key: Option<u64>, depth: u64, bulk: usize) -> Ask {
    let mut then = message(dice, depth - 1, 0);
    let mut again = message(dice, depth.saturating_sub(2), 0);
    for acts in [&mut then.0, &mut again.0] {
        acts.retain(|act| *act != Act::Reject);
    }
    Ask {
        what: dice.below(1000),
        order_key,
        padding: "x".repeat(bulk),
        least: dice.below(2),
        failures_max: dice.one_in(4).then_some(1),
        then,
        again,
    }
}

/// A destination that does anything.
fn wild(seed: u64) -> Script {
    let mut dice = Dice(seed);
    Box::new(move |delivery: &Delivery| {
        let soon = Duration::from_micros(dice.below(2_000_000));
        let timeout = delivery.timeout;
        match dice.below(12) {
            0 => Vec::new(),
            1 => vec![(soon, failed("no"))],
            2 => vec![(Duration::ZERO, failed("no"))],
            3 => vec![(soon, failed_for("busy", seconds(2)))],
            4 => vec![(timeout + soon, reply(1))],
            5 => vec![(soon, reply(1)), (soon, reply(1))],
            6 => vec![(soon, failed("no")), (timeout, reply(1))],
            7 => vec![(soon, reply(0))],
            8 => vec![(
                soon,
                Attempted::Replied(Reply::new(Encoding::Cbor, b"\xff".as_slice())),
            )],
            9 => vec![(soon, reply(1))],
            _ => vec![(Duration::ZERO, reply(1))],
        }
    })
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// B1.4, B2.1, B3.2, B5.1, B5.3, B7.5, B9.3
#[test]
fn any_schedule_with_crashes_settles_everything_once_and_rebuilds_the_same() {
    if let Some(seed) = number("REFRAIN_SEED") {
        return run(seed, None);
    }
    for seed in 0..number("REFRAIN_SCHEDULES").unwrap_or(SCHEDULES) {
        let outcome = std::panic::catch_unwind(|| run(seed, None));
        assert!(outcome.is_ok(), "REFRAIN_SEED={seed} repeats this");
    }
}
