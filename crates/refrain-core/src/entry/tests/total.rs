//! Reading is total: any bytes give an entry or an error, and any entries a replay or an error.

use proptest::prelude::*;

use super::*;
use crate::engine::{Engine, EngineSettings, Moment, Replay, Writer, stored_answer};
use crate::ledger::Remember;
use crate::outbox::Outbox;
use crate::processor::Processor;

/// Decodes whatever can be decoded of `bytes`.
fn read(bytes: &[u8]) -> bool {
    let Ok(entry) = Entry::decode(bytes) else {
        return false;
    };
    match entry {
        Entry::Step(step) => {
            step.events.iter().for_each(drop);
            step.envelopes.iter().for_each(drop);
        }
        Entry::Begun(_) | Entry::ChannelMoved(_) | Entry::Watermark(_) => {}
    }
    true
}

/// A processor without channels whose events are numbers.
#[derive(Debug, Default, Clone, PartialEq)]
struct Sum(u64);

impl Processor for Sum {
    type Message = u64;
    type Event = u64;
    type Answer = u64;
    type Rejection = ();

    fn decide(&self, message: &u64, out: &mut Outbox<Sum>) -> Result<u64, ()> {
        out.event(*message);
        Ok(self.0)
    }

    fn apply(&mut self, event: &u64) {
        self.0 = self.0.wrapping_add(*event);
    }
}

fn load(bytes: &[u8]) -> Result<Sum, String> {
    bytes
        .try_into()
        .map(|bytes| Sum(u64::from_le_bytes(bytes)))
        .map_err(|_| "length".to_owned())
}

fn save(state: &Sum, into: &mut Vec<u8>) -> Result<(), String> {
    wire::put_u64(into, state.0);
    Ok(())
}

/// Rebuilds from entries that say anything, stores and reads the result, and begins to write.
fn rebuild(entries: &[Vec<u8>]) -> Result<(), TestCaseError> {
    let mut replay = Replay::new(Sum::default(), Remember::default());
    for entry in entries {
        if replay.entry(replay.next(), entry).is_err() {
            return Ok(());
        }
    }
    let stored = replay.image(save).unwrap();
    let again = Replay::<Sum>::from_snapshot(&stored, Remember::default(), load);
    let again = again.map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(again.image(save).unwrap(), stored);

    let settings = EngineSettings {
        name: Name::new("p").unwrap(),
        channels: Vec::new(),
        entry_bytes_max: 1 << 20,
        remember: Remember::default(),
    };
    let writer = Writer {
        id: [0; 16],
        secret: [1; 32],
        code_version: String::new(),
    };
    let moment = Moment {
        now: again.time(),
        seed: 0,
    };
    let mut engine = Engine::begin(again, settings, &writer, moment);
    engine.take_batch(moment.now);
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_an_entry_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read(&bytes);
        let _ = stored_answer::<Sum>(&bytes);
    }

    #[test]
    fn bytes_behind_a_known_tag_are_an_entry_or_an_error(
        tag in 1_u8..4,
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        read(&[&[tag, 1], &bytes[..]].concat());
    }

    #[test]
    fn entry_that_is_cut_or_longer_is_an_error(bytes in entry()) {
        for end in 0..bytes.len() {
            // A list of numbers may end earlier and still be one.
            let is_settled_list = bytes[0] == 3 && bytes[13] == 1;
            prop_assert!(!read(&bytes[..end]) || is_settled_list, "cut at {}", end);
        }
        let longer = [&bytes[..], &[0]].concat();
        prop_assert!(!read(&longer));
    }

    #[test]
    fn flipped_bits_are_an_entry_or_an_error(bytes in entry(), at in any::<prop::sample::Index>()) {
        let mut flipped = bytes.clone();
        let bit = at.index(bytes.len() * 8);
        flipped[bit / 8] ^= 1 << (bit % 8);
        read(&flipped);
        let _ = stored_answer::<Sum>(&flipped);
    }

    #[test]
    fn any_bytes_are_a_snapshot_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let versioned = [&[1, 0], &bytes[..]].concat();
        for bytes in [&bytes, &versioned] {
            let _ = Replay::<Sum>::from_snapshot(bytes, Remember::default(), load);
        }
    }

    #[test]
    fn any_entries_are_a_replay_or_an_error(
        first in begun(),
        entries in prop::collection::vec(entry(), 0..12),
    ) {
        rebuild(&[vec![first], entries].concat())?;
    }
}

#[test]
fn length_beyond_the_bytes_is_an_error_and_nothing_is_taken_for_it() {
    let bytes = {
        let mut bytes = vec![0; 48];
        bytes[..4].copy_from_slice(&[2, 1, 1, 1]);
        bytes[24..28].fill(0xff);
        bytes
    };
    assert_eq!(
        Entry::decode(&bytes),
        Err(FormatError::Length { what: "step" })
    );
}
