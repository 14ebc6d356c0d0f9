//! What a channel of another processor delivered, as far as it may come again.

use std::collections::BTreeMap;

use super::inbox::{Seen, position};
use super::numbers::Numbers;
use crate::entry::FormatError;
use crate::entry::wire::{Reader, put_u64};
use crate::id::Position;
use crate::limit::DELIVERED_ANSWERS_MAX;

#[derive(Debug, Default)]
pub(super) struct Sender {
    settled_below: u64,
    /// What was handled at or above `settled_below`.
    handled: Numbers,
    /// Where the latest of them were.
    positions: BTreeMap<u64, Position>,
}

impl Sender {
    pub(super) fn seen(&self, number: u64) -> Seen {
        if number < self.settled_below || self.handled.contains(number) {
            Seen::Handled(self.positions.get(&number).copied())
        } else {
            Seen::New
        }
    }

    pub(super) fn note(&mut self, number: u64, settled_below: u64, position: Position) {
        if settled_below > self.settled_below {
            self.settled_below = settled_below;
            self.handled.forget_below(settled_below);
            self.positions = self.positions.split_off(&settled_below);
        }
        // An engine records nothing else; entries from elsewhere may say anything.
        if number >= self.settled_below {
            self.handled.insert(number);
            self.positions.insert(number, position);
        }
        if self.positions.len() > DELIVERED_ANSWERS_MAX {
            self.positions.pop_first();
        }
    }

    /// The oldest entry whose answer may be asked for again.
    pub(super) fn first_answer(&self) -> Option<Position> {
        self.positions.values().min().copied()
    }

    pub(super) fn encode(&self, into: &mut Vec<u8>) {
        put_u64(into, self.settled_below);
        self.handled.encode(into);
        put_u64(into, self.positions.len() as u64);
        for (number, position) in &self.positions {
            put_u64(into, *number);
            put_u64(into, position.get());
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Sender, FormatError> {
        let settled_below = reader.u64()?;
        let handled = Numbers::decode(reader, settled_below, u64::MAX)?;
        let mut positions = BTreeMap::new();
        for _ in 0..reader.u64()? {
            let number = reader.u64()?;
            positions.insert(number, position(reader)?);
        }
        Ok(Sender {
            settled_below,
            handled,
            positions,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delivery_below_what_is_settled_leaves_a_memory_that_can_be_stored() {
        let mut sender = Sender::default();
        for number in [0, 9, 3] {
            sender.note(number, 7, Position::FIRST);
        }
        let mut stored = Vec::new();
        sender.encode(&mut stored);
        let read = Sender::decode(&mut Reader::new(&stored, "sender")).unwrap();
        assert_eq!(read.seen(9), Seen::Handled(Some(Position::FIRST)));
        assert_eq!(read.seen(3), Seen::Handled(None));
        assert_eq!(read.seen(8), Seen::New);
    }
}
