//! The latest identities from outside, and where each was handled.
//!
//! Every message with such an identity looks here, adds itself and pushes the oldest out, so this is
//! kept small: a queue in the order of arrival, and a table that finds a place in it. The table holds
//! eight bytes an identity and never needs the queue to move something: a hundred thousand identities
//! stay in a processor's cache.
//!
//! Invariants: of identities that meet in the queue, the table knows the latest; between a slot and
//! the one where it would be at home no slot is empty; at least one slot in five is empty.

use std::collections::VecDeque;
use std::collections::vec_deque;

use crate::id::Position;
use crate::time::Timestamp;

/// Slots of the smallest table.
const SLOTS_MIN: usize = 64;

/// An identity from outside that is remembered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outside {
    pub(super) fingerprint: u128,
    pub(super) time: Timestamp,
    pub(super) position: Position,
}

#[derive(Debug, Default)]
pub(super) struct Window {
    /// In the order they came.
    queue: VecDeque<Outside>,
    /// The serial number of the first in `queue`; those behind it count on.
    first: u32,
    /// Linear probing; as many as a power of two, or none before the first identity came.
    slots: Vec<Slot>,
    occupied: usize,
}

/// A part of a fingerprint, and the serial number of whoever has it; empty when it is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot(u64);

impl Slot {
    const EMPTY: Slot = Slot(0);

    fn new(fingerprint: u128, serial: u32) -> Slot {
        // The lowest bit tells an identity from an empty slot.
        let part = fingerprint as u32 | 1;
        Slot(u64::from(part) << 32 | u64::from(serial))
    }

    fn serial(self) -> u32 {
        self.0 as u32
    }

    /// Whether both stand for fingerprints that may be the same.
    fn is_like(self, other: Slot) -> bool {
        self.0 >> 32 == other.0 >> 32
    }

    /// Where it would be if nobody else were there.
    fn home(self, mask: usize) -> usize {
        (self.0 >> 33) as usize & mask
    }
}

impl Window {
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn iter(&self) -> vec_deque::Iter<'_, Outside> {
        self.queue.iter()
    }

    pub(super) fn oldest(&self) -> Option<&Outside> {
        self.queue.front()
    }

    /// Where the latest with this fingerprint was handled.
    pub(super) fn get(&self, fingerprint: u128) -> Option<Position> {
        let place = self.find(fingerprint)?;
        Some(self.of(self.slots[place]).position)
    }

    /// Adds the latest one.
    pub(super) fn push(&mut self, outside: Outside) {
        let serial = u32::try_from(self.queue.len()).expect("identities fit memory");
        let slot = Slot::new(outside.fingerprint, self.first.wrapping_add(serial));
        match self.find(outside.fingerprint) {
            Some(place) => self.slots[place] = slot,
            None => self.occupy(slot),
        }
        self.queue.push_back(outside);
    }

    /// Forgets the oldest one.
    pub(super) fn pop(&mut self) {
        let Some(oldest) = self.queue.pop_front() else {
            return;
        };
        let slot = Slot::new(oldest.fingerprint, self.first);
        self.first = self.first.wrapping_add(1);
        // It is not there when the same identity came again: the later one stays.
        let place = self.probe(slot).find(|place| self.slots[*place] == slot);
        if let Some(place) = place {
            self.vacate(place);
        }
    }

    fn of(&self, slot: Slot) -> &Outside {
        &self.queue[slot.serial().wrapping_sub(self.first) as usize]
    }

    fn find(&self, fingerprint: u128) -> Option<usize> {
        let wanted = Slot::new(fingerprint, 0);
        self.probe(wanted).find(|place| {
            let slot = self.slots[*place];
            slot.is_like(wanted) && self.of(slot).fingerprint == fingerprint
        })
    }

    /// The occupied places where something like `slot` may be.
    fn probe(&self, slot: Slot) -> impl Iterator<Item = usize> {
        let mask = self.slots.len().wrapping_sub(1);
        let (end, home) = (self.slots.len(), slot.home(mask));
        (0..end)
            .map(move |step| (home + step) & mask)
            .take_while(|place| self.slots[*place] != Slot::EMPTY)
    }

    fn occupy(&mut self, slot: Slot) {
        if (self.occupied + 1) * 5 > self.slots.len() * 4 {
            self.grow();
        }
        self.occupied += 1;
        self.put(slot);
    }

    fn put(&mut self, slot: Slot) {
        let mask = self.slots.len() - 1;
        let mut place = slot.home(mask);
        while self.slots[place] != Slot::EMPTY {
            place = (place + 1) & mask;
        }
        self.slots[place] = slot;
    }

    fn grow(&mut self) {
        let count = (self.slots.len() * 2).max(SLOTS_MIN);
        let before = std::mem::replace(&mut self.slots, vec![Slot::EMPTY; count]);
        for slot in before {
            if slot != Slot::EMPTY {
                self.put(slot);
            }
        }
    }

    /// Empties a place. Those behind it move up, so that each can still be reached from its home.
    fn vacate(&mut self, mut place: usize) {
        let mask = self.slots.len() - 1;
        let mut next = place;
        loop {
            next = (next + 1) & mask;
            let slot = self.slots[next];
            if slot == Slot::EMPTY {
                break;
            }
            let from_home = next.wrapping_sub(slot.home(mask)) & mask;
            let from_place = next.wrapping_sub(place) & mask;
            if from_home >= from_place {
                self.slots[place] = slot;
                place = next;
            }
        }
        self.slots[place] = Slot::EMPTY;
        self.occupied -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn outside(fingerprint: u128, number: u64) -> Outside {
        Outside {
            fingerprint,
            time: Timestamp::EPOCH,
            position: Position::new(number).unwrap(),
        }
    }

    /// Few homes and many that share one, so that slots move.
    fn fingerprints() -> impl Strategy<Value = u128> {
        (0..4_u128, 0..8_u128, 0..3_u128)
            .prop_map(|(far, home, like)| like << 64 | far << 16 | home << 1)
    }

    proptest! {
        /// B1.4
        #[test]
        fn window_finds_what_a_plain_map_finds(
            pushed in proptest::collection::vec(fingerprints(), 0..400),
            count in 1..200_usize,
        ) {
            // So that serial numbers begin anew in between.
            let first = u32::MAX - 50;
            let mut window = Window { first, ..Window::default() };
            let mut latest = HashMap::new();
            for (number, fingerprint) in (1..).zip(&pushed) {
                window.push(outside(*fingerprint, number));
                latest.insert(*fingerprint, number);
                if window.len() > count {
                    let oldest = *window.oldest().unwrap();
                    window.pop();
                    if latest.get(&oldest.fingerprint) == Some(&oldest.position.get()) {
                        latest.remove(&oldest.fingerprint);
                    }
                }
                prop_assert_eq!(window.occupied, latest.len());
            }
            for fingerprint in &pushed {
                let found = window.get(*fingerprint).map(Position::get);
                prop_assert_eq!(found, latest.get(fingerprint).copied());
            }
        }
    }

    #[test]
    fn what_was_pushed_out_leaves_no_room_taken() {
        let mut window = Window::default();
        for number in 1..=100_000_u64 {
            window.push(outside(
                u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15),
                number,
            ));
            if window.len() > 100 {
                window.pop();
            }
        }
        assert_eq!(window.slots.len(), 128);
    }
}
