//! Submissions that meet others on their way.

use super::*;
use crate::options::JournalOptions;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn at(position: u64) -> Position {
    Position::new(position).unwrap()
}

fn batch() -> Batch {
    let mut batch = Batch::default();
    batch.push(b"entry");
    batch
}

/// A queue, and what its writer has.
fn queue() -> (Queue, Gathered) {
    let settings = JournalOptions::default().check().unwrap();
    let queue = Queue::new(&settings, Arc::default(), Vec::new());
    let taken = Gathered::new(Arc::clone(&queue.names));
    (queue, taken)
}

#[test]
fn a_number_that_was_taken_back_meanwhile_is_not_used_for_the_stream_it_stood_for() {
    let (queue, mut taken) = queue();
    let first = queue.append(&name("old"), Position::FIRST, &batch());
    assert!(first.is_ok());
    let prepared = queue.prepare(&name("old"), at(2), &batch());
    assert_eq!(queue.take(&mut taken, None), Call::Write);
    queue.reject_full(&taken, 0);
    queue.resume();
    queue
        .append(&name("new"), Position::FIRST, &batch())
        .unwrap();
    let late = queue.submit(&name("old"), at(2), &batch(), prepared);
    assert!(
        matches!(late, Err(AppendError::Fenced { next, .. }) if next == Position::FIRST),
        "{late:?}"
    );
}

#[test]
fn what_was_prepared_before_somebody_else_founded_the_stream_names_its_number() {
    let (queue, mut taken) = queue();
    let prepared = queue.prepare(&name("b"), at(2), &batch());
    for stream in ["a", "b"] {
        let founded = queue.append(&name(stream), Position::FIRST, &batch());
        assert!(founded.is_ok());
    }
    let late = queue.submit(&name("b"), at(2), &batch(), prepared);
    assert!(late.is_ok());
    assert_eq!(queue.take(&mut taken, None), Call::Write);
    let (pendings, frame) = taken.frame(2, 3);
    assert_eq!(pendings[0].stream, 1);
    let record = &frame[crate::format::frame::FRAME_HEADER_BYTES..];
    let (header, entry) = crate::format::record::decode(0, record).unwrap();
    assert_eq!(
        (header.stream, header.position, entry),
        (1, 2, &b"entry"[..])
    );
}

#[test]
fn a_name_that_two_journals_know_has_its_own_number_in_each() {
    let (a, b) = (name("a"), name("b"));
    let (one, other) = (queue(), queue());
    for (queue, names) in [(&one.0, [&a, &b]), (&other.0, [&b, &a])] {
        for name in names {
            queue.append(name, Position::FIRST, &batch()).unwrap();
        }
    }
    // Each journal finds the other one's number with the name.
    for name in [&a, &b] {
        for (queue, _) in [&one, &other] {
            queue.append(name, at(2), &batch()).unwrap();
        }
    }
    assert_eq!([last_two(one), last_two(other)], [[0, 1], [1, 0]]);
}

/// The numbers in the last two records that wait.
fn last_two((queue, mut taken): (Queue, Gathered)) -> [u32; 2] {
    assert_eq!(queue.take(&mut taken, None), Call::Write);
    let end = taken.pendings().len();
    [end - 2, end - 1].map(|place| {
        let (_, frame) = taken.frame(place, place + 1);
        let record = &frame[crate::format::frame::FRAME_HEADER_BYTES..];
        let (header, _) = crate::format::record::decode(0, record).unwrap();
        header.stream
    })
}
