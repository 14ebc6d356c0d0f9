//! Identities from outside: the latest ones, a window by count and age.
//!
//! They are kept in the order they came, and a table finds them there. A slot of the table is the
//! number of an identity in that order, four bytes: so the table of a full window stays in the
//! processor's own cache, where each new identity looks for itself and the oldest one goes.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Duration;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::inbox::position;
use crate::entry::FormatError;
use crate::entry::wire::{Reader, put_u64};
use crate::id::Position;
use crate::limit::REMEMBERED_DEFAULT;
use crate::time::Timestamp;

/// How long identities from outside are remembered: the promise that the same one again changes
/// nothing ends there.
///
/// ```
/// use refrain_core::Remember;
/// use std::time::Duration;
///
/// let a_day = Remember { count: 1_000_000, age: Duration::from_secs(86_400) };
/// assert!(a_day.count > Remember::default().count);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remember {
    /// At most so many, the latest ones. 100,000 unless set; never more than 2^31.
    pub count: usize,
    /// At most so old. A week unless set.
    pub age: Duration,
}

impl Default for Remember {
    fn default() -> Remember {
        Remember {
            count: REMEMBERED_DEFAULT,
            age: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

/// Numbers go round, so fewer are in use than there are.
const COUNT_MAX: usize = 1 << 31;

#[derive(Debug, Default)]
pub(super) struct Outside {
    remember: Remember,
    /// In the order they came.
    order: VecDeque<Identity>,
    /// The number of the first one in `order`.
    first: u32,
    /// The number of each in `order` by its fingerprint; of several alike, of the last.
    numbers: HashTable<u32>,
}

/// An identity that is remembered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity {
    pub(super) fingerprint: u128,
    pub(super) time: Timestamp,
    pub(super) position: Position,
}

/// Fingerprints are hashes already, with a key that nobody outside knows.
fn hash(fingerprint: u128) -> u64 {
    fingerprint as u64
}

/// The identity with this number, where the first one has the number `first`.
#[inline]
fn numbered(order: &VecDeque<Identity>, first: u32, number: u32) -> &Identity {
    &order[number.wrapping_sub(first) as usize]
}

impl Outside {
    pub(super) fn new(remember: Remember) -> Outside {
        Outside {
            remember,
            ..Outside::default()
        }
    }

    /// Where the message with this fingerprint was handled, if that is remembered.
    #[inline]
    pub(super) fn find(&self, fingerprint: u128) -> Option<Position> {
        self.reach_for_oldest();
        let identity = |number: u32| numbered(&self.order, self.first, number);
        let number = self.numbers.find(hash(fingerprint), |number| {
            identity(*number).fingerprint == fingerprint
        })?;
        Some(identity(*number).position)
    }

    /// Has the memory send the place of the oldest one while it sends that of the one that is looked
    /// for: if that one is new, the oldest one goes next, and would be waited for by itself.
    #[inline]
    fn reach_for_oldest(&self) {
        if let Some(oldest) = self.order.front()
            && self.order.len() >= self.remember.count
        {
            let number = |number: &u32| *number == self.first;
            black_box(self.numbers.find(hash(oldest.fingerprint), number));
        }
    }

    /// Remembers a message that was handled, and forgets those that are too many or too old.
    #[inline]
    pub(super) fn note(&mut self, latest: Identity) {
        let before = u32::try_from(self.order.len()).expect("COUNT_MAX fits 32 bits");
        let number = self.first.wrapping_add(before);
        self.order.push_back(latest);
        let Outside {
            order,
            first,
            numbers,
            ..
        } = self;
        let fingerprint = |number: &u32| numbered(order, *first, *number).fingerprint;
        let known = numbers.entry(
            hash(latest.fingerprint),
            |number| fingerprint(number) == latest.fingerprint,
            |number| hash(fingerprint(number)),
        );
        match known {
            // Handled again after it was forgotten under a shorter memory: the later one stays.
            Entry::Occupied(mut known) => *known.get_mut() = number,
            Entry::Vacant(free) => _ = free.insert(number),
        }
        self.forget(latest.time);
    }

    fn forget(&mut self, now: Timestamp) {
        let count_max = self.remember.count.min(COUNT_MAX);
        while let Some(oldest) = self.order.front() {
            if self.order.len() <= count_max && now.since(oldest.time) <= self.remember.age {
                break;
            }
            let first = self.first;
            let number = |number: &u32| *number == first;
            // There is none when a later one took its place.
            if let Ok(slot) = self.numbers.find_entry(hash(oldest.fingerprint), number) {
                slot.remove();
            }
            self.order.pop_front();
            self.first = first.wrapping_add(1);
        }
    }

    /// The oldest entry whose answer a message that comes again would get.
    pub(super) fn first_answer(&self) -> Option<Position> {
        self.order.front().map(|oldest| oldest.position)
    }

    /// Appends the memory in a canonical order.
    pub(super) fn encode(&self, into: &mut Vec<u8>) {
        put_u64(into, self.order.len() as u64);
        for identity in &self.order {
            into.extend_from_slice(&identity.fingerprint.to_le_bytes());
            put_u64(into, identity.time.as_micros());
            put_u64(into, identity.position.get());
        }
    }

    pub(super) fn decode(
        reader: &mut Reader<'_>,
        remember: Remember,
    ) -> Result<Outside, FormatError> {
        let mut outside = Outside::new(remember);
        for _ in 0..reader.u64()? {
            outside.note(Identity {
                fingerprint: u128::from_le_bytes(reader.array()?),
                time: Timestamp::from_micros(reader.u64()?),
                position: position(reader)?,
            });
        }
        Ok(outside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: u64) -> Position {
        Position::new(number).unwrap()
    }

    fn identity(fingerprint: u128, second: u64, number: u64) -> Identity {
        Identity {
            fingerprint,
            time: Timestamp::from_micros(second * 1_000_000),
            position: at(number),
        }
    }

    fn window(count: usize) -> Outside {
        Outside::new(Remember {
            count,
            age: Duration::from_secs(10),
        })
    }

    /// B1.4
    #[test]
    fn ids_from_outside_are_remembered_within_a_window_by_count_and_age() {
        let mut outside = window(2);
        for n in [1, 2, 3] {
            outside.note(identity(n.into(), n, n));
        }
        assert_eq!(outside.find(1), None, "two are remembered");
        assert_eq!(outside.find(2), Some(at(2)));
        outside.note(identity(4, 13, 4));
        assert_eq!(outside.find(3), Some(at(3)), "ten seconds are not over");
        outside.note(identity(5, 30, 5));
        assert_eq!(outside.find(4), None, "too old");
    }

    /// B1.4
    #[test]
    fn id_that_was_handled_twice_is_remembered_as_long_as_the_later_time() {
        let mut outside = window(3);
        for (number, fingerprint) in (1..).zip([7, 8, 7, 9]) {
            outside.note(identity(fingerprint, 0, number));
        }
        assert_eq!(outside.find(7), Some(at(3)), "the first one is forgotten");
        assert_eq!(outside.first_answer(), Some(at(2)));
        for number in 5..=6 {
            outside.note(identity(number.into(), 0, number));
        }
        assert_eq!(outside.find(7), None);
        assert_eq!(outside.find(9), Some(at(4)));
    }

    /// The numbers go round, and fingerprints share their hash: what is remembered is what a list says.
    #[test]
    fn window_remembers_what_a_list_does() {
        let mut outside = window(50);
        outside.first = u32::MAX - 200;
        let mut list = VecDeque::new();
        let mut state = 1_u64;
        for number in 1..=2_000 {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let fingerprint = u128::from(state >> 58) << 64 | u128::from(state >> 33 & 3);
            outside.note(identity(fingerprint, 0, number));
            list.push_back((fingerprint, at(number)));
            if list.len() > 50 {
                list.pop_front();
            }
            for high in 0..64_u128 {
                let asked = high << 64 | u128::from(number & 3);
                let known = list.iter().rev().find(|(one, _)| *one == asked);
                assert_eq!(outside.find(asked), known.map(|(_, position)| *position));
            }
            assert!(outside.numbers.len() <= 50);
        }
    }
}
