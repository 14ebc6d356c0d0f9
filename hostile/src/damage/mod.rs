//! Small journals damaged in one place: each bit flipped, each file missing, cut, exchanged or old.
//!
//! What may come of it: the damage is refused with file and offset, at opening or where it is read;
//! or the journal holds what it held, and then the place must be one of those that mean nothing,
//! which [`Meaningless`] lists. Anything else is a violation.

use std::collections::BTreeMap;

use refrain_core::port::journal::ReadError;
use refrain_core::{Name, Position};
use refrain_journal::OpenError;
use refrain_journal::fuzzing::{self, Kept, Part, Refusal, layout};

use crate::disk::Files;
use crate::specimen::{self, Specimen};

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

/// Places of a closed journal that a flipped bit does not change the meaning of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meaningless {
    /// Bytes 48 to 4095 of a segment.
    Padding,
    /// Zeros behind the last frame of a segment.
    BehindTheEnd,
    /// The header of a frame in a sealed segment, which nobody reads while its index is right.
    SealedFrame,
    /// A declaration in a sealed segment; its index has it as well.
    SealedDeclaration,
    /// An index: it is made again from its segment.
    Index,
    /// A slot of the mark: the other one counts.
    Slot,
    /// Bytes of the mark's file that belong to no slot.
    BetweenSlots,
    /// The header of the spare segment: it holds nothing, and is made again.
    Spare,
    /// The header of a sealed segment, or declarations of a stream segment: the directory says it as
    /// well, and nobody reads them while it is right.
    InDirectory,
    /// The directory: what it says is gathered again from the other files.
    Directory,
    /// Of a whole file: one that is not needed, or is made again.
    Whole,
}

impl Meaningless {
    /// Places that nothing was written to.
    fn is_zeros(self) -> bool {
        match self {
            Meaningless::Padding | Meaningless::BehindTheEnd | Meaningless::BetweenSlots => true,
            Meaningless::SealedFrame
            | Meaningless::SealedDeclaration
            | Meaningless::Index
            | Meaningless::Slot
            | Meaningless::Spare
            | Meaningless::InDirectory
            | Meaningless::Directory
            | Meaningless::Whole => false,
        }
    }
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

/// The controls: damage that nothing can see, which the same check must find.
#[derive(Debug, Clone, Copy, Default)]
pub struct Control {
    /// How often it was tried.
    pub runs: u64,
    /// How often the check went red.
    pub red: u64,
}

impl Control {
    fn run(&mut self, is_red: bool) {
        self.runs += 1;
        self.red += u64::from(is_red);
    }
}

/// Flips bits of all entries in log segments and makes the checksums right: the journal serves them.
#[must_use]
pub fn resealed_flips(specimen: &Specimen) -> Control {
    let mut control = Control::default();
    let damage = Damage {
        name: "",
        meaningless: None,
    };
    for name in specimen
        .files
        .0
        .keys()
        .filter(|name| name.ends_with(".log"))
    {
        let parts = layout(specimen.files.bytes(name)).into_iter();
        for (record, _) in parts.filter(|(_, part)| *part == Part::Entry) {
            let mut files = specimen.files.clone();
            if let Some(byte) = files
                .bytes_mut(name)
                .and_then(|bytes| bytes.get_mut(record.end - 1))
            {
                *byte ^= 1;
            }
            let (opened, _) = specimen::open(files.resealed());
            control.run(damage.verdict(specimen, opened).is_err());
        }
    }
    control
}

/// Puts all files of an earlier time in the place of those of now.
#[must_use]
pub fn rolled_back(specimen: &Specimen) -> Control {
    let damage = Damage {
        name: "",
        meaningless: None,
    };
    let (opened, _) = specimen::open(specimen.earlier.clone());
    let mut control = Control::default();
    control.run(damage.verdict(specimen, opened).is_err());
    control
}

/// Flips bits of a snapshot's content and makes the checksum right: it is served.
///
/// # Panics
/// When a snapshot cannot be stored in memory.
#[must_use]
pub fn resealed_snapshot_flips() -> Control {
    let stream = Name::new("orders").expect("it is a name");
    let (whole, content) = specimen::snapshot(&stream, Position::FIRST);
    let mut control = Control::default();
    for byte in whole.len() - content.len()..whole.len() {
        let mut bytes = whole.clone();
        bytes[byte] ^= 1;
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..]);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        let served = fuzzing::snapshot(&stream, Position::FIRST, &bytes);
        control.run(served.is_some_and(|served| served != content));
    }
    control
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

/// Which bytes of a file mean nothing.
struct Places {
    parts: Vec<(std::ops::Range<usize>, Option<Meaningless>)>,
}

impl Places {
    fn of(name: &str, bytes: &[u8], specimen: &Specimen) -> Places {
        let end = bytes.len();
        let parts = if name == "mark" {
            vec![
                (0..80, Some(Meaningless::Slot)),
                (80..2048, Some(Meaningless::BetweenSlots)),
                (2048..2128, Some(Meaningless::Slot)),
                (2128..end, Some(Meaningless::BetweenSlots)),
            ]
        } else if name.ends_with(".idx") {
            vec![(0..end, Some(Meaningless::Index))]
        } else if name == "directory" {
            vec![(0..end, Some(Meaningless::Directory))]
        } else if let Some(number) = name.strip_suffix(".log") {
            let is_spare = layout(bytes).len() == specimen::EMPTY_PARTS;
            let is_sealed = specimen.files.0.contains_key(&format!("{number}.idx"));
            let is_known = specimen.has_directory() && !is_spare && !specimen.is_tail(name);
            let meaning = |part| match part {
                Part::Padding => Some(Meaningless::Padding),
                Part::Rest => Some(Meaningless::BehindTheEnd),
                Part::Frame => is_sealed.then_some(Meaningless::SealedFrame),
                Part::Declaration => is_sealed.then_some(Meaningless::SealedDeclaration),
                Part::Header if is_known => Some(Meaningless::InDirectory),
                Part::Header => is_spare.then_some(Meaningless::Spare),
                Part::Entry => None,
            };
            let parts = layout(bytes).into_iter();
            parts.map(|(range, part)| (range, meaning(part))).collect()
        } else if name.ends_with(".seg") && specimen.has_directory() {
            let pages = fuzzing::declaration_pages(bytes).into_iter();
            pages
                .map(|page| (page, Some(Meaningless::InDirectory)))
                .collect()
        } else {
            vec![(0..end, None)]
        };
        Places { parts }
    }

    fn at(&self, byte: usize) -> Option<Meaningless> {
        let found = self.parts.iter().find(|(range, _)| range.contains(&byte));
        found.and_then(|(_, meaningless)| *meaningless)
    }
}
