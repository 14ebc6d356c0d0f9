//! The first block of a log segment: whose it is, and the salt of all checksums in it.

use std::ops::Range;

use super::{Unreadable, VERSION, check_reserved, counter_at, u32_at, u64_at, whole_fields};

/// Bytes before the first frame: one block, so that no frame shares a sector with the header.
pub(crate) const SEGMENT_HEADER_BYTES: u32 = 4096;

const MAGIC: [u8; 8] = *b"REFRAINL";
const RESERVED: Range<usize> = 40..CHECKSUM_AT;
const CHECKSUM_AT: usize = 44;
const USED_BYTES: usize = 48;

/// Identity of one segment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// The journal it belongs to.
    pub(crate) identity: u64,
    /// Its place in the log, counted from 1.
    pub(crate) number: u64,
    /// The opening that made it.
    pub(crate) epoch: u64,
    /// Size of the file.
    pub(crate) segment_bytes: u32,
}

impl SegmentHeader {
    /// Where the checksums of this segment start from. Two files of one journal that could ever
    /// have the same name differ in epoch, and those of different journals in identity, so frames
    /// of one never pass for frames of another.
    pub(crate) fn salt(&self) -> u32 {
        let mut seed = [0; 24];
        seed[..8].copy_from_slice(&self.identity.to_le_bytes());
        seed[8..16].copy_from_slice(&self.number.to_le_bytes());
        seed[16..].copy_from_slice(&self.epoch.to_le_bytes());
        crc32c::crc32c(&seed)
    }

    pub(crate) fn encode(&self) -> [u8; USED_BYTES] {
        let mut bytes = [0; USED_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.identity.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.number.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.segment_bytes.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<SegmentHeader, Unreadable> {
        let fields = whole_fields(bytes, CHECKSUM_AT, &MAGIC, 0)?;
        check_reserved(&fields[RESERVED])?;
        SegmentHeader::fields(fields).ok_or(Unreadable::Damaged)
    }

    fn fields(bytes: &[u8]) -> Option<SegmentHeader> {
        Some(SegmentHeader {
            identity: u64_at(bytes, 12)?,
            number: counter_at(bytes, 20)?,
            epoch: counter_at(bytes, 28)?,
            segment_bytes: u32_at(bytes, 36)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_survives_encoding_and_no_flipped_bit_does() {
        let header = SegmentHeader {
            identity: 7,
            number: 3,
            epoch: 2,
            segment_bytes: 8192,
        };
        let bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_segment_made_again_in_a_later_epoch_has_another_salt() {
        let header = SegmentHeader {
            identity: 7,
            number: 3,
            epoch: 2,
            segment_bytes: 8192,
        };
        let again = SegmentHeader { epoch: 3, ..header };
        assert_ne!(header.salt(), again.salt());
    }
}
