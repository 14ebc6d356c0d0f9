//! Each format by itself.

use refrain_core::{Name, Position};

use crate::format::frame::{FRAME_HEADER_BYTES, FrameHeader};
use crate::format::mark::{Mark, SLOT_BYTES};
use crate::format::record::{self, Declaration, Kind, RecordHeader};
use crate::format::segment_header::SegmentHeader;
use crate::format::segment_index::{self, INDEX_HEADER_BYTES, decode_offsets};
use crate::snapshots;

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
    let Ok(header) = segment_index::Header::decode(&segment, file) else {
        return;
    };
    let table_bytes = header.table_bytes as usize;
    let Some(table) = file
        .get(INDEX_HEADER_BYTES..)
        .and_then(|rest| rest.get(..table_bytes))
    else {
        return;
    };
    let Ok(table) = header.table(&segment, table) else {
        return;
    };
    for run in &table.runs {
        let start = run.offsets_at as usize;
        let offsets = file
            .get(start..)
            .and_then(|rest| rest.get(..run.count as usize * 4));
        let offsets = offsets.and_then(|bytes| decode_offsets(&segment, run, bytes));
        if let Some(offsets) = offsets {
            assert_eq!(offsets.len(), run.count as usize);
        }
    }
}

/// A file that should be the snapshot of `stream` at `position`.
pub fn snapshot(stream: &Name, position: Position, bytes: &[u8]) -> Option<Vec<u8>> {
    let start = snapshots::content_at(stream, position, bytes).ok()?;
    let content = bytes[start..].to_vec();
    assert_eq!(snapshots::encode(stream, position, &content), bytes);
    Some(content)
}
