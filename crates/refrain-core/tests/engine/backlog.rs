//! More is owed than a channel keeps in memory.

use std::collections::HashMap;
use std::time::Duration;

use refrain_core::limit::CHANNEL_LOADED_MAX;
use refrain_core::{ChannelOptions, ChannelState, Command, InDoubt, Name, StopReason};

use crate::world::destination::{failed, prompt, reply, silent};
use crate::world::worker::{Act, Ask, Do, Event, Worker, note};
use crate::world::{World, seconds};

const MANY: u64 = 3 * CHANNEL_LOADED_MAX as u64;

fn flood(world: &mut World<Worker>, count: u64, act: impl Fn(u64) -> Act) {
    world.node("p").has_backlog = true;
    for first in (0..count).step_by(16) {
        let acts = (first..count.min(first + 16)).map(&act);
        world.tell("p", Do(acts.collect()));
    }
}

fn told(n: u64) -> Act {
    Act::Tell(Some(n % 7), note(n))
}

/// How often each delivery was sent.
fn counts(world: &World<Worker>) -> HashMap<u64, u32> {
    let mut counts = HashMap::new();
    for sent in &world.sent {
        *counts.entry(sent.delivery.number).or_default() += 1;
    }
    counts
}

/// B5.1, B5.2
#[test]
fn long_backlog_is_delivered_once_and_in_order_with_crashes_in_the_middle() {
    let strict = ChannelOptions::default();
    let keyed = ChannelOptions::default().per_key(8);
    let wide = ChannelOptions::default().unordered(64);
    for (options, repeated_max) in [(strict, 1), (keyed, 24), (wide, 192)] {
        let mut world: World = World::of_one(vec![("tell", options)]);
        world.destination("p", "tell", silent());
        flood(&mut world, MANY, told);
        assert_eq!(world.channel("p", "tell").pending, MANY);
        let mut left = 0;
        world.destination(
            "p",
            "tell",
            Box::new(move |_| {
                left += 1;
                if left % 700 == 0 {
                    return Vec::new();
                }
                vec![(Duration::from_millis(1), reply(1))]
            }),
        );
        let mut crashes = 0;
        while world.channel("p", "tell").pending > 0 {
            world.run(Duration::from_millis(900));
            if crashes < 4 {
                crashes += 1;
                world.restart("p");
            }
        }
        world.node("p").has_backlog = false;
        world.check();
        world.node("p").check_done();
        let counts = counts(&world);
        assert_eq!(counts.len() as u64, MANY);
        let repeated = counts.values().map(|count| count - 1).sum::<u32>();
        assert!(repeated <= 5 * repeated_max + 20, "{repeated} repetitions");
    }
}

/// B6.2
#[test]
fn reply_to_a_request_that_waits_in_the_journal_alone_counts_and_it_is_not_asked_again() {
    for copies in [1, 2] {
        let mut world: World =
            World::of_one(vec![("ask", ChannelOptions::default().unordered(32))]);
        world.destination("p", "ask", silent());
        flood(&mut world, MANY, |n| {
            Act::Ask(Ask {
                what: n + 1,
                ..Ask::default()
            })
        });
        // As from a writer before, which had loaded it.
        let mut early = world.sent[0].delivery.clone();
        early.number = 2000;
        for _ in 0..copies {
            world.outcome("p", &early, 0, reply(77));
        }
        assert_eq!(world.channel("p", "ask").pending, MANY, "not handled yet");
        world.destination("p", "ask", prompt());
        while world.channel("p", "ask").pending > 0 {
            world.run(seconds(10));
        }
        let counts = counts(&world);
        assert_eq!(counts.get(&2000), None, "it was not sent");
        assert_eq!(counts.len() as u64, MANY - 1);
        let replies = world
            .state("p")
            .log
            .iter()
            .filter(|event| matches!(event, Event::Replied { what: 2000, .. }));
        let replies: Vec<_> = replies.collect();
        let expected = Event::Replied {
            what: 2000,
            reply: 77,
        };
        assert_eq!(replies, [&expected]);
    }
}

#[test]
fn memory_of_a_stopped_channel_does_not_grow_with_what_is_owed() {
    let mut world: World = World::of_one(Vec::new());
    world.destination("p", "tell", silent());
    let mut sizes = Vec::new();
    for _ in 0..3 {
        flood(&mut world, MANY, told);
        world.snapshot("p");
        sizes.push(world.nodes["p"].snapshots.last().unwrap().1.len());
    }
    let growth = sizes[2] - sizes[1];
    // Three bytes of foreign identities and places for each delivery, and none of its own.
    assert!(growth < usize::try_from(MANY).unwrap() * 4, "{sizes:?}");
    let image = world.node("p").image();
    world.restart("p");
    world.destination("p", "tell", prompt());
    assert!(image.len() < 4 * sizes[0]);
}

#[test]
fn snapshot_of_a_backlog_that_is_half_loaded_owes_the_same() {
    let mut world: World = World::of_one(vec![("tell", ChannelOptions::default().unordered(32))]);
    world.destination("p", "tell", silent());
    flood(&mut world, MANY, told);
    world.destination("p", "tell", prompt());
    world.restart("p");
    let slow =
        |_: &refrain_core::port::destination::Delivery| vec![(Duration::from_millis(1), reply(1))];
    world.destination("p", "tell", Box::new(slow));
    for _ in 0..8 {
        world.run(Duration::from_millis(10));
        world.snapshot("p");
        world.check();
        world.restart("p");
    }
    world.run(seconds(20));
    world.node("p").check_done();
}

#[test]
fn parked_deliveries_that_leave_no_room_stop_the_channel_visibly() {
    for options in [
        ChannelOptions::default().unordered(16),
        ChannelOptions::default().per_key(16),
    ] {
        let mut world: World = World::of_one(vec![("ask", options)]);
        world.destination("p", "ask", prompt());
        let poison = |n: u64| {
            Act::Ask(Ask {
                what: n,
                order_key: Some(n % 2),
                then: Do(vec![Act::PanicBelow(5)]),
                ..Ask::default()
            })
        };
        flood(&mut world, MANY / 2, poison);
        world.run(seconds(10));
        let status = world.channel("p", "ask");
        assert_eq!(status.state, ChannelState::Stopped(StopReason::Parked));
        assert_eq!(status.pending, MANY / 2);
        world.restart("p");
        let state = world.channel("p", "ask").state;
        assert_eq!(state, ChannelState::Stopped(StopReason::Parked));
        world.tell("p", Do(vec![Act::Note(0); 5]));
        world.command("p", "ask", Command::Deliver);
        world.run(seconds(10));
        world.node("p").check_done();
    }
}

/// B7.7
#[test]
fn backlog_goes_to_the_new_destination_past_all_that_is_in_doubt() {
    let options = ChannelOptions::default().unordered(512);
    let mut world: World = World::of_one(vec![("tell", options)]);
    world.destination("p", "tell", silent());
    world.other_destination("p", "other", prompt());
    flood(&mut world, MANY, told);
    let redirect = Command::Redirect {
        destination: Name::new("other").unwrap(),
        in_doubt: InDoubt::Wait,
    };
    world.command("p", "tell", redirect);
    world.run(seconds(60));
    let status = world.channel("p", "tell");
    assert_eq!((status.in_doubt, status.pending), (1024, 1024));
    world.restart("p");
    world.run(seconds(10));
    let pending = world.channel("p", "tell").pending;
    assert_eq!(pending, 1024);
}

#[test]
fn failing_deliveries_of_a_backlog_keep_their_history_over_a_restart() {
    let options = ChannelOptions::default().unordered(4);
    let mut world: World = World::of_one(vec![("tell", options)]);
    let last = MANY - 1;
    world.destination(
        "p",
        "tell",
        Box::new(move |delivery| {
            if delivery.number == last && delivery.attempt < 4 {
                return vec![(Duration::ZERO, failed("no"))];
            }
            vec![(Duration::ZERO, reply(1))]
        }),
    );
    world.sync = crate::world::Sync::AtOnce;
    flood(&mut world, MANY, told);
    world.run(Duration::from_millis(500));
    assert_eq!(world.channel("p", "tell").pending, 1);
    world.restart("p");
    world.run(seconds(10));
    let attempts: Vec<u32> = world
        .sent
        .iter()
        .filter(|s| s.delivery.number == last)
        .map(|s| s.delivery.attempt)
        .collect();
    assert_eq!(attempts, [1, 2, 3, 4]);
    world.node("p").check_done();
}
