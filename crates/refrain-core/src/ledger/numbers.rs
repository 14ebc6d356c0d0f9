//! A set of numbers that mostly follow each other, kept as ranges, so that its size goes with its
//! gaps and not with its members.

use std::collections::BTreeMap;

use crate::entry::FormatError;
use crate::entry::wire::{Reader, put_u64};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// The last number of each range by its first one. Ranges neither overlap nor touch.
    ranges: BTreeMap<u64, u64>,
}

impl Numbers {
    pub(crate) fn contains(&self, number: u64) -> bool {
        let before = self.ranges.range(..=number).next_back();
        before.is_some_and(|(_, last)| number <= *last)
    }

    pub(crate) fn insert(&mut self, number: u64) {
        if self.contains(number) {
            return;
        }
        let mut first = number;
        if let Some((start, last)) = self.ranges.range(..number).next_back()
            && last + 1 == number
        {
            first = *start;
        }
        let behind = number.checked_add(1);
        let last = behind.and_then(|behind| self.ranges.remove(&behind));
        self.ranges.insert(first, last.unwrap_or(number));
    }

    /// Takes out the range that starts at `first`, and says where it ends.
    pub(crate) fn take_range_from(&mut self, first: u64) -> Option<u64> {
        self.ranges.remove(&first)
    }

    /// Forgets all numbers below `bound`.
    pub(crate) fn forget_below(&mut self, bound: u64) {
        while let Some(range) = self.ranges.first_entry() {
            let last = *range.get();
            if *range.key() >= bound {
                return;
            }
            range.remove();
            if last >= bound {
                self.ranges.insert(bound, last);
            }
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.ranges
            .iter()
            .map(|(first, last)| last - first + 1)
            .sum()
    }

    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        put_u64(into, self.ranges.len() as u64);
        for (first, last) in &self.ranges {
            put_u64(into, *first);
            put_u64(into, *last);
        }
    }

    /// Reads a set whose members all lie in `from..=up_to`.
    pub(crate) fn decode(
        reader: &mut Reader<'_>,
        from: u64,
        up_to: u64,
    ) -> Result<Numbers, FormatError> {
        let mut numbers = Numbers::default();
        let mut least = Some(from);
        for _ in 0..reader.u64()? {
            let (first, last) = (reader.u64()?, reader.u64()?);
            if least.is_none_or(|least| first < least) || last < first || last > up_to {
                return Err(reader.invalid());
            }
            numbers.ranges.insert(first, last);
            // A touching range would have been one with this one.
            least = last.checked_add(2);
        }
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn of(members: &[u64]) -> Numbers {
        let mut numbers = Numbers::default();
        for number in members {
            numbers.insert(*number);
        }
        numbers
    }

    #[test]
    fn numbers_that_follow_each_other_are_one_range() {
        assert_eq!(of(&[3, 1, 2]).ranges, BTreeMap::from([(1, 3)]));
        assert_eq!(of(&[1, 3]).ranges, BTreeMap::from([(1, 1), (3, 3)]));
    }

    proptest! {
        #[test]
        fn set_of_ranges_is_the_set(members in prop::collection::vec(1_u64..40, 0..60), bound in 0_u64..45) {
            let mut numbers = of(&members);
            let mut plain: BTreeSet<u64> = members.into_iter().collect();
            for number in 0..45 {
                prop_assert_eq!(numbers.contains(number), plain.contains(&number));
            }
            prop_assert_eq!(numbers.len(), plain.len() as u64);
            numbers.forget_below(bound);
            plain = plain.split_off(&bound);
            prop_assert_eq!(&numbers, &of(&plain.iter().copied().collect::<Vec<_>>()));

            let mut stored = Vec::new();
            numbers.encode(&mut stored);
            let read = Numbers::decode(&mut Reader::new(&stored, "numbers"), 0, 44);
            prop_assert_eq!(read.unwrap(), numbers);
        }
    }
}
