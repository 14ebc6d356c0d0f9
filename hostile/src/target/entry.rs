//! The entries of a stream, and the snapshot of a processor: what a recovery reads.

use refrain_core::{Entry, Outbox, Processor, Remember, Replay};

/// A processor whose state is a number, and whose events are added to it.
#[derive(Debug, Default)]
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
    let number = bytes.try_into().map(u64::from_le_bytes);
    number.map(Sum).map_err(|_| "the length".to_owned())
}

fn save(state: &Sum, into: &mut Vec<u8>) -> Result<(), String> {
    into.extend_from_slice(&state.0.to_le_bytes());
    Ok(())
}

/// One entry, and the replay of it alone: entries follow each other behind their lengths.
pub(super) fn entries(bytes: &[u8]) {
    if let Ok(Entry::Step(step)) = Entry::decode(bytes) {
        step.events.iter().for_each(drop);
        step.envelopes.iter().for_each(drop);
    }
    let mut replay = Replay::new(Sum::default(), Remember::default());
    let mut left = bytes;
    while let Some((length, rest)) = left.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (entry, behind) = rest.split_at(length);
        left = behind;
        if replay.entry(replay.next(), entry).is_err() {
            return;
        }
    }
    is_stored(&replay);
}

/// The snapshot of a processor that did nothing yet.
pub(crate) fn empty_snapshot() -> Vec<u8> {
    let replay = Replay::new(Sum::default(), Remember::default());
    replay.image(save).expect("a number is written")
}

/// A snapshot: what is accepted is written back the same from then on.
pub(super) fn snapshot(bytes: &[u8]) {
    if let Ok(replay) = Replay::from_snapshot(bytes, Remember::default(), load) {
        is_stored(&replay);
    }
}

fn is_stored(replay: &Replay<Sum>) {
    let stored = replay.image(save).expect("a number is written");
    let again = Replay::from_snapshot(&stored, Remember::default(), load);
    let again = again.expect("what was written is read");
    let twice = again.image(save).expect("a number is written");
    assert_eq!(twice, stored, "the form is canonical");
}
