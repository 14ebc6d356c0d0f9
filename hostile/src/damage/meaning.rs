//! Which bytes of a closed journal mean nothing, so that a flipped bit there changes nothing.

use std::ops::Range;

use refrain_journal::fuzzing::{self, Part, layout};

use crate::specimen::{self, Specimen};

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
    pub(super) fn is_zeros(self) -> bool {
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

/// Which bytes of a file mean nothing.
pub(super) struct Places {
    parts: Vec<(Range<usize>, Option<Meaningless>)>,
}

impl Places {
    pub(super) fn of(name: &str, bytes: &[u8], specimen: &Specimen) -> Places {
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

    pub(super) fn at(&self, byte: usize) -> Option<Meaningless> {
        let found = self.parts.iter().find(|(range, _)| range.contains(&byte));
        found.and_then(|(_, meaningless)| *meaningless)
    }
}
