//! Requests and replies, with the order processor of the seed article.

use std::time::Duration;

use refrain_core::port::destination::{Attempted, Delivery, Reply};
use refrain_core::{
    ChannelOptions, Channels, Encoded, Encoding, Entry, Outbox, Outcome, Processor,
    RecordedMessage, RequestReply, Settlement, Signal,
};
use serde::{Deserialize, Serialize};

use crate::world::destination::{failed, failing, prompt, reply, scripted, silent};
use crate::world::worker::{Act, Ask, Do, Event, Worker, ask};
use crate::world::{Sync, World, seconds};

/// The order processor: an order is pending until its card is validated or not.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Orders {
    orders: Vec<Status>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Status {
    Pending,
    Accepted,
    Declined,
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum OrderEvent {
    Stored,
    Decided(usize, Status),
}

const VALIDATION: RequestReply<Orders, usize, u64> =
    RequestReply::new("validation", Orders::on_validation);

impl Processor for Orders {
    type Message = ();
    type Event = OrderEvent;
    type Answer = usize;
    type Rejection = ();
    const CHANNELS: Channels<Orders> = &[&VALIDATION];

    fn decide(&self, (): &(), out: &mut Outbox<Orders>) -> Result<usize, ()> {
        let id = self.orders.len();
        out.event(OrderEvent::Stored).request(&VALIDATION, &id);
        Ok(id)
    }

    fn apply(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::Stored => self.orders.push(Status::Pending),
            OrderEvent::Decided(id, status) => self.orders[*id] = *status,
        }
    }
}

impl Orders {
    fn on_validation(
        &self,
        asked: &usize,
        outcome: Outcome<u64>,
        out: &mut Outbox<Orders>,
    ) -> Settlement {
        let id = *asked;
        let decided = match outcome {
            Outcome::Reply(_) if self.orders[id] != Status::Pending => return Settlement::Confirm,
            Outcome::Reply(0) => Status::Declined,
            Outcome::Reply(_) => Status::Accepted,
            Outcome::DestinationFailure { failure_count, .. } if failure_count > 2 => {
                Status::Failed
            }
            Outcome::DestinationFailure { .. } | Outcome::DestinationNotResponding { .. } => {
                return Settlement::Redeliver;
            }
        };
        out.event(OrderEvent::Decided(id, decided));
        Settlement::Confirm
    }
}

fn orders() -> World<Orders> {
    World::of_one(Vec::new())
}

/// B7.4
#[test]
fn failure_is_delivered_again_until_it_came_more_than_twice() {
    let mut world = orders();
    world.destination("p", "validation", failing());
    let start = world.now;
    world.tell("p", ());
    world.run(seconds(100));
    assert_eq!(
        world.attempts_since(start),
        [(0, 1, 1), (1, 1, 2), (2, 1, 3)]
    );
    assert_eq!(world.state("p").orders, [Status::Failed]);
    world.node("p").check_done();
}

/// B7.4
#[test]
fn silence_always_asks_for_redelivery_until_the_channel_stops() {
    let mut world = orders();
    world.destination("p", "validation", silent());
    world.tell("p", ());
    world.run(seconds(100));
    assert_eq!(world.sent.len(), 8);
    assert_eq!(world.state("p").orders, [Status::Pending]);
    let stopped = |signal: &Signal| matches!(signal, Signal::DeliveryStopped { .. });
    assert!(world.signals.iter().any(stopped));
}

/// B7.1
#[test]
fn reply_is_recorded_with_the_encoding_it_came_in() {
    let mut world = orders();
    let json = Reply::new(Encoding::Json, "1");
    let script = vec![vec![(seconds(0), Attempted::Replied(json))]];
    world.destination("p", "validation", scripted(script));
    world.tell("p", ());
    world.run(seconds(1));
    assert_eq!(world.state("p").orders, [Status::Accepted]);
    let last = world.nodes["p"].stream.entries().last().unwrap();
    let Ok(Entry::Step(step)) = Entry::decode(last) else {
        panic!("a step")
    };
    let came = Encoded {
        encoding: Encoding::Json,
        bytes: b"1",
    };
    assert_eq!(
        step.encoding,
        Encoding::Cbor,
        "the control: not the processor's"
    );
    assert_eq!(step.message, RecordedMessage::Reply(came));
}

/// B7.4
#[test]
fn late_reply_to_an_order_that_is_no_longer_pending_changes_nothing() {
    let mut world = orders();
    world.destination("p", "validation", failing());
    world.tell("p", ());
    world.run(seconds(10));
    let delivery = world.sent[0].delivery.clone();
    world.outcome("p", &delivery, 0, reply(1));
    assert_eq!(world.state("p").orders, [Status::Failed]);
    assert!(matches!(
        world.signals.last(),
        Some(Signal::LateOutcome { .. })
    ));
    assert_eq!(world.channel("p", "validation").late_outcomes, 1);
}

/// B7.1, B7.8
#[test]
fn recovery_never_asks_again_even_if_the_destination_would_answer_differently() {
    let mut world = orders();
    world.destination("p", "validation", prompt());
    world.tell("p", ());
    world.run(seconds(1));
    world.snapshot("p");
    let refuses = |_: &Delivery| vec![(Duration::ZERO, reply(0))];
    world.destination("p", "validation", Box::new(refuses));
    for _ in 0..3 {
        world.restart("p");
        world.run(seconds(100));
    }
    assert_eq!(world.sent.len(), 1);
    assert_eq!(world.state("p").orders, [Status::Accepted]);
}

/// B7.2
#[test]
fn failure_count_is_that_of_recorded_outcomes_and_survives_crashes() {
    let mut world: World = World::of_one(Vec::new());
    let no = || vec![(Duration::ZERO, failed("no"))];
    let script = vec![no(), Vec::new(), Vec::new(), no(), no()];
    world.destination("p", "ask", scripted(script));
    world.tell("p", ask(1));
    // The third attempt is under way and cut short.
    world.run(seconds(8));
    assert_eq!(world.sent.len(), 3);
    world.restart("p");
    world.run(Duration::from_millis(1500));
    let (what, failing, silent) = (1, 1, 2);
    let expected = [
        Event::Failing {
            what,
            failure_count: failing,
        },
        Event::Silent {
            what,
            failure_count: silent,
        },
        Event::Failing {
            what,
            failure_count: 3,
        },
        Event::Failing {
            what,
            failure_count: 4,
        },
    ];
    assert_eq!(world.state("p").log, expected);
    let attempts: Vec<u32> = world.sent.iter().map(|s| s.delivery.attempt).collect();
    assert_eq!(attempts, [1, 2, 3, 4, 5]);
}

/// B7.3
#[test]
fn reply_that_is_not_accepted_is_asked_for_again_with_the_same_key() {
    let mut world: World = World::of_one(Vec::new());
    let replies = (0..3).map(|n| vec![(Duration::ZERO, reply(n))]).collect();
    world.destination("p", "ask", scripted(replies));
    world.destination("p", "tell", prompt());
    let picky = Ask {
        least: 2,
        again: crate::world::worker::tell(7),
        ..Ask::default()
    };
    world.tell("p", Do(vec![Act::Ask(picky)]));
    world.run(seconds(10));
    let of = |channel: &str| -> Vec<_> {
        let sent = world.sent.iter();
        sent.filter(|s| s.delivery.channel == channel)
            .map(|s| s.delivery.key)
            .collect()
    };
    let asked = of("ask");
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|key| *key == asked[0]));
    let told = of("tell");
    assert_eq!(told.len(), 2);
    assert_ne!(told[0], told[1], "each refusal sent something of its own");
    world.node("p").check_done();
    world.check();
}

/// B7.5
#[test]
fn crash_between_reply_and_append_asks_again_and_changes_state_once() {
    for kept in [0, 1] {
        let mut world: World = World::of_one(Vec::new());
        world.destination("p", "ask", prompt());
        world.sync = Sync::ByHand;
        world.tell("p", ask(1));
        world.make_all_durable("p");
        world.run(seconds(1));
        assert_eq!(world.state("p").log.len(), 1, "decided, not durable");
        world.crash("p", kept);
        world.sync = Sync::AtOnce;
        world.start("p");
        world.run(seconds(10));
        assert_eq!(world.state("p").log, [Event::Replied { what: 1, reply: 1 }]);
        assert_eq!(world.sent.len(), 2 - kept);
    }
}

/// B7.5
#[test]
fn duplicate_late_and_unknown_replies_are_counted_and_change_nothing() {
    let mut world: World = World::of_one(Vec::new());
    let twice = vec![(Duration::ZERO, reply(1)), (Duration::ZERO, reply(2))];
    world.destination("p", "ask", scripted(vec![twice]));
    world.tell("p", ask(1));
    world.run(seconds(1));
    let mut unknown = world.sent[0].delivery.clone();
    unknown.number = 77;
    world.outcome("p", &unknown, 0, reply(1));
    assert_eq!(world.state("p").log, [Event::Replied { what: 1, reply: 1 }]);
    assert_eq!(world.channel("p", "ask").late_outcomes, 2);
    world.check();
}

#[test]
fn refused_late_reply_does_not_start_a_second_attempt_beside_the_one_under_way() {
    let options = ChannelOptions::default().unordered(2);
    let mut world: World = World::of_one(vec![("ask", options)]);
    // The first attempt's reply comes while the second attempt is under way, and is not accepted.
    let late = vec![(seconds(8), reply(0))];
    let second = vec![(seconds(4), reply(3))];
    world.destination("p", "ask", scripted(vec![late, second]));
    let picky = Ask {
        least: 1,
        ..Ask::default()
    };
    world.tell("p", Do(vec![Act::Ask(picky)]));
    world.run(seconds(30));
    assert_eq!(world.sent.len(), 2);
    world.node("p").check_done();
}

#[test]
fn long_error_text_of_a_destination_is_cut() {
    let mut world: World<Worker> = World::of_one(Vec::new());
    let long = vec![(Duration::ZERO, failed(&"ä".repeat(5_000)))];
    let ended: Vec<(Duration, Attempted)> = vec![(Duration::ZERO, reply(1))];
    world.destination("p", "ask", scripted(vec![long, ended]));
    world.tell("p", ask(1));
    world.run(seconds(3));
    let longest = world.nodes["p"].stream.entries().iter().map(Vec::len).max();
    assert!(longest < Some(2_000), "{longest:?}");
}
