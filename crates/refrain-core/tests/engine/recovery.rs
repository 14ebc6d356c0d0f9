//! Replay: exactly the events, once, from anywhere, up to anywhere.

use std::time::Duration;

use refrain_core::{Position, Remember, Replay};

use crate::world::destination::{prompt, silent};
use crate::world::worker::{Act, Do, Worker, note};
use crate::world::{Sync, World, seconds};

/// B2.1
#[test]
fn replay_applies_exactly_the_events_in_order_and_once() {
    let mut world: World = World::of_one(Vec::new());
    for n in 0..50 {
        world.tell("p", Do(vec![Act::Note(n), Act::Note(n), Act::Draw]));
    }
    let live = world.state("p").log.clone();
    let replay = world.node("p").replay(None, None).unwrap();
    assert_eq!(replay.state().log, live);
    assert_eq!(live.len(), 150);
}

/// B2.2
#[test]
fn replay_stops_at_any_position_and_goes_on_from_any_snapshot() {
    let mut world: World = World::of_one(Vec::new());
    let mut images = vec![(Position::FIRST, world.node("p").image())];
    world.destination("p", "tell", prompt());
    for n in 0..20 {
        world.tell("p", Do(vec![Act::Note(n), Act::Tell(None, note(n))]));
        let head = world.node("p").engine().head();
        images.push((head, world.node("p").image()));
        world.run(Duration::ZERO);
        world.snapshot("p");
    }
    let snapshots = world.nodes["p"].snapshots.clone();
    let entries = world.nodes["p"].stream.entries();
    let image_at = |replay: &Replay<Worker>| {
        let found = images.iter().find(|(at, _)| at.next() == replay.next());
        found.map(|(_, image)| image.clone())
    };
    let mut compared = 0;
    for start in std::iter::once(None).chain(snapshots.iter().map(Some)) {
        let mut replay = match start {
            None => Replay::new(Worker::default(), Remember::default()),
            Some((position, snapshot)) => {
                let load = |bytes: &[u8]| refrain_core::Encoding::Cbor.decode(bytes);
                let replay: Replay<Worker> =
                    Replay::from_snapshot(snapshot, Remember::default(), load).unwrap();
                assert_eq!(replay.next(), position.next());
                replay
            }
        };
        let from = usize::try_from(replay.next().get() - 1).unwrap();
        for entry in &entries[from..] {
            replay.entry(replay.next(), entry).unwrap();
            if let Some(image) = image_at(&replay) {
                assert_eq!(replay.image(crate::world::save).unwrap(), image);
                compared += 1;
            }
        }
    }
    assert!(compared > 200, "{compared} places were compared");
}

/// B2.2
#[test]
fn replay_of_nothing_is_the_initial_state() {
    let replay = Replay::new(Worker::default(), Remember::default());
    assert_eq!(replay.next(), Position::FIRST);
    assert_eq!(replay.epoch(), None);
    assert_eq!(replay.into_state(), Worker::default());
}

#[test]
fn replay_refuses_a_gap_and_a_repetition() {
    let mut world: World = World::of_one(Vec::new());
    world.tell("p", note(1));
    let entries = world.nodes["p"].stream.entries();
    let mut replay = Replay::new(Worker::default(), Remember::default());
    replay.entry(Position::FIRST, &entries[0]).unwrap();
    let again = replay.entry(Position::FIRST, &entries[0]).unwrap_err();
    assert_eq!(
        again.to_string(),
        "the entry at 2 is missing; the next one is at 1"
    );
    let third = Position::new(3).unwrap();
    assert!(replay.entry(third, &entries[1]).is_err());
}

#[test]
fn writer_with_an_epoch_that_does_not_grow_is_refused() {
    let mut world: World = World::of_one(Vec::new());
    world.tell("p", note(1));
    let begun = world.nodes["p"].stream.entries()[0].clone();
    let mut replay = world.node("p").replay(None, None).unwrap();
    assert!(replay.entry(replay.next(), &begun).is_err());
}

type Send = fn(Do) -> Act;

/// Two processors and an echo: `p1 -> p2 -> echo -> p1`, and `p1 -> destination`.
struct Cycle {
    world: World<Worker>,
    hop: Send,
    out: Send,
    destination: &'static str,
}

const RELIABLE: (Send, Send) = (|d| Act::Tell(None, d), |d| Act::TellToo(None, d));
const DEFAULT: (Send, Send) = (|d| Act::Tell(None, d), Act::Rest);

impl Cycle {
    fn new((hop, out): (Send, Send), destination: &'static str) -> Cycle {
        let mut world = World::new();
        world.sync = Sync::ByHand;
        for node in ["p1", "p2", "echo"] {
            world.add(node, Vec::new());
        }
        for (from, to) in [("p1", "p2"), ("p2", "echo"), ("echo", "p1")] {
            world.connect(from, "tell", to);
        }
        world.destination("p1", destination, silent());
        for node in ["p1", "p2", "echo"] {
            world.start(node);
        }
        Cycle {
            world,
            hop,
            out,
            destination,
        }
    }

    /// Leads to the outputs 1 and 2 of p1, the second when the first went round.
    fn tell(&mut self) {
        let Cycle { hop, out, .. } = *self;
        let back_at_p1 = Do(vec![Act::Note(3), out(note(2))]);
        let at_echo = Do(vec![hop(back_at_p1)]);
        let at_p2 = Do(vec![Act::Note(2), hop(at_echo)]);
        let at_p1 = Do(vec![Act::Note(1), hop(at_p2), out(note(1))]);
        self.world.tell("p1", at_p1);
    }

    /// Everybody starts again and everything works; gives the outputs with their attempts.
    fn recover(mut self) -> Vec<(Do, u32)> {
        for node in ["p1", "p2", "echo"] {
            self.world.crash(node, usize::MAX / 2);
        }
        self.world.sync = Sync::AtOnce;
        self.world.destination("p1", self.destination, prompt());
        for node in ["p1", "p2", "echo"] {
            self.world.start(node);
        }
        self.world.run(seconds(100));
        self.world.check();
        for node in self.world.nodes.values() {
            node.check_done();
        }
        assert_eq!(self.world.state("p1").notes(), [1, 3]);
        assert_eq!(self.world.state("p2").notes(), [2]);
        let outputs = self.world.sent.iter();
        outputs
            .filter(|sent| sent.delivery.channel == self.destination)
            .map(|sent| {
                let delivery = &sent.delivery;
                let what = delivery.encoding.decode(&delivery.request).unwrap();
                (what, delivery.attempt)
            })
            .collect()
    }

    /// Lets everything go round, with everything durable at once.
    fn go_round(&mut self) {
        for _ in 0..40 {
            for node in ["p1", "p2", "echo"] {
                self.world.make_all_durable(node);
            }
            self.world.run(Duration::ZERO);
        }
    }
}

/// B2.4
#[test]
fn cycle_that_crashes_after_its_outputs_were_stored_recovers_consistently() {
    for (channels, destination) in [(RELIABLE, "tell-too"), (DEFAULT, "rest")] {
        let mut cycle = Cycle::new(channels, destination);
        for node in ["p1", "p2", "echo"] {
            cycle.world.make_all_durable(node);
        }
        cycle.tell();
        assert!(cycle.world.sent.is_empty(), "stored, not delivered");
        let outputs = cycle.recover();
        let whats: Vec<Do> = outputs.iter().map(|(what, _)| what.clone()).collect();
        assert_eq!(whats, [note(1), note(2)]);
    }
}

/// B2.4
#[test]
fn cycle_that_crashes_with_an_output_delivered_and_not_settled_repeats_it_as_a_redelivery() {
    for (channels, destination) in [(RELIABLE, "tell-too"), (DEFAULT, "rest")] {
        let mut cycle = Cycle::new(channels, destination);
        cycle.tell();
        cycle.go_round();
        let outputs = cycle.recover();
        assert_eq!(outputs[..2], [(note(1), 1), (note(1), 2)]);
        assert_eq!(outputs[2].0, note(2));
        assert_eq!(outputs.len(), 3);
    }
}

/// B2.4
#[test]
fn processor_that_does_not_start_does_not_silence_the_others() {
    let mut cycle = Cycle::new(RELIABLE, "tell-too");
    cycle.tell();
    for node in ["p1", "p2", "echo"] {
        cycle.world.crash(node, usize::MAX / 2);
    }
    cycle.world.sync = Sync::AtOnce;
    cycle.world.destination("p1", "tell-too", prompt());
    cycle.world.start("p1");
    cycle.world.run(seconds(1));
    let outputs = cycle.world.sent.iter();
    let outputs = outputs.filter(|sent| sent.delivery.channel == "tell-too");
    assert_eq!(outputs.count(), 1);
    assert_eq!(cycle.world.channel("p1", "tell").pending, 1);
}
