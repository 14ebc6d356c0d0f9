//! Default channels: what is not confirmed is delivered again at the next recovery, and only then.

use refrain_core::port::destination::{Attempted, Delivery};
use refrain_core::{ChannelOptions, Command, InDoubt, Name, Signal};
use std::time::Duration;

use crate::world::destination::{failed, prompt, reply};
use crate::world::worker::{Worker, rest};
use crate::world::{World, seconds};

fn numbers(world: &World<Worker>) -> Vec<(u64, u32)> {
    let sent = world.sent.iter();
    sent.map(|s| (s.delivery.number, s.delivery.attempt))
        .collect()
}

/// Refuses number 2 and is silent about number 3.
fn two_fail(delivery: &Delivery) -> Vec<(Duration, Attempted)> {
    match delivery.number {
        2 => vec![(Duration::ZERO, failed("no"))],
        3 => Vec::new(),
        _ => vec![(Duration::ZERO, reply(1))],
    }
}

/// B4.1
#[test]
fn delivers_in_order_after_activation() {
    let options = ChannelOptions::default().activated_by_application();
    let mut world: World = World::of_one(vec![("rest", options)]);
    world.destination("p", "rest", prompt());
    for n in 0..3 {
        world.tell("p", rest(n));
    }
    world.run(seconds(10));
    assert!(world.sent.is_empty(), "not activated yet");
    world.command("p", "rest", Command::Deliver);
    world.run(seconds(10));
    world.tell("p", rest(3));
    world.run(seconds(10));
    assert_eq!(numbers(&world), [(1, 1), (2, 1), (3, 1), (4, 1)]);
    world.node("p").check_done();
}

/// B4.2
#[test]
fn what_is_not_confirmed_is_delivered_again_at_the_next_recovery_and_only_then() {
    let mut world: World = World::of_one(Vec::new());
    world.destination("p", "rest", Box::new(two_fail));
    for n in 0..4 {
        world.tell("p", rest(n));
    }
    world.run(seconds(10_000));
    assert_eq!(numbers(&world), [(1, 1), (2, 1), (3, 1), (4, 1)]);
    assert_eq!(world.channel("p", "rest").pending, 2);

    world.restart("p");
    world.run(seconds(10_000));
    assert_eq!(numbers(&world)[4..], [(2, 2), (3, 2)]);

    world.destination("p", "rest", prompt());
    world.restart("p");
    world.run(seconds(10));
    assert_eq!(numbers(&world)[6..], [(2, 3), (3, 3)]);
    world.node("p").check_done();
    world.restart("p");
    world.run(seconds(10));
    assert_eq!(
        numbers(&world).len(),
        8,
        "what is settled is never repeated"
    );
    world.check();
}

/// B4.2
#[test]
fn switch_to_another_destination_is_no_recovery() {
    let options = ChannelOptions::default().without_side_effects();
    let mut world: World = World::of_one(vec![("rest", options)]);
    world.destination("p", "rest", Box::new(two_fail));
    world.other_destination("p", "other", prompt());
    for n in 0..4 {
        world.tell("p", rest(n));
    }
    world.run(seconds(100));
    let redirect = Command::Redirect {
        destination: Name::new("other").unwrap(),
        in_doubt: InDoubt::Move,
    };
    world.command("p", "rest", redirect);
    world.run(seconds(100));
    assert_eq!(world.sent.len(), 4);
    world.restart("p");
    world.run(seconds(100));
    assert_eq!(numbers(&world)[4..], [(2, 2), (3, 2)]);
    world.node("p").check_done();
}

/// B4.3
#[test]
fn confirmation_for_an_unknown_delivery_is_counted_and_ignored() {
    let mut world: World = World::of_one(Vec::new());
    world.destination("p", "rest", prompt());
    world.tell("p", rest(1));
    world.run(seconds(1));
    let entries = world.nodes["p"].stream.len();
    let mut delivery = world.sent[0].delivery.clone();
    for number in [1, 0, 99] {
        delivery.number = number;
        world.outcome("p", &delivery, 4, reply(1));
    }
    assert_eq!(world.nodes["p"].stream.len(), entries);
    assert_eq!(world.channel("p", "rest").late_outcomes, 3);
    assert!(matches!(
        world.signals.last(),
        Some(Signal::LateOutcome { number: 99, .. })
    ));
}
