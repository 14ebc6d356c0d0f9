//! The header of a stream segment, and its blocks: entries of one stream, side by side.

use std::ops::Range;

use super::catalogue::Row;
use super::{
    Unreadable, VERSION, check_reserved, counter_at, u32_at, u64_at, whole_fields, written,
};

/// Bytes before the first block.
pub(crate) const STREAM_SEGMENT_HEADER_BYTES: usize = 64;

/// Bytes of a block's header.
pub(crate) const BLOCK_HEADER_BYTES: usize = 40;

const MAGIC: [u8; 8] = *b"REFRAINB";
const BLOCK_MAGIC: [u8; 4] = *b"RBLK";
const RESERVED: Range<usize> = 52..CHECKSUM_AT;
const CHECKSUM_AT: usize = 60;
const BLOCK_RESERVED: Range<usize> = 36..BLOCK_HEADER_BYTES;
const METHOD_NONE: u32 = 0;
const METHOD_LZ4: u32 = 1;

/// Bytes of the length that each entry has in a block.
pub(crate) const LENGTH_BYTES: usize = 4;

/// The most that a block holds before compression: what one takes, and one more entry.
pub(crate) const BLOCK_RAW_BYTES_MAX: usize = 2 * refrain_core::limit::ENTRY_BYTES_MAX;

/// No block of LZ4 grows by more than this when it is decompressed.
const LZ4_RATIO_MAX: usize = 256;

/// Identity of one stream segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamSegmentHeader {
    /// The journal it belongs to.
    pub(crate) identity: u64,
    /// The log segments that it stands for, first and last.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The opening that made it, and how many it had made before.
    pub(crate) epoch: u64,
    pub(crate) serial: u64,
}

impl StreamSegmentHeader {
    /// Where the checksums of this file start from.
    pub(crate) fn salt(&self) -> u32 {
        let mut seed = [0; 40];
        seed[..8].copy_from_slice(&self.identity.to_le_bytes());
        seed[8..16].copy_from_slice(&self.first.to_le_bytes());
        seed[16..24].copy_from_slice(&self.last.to_le_bytes());
        seed[24..32].copy_from_slice(&self.epoch.to_le_bytes());
        seed[32..].copy_from_slice(&self.serial.to_le_bytes());
        crc32c::crc32c(&seed)
    }

    pub(crate) fn encode(&self) -> [u8; STREAM_SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; STREAM_SEGMENT_HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.identity.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.first.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.last.to_le_bytes());
        bytes[36..44].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[44..52].copy_from_slice(&self.serial.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<StreamSegmentHeader, Unreadable> {
        let fields = whole_fields(bytes, CHECKSUM_AT, &MAGIC, 0)?;
        check_reserved(&fields[RESERVED])?;
        StreamSegmentHeader::fields(fields).ok_or(Unreadable::Damaged)
    }

    fn fields(bytes: &[u8]) -> Option<StreamSegmentHeader> {
        Some(StreamSegmentHeader {
            identity: u64_at(bytes, 12)?,
            first: counter_at(bytes, 20)?,
            last: counter_at(bytes, 28)?,
            epoch: counter_at(bytes, 36)?,
            serial: counter_at(bytes, 44)?,
        })
    }
}

/// How a block's content is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    None,
    Lz4,
}

/// Adds a block to `out`: the lengths of its entries and the entries, which `raw` holds, or what
/// `stored` made of them. Gives the row for it, whose place the caller knows.
pub(crate) fn encode_block(salt: u32, block: &Block<'_>, out: &mut Vec<u8>) -> Row {
    let start = out.len();
    let mut header = [0; BLOCK_HEADER_BYTES];
    header[..4].copy_from_slice(&BLOCK_MAGIC);
    header[8..12].copy_from_slice(&block.stream.to_le_bytes());
    header[12..16].copy_from_slice(&block.count.to_le_bytes());
    header[16..24].copy_from_slice(&block.first.to_le_bytes());
    let method = match block.method {
        Method::None => METHOD_NONE,
        Method::Lz4 => METHOD_LZ4,
    };
    header[24..28].copy_from_slice(&method.to_le_bytes());
    header[28..32].copy_from_slice(&block.raw_bytes.to_le_bytes());
    header[32..36].copy_from_slice(&written(block.stored.len()).to_le_bytes());
    out.extend_from_slice(&header);
    out.extend_from_slice(block.stored);
    let checksum = crc32c::crc32c_append(salt, &out[start + 8..]);
    out[start + 4..start + 8].copy_from_slice(&checksum.to_le_bytes());
    Row {
        stream: block.stream,
        count: block.count,
        first: block.first,
        at: 0,
        bytes: written(out.len() - start),
        checksum,
    }
}

/// A block whose checksum is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block<'a> {
    pub(crate) stream: u32,
    /// Entries in it.
    pub(crate) count: u32,
    /// Position of the first.
    pub(crate) first: u64,
    pub(crate) method: Method,
    /// Bytes of the lengths and the entries before compression.
    pub(crate) raw_bytes: u32,
    /// The lengths and the entries as they are stored.
    pub(crate) stored: &'a [u8],
}

impl<'a> Block<'a> {
    /// The block in `bytes`, which is what `row` speaks of.
    pub(crate) fn decode(salt: u32, row: &Row, bytes: &'a [u8]) -> Result<Block<'a>, Unreadable> {
        let checked = bytes.get(8..).ok_or(Unreadable::Damaged)?;
        let checksum = crc32c::crc32c_append(salt, checked);
        let is_whole = checksum == row.checksum && u32_at(bytes, 4) == Some(checksum);
        if !is_whole || bytes[..4] != BLOCK_MAGIC {
            return Err(Unreadable::Damaged);
        }
        check_reserved(bytes.get(BLOCK_RESERVED).ok_or(Unreadable::Damaged)?)?;
        Block::fields(row, bytes).ok_or(Unreadable::Damaged)
    }

    fn fields(row: &Row, bytes: &'a [u8]) -> Option<Block<'a>> {
        let block = Block {
            stream: u32_at(bytes, 8)?,
            count: u32_at(bytes, 12)?,
            first: u64_at(bytes, 16)?,
            method: match u32_at(bytes, 24)? {
                METHOD_NONE => Method::None,
                METHOD_LZ4 => Method::Lz4,
                _ => return None,
            },
            raw_bytes: u32_at(bytes, 28)?,
            stored: bytes.get(BLOCK_HEADER_BYTES..)?,
        };
        let raw_bytes = block.raw_bytes as usize;
        let is_bounded = raw_bytes <= BLOCK_RAW_BYTES_MAX
            && block.count as usize <= raw_bytes / LENGTH_BYTES
            && match block.method {
                Method::None => raw_bytes == block.stored.len(),
                Method::Lz4 => raw_bytes <= block.stored.len().saturating_mul(LZ4_RATIO_MAX),
            };
        let is_expected = (block.stream, block.count, block.first)
            == (row.stream, row.count, row.first)
            && u32_at(bytes, 32)? as usize == block.stored.len();
        (is_bounded && is_expected).then_some(block)
    }

    /// Makes `raw` the block's lengths and entries. It may be longer than they are.
    pub(crate) fn unpack(&self, raw: &mut Vec<u8>) -> Option<()> {
        let raw_bytes = self.raw_bytes as usize;
        if raw.len() < raw_bytes {
            raw.resize(raw_bytes, 0);
        }
        let raw = &mut raw[..raw_bytes];
        match self.method {
            Method::None => raw.copy_from_slice(self.stored),
            Method::Lz4 => {
                let count = lz4_flex::block::decompress_into(self.stored, raw).ok()?;
                (count == raw_bytes).then_some(())?;
            }
        }
        Some(())
    }
}

/// Where each of `count` entries ends in the bytes behind the lengths that `raw` starts with; they
/// fill it.
pub(crate) fn ends(raw: &[u8], count: usize) -> Option<Vec<u32>> {
    let lengths = raw.get(..count.checked_mul(LENGTH_BYTES)?)?;
    let (lengths, _) = lengths.as_chunks::<LENGTH_BYTES>();
    let mut end = 0_u64;
    let mut ends = Vec::with_capacity(count);
    for length in lengths {
        end += u64::from(u32::from_le_bytes(*length));
        // Cut off here when it is too large, and refused below.
        ends.push(end as u32);
    }
    (end == (raw.len() - count * LENGTH_BYTES) as u64).then_some(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> StreamSegmentHeader {
        StreamSegmentHeader {
            identity: 7,
            first: 3,
            last: 5,
            epoch: 2,
            serial: 9,
        }
    }

    #[test]
    fn header_survives_encoding_and_no_flipped_bit_does() {
        let bytes = header().encode();
        assert_eq!(StreamSegmentHeader::decode(&bytes), Ok(header()));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(StreamSegmentHeader::decode(&flipped).is_err(), "bit {bit}");
        }
        let again = StreamSegmentHeader {
            serial: 10,
            ..header()
        };
        assert_ne!(header().salt(), again.salt());
    }

    fn raw(entries: &[&[u8]]) -> Vec<u8> {
        let lengths = entries
            .iter()
            .flat_map(|entry| written(entry.len()).to_le_bytes());
        let mut raw: Vec<u8> = lengths.collect();
        raw.extend(entries.concat());
        raw
    }

    #[test]
    fn block_survives_encoding_and_no_flipped_bit_other_row_or_other_salt_does() {
        let raw = raw(&[b"one", b"", &[b'x'; 300]]);
        let packed = lz4_flex::block::compress(&raw);
        for (method, stored) in [(Method::None, &raw), (Method::Lz4, &packed)] {
            let block = Block {
                stream: 4,
                count: 3,
                first: 8,
                method,
                raw_bytes: written(raw.len()),
                stored,
            };
            let mut bytes = Vec::new();
            let row = encode_block(5, &block, &mut bytes);
            assert_eq!(Block::decode(5, &row, &bytes), Ok(block));
            let mut again = Vec::new();
            block.unpack(&mut again).unwrap();
            assert_eq!(again, raw);
            assert_eq!(ends(&again, 3), Some(vec![3, 3, 303]));
            assert_eq!(ends(&again, 2), None);
            assert_eq!(Block::decode(6, &row, &bytes), Err(Unreadable::Damaged));
            let other = Row { first: 9, ..row };
            assert_eq!(Block::decode(5, &other, &bytes), Err(Unreadable::Damaged));
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let refused = Err(Unreadable::Damaged);
                assert_eq!(Block::decode(5, &row, &flipped), refused, "bit {bit}");
            }
        }
    }

    #[test]
    fn a_block_that_uses_reserved_bytes_is_of_a_newer_version() {
        let block = Block {
            stream: 4,
            count: 1,
            first: 8,
            method: Method::None,
            raw_bytes: 5,
            stored: &[1, 0, 0, 0, b'x'],
        };
        let mut bytes = Vec::new();
        let row = encode_block(5, &block, &mut bytes);
        bytes[BLOCK_RESERVED.start] = 1;
        let checksum = crc32c::crc32c_append(5, &bytes[8..]);
        bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
        let row = Row { checksum, ..row };
        assert_eq!(Block::decode(5, &row, &bytes), Err(Unreadable::Newer));
    }

    #[test]
    fn a_block_that_claims_more_than_compression_can_give_is_refused() {
        let block = Block {
            stream: 4,
            count: 1,
            first: 8,
            method: Method::Lz4,
            raw_bytes: 1 << 24,
            stored: &[0; 8],
        };
        let mut bytes = Vec::new();
        let row = encode_block(5, &block, &mut bytes);
        assert_eq!(Block::decode(5, &row, &bytes), Err(Unreadable::Damaged));
    }
}
