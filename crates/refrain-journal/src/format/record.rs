//! Records: what a frame holds.
//!
//! A record is either an entry of a stream or a declaration of one: its name, its first kept
//! position and its next one at this place in the log. The newest declaration of a stream, and the
//! entries after it, say all that the directory knows, so the directory can be rebuilt from any
//! suffix of the log that declares every stream.
//!
//! The salt of the segment is added to a record's checksum last, by exclusive or. So whoever submits
//! a record can compute its checksum before anybody knows which segment it will lie in. It tells
//! segments apart as well as a checksum that starts from the salt does: of the same bytes, both are
//! equal under two salts only if the salts are.

use refrain_core::Name;

use super::{counter_at, u32_at, written};
use crate::planted;

/// Bytes of a record's header.
pub(crate) const RECORD_HEADER_BYTES: usize = 24;

const KIND_ENTRY: u32 = 1;
const KIND_STREAM: u32 = 2;

/// Bytes that a declaration has before the name.
const DECLARATION_BYTES: usize = 8;

/// The most that a declaration takes with its header.
pub(crate) const DECLARATION_BYTES_MAX: usize =
    RECORD_HEADER_BYTES + DECLARATION_BYTES + refrain_core::limit::NAME_BYTES_MAX;

/// The least that a declaration takes with its header.
pub(crate) const DECLARATION_BYTES_MIN: usize = RECORD_HEADER_BYTES + DECLARATION_BYTES + 1;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Entry,
    Stream,
}

/// What the header of a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) checksum: u32,
    /// Bytes after the header.
    pub(crate) length: u32,
    pub(crate) stream: u32,
    pub(crate) kind: Kind,
    /// Of the entry; the next one of the stream in a declaration.
    pub(crate) position: u64,
}

impl RecordHeader {
    /// Reads a header without checking anything beyond the meaning of its fields.
    #[inline]
    pub(crate) fn peek(bytes: &[u8]) -> Option<RecordHeader> {
        Some(RecordHeader {
            checksum: u32_at(bytes, 0)?,
            length: u32_at(bytes, 4)?,
            stream: u32_at(bytes, 8)?,
            kind: match u32_at(bytes, 12)? {
                KIND_ENTRY => Kind::Entry,
                KIND_STREAM => Kind::Stream,
                _ => return None,
            },
            position: counter_at(bytes, 16).filter(|position| *position > 0)?,
        })
    }

    /// Bytes of the record with its header.
    pub(crate) fn record_bytes(&self) -> usize {
        RECORD_HEADER_BYTES + self.length as usize
    }
}

/// The whole record at the start of `bytes`: its header and what follows it.
#[inline]
pub(crate) fn decode(salt: u32, bytes: &[u8]) -> Option<(RecordHeader, &[u8])> {
    let header = RecordHeader::peek(bytes)?;
    let record = bytes.get(..header.record_bytes())?;
    let is_whole = crc32c::crc32c(&record[4..]) ^ salt == header.checksum
        || planted::is("record-without-checksum");
    is_whole.then_some((header, &record[RECORD_HEADER_BYTES..]))
}

/// Adds the salt to the checksum of the record at the start of `bytes`, which has none yet, and gives
/// its header.
pub(crate) fn add_salt(salt: u32, bytes: &mut [u8]) -> RecordHeader {
    let header = RecordHeader::peek(bytes).expect("it was encoded in this process");
    let checksum = header.checksum ^ salt;
    bytes[..4].copy_from_slice(&checksum.to_le_bytes());
    RecordHeader { checksum, ..header }
}

/// Adds an entry to `out` and gives its checksum.
pub(crate) fn encode_entry(
    salt: u32,
    stream: u32,
    position: u64,
    entry: &[u8],
    out: &mut Vec<u8>,
) -> u32 {
    let start = begin(KIND_ENTRY, stream, position, entry.len(), out);
    out.extend_from_slice(entry);
    seal(salt, start, out)
}

/// What the log says of a stream at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declaration {
    pub(crate) stream: u32,
    pub(crate) name: Name,
    /// The first position that is kept; `next` when none is.
    pub(crate) first: u64,
    /// The position of the next entry.
    pub(crate) next: u64,
}

impl Declaration {
    /// Adds the declaration to `out` and gives its checksum.
    pub(crate) fn encode(&self, salt: u32, out: &mut Vec<u8>) -> u32 {
        let name = self.name.as_str().as_bytes();
        let length = DECLARATION_BYTES + name.len();
        let start = begin(KIND_STREAM, self.stream, self.next, length, out);
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(name);
        seal(salt, start, out)
    }

    /// The declaration in a record of kind [`Kind::Stream`].
    pub(crate) fn decode(header: &RecordHeader, body: &[u8]) -> Option<Declaration> {
        let name = std::str::from_utf8(body.get(DECLARATION_BYTES..)?).ok()?;
        let declaration = Declaration {
            stream: header.stream,
            name: Name::new(name).ok()?,
            first: counter_at(body, 0)?,
            next: header.position,
        };
        declaration.is_possible().then_some(declaration)
    }

    /// What holds in every declaration.
    pub(crate) fn is_possible(&self) -> bool {
        (1..=self.next).contains(&self.first)
    }
}

fn begin(kind: u32, stream: u32, position: u64, length: usize, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    let mut header = [0; RECORD_HEADER_BYTES];
    header[4..8].copy_from_slice(&written(length).to_le_bytes());
    header[8..12].copy_from_slice(&stream.to_le_bytes());
    header[12..16].copy_from_slice(&kind.to_le_bytes());
    header[16..].copy_from_slice(&position.to_le_bytes());
    out.extend_from_slice(&header);
    start
}

/// Writes the checksum of the record that starts at `start` of `out` and ends with it.
pub(crate) fn seal(salt: u32, start: usize, out: &mut [u8]) -> u32 {
    let checksum = crc32c::crc32c(&out[start + 4..]) ^ salt;
    out[start..start + 4].copy_from_slice(&checksum.to_le_bytes());
    checksum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_survives_encoding_and_no_flipped_bit_or_other_salt_does() {
        let mut bytes = Vec::new();
        encode_entry(9, 4, 17, b"paid", &mut bytes);
        let (header, body) = decode(9, &bytes).unwrap();
        assert_eq!(
            (header.stream, header.position, body),
            (4, 17, &b"paid"[..])
        );
        assert_eq!(decode(8, &bytes), None);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(9, &flipped), None, "bit {bit}");
        }
    }

    #[test]
    fn a_record_of_another_segment_is_whole_only_after_both_salts_are_exchanged() {
        let (mut here, mut there) = (Vec::new(), Vec::new());
        let checksum = encode_entry(9, 4, 17, b"paid", &mut here);
        encode_entry(8, 4, 17, b"paid", &mut there);
        assert_eq!(decode(8, &here), None);
        here[..4].copy_from_slice(&(checksum ^ 9 ^ 8).to_le_bytes());
        assert_eq!(here, there);
        assert!(decode(8, &here).is_some());
    }

    #[test]
    fn declaration_survives_encoding() {
        let declaration = Declaration {
            stream: 4,
            name: Name::new("orders").unwrap(),
            first: 3,
            next: 8,
        };
        let mut bytes = Vec::new();
        declaration.encode(9, &mut bytes);
        let (header, body) = decode(9, &bytes).unwrap();
        assert_eq!(header.kind, Kind::Stream);
        assert_eq!(Declaration::decode(&header, body), Some(declaration));
    }
}
