//! Each format by itself.

use std::io;
use std::sync::Arc;

use refrain_core::{Name, Position};

use crate::format::directory::{DirectoryHeader, encode_stream};
use crate::format::frame::{FRAME_HEADER_BYTES, FrameHeader};
use crate::format::mark::{Mark, SLOT_BYTES};
use crate::format::record::{self, Declaration, Kind, RecordHeader};
use crate::format::segment_header::SegmentHeader;
use crate::format::stream_segment::{Block, Method, StreamSegmentHeader, encode_block, ends};
use crate::log_index::LogIndex;
use crate::snapshots;
use crate::storage::DiskFile;
use crate::stream_segment::StreamSegment;

/// A file of the durable mark.
pub fn mark(file: &[u8]) {
    if let Ok(mark) = Mark::decode(file) {
        let again = mark.encode();
        assert_eq!(Mark::decode(&again), Ok(mark), "a mark survives encoding");
        assert_eq!(again[..], file[..SLOT_BYTES]);
    }
    let _ = Mark::newest(file);
}

/// The first block of a segment.
pub fn segment_header(bytes: &[u8]) {
    if let Ok(header) = SegmentHeader::decode(bytes) {
        let again = header.encode();
        assert_eq!(again[..], bytes[..again.len()]);
    }
}

/// The header of a frame.
pub fn frame(salt: u32, bytes: &[u8]) {
    if let Some(sealed) = FrameHeader::decode(salt, bytes) {
        let mut again = [0; FRAME_HEADER_BYTES];
        assert_eq!(sealed.header.encode(salt, &mut again), sealed.checksum);
        assert_eq!(again, bytes[..FRAME_HEADER_BYTES]);
    }
}

/// A record, be it an entry or a declaration.
pub fn record(salt: u32, bytes: &[u8]) {
    let _ = RecordHeader::peek(bytes);
    let Some((header, content)) = record::decode(salt, bytes) else {
        return;
    };
    let mut again = Vec::new();
    match header.kind {
        Kind::Entry => {
            let (stream, position) = (header.stream, header.position);
            record::encode_entry(salt, stream, position, content, &mut again);
        }
        Kind::Stream => match Declaration::decode(&header, content) {
            Some(declaration) => _ = declaration.encode(salt, &mut again),
            None => return,
        },
    }
    assert_eq!(again, bytes[..header.record_bytes()]);
}

/// A file with the index of the segment that `bytes` begin with.
pub fn segment_index(bytes: &[u8]) {
    let Ok(segment) = SegmentHeader::decode(bytes) else {
        return;
    };
    let file = bytes.get(48..).unwrap_or_default();
    let held = Arc::new(Held(file.to_vec()));
    let Ok(index) = LogIndex::read(held, "index".into(), &segment) else {
        return;
    };
    let held = index.file.as_ref();
    for page in index.catalogue.row_pages(held).flatten() {
        for row in page {
            if let Ok(offsets) = index.offsets(&row) {
                assert_eq!(offsets.len(), row.count as usize);
            }
            let found = index.catalogue.find(held, row.stream, row.first);
            assert!(found.is_ok_and(|found| found.is_some()), "a row is found");
        }
    }
    for page in index.catalogue.declaration_pages(held).flatten() {
        assert!(page.iter().all(Declaration::is_possible));
    }
}

/// A file that should be a stream segment, whatever its name would be.
pub fn stream_segment(file: &[u8]) {
    let Ok(header) = StreamSegmentHeader::decode(file) else {
        return;
    };
    let again = header.encode();
    assert_eq!(again[..], file[..again.len()]);
    let held = Arc::new(Held(file.to_vec()));
    let range = (header.first, header.last);
    let Ok(segment) = StreamSegment::read(held, "segment".into(), header.identity, range) else {
        return;
    };
    for declaration in segment.declarations().map_while(Result::ok) {
        assert!(declaration.is_possible());
    }
    let (mut buffer, mut raw) = (Vec::new(), Vec::new());
    for row in segment.rows().map_while(Result::ok) {
        let Ok(found) = segment.block(&row, &mut buffer) else {
            continue;
        };
        unpacked(&found, &mut raw);
        let _ = segment
            .catalogue
            .find(segment.file.as_ref(), row.stream, row.first);
    }
}

/// A block with the right checksum: `method`, so many entries and `raw_bytes` before compression are
/// said of what is `stored`.
pub fn block(salt: u32, fields: [u32; 3], stored: &[u8]) {
    let [method, count, raw_bytes] = fields;
    let block = Block {
        stream: 1,
        count,
        first: 1,
        method: if method.is_multiple_of(2) {
            Method::Lz4
        } else {
            Method::None
        },
        raw_bytes,
        stored,
    };
    let mut bytes = Vec::new();
    let row = encode_block(salt, &block, &mut bytes);
    if let Ok(decoded) = Block::decode(salt, &row, &bytes) {
        assert_eq!(decoded, block, "a block survives encoding");
        unpacked(&decoded, &mut Vec::new());
    }
}

/// What a block unpacks to is as long as it says, and its entries lie in it one behind the other.
fn unpacked(block: &Block<'_>, raw: &mut Vec<u8>) {
    if block.unpack(raw).is_none() {
        return;
    }
    let raw = &raw[..block.raw_bytes as usize];
    let Some(ends) = ends(raw, block.count as usize) else {
        return;
    };
    assert!(ends.is_sorted() && ends.len() == block.count as usize);
    let last = ends.last().map_or(0, |end| *end as usize);
    assert_eq!(ends.len() * 4 + last, raw.len(), "nothing is left over");
}

/// A file that should be a directory.
pub fn directory(file: &[u8]) {
    let Ok((header, streams)) = DirectoryHeader::decode(file) else {
        return;
    };
    let Some(streams) = streams.collect::<Option<Vec<Declaration>>>() else {
        return;
    };
    let mut again = Vec::new();
    header.encode(&mut again);
    for stream in &streams {
        assert!(stream.is_possible());
        encode_stream(stream, &mut again);
    }
    assert_eq!(again, file[..file.len() - 4]);
}

/// A file in memory, which nobody writes.
#[derive(Debug)]
struct Held(Vec<u8>);

impl DiskFile for Held {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.0.get(start..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn allocate(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }
}

/// A file that should be the snapshot of `stream` at `position`.
pub fn snapshot(stream: &Name, position: Position, bytes: &[u8]) -> Option<Vec<u8>> {
    let start = snapshots::content_at(stream, position, bytes).ok()?;
    let content = bytes[start..].to_vec();
    assert_eq!(snapshots::encode(stream, position, &content), bytes);
    Some(content)
}
