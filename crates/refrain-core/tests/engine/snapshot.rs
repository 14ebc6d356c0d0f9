//! A snapshot holds all that a stream's prefix means.

use std::time::Duration;

use refrain_core::{ChannelOptions, MessageId, Remember, Replay, StoredAnswer};

use crate::world::destination::{failing, prompt, silent};
use crate::world::worker::{Act, Ask, Do, Worker, note};
use crate::world::{Told, World, seconds};

/// Deliveries in every state: under way, failed, waiting, parked, a timer.
fn busy_world() -> World<Worker> {
    let options = ChannelOptions::default().per_key(2);
    let mut world: World = World::of_one(vec![("tell-too", options)]);
    world.destination("p", "ask", prompt());
    world.destination("p", "tell", silent());
    world.destination("p", "tell-too", failing());
    let id = MessageId::given("someone", "once").unwrap();
    world.tell_as("p", id, note(17));
    let poison = Ask {
        then: Do(vec![Act::PanicBelow(1000)]),
        ..Ask::default()
    };
    let later = note(18);
    world.tell(
        "p",
        Do(vec![
            Act::Ask(poison),
            Act::Tell(None, note(1)),
            Act::Tell(None, note(2)),
            Act::TellToo(Some(1), note(3)),
            Act::TellToo(Some(1), note(4)),
            Act::After(seconds(50), later),
        ]),
    );
    world.run(seconds(3));
    world
}

/// B3.2
#[test]
fn nothing_that_is_owed_is_lost_by_a_snapshot() {
    let mut world = busy_world();
    world.snapshot("p");
    assert_eq!(world.nodes["p"].snapshots.len(), 1);
    world.check();
    world.restart("p");
    assert_eq!(world.channel("p", "ask").parked, 1);
    for channel in ["tell", "tell-too"] {
        assert_eq!(world.channel("p", channel).pending, 2);
        world.destination("p", channel, prompt());
    }
    world.run(seconds(60));
    let delivered = |channel| world.channel("p", channel).pending == 0;
    assert!(delivered("tell") && delivered("tell-too") && delivered("later"));
    assert_eq!(world.state("p").notes(), [17, 18]);
    let id = MessageId::given("someone", "once").unwrap();
    let again = world.tell_as("p", id, note(19));
    let stored = matches!(world.told[&again], Told::Again(StoredAnswer::Answer(0)));
    assert!(stored, "handled before the snapshot");
    world.check();
}

/// B3.2
#[test]
fn snapshot_and_replay_of_the_rest_are_the_whole_at_every_position() {
    let mut world = busy_world();
    for n in 0..10 {
        world.tell("p", note(n));
        world.snapshot("p");
        world.run(Duration::from_millis(700));
        world.check();
    }
}

/// B3.3
#[test]
fn damaged_snapshot_is_refused_and_never_panics() {
    let mut world = busy_world();
    world.snapshot("p");
    let (_, whole) = world.nodes["p"].snapshots[0].clone();
    let read = |bytes: &[u8]| {
        let load = |state: &[u8]| refrain_core::Encoding::Cbor.decode::<Worker>(state);
        Replay::from_snapshot(bytes, Remember::default(), load)
    };
    for end in 0..whole.len() {
        assert!(read(&whole[..end]).is_err(), "cut at {end}");
    }
    let mut newer = whole.clone();
    newer[0] = 99;
    let error = read(&newer).unwrap_err().to_string();
    assert_eq!(
        error,
        "snapshot: 99 is unknown here; written by a newer version?"
    );
    for index in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[index] ^= 1 << bit;
            if let Ok(replay) = read(&flipped) {
                replay.image(crate::world::save).unwrap();
            }
        }
    }
}
