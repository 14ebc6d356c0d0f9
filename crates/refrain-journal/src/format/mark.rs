//! The durable mark: how far the log is known to be on the medium.
//!
//! Two slots in one file, of which one is written between two syncs, so that a torn or damaged slot
//! leaves an older one. An older mark is never wrong, it only lags.

use std::ops::Range;

use super::segment_header::SEGMENT_HEADER_BYTES;
use super::{Unreadable, VERSION, check_reserved, counter_at, u32_at, u64_at, whole_fields};

/// Bytes of the file.
pub(crate) const MARK_FILE_BYTES: usize = 4096;

/// Where the slots start: far enough apart to share no sector.
pub(crate) const SLOTS_AT: [usize; 2] = [0, 2048];

/// Bytes of a slot. They fit a sector, so that what a disk tears is one slot.
pub(crate) const SLOT_BYTES: usize = 80;

const _: () = assert!(SLOT_BYTES <= 512);
const _: () = assert!(SLOTS_AT[1] + SLOT_BYTES <= MARK_FILE_BYTES);

const MAGIC: [u8; 8] = *b"REFRAINM";
const RESERVED: Range<usize> = 72..CHECKSUM_AT;
const CHECKSUM_AT: usize = 76;
const STAGE_FOUNDING: u32 = 1;
const STAGE_RUNNING: u32 = 2;

/// How far the making of the journal got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The first segment may be missing: nothing was ever appended.
    Founding,
    /// Every segment from `first_segment` to `segment` must be there.
    Running,
}

/// What the mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) stage: Stage,
    /// The journal, drawn when it was made.
    pub(crate) identity: u64,
    /// Grows with each write of the mark; the larger one counts, and even ones stand in the first
    /// slot.
    pub(crate) sequence: u64,
    /// The opening that wrote it.
    pub(crate) epoch: u64,
    /// The oldest segment that is kept.
    pub(crate) first_segment: u64,
    pub(crate) end: End,
}

/// A place between two frames, and what the next frame there must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) segment: u64,
    pub(crate) offset: u32,
    /// The number of the next frame.
    pub(crate) frame: u64,
    /// The checksum of the header before; 0 before the first frame.
    pub(crate) chain: u32,
}

impl Mark {
    pub(crate) fn encode(&self) -> [u8; SLOT_BYTES] {
        let stage = match self.stage {
            Stage::Founding => STAGE_FOUNDING,
            Stage::Running => STAGE_RUNNING,
        };
        let mut bytes = [0; SLOT_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&stage.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.identity.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.first_segment.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.end.segment.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.end.frame.to_le_bytes());
        bytes[64..68].copy_from_slice(&self.end.offset.to_le_bytes());
        bytes[68..72].copy_from_slice(&self.end.chain.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The mark in one slot.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Mark, Unreadable> {
        let fields = whole_fields(bytes, CHECKSUM_AT, &MAGIC, 0)?;
        check_reserved(&fields[RESERVED])?;
        Mark::fields(fields).ok_or(Unreadable::Damaged)
    }

    fn fields(bytes: &[u8]) -> Option<Mark> {
        let mark = Mark {
            stage: match u32_at(bytes, 12)? {
                STAGE_FOUNDING => Stage::Founding,
                STAGE_RUNNING => Stage::Running,
                _ => return None,
            },
            identity: u64_at(bytes, 16)?,
            sequence: counter_at(bytes, 24)?,
            epoch: counter_at(bytes, 32)?,
            first_segment: counter_at(bytes, 40)?,
            end: End {
                segment: counter_at(bytes, 48)?,
                frame: counter_at(bytes, 56)?,
                offset: u32_at(bytes, 64)?,
                chain: u32_at(bytes, 68)?,
            },
        };
        mark.is_possible().then_some(mark)
    }

    /// What holds in every mark that was ever written.
    fn is_possible(&self) -> bool {
        let segments = 1..=self.end.segment;
        segments.contains(&self.first_segment)
            && self.end.frame > 0
            && self.end.offset >= SEGMENT_HEADER_BYTES
    }

    /// The newer mark of a file's two slots.
    pub(crate) fn newest(file: &[u8]) -> Result<Mark, Unreadable> {
        let slot = |at: usize| Mark::decode(file.get(at..).unwrap_or_default());
        match SLOTS_AT.map(slot) {
            [Ok(a), Ok(b)] => Ok(if a.sequence > b.sequence { a } else { b }),
            [Ok(one), Err(Unreadable::Damaged)] | [Err(Unreadable::Damaged), Ok(one)] => Ok(one),
            [Err(newer @ (Unreadable::Version(_) | Unreadable::Newer)), _]
            | [_, Err(newer @ (Unreadable::Version(_) | Unreadable::Newer))] => Err(newer),
            [Err(Unreadable::Damaged), Err(Unreadable::Damaged)] => Err(Unreadable::Damaged),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(sequence: u64) -> Mark {
        Mark {
            stage: Stage::Running,
            identity: 1,
            sequence,
            epoch: 2,
            first_segment: 3,
            end: End {
                segment: 4,
                offset: 5000,
                frame: 6,
                chain: 7,
            },
        }
    }

    #[test]
    fn newer_slot_counts_and_a_damaged_one_leaves_the_older() {
        let mut file = vec![0; MARK_FILE_BYTES];
        file[SLOTS_AT[0]..][..SLOT_BYTES].copy_from_slice(&mark(8).encode());
        file[SLOTS_AT[1]..][..SLOT_BYTES].copy_from_slice(&mark(9).encode());
        assert_eq!(Mark::newest(&file), Ok(mark(9)));
        for bit in 0..SLOT_BYTES * 8 {
            let mut flipped = file.clone();
            flipped[SLOTS_AT[1] + bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Mark::newest(&flipped), Ok(mark(8)), "bit {bit}");
        }
        assert_eq!(Mark::newest(&[0; 17]), Err(Unreadable::Damaged));
    }
}
