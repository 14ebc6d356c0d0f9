//! A message is handled: one entry, told when it is durable, and handled once.

use std::time::Duration;

use refrain_core::{
    AskError, Entry, Input, MessageId, Moment, Name, Processor, RecordedMessage, Remember, Replay,
    StepVerdict, StoredAnswer,
};

use crate::random::Dice;
use crate::world::worker::{Act, Do, Event, TOLD_TO, Worker, note};
use crate::world::{Sync, Told, World, save};

fn by_hand() -> World<Worker> {
    let mut world = World::of_one(Vec::new());
    world.make_all_durable("p");
    world.sync = Sync::ByHand;
    world
}

fn sequenced(number: u64) -> MessageId {
    let source = Name::new("bus").unwrap();
    MessageId::Sequenced { source, number }
}

fn given(id: &str) -> MessageId {
    MessageId::given("someone", id).unwrap()
}

fn verdicts(world: &World<Worker>) -> Vec<StepVerdict> {
    let entries = world.nodes["p"].stream.entries().iter();
    let steps = entries.filter_map(|entry| match Entry::decode(entry).unwrap() {
        Entry::Step(step) => Some(step.verdict),
        Entry::Begun(_) | Entry::ChannelMoved(_) | Entry::Watermark(_) => None,
    });
    steps.collect()
}

/// B1.1
#[test]
fn nothing_is_told_before_the_state_it_was_computed_on_is_durable() {
    let mut world = by_hand();
    let first = world.tell("p", note(1));
    let rejected = world.tell("p", Do(vec![Act::Reject]));
    let seen = world.look("p");
    let second = world.tell("p", note(2));
    assert!(world.told.is_empty());

    world.make_durable("p", 1);
    assert!(matches!(world.told[&first], Told::Answer(0)));
    let Told::Refused(AskError::Rejected(reason)) = &world.told[&rejected] else {
        panic!("rejected: {:?}", world.told[&rejected])
    };
    assert_eq!(reason, TOLD_TO);
    assert!(matches!(world.told[&seen], Told::Seen));
    assert!(!world.told.contains_key(&second));

    world.make_durable("p", 1);
    assert!(matches!(world.told[&second], Told::Answer(1)));
}

/// B1.1
#[test]
fn not_even_a_rejection_is_told_before_the_writer_has_its_epoch() {
    let mut world = World::<Worker>::new();
    world.sync = Sync::ByHand;
    world.add("p", Vec::new());
    world.start("p");
    let rejected = world.tell("p", Do(vec![Act::Reject]));
    let seen = world.look("p");
    assert!(world.told.is_empty());
    world.make_durable("p", 1);
    assert_eq!(world.told_order, [rejected, seen]);
}

/// B1.2
#[test]
fn messages_and_queries_are_answered_in_the_order_sent() {
    let mut world = by_hand();
    let mut asked = Vec::new();
    for n in 0..20 {
        asked.push(world.tell("p", note(n)));
        asked.push(world.look("p"));
    }
    assert_eq!(world.state("p").notes(), (0..20).collect::<Vec<_>>());
    world.make_all_durable("p");
    assert_eq!(world.told_order, asked);
}

/// B1.3
#[test]
fn message_with_unknown_fate_is_asked_again_and_handled_once() {
    for kept in [0, 1] {
        let mut world = by_hand();
        world.tell_as("p", given("a"), note(1));
        world.crash("p", kept);
        world.start("p");
        let again = world.tell_as("p", given("a"), note(1));
        world.make_all_durable("p");
        match &world.told[&again] {
            Told::Answer(0) => assert_eq!(kept, 0, "it was lost, so it is handled now"),
            Told::Again(StoredAnswer::Answer(0)) => assert_eq!(kept, 1, "it was there"),
            other => panic!("{other:?}"),
        }
        assert_eq!(world.state("p").notes(), [1]);
    }
}

/// B1.4
#[test]
fn same_message_again_changes_nothing_and_gets_the_stored_answer_over_a_restart() {
    for id in [given("a"), MessageId::Drawn([7; 16]), sequenced(7)] {
        let mut world = by_hand();
        world.tell("p", note(0));
        let first = world.tell_as("p", id.clone(), note(1));
        let pending = world.tell_as("p", id.clone(), note(2));
        world.make_all_durable("p");
        assert!(matches!(world.told[&first], Told::Answer(1)));
        let stored = |told: &Told<Worker>| matches!(told, Told::Again(StoredAnswer::Answer(1)));
        assert!(stored(&world.told[&pending]), "{:?}", world.told[&pending]);

        world.snapshot("p");
        world.tell("p", note(9));
        world.make_all_durable("p");
        world.restart("p");
        let later = world.tell_as("p", id, note(3));
        world.make_all_durable("p");
        assert!(stored(&world.told[&later]), "{:?}", world.told[&later]);
        assert_eq!(world.state("p").notes(), [0, 1, 9]);
        world.check();
    }
}

/// B1.4
#[test]
fn in_order_source_is_handled_once_also_below_its_last_number() {
    let mut world = by_hand();
    for number in [3, 5, 4, 3, 6] {
        world.tell_as("p", sequenced(number), note(number));
    }
    assert_eq!(world.state("p").notes(), [3, 5, 6]);
    let below = world.tell_as("p", sequenced(4), note(4));
    world.make_all_durable("p");
    assert!(matches!(world.told[&below], Told::Forgotten));
}

/// B1.4
#[test]
fn id_that_was_handled_again_after_it_was_forgotten_is_forgotten_once() {
    let mut world = World::<Worker>::of_one(Vec::new());
    for id in ["a", "b", "c"] {
        world.tell_as("p", given(id), note(1));
    }
    // As if the memory had held less than three ids when these entries were written.
    let entries = world.nodes["p"].stream.entries();
    let remember = Remember {
        count: 4,
        ..Remember::default()
    };
    let mut replay = Replay::new(Worker::default(), remember);
    for entry in entries.iter().chain(&entries[1..]) {
        replay.entry(replay.next(), entry).unwrap();
    }
    let stored = replay.image(save).unwrap();
    let load = |bytes: &[u8]| Worker::ENCODING.decode(bytes);
    let read = Replay::<Worker>::from_snapshot(&stored, remember, load).unwrap();
    assert_eq!(read.state().notes().len(), 6);
    assert_eq!(read.image(save).unwrap(), stored);

    // The older memory of the first id went, the younger one stayed.
    let mut node = world.nodes.remove("p").unwrap();
    let moment = Moment {
        now: world.now,
        seed: 0,
    };
    node.settings.remember = remember;
    node.start(replay, moment, None, None);
    let input = Input::Message {
        id: given("a"),
        message: note(1),
        ticket: Some(1),
    };
    node.engine().step(moment, input);
    assert_eq!(node.engine().state().notes().len(), 6, "handled before");
}

/// B1.5
#[test]
fn from_outside_a_rejection_or_a_panic_leaves_no_entry() {
    let mut world = by_hand();
    let entries = world.nodes["p"].stream.len();
    for act in [Act::Reject, Act::Panic, Act::BombBelow(9)] {
        let refused = world.tell_as("p", given("x"), Do(vec![Act::Note(1), act]));
        world.make_all_durable("p");
        assert!(matches!(world.told[&refused], Told::Refused(_)));
    }
    let begun = world.nodes["p"].stream.len() - entries;
    assert_eq!(begun, 1, "the rebuilt engine's epoch, and nothing else");
    let next = world.tell_as("p", given("x"), note(2));
    world.make_all_durable("p");
    assert!(matches!(world.told[&next], Told::Answer(0)));
    assert_eq!(world.state("p").notes(), [2]);
}

/// B1.5
#[test]
fn durable_source_is_refused_or_parked_with_an_entry_so_that_it_moves_on() {
    let mut world = by_hand();
    let refused = world.tell_as("p", sequenced(1), Do(vec![Act::Note(1), Act::Reject]));
    let panicked = world.tell_as("p", sequenced(2), Do(vec![Act::Panic]));
    let exploded = world.tell_as("p", sequenced(3), Do(vec![Act::Note(3), Act::BombBelow(9)]));
    let handled = world.tell_as("p", sequenced(4), note(4));
    world.make_all_durable("p");
    use StepVerdict::{Handled, Parked, Refused};
    assert_eq!(verdicts(&world), [Refused, Parked, Parked, Handled]);
    let told = |ticket| match &world.told[ticket] {
        Told::Refused(error) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(told(&refused), "the processor rejected the message");
    for ticket in [&panicked, &exploded] {
        let expected = format!("the processor panicked on the message: {TOLD_TO}");
        assert_eq!(told(ticket), expected);
    }
    assert!(matches!(world.told[&handled], Told::Answer(0)));
    assert_eq!(world.state("p").notes(), [4]);

    let again = world.tell_as("p", sequenced(1), note(0));
    world.make_all_durable("p");
    assert!(
        matches!(world.told[&again], Told::Forgotten),
        "one number is kept"
    );
}

/// B1.5
#[test]
fn parked_message_is_recorded_with_its_bytes() {
    let mut world = World::<Worker>::of_one(Vec::new());
    let message = Do(vec![Act::Panic]);
    world.tell_as("p", sequenced(1), message.clone());
    let last = world.nodes["p"].stream.entries().last().unwrap();
    let Entry::Step(step) = Entry::decode(last).unwrap() else {
        panic!("a step")
    };
    let RecordedMessage::Bytes(bytes) = step.message else {
        panic!("{:?}", step.message)
    };
    assert_eq!(step.encoding.decode::<Do>(bytes).unwrap(), message);
}

/// B1.6
#[test]
fn replay_that_cannot_go_on_says_where_and_why() {
    let mut world = World::<Worker>::of_one(Vec::new());
    world.tell("p", note(1));
    let bomb = world.tell("p", Do(vec![Act::BombBelow(1)]));
    assert!(matches!(world.told[&bomb], Told::Answer(1)));
    let entries = world.nodes["p"].stream.entries();
    let mut replay = Replay::new(Worker::default(), Remember::default());
    replay.entry(replay.next(), &entries[0]).unwrap();
    let error = replay.entry(replay.next(), &entries[2]).unwrap_err();
    assert_eq!(error.position().get(), 2);
    let text = format!("`apply` panicked on an event at 2: {TOLD_TO}");
    assert_eq!(error.to_string(), text);
}

/// B1.7
#[test]
fn positions_go_on_after_what_survived_a_crash() {
    let mut world = by_hand();
    for n in 0..5 {
        world.tell("p", note(n));
    }
    world.make_durable("p", 2);
    world.crash("p", 1);
    assert_eq!(world.nodes["p"].stream.len(), 4);
    world.start("p");
    world.make_all_durable("p");
    world.tell("p", note(9));
    assert_eq!(world.node("p").engine().head().get(), 6);
    assert_eq!(world.state("p").notes(), [0, 1, 2, 9]);
}

/// B1.8
#[test]
fn time_and_random_numbers_are_those_that_the_step_records() {
    let mut world = World::<Worker>::of_one(Vec::new());
    let draw = Do(vec![Act::Draw, Act::Draw]);
    world.tell("p", draw.clone());
    world.now = refrain_core::Timestamp::from_micros(17);
    world.tell("p", draw);
    let mut times = Vec::new();
    let mut expected = Vec::new();
    for entry in world.nodes["p"].stream.entries() {
        let Entry::Step(step) = Entry::decode(entry).unwrap() else {
            continue;
        };
        times.push(step.time);
        let mut dice = Dice(step.seed);
        for _ in 0..2 {
            let micros = step.time.as_micros();
            let random = dice.roll();
            expected.push(Event::Drew { micros, random });
        }
    }
    assert_eq!(world.state("p").log, expected);
    assert!(
        times.is_sorted(),
        "the clock went back, the stream does not"
    );
    assert_eq!(times[1].since(times[0]), Duration::ZERO);
}

/// B1.1, B1.5
#[test]
fn step_that_does_not_fit_an_entry_is_refused_or_parked() {
    let mut world = World::<Worker>::new();
    world.add("p", Vec::new());
    world.node("p").settings.entry_bytes_max = 2_000;
    world.start("p");
    let bulky = Do(vec![Act::Bulk(2_000)]);
    let refused = world.tell("p", bulky.clone());
    let Told::Refused(AskError::Invalid(reason)) = &world.told[&refused] else {
        panic!("{:?}", world.told[&refused])
    };
    assert!(reason.contains("2000 fit"), "{reason}");
    world.tell_as("p", sequenced(1), bulky);
    assert_eq!(verdicts(&world), [StepVerdict::Parked]);
    assert!(world.state("p").log.is_empty());
}
