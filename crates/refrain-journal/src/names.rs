//! The streams' names, and the numbers that stand for them in the log.
//!
//! There may be millions of streams, most of them idle: the names lie side by side in one piece of
//! memory, and what finds them holds numbers alone.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::HashTable;
use refrain_core::limit::NAME_BYTES_MAX;
use refrain_core::{Name, NameTable, Noted};

use crate::growth::make_room;
use crate::index::Contradiction;

/// Streams that one journal may have: numbers index tables, so damaged or hostile bytes must not
/// make those large.
pub(crate) const STREAMS_MAX: u32 = 1 << 24;

const _: () = assert!(STREAMS_MAX <= NameTable::NUMBERS_MAX);

/// Which number stands for which name. A name is here from the submission of its first append, so
/// whether the stream has durable entries only the index knows.
#[derive(Debug, Default)]
pub(crate) struct Names {
    hashing: RandomState,
    known: RwLock<Known>,
}

#[derive(Debug)]
struct Known {
    texts: Texts,
    /// All numbers, to be found by the hash of their name.
    numbers: HashTable<u32>,
    /// Another one since a name was taken away: its number may stand for another one by now.
    table: NameTable,
}

impl Default for Known {
    fn default() -> Known {
        Known {
            texts: Texts::default(),
            numbers: HashTable::default(),
            table: NameTable::fresh(),
        }
    }
}

impl Names {
    pub(crate) fn find(&self, name: &Name) -> Option<u32> {
        self.look(name).map(|noted| noted.number)
    }

    /// As [`Names::find`], with the table that the answer holds in, and notes that with the name.
    pub(crate) fn look(&self, name: &Name) -> Option<Noted> {
        let hash = self.hash(name.as_str().as_bytes());
        let known = self.read();
        let noted = Noted {
            table: known.table,
            number: known.find(hash, name)?,
        };
        drop(known);
        name.note(noted);
        Some(noted)
    }

    /// The table as it is now.
    pub(crate) fn table(&self) -> NameTable {
        self.read().table
    }

    /// The name that `stream` stands for.
    pub(crate) fn name(&self, stream: u32) -> Option<Name> {
        let known = self.read();
        let text = std::str::from_utf8(known.texts.of(stream)?).ok();
        let name = text.and_then(|text| Name::new(text).ok());
        Some(name.expect("it was a name"))
    }

    pub(crate) fn has_name(&self, stream: u32) -> bool {
        self.read().texts.of(stream).is_some()
    }

    /// The first number below `streams` that stands for no name.
    pub(crate) fn first_vacant(&self, streams: u32) -> Option<u32> {
        let known = self.read();
        (0..streams).find(|stream| known.texts.of(*stream).is_none())
    }

    /// Puts `streams`, which have names, in the order of those.
    pub(crate) fn sort(&self, streams: &mut [u32]) {
        let known = self.read();
        streams.sort_unstable_by_key(|stream| known.texts.of(*stream));
    }

    /// Where the names of `sorted` begin for which `is_before` does not hold any more.
    pub(crate) fn partition_point(
        &self,
        sorted: &[u32],
        is_before: impl Fn(&[u8]) -> bool,
    ) -> usize {
        let known = self.read();
        sorted.partition_point(|stream| is_before(known.texts.of(*stream).unwrap_or_default()))
    }

    pub(crate) fn add(&self, name: &Name, stream: u32) {
        let learnt = self.learn(stream, name);
        assert_eq!(learnt, Ok(()), "names keep their numbers");
    }

    /// Adds a name that a log declared. Each number stands for one name, and each name has one.
    pub(crate) fn learn(&self, stream: u32, name: &Name) -> Result<(), Contradiction> {
        let text = name.as_str().as_bytes();
        // Mostly it was added when the first append was submitted.
        if self.read().texts.of(stream) == Some(text) {
            return Ok(());
        }
        let hash = self.hash(text);
        let mut known = self.write();
        if known.texts.of(stream).is_some() {
            return Err(Contradiction::new(stream, "it has two names"));
        }
        if known.find(hash, name).is_some() {
            return Err(Contradiction::new(stream, "another stream has its name"));
        }
        let Known { texts, numbers, .. } = &mut *known;
        texts.add(stream, text);
        let hash_of = |stream: &u32| self.hash(texts.of(*stream).unwrap_or_default());
        numbers.insert_unique(hash, stream, hash_of);
        Ok(())
    }

    /// Takes away the name that was added last. Gives the table that there is now.
    pub(crate) fn remove(&self, name: &Name) -> NameTable {
        let hash = self.hash(name.as_str().as_bytes());
        let mut known = self.write();
        let Known { texts, numbers, .. } = &mut *known;
        let is_same = |stream: &u32| texts.of(*stream) == Some(name.as_str().as_bytes());
        if let Ok(found) = numbers.find_entry(hash, is_same) {
            let (stream, _) = found.remove();
            texts.remove_last(stream);
        }
        known.table = NameTable::fresh();
        known.table
    }

    fn hash(&self, text: &[u8]) -> u64 {
        self.hashing.hash_one(text)
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn find(&self, hash: u64, name: &Name) -> Option<u32> {
        let is_same = |stream: &u32| self.texts.of(*stream) == Some(name.as_str().as_bytes());
        self.numbers.find(hash, is_same).copied()
    }
}

/// Names side by side, each behind a byte that says how long it is.
#[derive(Debug, Default)]
struct Texts {
    bytes: Vec<u8>,
    /// By number: where the name's length is, counted from 1.
    places: Vec<Option<NonZeroU32>>,
}

const _: () = assert!(NAME_BYTES_MAX <= u8::MAX as usize);

// Places of all names that there may be fit 32 bits.
const _: () = assert!(STREAMS_MAX as u64 * (NAME_BYTES_MAX as u64 + 1) < u32::MAX as u64);

impl Texts {
    fn of(&self, stream: u32) -> Option<&[u8]> {
        let place = (*self.places.get(stream as usize)?)?.get() as usize;
        let length = usize::from(self.bytes[place - 1]);
        Some(&self.bytes[place..place + length])
    }

    fn add(&mut self, stream: u32, text: &[u8]) {
        let wanted = self.bytes.len() + 1 + text.len();
        make_room(&mut self.bytes, wanted);
        let length = u8::try_from(text.len()).expect("names are short");
        self.bytes.push(length);
        let place = u32::try_from(self.bytes.len()).ok();
        self.bytes.extend_from_slice(text);
        let streams = stream as usize + 1;
        if streams > self.places.len() {
            make_room(&mut self.places, streams);
            self.places.resize(streams, None);
        }
        let place = place.and_then(NonZeroU32::new);
        self.places[stream as usize] = Some(place.expect("all names together are bounded"));
    }

    /// Takes away the name of `stream`, which was added last.
    fn remove_last(&mut self, stream: u32) {
        let place = self.places.pop().flatten();
        assert_eq!(
            self.places.len(),
            stream as usize,
            "names are taken back in order"
        );
        let place = place.expect("it has a name").get() as usize;
        self.bytes.truncate(place - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u32) -> Name {
        Name::new(&format!("stream-{number}")).unwrap()
    }

    #[test]
    fn each_name_is_found_by_its_number_and_each_number_by_its_name() {
        let names = Names::default();
        // Numbers may be learnt in any order.
        for number in (0..1000).rev() {
            names.add(&name(number), number);
        }
        for number in 0..1000 {
            assert_eq!(names.find(&name(number)), Some(number));
            assert_eq!(names.name(number), Some(name(number)));
        }
        assert_eq!(names.find(&name(1000)), None);
        assert_eq!(names.name(1000), None);
        assert_eq!(names.first_vacant(1000), None);
        assert_eq!(names.first_vacant(1001), Some(1000));
    }

    #[test]
    fn a_number_keeps_its_name_and_a_name_its_number() {
        let names = Names::default();
        names.add(&name(1), 1);
        assert_eq!(names.learn(1, &name(1)), Ok(()));
        let refused = |stream, of| names.learn(stream, &name(of)).unwrap_err().to_string();
        assert_eq!(refused(1, 2), "stream 1: it has two names");
        assert_eq!(refused(2, 1), "stream 2: another stream has its name");
    }

    #[test]
    fn a_name_that_was_taken_back_leaves_its_number_to_another() {
        let names = Names::default();
        names.add(&name(0), 0);
        let before = names.look(&name(0)).unwrap();
        names.add(&name(1), 1);
        names.remove(&name(1));
        assert_eq!(names.find(&name(1)), None);
        assert_ne!(names.look(&name(0)).unwrap().table, before.table);
        names.add(&name(2), 1);
        assert_eq!(names.name(1), Some(name(2)));
        assert_eq!(names.find(&name(0)), Some(0));
    }

    /// What an idle stream costs besides its name, for good.
    #[test]
    fn a_name_takes_a_dozen_bytes_besides_its_text() {
        const COUNT: u32 = 100_000;
        let names = Names::default();
        for number in 0..COUNT {
            names.add(&name(number), number);
        }
        let known = names.read();
        let places = known.texts.places.capacity() * size_of::<Option<NonZeroU32>>();
        let found = known.numbers.allocation_size();
        let text: usize = (0..COUNT).map(|number| name(number).as_str().len()).sum();
        let besides = places + found + known.texts.bytes.capacity() - text;
        assert!(besides <= 16 * COUNT as usize, "{besides} bytes");
    }
}
