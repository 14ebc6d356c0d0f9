//! The index of a sealed segment, in a file beside it: which streams it holds, and where.
//!
//! A convenience, never the truth: a damaged or missing index is made again from its segment. The
//! table at the start is all that opening reads; the offsets behind it are read per stream.

use refrain_core::Name;

use super::record::Declaration;
use super::segment_header::SegmentHeader;
use super::{Unreadable, VERSION, counter_at, u32_at, u64_at, written};

const MAGIC: [u8; 8] = *b"REFRAINX";

/// Bytes of the header; the table follows.
pub(crate) const INDEX_HEADER_BYTES: usize = 80;

const HEADER_CHECKSUM_AT: usize = 76;
const DECLARATION_BYTES: usize = 24;
const RUN_BYTES: usize = 24;

/// What a sealed segment covers of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Number of its first frame, and the chain that frame names.
    pub(crate) first_frame: u64,
    pub(crate) first_chain: u32,
    /// Number of the first frame after it, and the chain that frame names.
    pub(crate) next_frame: u64,
    pub(crate) next_chain: u32,
    /// The highest epoch in it.
    pub(crate) epoch: u64,
    /// Where its last frame ends.
    pub(crate) end: u32,
}

/// The entries of one stream in one segment. Their positions have no gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) stream: u32,
    /// Number of entries.
    pub(crate) count: u32,
    /// Position of the first.
    pub(crate) first: u64,
    /// Where the offsets of the entries' records start in the index file.
    pub(crate) offsets_at: u32,
    /// Checksum of those offsets.
    pub(crate) checksum: u32,
}

/// The start of an index file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) span: Span,
    /// The newest declaration in the segment of each stream that has one.
    pub(crate) declarations: Vec<Declaration>,
    /// In the order of the streams' numbers.
    pub(crate) runs: Vec<Run>,
}

/// An index as it is made: the runs with their offsets.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) span: Span,
    pub(crate) declarations: &'a [Declaration],
    /// Stream, first position and offsets, in the order of the streams' numbers.
    pub(crate) runs: &'a [(u32, u64, Vec<u32>)],
}

impl Draft<'_> {
    /// The bytes of the index file.
    pub(crate) fn encode(&self, segment: &SegmentHeader) -> Vec<u8> {
        let salt = segment.salt();
        let mut table = Vec::new();
        for declaration in self.declarations {
            encode_declaration(declaration, &mut table);
        }
        let mut offsets_at = INDEX_HEADER_BYTES + table.len() + self.runs.len() * RUN_BYTES;
        let mut offsets = Vec::new();
        for (stream, first, places) in self.runs {
            let start = offsets.len();
            offsets.extend(places.iter().flat_map(|offset| offset.to_le_bytes()));
            let run = Run {
                stream: *stream,
                count: written(places.len()),
                first: *first,
                offsets_at: written(offsets_at),
                checksum: crc32c::crc32c_append(salt, &offsets[start..]),
            };
            encode_run(&run, &mut table);
            offsets_at += places.len() * 4;
        }
        let mut bytes = self.header(segment, &table).to_vec();
        bytes.append(&mut table);
        bytes.append(&mut offsets);
        bytes
    }

    fn header(&self, segment: &SegmentHeader, table: &[u8]) -> [u8; INDEX_HEADER_BYTES] {
        let salt = segment.salt();
        let mut bytes = [0; INDEX_HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..20].copy_from_slice(&segment.number.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.span.first_frame.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.span.next_frame.to_le_bytes());
        bytes[36..44].copy_from_slice(&self.span.epoch.to_le_bytes());
        bytes[44..48].copy_from_slice(&self.span.first_chain.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.span.next_chain.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.span.end.to_le_bytes());
        bytes[56..60].copy_from_slice(&written(self.declarations.len()).to_le_bytes());
        bytes[60..64].copy_from_slice(&written(self.runs.len()).to_le_bytes());
        bytes[64..68].copy_from_slice(&written(table.len()).to_le_bytes());
        bytes[68..72].copy_from_slice(&crc32c::crc32c_append(salt, table).to_le_bytes());
        let checksum = crc32c::crc32c_append(salt, &bytes[..HEADER_CHECKSUM_AT]);
        bytes[HEADER_CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }
}

/// The checked header of an index file: what it takes to read the rest.
#[derive(Debug)]
pub(crate) struct Header {
    span: Span,
    declarations: u32,
    runs: u32,
    checksum: u32,
    /// Bytes of the table that follows the header.
    pub(crate) table_bytes: u32,
}

impl Header {
    pub(crate) fn decode(segment: &SegmentHeader, bytes: &[u8]) -> Result<Header, Unreadable> {
        let fields = bytes.get(..HEADER_CHECKSUM_AT).ok_or(Unreadable::Damaged)?;
        let checksum = crc32c::crc32c_append(segment.salt(), fields);
        if u32_at(bytes, HEADER_CHECKSUM_AT) != Some(checksum) || fields[..8] != MAGIC {
            return Err(Unreadable::Damaged);
        }
        match u32_at(fields, 8) {
            Some(VERSION) if u64_at(fields, 12) == Some(segment.number) => {
                Header::fields(fields).ok_or(Unreadable::Damaged)
            }
            Some(VERSION) | None => Err(Unreadable::Damaged),
            Some(version) => Err(Unreadable::Version(version)),
        }
    }

    fn fields(bytes: &[u8]) -> Option<Header> {
        Some(Header {
            span: Span {
                first_frame: counter_at(bytes, 20)?,
                next_frame: counter_at(bytes, 28)?,
                epoch: counter_at(bytes, 36)?,
                first_chain: u32_at(bytes, 44)?,
                next_chain: u32_at(bytes, 48)?,
                end: u32_at(bytes, 52)?,
            },
            declarations: u32_at(bytes, 56)?,
            runs: u32_at(bytes, 60)?,
            table_bytes: u32_at(bytes, 64)?,
            checksum: u32_at(bytes, 68)?,
        })
    }

    /// The table, from the bytes that follow the header.
    pub(crate) fn table(&self, segment: &SegmentHeader, table: &[u8]) -> Result<Table, Unreadable> {
        if crc32c::crc32c_append(segment.salt(), table) != self.checksum {
            return Err(Unreadable::Damaged);
        }
        self.parts(table).ok_or(Unreadable::Damaged)
    }

    fn parts(&self, mut table: &[u8]) -> Option<Table> {
        let mut declarations = Vec::new();
        for _ in 0..self.declarations {
            declarations.push(decode_declaration(&mut table)?);
        }
        let mut runs = Vec::new();
        for _ in 0..self.runs {
            runs.push(decode_run(table.split_off(..RUN_BYTES)?)?);
        }
        table.is_empty().then_some(Table {
            span: self.span,
            declarations,
            runs,
        })
    }
}

/// The offsets of a run, from its bytes in the index file.
pub(crate) fn decode_offsets(segment: &SegmentHeader, run: &Run, bytes: &[u8]) -> Option<Vec<u32>> {
    let is_whole = crc32c::crc32c_append(segment.salt(), bytes) == run.checksum;
    let offsets = bytes.chunks_exact(4).filter_map(|offset| u32_at(offset, 0));
    is_whole.then(|| offsets.collect())
}

fn encode_declaration(declaration: &Declaration, out: &mut Vec<u8>) {
    let name = declaration.name.as_str().as_bytes();
    out.extend_from_slice(&declaration.stream.to_le_bytes());
    out.extend_from_slice(&written(name.len()).to_le_bytes());
    out.extend_from_slice(&declaration.first.to_le_bytes());
    out.extend_from_slice(&declaration.next.to_le_bytes());
    out.extend_from_slice(name);
}

fn decode_declaration(table: &mut &[u8]) -> Option<Declaration> {
    let fields = table.split_off(..DECLARATION_BYTES)?;
    let name = table.split_off(..u32_at(fields, 4)? as usize)?;
    let declaration = Declaration {
        stream: u32_at(fields, 0)?,
        name: Name::new(std::str::from_utf8(name).ok()?).ok()?,
        first: counter_at(fields, 8)?,
        next: counter_at(fields, 16)?,
    };
    declaration.is_possible().then_some(declaration)
}

fn encode_run(run: &Run, out: &mut Vec<u8>) {
    out.extend_from_slice(&run.stream.to_le_bytes());
    out.extend_from_slice(&run.count.to_le_bytes());
    out.extend_from_slice(&run.first.to_le_bytes());
    out.extend_from_slice(&run.offsets_at.to_le_bytes());
    out.extend_from_slice(&run.checksum.to_le_bytes());
}

fn decode_run(bytes: &[u8]) -> Option<Run> {
    Some(Run {
        stream: u32_at(bytes, 0)?,
        count: u32_at(bytes, 4).filter(|count| *count > 0)?,
        first: counter_at(bytes, 8).filter(|first| *first > 0)?,
        offsets_at: u32_at(bytes, 16)?,
        checksum: u32_at(bytes, 20)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_survives_encoding_and_no_flipped_bit_does() {
        let segment = SegmentHeader {
            identity: 1,
            number: 2,
            epoch: 3,
            segment_bytes: 8192,
        };
        let draft = Draft {
            span: Span {
                first_frame: 10,
                first_chain: 11,
                next_frame: 12,
                next_chain: 13,
                epoch: 3,
                end: 5000,
            },
            declarations: &[Declaration {
                stream: 0,
                name: Name::new("orders").unwrap(),
                first: 1,
                next: 1,
            }],
            runs: &[(0, 1, vec![4136, 4200]), (1, 9, vec![4300])],
        };
        let bytes = draft.encode(&segment);
        let read = |bytes: &[u8]| -> Option<(Table, Vec<Vec<u32>>)> {
            let header = Header::decode(&segment, bytes).ok()?;
            let table = bytes.get(INDEX_HEADER_BYTES..)?;
            let table = table.get(..header.table_bytes as usize)?;
            let table = header.table(&segment, table).ok()?;
            let offsets = |run: &Run| {
                let bytes = &bytes[run.offsets_at as usize..][..run.count as usize * 4];
                decode_offsets(&segment, run, bytes)
            };
            let offsets = table.runs.iter().map(offsets).collect::<Option<Vec<_>>>()?;
            Some((table, offsets))
        };
        let (table, offsets) = read(&bytes).unwrap();
        assert_eq!(table.span, draft.span);
        assert_eq!(table.declarations, draft.declarations);
        assert_eq!(offsets, [vec![4136, 4200], vec![4300]]);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&flipped), None, "bit {bit}");
        }
    }
}
