//! Small journals damaged in one place: each bit flipped, each file missing, cut, exchanged or old.
//!
//! What may come of it: the damage is refused with file and offset, at opening or where it is read;
//! or the journal holds what it held, and then the place must be one of those that mean nothing,
//! which [`Meaningless`] lists. Anything else is a violation.

mod control;
mod meaning;

use std::collections::BTreeMap;

use refrain_core::port::journal::ReadError;
use refrain_core::{Name, Position};
use refrain_journal::OpenError;
use refrain_journal::fuzzing::{self, Kept, Refusal};

use crate::disk::Files;
use crate::specimen::{self, Specimen};
pub use control::{Control, resealed_flips, resealed_snapshot_flips, rolled_back};
pub use meaning::Meaningless;
use meaning::Places;

/// What came of damage in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seen {
    /// The journal did not open.
    Refused,
    /// The journal opened, and refused to read what was damaged.
    NotServed,
    /// The journal holds what it held.
    Unchanged(Meaningless),
}

/// How often each outcome was seen.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// By outcome.
    pub seen: BTreeMap<Seen, u64>,
    /// What must not be.
    pub violations: Vec<String>,
}

impl Tally {
    /// Damage that was tried.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.seen.values().sum::<u64>() + self.violations.len() as u64
    }

    /// Adds another one's counts.
    pub fn add(&mut self, other: Tally) {
        for (seen, count) in other.seen {
            *self.seen.entry(seen).or_default() += count;
        }
        self.violations.extend(other.violations);
    }

    fn count(&mut self, judged: Result<Seen, String>, place: impl FnOnce() -> String) {
        match judged {
            Ok(seen) => *self.seen.entry(seen).or_default() += 1,
            Err(what) => self.violations.push(format!("{}: {what}", place())),
        }
    }
}

/// Which bits are flipped.
#[derive(Debug, Clone, Copy)]
pub struct Bits {
    /// The number of the first in each file...
    pub from: usize,
    /// ... and how far the next one is.
    pub stride: usize,
    /// Of zeros that mean nothing, such as padding.
    pub zeros: Zeros,
}

/// How many bits are flipped of a byte that is zero and means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zeros {
    /// Each.
    EachBit,
    /// One: another one in the next byte.
    OneBit,
}

/// Flips bits of all files of `specimen`, one at a time.
#[must_use]
pub fn flips(specimen: &Specimen, bits: Bits) -> Tally {
    let mut tally = Tally::default();
    for name in specimen.files.0.keys() {
        let bytes = specimen.files.bytes(name);
        let places = Places::of(name, bytes, specimen);
        for number in (bits.from..bytes.len() * 8).step_by(bits.stride) {
            let (byte, bit) = (number / 8, number % 8);
            let is_nothing = bytes[byte] == 0 && places.at(byte).is_some_and(Meaningless::is_zeros);
            if is_nothing && bits.zeros == Zeros::OneBit && bit != byte % 8 {
                continue;
            }
            let mut files = specimen.files.clone();
            if let Some(changed) = files.bytes_mut(name) {
                changed[byte] ^= 1 << bit;
            }
            let damage = Damage {
                name,
                meaningless: places.at(byte),
            };
            let judged = damage.judge(specimen, files);
            tally.count(judged, || {
                format!("{}: {name}, byte {byte}, bit {bit}", specimen.name)
            });
        }
    }
    tally
}

/// Does to each file of `specimen` what can be done to a whole file.
#[must_use]
pub fn files(specimen: &Specimen) -> Tally {
    let mut tally = Tally::default();
    for name in specimen.files.0.keys() {
        let damage = Damage {
            name,
            meaningless: Some(Meaningless::Whole),
        };
        for (what, files) in altered(specimen, name) {
            let judged = damage.judge(specimen, files);
            tally.count(judged, || format!("{}: {name} {what}", specimen.name));
        }
    }
    tally
}

/// Flips each bit of a snapshot's file.
///
/// # Panics
/// When a snapshot cannot be stored in memory.
#[must_use]
pub fn snapshot_flips() -> Tally {
    let stream = Name::new("orders").expect("it is a name");
    let (file, content) = specimen::snapshot(&stream, Position::FIRST);
    let whole = fuzzing::snapshot(&stream, Position::FIRST, &file);
    assert_eq!(whole.as_ref(), Some(&content), "it is whole");
    let mut tally = Tally::default();
    for bit in 0..file.len() * 8 {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let judged = match fuzzing::snapshot(&stream, Position::FIRST, &flipped) {
            None => Ok(Seen::Refused),
            Some(_) => Err("it is served".to_owned()),
        };
        tally.count(judged, || format!("snapshot, bit {bit}"));
    }
    tally
}

/// Cuts and exchanges of one file.
fn altered(specimen: &Specimen, name: &str) -> Vec<(String, Files)> {
    let whole = &specimen.files;
    let with = |bytes: Vec<u8>| {
        let mut files = whole.clone();
        files.put(name, bytes);
        files
    };
    let mut all = Vec::new();
    let bytes = whole.bytes(name);
    let mut missing = whole.clone();
    missing.0.remove(name);
    all.push(("is missing".to_owned(), missing));
    for length in (0..bytes.len()).step_by(37) {
        let what = format!("is cut to {length} bytes");
        all.push((what, with(bytes[..length].to_vec())));
    }
    all.push(("is longer".to_owned(), with([bytes, &[1; 100]].concat())));
    for other in whole.0.keys().filter(|other| *other != name) {
        all.push((
            format!("is a copy of {other}"),
            with(whole.bytes(other).to_vec()),
        ));
        let mut swapped = with(whole.bytes(other).to_vec());
        swapped.put(other, bytes.to_vec());
        all.push((format!("is exchanged with {other}"), swapped));
    }
    for (what, from) in [
        ("is an older copy", &specimen.earlier),
        ("is of another journal", &specimen.other),
    ] {
        if from.0.contains_key(name) {
            all.push((what.to_owned(), with(from.bytes(name).to_vec())));
        }
    }
    all
}

/// Damage in one place.
struct Damage<'a> {
    /// Of the file.
    name: &'a str,
    /// Why it may change nothing.
    meaningless: Option<Meaningless>,
}

impl Damage<'_> {
    /// Opens and reads the damaged files, as a reader beside the writer and as the writer.
    fn judge(&self, specimen: &Specimen, files: Files) -> Result<Seen, String> {
        let read = specimen::read(files.clone());
        if !self.is_lag(specimen, &read) {
            self.verdict(specimen, read)
                .map_err(|what| format!("a reader {what}"))?;
        }
        let (opened, _) = specimen::open(files);
        self.verdict(specimen, opened)
            .map_err(|what| format!("the writer {what}"))
    }

    /// Whether a reader sees a part of what there is because the mark says less: it lags, and goes
    /// on when the writer moves it.
    fn is_lag(&self, specimen: &Specimen, read: &Result<Vec<Kept>, Refusal>) -> bool {
        let Ok(read) = read else {
            return false;
        };
        self.name == "mark"
            && read.iter().all(|stream| {
                let whole = specimen.kept.iter().find(|kept| kept.name == stream.name);
                whole.is_some_and(|whole| {
                    whole.first == stream.first && whole.entries.starts_with(&stream.entries)
                })
            })
    }

    fn verdict(
        &self,
        specimen: &Specimen,
        found: Result<Vec<Kept>, Refusal>,
    ) -> Result<Seen, String> {
        match found {
            Ok(kept) if kept != specimen.kept => Err("shows something else".to_owned()),
            Ok(_) => self
                .meaningless
                .map(Seen::Unchanged)
                .ok_or_else(|| "does not see that bytes with a meaning are damaged".to_owned()),
            Err(Refusal::Open(
                OpenError::Version { .. } | OpenError::Newer { .. } | OpenError::Missing { .. },
            )) => Ok(Seen::Refused),
            Err(Refusal::Open(OpenError::Corrupt { place, .. })) if names_a_place(&place) => {
                Ok(Seen::Refused)
            }
            Err(Refusal::Read(ReadError::Corrupt { place, .. })) if names_a_place(&place) => {
                Ok(Seen::NotServed)
            }
            Err(refusal) => Err(format!("refuses it as something else: {refusal:?}")),
        }
    }
}

fn names_a_place(place: &str) -> bool {
    place.contains(" at offset ")
}
