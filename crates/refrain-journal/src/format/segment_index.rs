//! The index of a log segment, in a file beside it: which streams it holds, and where.
//!
//! A convenience, never the truth: a damaged or missing index is made again from its segment. Behind
//! this header come the offsets of records, by stream, and a [catalogue](super::catalogue) whose rows
//! speak of them.

use super::segment_header::SegmentHeader;
use super::{Unreadable, VERSION, u64_at, whole_fields};

const MAGIC: [u8; 8] = *b"REFRAINX";

/// Bytes of the header; the offsets follow.
pub(crate) const INDEX_HEADER_BYTES: usize = 32;

const CHECKSUM_AT: usize = 28;

/// Bytes of an offset.
pub(crate) const OFFSET_BYTES: usize = 4;

/// The header of the index of `segment`.
pub(crate) fn encode_header(segment: &SegmentHeader) -> [u8; INDEX_HEADER_BYTES] {
    let mut bytes = [0; INDEX_HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..20].copy_from_slice(&segment.identity.to_le_bytes());
    bytes[20..28].copy_from_slice(&segment.number.to_le_bytes());
    let checksum = crc32c::crc32c_append(segment.salt(), &bytes[..CHECKSUM_AT]);
    bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Checks that `bytes` are the header of the index of `segment`.
pub(crate) fn check_header(segment: &SegmentHeader, bytes: &[u8]) -> Result<(), Unreadable> {
    let fields = whole_fields(bytes, CHECKSUM_AT, &MAGIC, segment.salt())?;
    let is_expected =
        u64_at(fields, 12) == Some(segment.identity) && u64_at(fields, 20) == Some(segment.number);
    is_expected.then_some(()).ok_or(Unreadable::Damaged)
}

/// The offsets that a row speaks of, whose checksum was compared.
pub(crate) fn decode_offsets(bytes: &[u8]) -> Option<Vec<u32>> {
    let (offsets, rest) = bytes.as_chunks::<OFFSET_BYTES>();
    let offsets = offsets.iter().map(|offset| u32::from_le_bytes(*offset));
    rest.is_empty().then(|| offsets.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_survives_encoding_and_no_flipped_bit_or_other_segment_does() {
        let segment = SegmentHeader {
            identity: 1,
            number: 2,
            epoch: 3,
            segment_bytes: 8192,
        };
        let bytes = encode_header(&segment);
        assert_eq!(check_header(&segment, &bytes), Ok(()));
        let other = SegmentHeader {
            epoch: 4,
            ..segment
        };
        assert_eq!(check_header(&other, &bytes), Err(Unreadable::Damaged));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(check_header(&segment, &flipped).is_err(), "bit {bit}");
        }
    }
}
