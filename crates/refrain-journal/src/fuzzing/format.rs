//! Each format by itself.

use std::io;
use std::sync::Arc;

use refrain_core::{Name, Position};

use crate::format::frame::{FRAME_HEADER_BYTES, FrameHeader};
use crate::format::mark::{Mark, SLOT_BYTES};
use crate::format::record::{self, Declaration, Kind, RecordHeader};
use crate::format::segment_header::SegmentHeader;
use crate::log_index::LogIndex;
use crate::snapshots;
use crate::storage::DiskFile;

/// A file of the durable mark.
pub fn mark(file: &[u8]) {
    if let Ok(mark) = Mark::decode(file) {
        let again = mark.encode();
        assert_eq!(Mark::decode(&again), Ok(mark), "a mark survives encoding");
        // Bytes 72 to 75 are said to be zero, and not looked at.
        let zeros = 72..76;
        assert_eq!(again[..zeros.start], file[..zeros.start]);
        assert!(file.len() >= SLOT_BYTES);
    }
    let _ = Mark::newest(file);
}

/// The first block of a segment.
pub fn segment_header(bytes: &[u8]) {
    if let Ok(header) = SegmentHeader::decode(bytes) {
        let again = header.encode();
        // Bytes 40 to 43 are said to be zero, and not looked at.
        assert_eq!(again[..40], bytes[..40]);
        assert_eq!(SegmentHeader::decode(&again), Ok(header));
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
