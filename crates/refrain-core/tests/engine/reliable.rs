//! Reliable channels: nothing is lost by a crash, order is kept, keys never change.

use std::collections::HashSet;
use std::time::Duration;

use refrain_core::{ChannelOptions, Command, Input, RedeliveryPolicy};

use crate::world::destination::{failed, prompt, reply, silent};
use crate::world::worker::{Act, Ask, Do, Worker, note, tell};
use crate::world::{Sync, World, seconds};

fn numbers(world: &World<Worker>) -> Vec<u64> {
    world.sent.iter().map(|s| s.delivery.number).collect()
}

fn keyed(key: u64) -> Do {
    Do(vec![Act::Tell(Some(key), note(key))])
}

/// B5.1, B5.6, B9.3
#[test]
fn crash_at_any_point_can_duplicate_a_delivery_and_never_lose_one() {
    let series = Do(vec![
        Act::Tell(None, note(1)),
        Act::Tell(None, note(2)),
        Act::TellToo(None, note(3)),
        Act::Tell(None, note(4)),
        Act::Ask(Ask::default()),
    ]);
    for durable in 0..12 {
        for kept in 0..4 {
            let mut world: World = World::of_one(Vec::new());
            for channel in ["tell", "tell-too", "ask"] {
                world.destination("p", channel, prompt());
            }
            world.sync = Sync::ByHand;
            let message = series.clone();
            let id = refrain_core::MessageId::Drawn([3; 16]);
            world.tell_as("p", id.clone(), message.clone());
            for _ in 0..durable {
                world.make_durable("p", 1);
                world.run(Duration::ZERO);
            }
            world.crash("p", kept);
            world.sync = Sync::AtOnce;
            world.start("p");
            world.tell_as("p", id, message);
            world.run(seconds(10));
            world.check();
            world.node("p").check_done();
            let keys: HashSet<_> = world.sent.iter().map(|s| s.delivery.key).collect();
            assert_eq!(keys.len(), 5, "each output has its own key");
            assert!(
                world.sent.len() <= 8,
                "at most one repetition for each channel"
            );
        }
    }
}

/// B5.2
#[test]
fn strict_order_is_kept_when_the_fourth_of_seven_fails_five_times_over_a_restart() {
    for restart_after in [None, Some(2), Some(4)] {
        let mut world: World = World::of_one(Vec::new());
        let mut refusals = 0;
        world.destination(
            "p",
            "tell",
            Box::new(move |delivery| {
                if delivery.number == 4 && refusals < 5 {
                    refusals += 1;
                    return vec![(Duration::ZERO, failed("not now"))];
                }
                vec![(Duration::ZERO, reply(1))]
            }),
        );
        for n in 1..8 {
            world.tell("p", tell(n));
        }
        if let Some(after) = restart_after {
            world.run(seconds(after));
            world.restart("p");
        }
        world.run(seconds(100));
        assert_eq!(numbers(&world), [1, 2, 3, 4, 4, 4, 4, 4, 4, 5, 6, 7]);
        world.node("p").check_done();
    }
}

/// B5.2
#[test]
fn next_delivery_leaves_when_the_settlement_before_it_is_durable() {
    let mut world: World = World::of_one(Vec::new());
    world.destination("p", "tell", prompt());
    world.sync = Sync::ByHand;
    world.tell("p", tell(1));
    world.tell("p", tell(2));
    world.make_durable("p", 2);
    assert_eq!(numbers(&world), [1]);
    world.run(seconds(1));
    assert_eq!(numbers(&world), [1], "confirmed, but that is not durable");
    world.make_durable("p", 1);
    assert_eq!(numbers(&world), [1, 2]);
}

/// B5.3
#[test]
fn unordered_channel_delivers_a_window_at_once() {
    let options = ChannelOptions::default().unordered(3);
    let mut world: World = World::of_one(vec![("tell", options)]);
    let slow = |delivery: &refrain_core::port::destination::Delivery| {
        let after = if delivery.number == 1 { 4 } else { 1 };
        vec![(seconds(after), reply(1))]
    };
    world.destination("p", "tell", Box::new(slow));
    let start = world.now;
    for n in 0..7 {
        world.tell("p", tell(n));
    }
    world.run(seconds(10));
    let expected = [(0, 1), (0, 2), (0, 3), (1, 4), (1, 5), (2, 6), (2, 7)];
    let sent: Vec<_> = world.attempts_since(start);
    let sent: Vec<_> = sent
        .into_iter()
        .map(|(at, number, _)| (at, number))
        .collect();
    assert_eq!(sent, expected);
}

/// B5.3
#[test]
fn order_of_one_key_holds_while_others_pass() {
    let options = ChannelOptions::default().per_key(2);
    let mut world: World = World::of_one(vec![("tell", options)]);
    let script = |delivery: &refrain_core::port::destination::Delivery| match delivery.number {
        1 if delivery.attempt < 3 => vec![(Duration::ZERO, failed("no"))],
        _ => vec![(Duration::ZERO, reply(1))],
    };
    world.destination("p", "tell", Box::new(script));
    for key in [1, 1, 2, 1, 2, 2] {
        world.tell("p", keyed(key));
    }
    world.run(seconds(1));
    world.restart("p");
    world.run(seconds(20));
    let of_key_1: Vec<u64> = numbers(&world)
        .into_iter()
        .filter(|n| [1, 2, 4].contains(n))
        .collect();
    assert_eq!(of_key_1, [1, 1, 1, 2, 4]);
    let others = numbers(&world).iter().position(|n| *n == 6);
    let second_of_key_1 = numbers(&world).iter().position(|n| *n == 2);
    assert!(others < second_of_key_1, "the other key did not wait");
    world.node("p").check_done();
}

#[test]
fn window_goes_on_far_ahead_of_a_key_that_stands_still() {
    // Window 1, so two ahead of what is recorded: the fourth would wait for the first for ever.
    let options = ChannelOptions::default().per_key(1);
    let mut world: World = World::of_one(vec![("tell", options)]);
    world.destination("p", "tell", prompt());
    for key in [1, 1, 1, 1, 1, 2, 2] {
        world.tell("p", keyed(key));
    }
    world.run(seconds(1));
    world.node("p").check_done();

    let options = ChannelOptions::default().per_key(2);
    let mut world: World = World::of_one(vec![("tell", options)]);
    let script = |delivery: &refrain_core::port::destination::Delivery| match delivery.number {
        1 => Vec::new(),
        _ => vec![(Duration::ZERO, reply(1))],
    };
    world.destination("p", "tell", Box::new(script));
    for key in [1, 1, 1, 1, 1, 1, 1, 2, 3] {
        world.tell("p", keyed(key));
    }
    world.run(seconds(4));
    assert_eq!(numbers(&world), [1, 8, 9], "while the first is under way");
    world.check();
}

#[test]
fn reply_to_a_delivery_that_waits_behind_its_key_does_not_free_the_key() {
    let options = ChannelOptions::default().per_key(3);
    let mut world: World = World::of_one(vec![("tell", options)]);
    world.destination("p", "tell", silent());
    for _ in 0..3 {
        world.tell("p", keyed(1));
    }
    let mut second = world.sent[0].delivery.clone();
    second.number = 2;
    world.outcome("p", &second, 2, reply(1));
    world.run(seconds(4));
    assert_eq!(numbers(&world), [1], "the first is still under way");
    world.destination("p", "tell", prompt());
    world.run(seconds(10));
    assert_eq!(numbers(&world), [1, 1, 3]);
    world.check();
}

/// B5.4
#[test]
fn every_attempt_carries_what_a_destination_needs_to_recognise_it() {
    let mut world: World = World::of_one(Vec::new());
    world.destination("p", "ask", silent());
    let follow_up = Ask {
        failures_max: Some(1),
        then: tell(5),
        ..Ask::default()
    };
    world.destination("p", "tell", prompt());
    let start = world.now;
    world.tell("p", Do(vec![Act::Ask(follow_up)]));
    world.run(seconds(2));
    world.restart("p");
    world.run(seconds(40));
    let [first, second, third, follow_up] = &world.sent[..] else {
        panic!("{:?}", world.sent)
    };
    let attempts = [first, second, third].map(|sent| &sent.delivery);
    assert_eq!(attempts.map(|d| d.attempt), [1, 2, 3]);
    assert_eq!(attempts.map(|d| d.epoch.get()), [1, 2, 2]);
    for delivery in attempts {
        assert_eq!(delivery.key, first.delivery.key);
        assert_eq!(delivery.correlation, first.delivery.correlation);
        assert_eq!(delivery.causation, first.delivery.causation);
        assert_eq!(delivery.timeout, seconds(5));
        assert_eq!((delivery.sender.as_str(), delivery.channel), ("p", "ask"));
    }
    assert_eq!(first.delivery.deadline, start + seconds(5));
    assert_eq!(follow_up.delivery.correlation, first.delivery.correlation);
    assert_eq!(follow_up.delivery.causation, first.delivery.key);
    assert_ne!(follow_up.delivery.key, first.delivery.key);
}

/// B5.6
#[test]
fn one_output_to_two_destinations_is_two_deliveries() {
    let mut world: World = World::of_one(Vec::new());
    world.destination("p", "tell", prompt());
    world.destination("p", "tell-too", silent());
    let both = Do(vec![Act::Tell(None, note(1)), Act::TellToo(None, note(1))]);
    world.tell("p", both);
    world.run(seconds(30));
    assert_eq!(world.channel("p", "tell").pending, 0);
    assert_eq!(world.channel("p", "tell-too").pending, 1);
    let of = |channel| {
        world
            .sent
            .iter()
            .filter(move |s| s.delivery.channel == channel)
    };
    assert_eq!((of("tell").count(), of("tell-too").count()), (1, 4));
}

/// B5.1
#[test]
fn narrower_window_does_not_forget_what_the_wider_one_may_have_sent() {
    let wide = ChannelOptions::default().unordered(4);
    let mut world: World = World::of_one(vec![("tell", wide)]);
    world.destination("p", "tell", silent());
    for n in 0..9 {
        world.tell("p", tell(n));
    }
    assert_eq!(numbers(&world), [1, 2, 3, 4]);
    world.run(seconds(1));
    for options in [
        ChannelOptions::default(),
        ChannelOptions::default().unordered(1),
    ] {
        world.node("p").settings.channels = vec![("tell", options)];
        world.restart("p");
    }
    world.destination("p", "tell", prompt());
    let resumed = world.now;
    world.run(seconds(20));
    let attempts = world.attempts_since(resumed);
    // Eight may have been sent by the first writer; the ninth certainly was not.
    for (_, number, attempt) in attempts.iter().filter(|(_, number, _)| *number != 1) {
        let first_time = u32::from(*number < 9) + 1;
        assert_eq!(*attempt, first_time, "number {number}");
    }
    world.node("p").check_done();
}

#[test]
fn delivery_that_is_sent_after_a_restart_is_a_first_attempt() {
    let options = ChannelOptions::default().unordered(8);
    let mut world: World = World::of_one(vec![("tell", options)]);
    world.destination("p", "tell", prompt());
    world.restart("p");
    world.tell("p", tell(1));
    world.run(seconds(1));
    assert_eq!(world.sent[0].delivery.attempt, 1);
}

#[test]
fn channel_that_the_code_no_longer_has_waits_until_it_does() {
    // The stream knows a channel that this code does not; a reply to it settles nothing.
    let mut world: World = World::of_one(Vec::new());
    world.destination("p", "tell", silent());
    world.tell("p", tell(1));
    let delivery = world.sent[0].delivery.clone();
    world.crash("p", 9);
    let entries = world.nodes["p"].stream.entries().to_vec();
    let remember = refrain_core::Remember::default();
    let mut replay = refrain_core::Replay::new(Mute(0), remember);
    for entry in &entries {
        replay.entry(replay.next(), entry).unwrap();
    }
    let node = &world.nodes["p"];
    let moment = refrain_core::Moment {
        now: world.now,
        seed: 0,
    };
    let settings = node.settings.clone();
    let mut engine = refrain_core::Engine::begin(replay, settings, &node.writer(), moment);
    engine.step(
        moment,
        Input::Attempted {
            channel: 2,
            number: delivery.number,
            attempt: delivery.attempt,
            ended: reply(1),
        },
    );
    engine.take_batch(world.now);
    assert_eq!(engine.channels(world.now)[2].pending, 1);
    assert_eq!(engine.next_due(), None);
}

/// A processor that reads the worker's events and has none of its channels.
#[derive(Debug)]
struct Mute(u32);

impl refrain_core::Processor for Mute {
    type Message = ();
    type Event = crate::world::worker::Event;
    type Answer = ();
    type Rejection = ();

    fn decide(&self, (): &(), _: &mut refrain_core::Outbox<Mute>) -> Result<(), ()> {
        Ok(())
    }

    fn apply(&mut self, _: &Self::Event) {
        self.0 += 1;
    }
}

/// B6.4
#[test]
fn channel_activated_by_the_application_waits_for_it_after_each_start() {
    let options = ChannelOptions::from(RedeliveryPolicy::default()).activated_by_application();
    let mut world: World = World::of_one(vec![("tell", options)]);
    world.destination("p", "tell", prompt());
    world.tell("p", tell(1));
    world.run(seconds(100));
    assert!(world.sent.is_empty());
    world.command("p", "tell", Command::Deliver);
    world.run(seconds(1));
    assert_eq!(numbers(&world), [1]);
    world.restart("p");
    world.tell("p", tell(2));
    world.run(seconds(100));
    assert_eq!(numbers(&world), [1]);
}
