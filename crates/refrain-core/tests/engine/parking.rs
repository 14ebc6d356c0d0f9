//! Outcomes that cannot be handled: their delivery is set aside, visibly, and nothing is lost.

use std::time::Duration;

use refrain_core::port::destination::{Attempted, Reply};
use refrain_core::{ChannelOptions, ChannelState, Command, Encoding, Signal, StopReason};

use crate::world::destination::{prompt, reply, scripted};
use crate::world::worker::{Act, Ask, Do, Worker, ask};
use crate::world::{World, seconds};

fn poison(order_key: Option<u64>, act: Act) -> Do {
    Do(vec![Act::Ask(Ask {
        what: 1,
        order_key,
        then: Do(vec![act]),
        ..Ask::default()
    })])
}

fn enough(world: &mut World<Worker>) {
    world.tell("p", Do(vec![Act::Note(0); 5]));
}

fn replied(world: &World<Worker>) -> usize {
    let log = world.state("p").log.iter();
    log.filter(|event| matches!(event, crate::world::worker::Event::Replied { .. }))
        .count()
}

/// B1.5
#[test]
fn outcome_that_panics_three_times_is_parked_and_the_others_pass() {
    for act in [Act::PanicBelow(5), Act::BombBelow(6)] {
        let options = ChannelOptions::default().unordered(2);
        let mut world: World = World::of_one(vec![("ask", options)]);
        world.destination("p", "ask", prompt());
        world.tell("p", poison(None, act));
        world.tell("p", ask(2));
        world.run(seconds(100));
        let status = world.channel("p", "ask");
        assert_eq!((status.parked, status.pending), (1, 1));
        let is_announced = |signal: &Signal| matches!(signal, Signal::DeliveryParked { number: 1, reason, .. } if reason == "told to");
        assert!(
            world.signals.iter().any(is_announced),
            "{:?}",
            world.signals
        );
        let sent = world.sent.len();

        world.restart("p");
        world.run(seconds(100));
        assert_eq!(world.channel("p", "ask").parked, 1);
        assert_eq!(world.sent.len(), sent, "it waits for an operator");

        enough(&mut world);
        world.command("p", "ask", Command::Deliver);
        world.run(seconds(100));
        assert_eq!(replied(&world), 2);
        world.node("p").check_done();
        world.check();
    }
}

/// B6.2
#[test]
fn reply_to_a_parked_delivery_counts() {
    let options = ChannelOptions::default().unordered(2);
    let mut world: World = World::of_one(vec![("ask", options)]);
    world.destination("p", "ask", prompt());
    world.tell("p", poison(None, Act::PanicBelow(5)));
    world.run(seconds(1));
    enough(&mut world);
    let delivery = world.sent[0].delivery.clone();
    world.outcome("p", &delivery, 0, reply(1));
    world.run(seconds(1));
    world.node("p").check_done();
    world.check();
}

#[test]
fn attempts_of_a_parked_delivery_go_on_where_they_were() {
    let options = ChannelOptions::default().unordered(2);
    let mut world: World = World::of_one(vec![("ask", options)]);
    world.destination("p", "ask", prompt());
    world.tell("p", poison(None, Act::PanicBelow(9)));
    world.run(seconds(1));
    for _ in 0..2 {
        world.command("p", "ask", Command::Deliver);
        world.run(seconds(1));
    }
    let attempts: Vec<u32> = world.sent.iter().map(|s| s.delivery.attempt).collect();
    assert_eq!(attempts, [1, 2, 3]);
}

#[test]
fn delivery_that_is_parked_while_it_waits_for_its_next_attempt_gets_none() {
    let options = ChannelOptions::default().unordered(2);
    let mut world: World = World::of_one(vec![("ask", options)]);
    // Nothing is heard of the first attempt until the second would be due.
    let late = vec![(Duration::from_millis(5_500), reply(1))];
    world.destination("p", "ask", scripted(vec![late]));
    world.tell("p", poison(None, Act::PanicBelow(9)));
    world.run(seconds(100));
    assert_eq!(world.sent.len(), 1);
    assert_eq!(world.channel("p", "ask").parked, 1);
    world.check();
}

#[test]
fn strict_channel_stops_where_it_cannot_pass() {
    let mut world: World = World::of_one(Vec::new());
    world.destination("p", "ask", prompt());
    world.tell("p", poison(None, Act::PanicBelow(5)));
    world.tell("p", ask(2));
    world.run(seconds(100));
    let status = world.channel("p", "ask");
    assert_eq!(status.state, ChannelState::Stopped(StopReason::Parked));
    assert_eq!(world.sent.len(), 1);
    enough(&mut world);
    world.restart("p");
    world.command("p", "ask", Command::Deliver);
    world.run(seconds(1));
    assert_eq!(replied(&world), 2);
    world.node("p").check_done();
}

#[test]
fn same_key_waits_behind_a_parked_delivery_and_other_keys_pass() {
    let options = ChannelOptions::default().per_key(2);
    let mut world: World = World::of_one(vec![("ask", options)]);
    world.destination("p", "ask", prompt());
    world.tell("p", poison(Some(1), Act::PanicBelow(9)));
    for key in [1, 2, 1, 2] {
        world.tell("p", poison(Some(key), Act::Note(key)));
    }
    world.run(seconds(10));
    let numbers = |world: &World<Worker>| -> Vec<u64> {
        world.sent.iter().map(|s| s.delivery.number).collect()
    };
    assert_eq!(numbers(&world), [1, 3, 5]);
    world.restart("p");
    world.run(seconds(10));
    assert_eq!(numbers(&world), [1, 3, 5], "also after a restart");
    enough(&mut world);
    world.command("p", "ask", Command::Deliver);
    world.run(seconds(10));
    assert_eq!(numbers(&world), [1, 3, 5, 1, 2, 4]);
    world.node("p").check_done();
    world.check();
}

#[test]
fn reply_that_cannot_be_read_is_a_failure() {
    let mut world: World = World::of_one(Vec::new());
    let garbage = Attempted::Replied(Reply::new(Encoding::Cbor, &b"\xff"[..]));
    let script = vec![vec![(seconds(0), garbage)], vec![(seconds(0), reply(4))]];
    world.destination("p", "ask", scripted(script));
    world.tell("p", ask(1));
    world.run(seconds(10));
    use crate::world::worker::Event::{Failing, Replied};
    let expected = [
        Failing {
            what: 1,
            failure_count: 1,
        },
        Replied { what: 1, reply: 4 },
    ];
    assert_eq!(world.state("p").log, expected);
}
