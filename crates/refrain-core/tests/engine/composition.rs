//! Processors that send to each other. A limit to the hops of a loop is not there yet.

use std::time::Duration;

use refrain_core::{ChannelOptions, MessageId, StoredAnswer};

use crate::world::worker::{Act, Do, Worker, note};
use crate::world::{Sync, Told, World, seconds};

fn two(channel: &'static str, options: ChannelOptions) -> World<Worker> {
    let mut world = World::new();
    world.add("p", vec![(channel, options)]);
    world.add("q", Vec::new());
    world.connect("p", channel, "q");
    world.start("p");
    world.start("q");
    world
}

/// B9.2
#[test]
fn processor_sends_to_itself_through_a_channel() {
    let mut world: World = World::of_one(Vec::new());
    world.connect("p", "tell", "p");
    let chain = (0..20).fold(note(1), |what, _| Do(vec![Act::Tell(None, what)]));
    world.tell("p", chain);
    world.run(seconds(1));
    assert_eq!(world.state("p").notes(), [1]);
    world.node("p").check_done();
    world.check();
}

/// B9.2, B1.4
#[test]
fn receiver_handles_each_delivery_once_whichever_side_crashes() {
    for crashed in ["p", "q"] {
        for kept in 0..3 {
            let mut world = two("tell", ChannelOptions::default().unordered(4));
            world.sync = Sync::ByHand;
            world.tell("p", Do((0..6).map(|n| Act::Tell(None, note(n))).collect()));
            for _ in 0..3 {
                world.make_durable("p", 2);
                world.run(Duration::ZERO);
                world.make_durable("q", 1);
            }
            world.crash(crashed, kept);
            world.start(crashed);
            world.sync = Sync::AtOnce;
            world.make_all_durable("p");
            world.make_all_durable("q");
            world.run(seconds(100));
            let mut notes = world.state("q").notes();
            notes.sort_unstable();
            assert_eq!(notes, [0, 1, 2, 3, 4, 5]);
            world.node("p").check_done();
            world.check();
        }
    }
}

/// B1.4
#[test]
fn receiver_remembers_what_an_unsettled_delivery_keeps_from_being_forgotten() {
    let mut world: World = World::of_one(Vec::new());
    let key = refrain_core::Key::new([1; 16]);
    let from = |number: u64| {
        let name = |text| refrain_core::Name::new(text).unwrap();
        MessageId::Delivered(Box::new(refrain_core::DeliveredId {
            sender: name("sender"),
            channel: name("out"),
            number,
            // The sender has parked its fifth delivery.
            settled_below: number.min(5),
            key,
            correlation: key,
        }))
    };
    let many = 3_000;
    for number in (1..many).filter(|number| *number != 5) {
        world.tell_as("p", from(number), Do::default());
    }
    world.snapshot("p");
    let (_, snapshot) = &world.nodes["p"].snapshots[0];
    assert!(snapshot.len() < 20_000, "{} bytes", snapshot.len());
    world.restart("p");
    let told = |world: &mut World, number| {
        let ticket = world.tell_as("p", from(number), note(number));
        world.told.remove(&ticket).unwrap()
    };
    assert!(matches!(told(&mut world, 6), Told::Forgotten));
    let latest = told(&mut world, many - 1);
    assert!(matches!(latest, Told::Again(StoredAnswer::Answer(_))));
    assert!(matches!(told(&mut world, 5), Told::Answer(_)));
    assert_eq!(world.state("p").notes(), [5]);
}
