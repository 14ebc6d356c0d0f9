//! What the bytes of a log segment are for.

use std::ops::Range;

use crate::format::frame::{FRAME_HEADER_BYTES, FrameHeader};
use crate::format::record::{self, Kind};
use crate::format::segment_header::{SEGMENT_HEADER_BYTES, SegmentHeader};

/// What some bytes of a segment are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The checked fields at the start.
    Header,
    /// The rest of the first block.
    Padding,
    /// The header of a frame.
    Frame,
    /// The record of an entry.
    Entry,
    /// The record of a declaration.
    Declaration,
    /// Behind the last frame.
    Rest,
}

/// The parts of a whole segment, in order and without gaps.
///
/// # Panics
/// When it is not whole.
#[must_use]
pub fn layout(file: &[u8]) -> Vec<(Range<usize>, Part)> {
    let header = SegmentHeader::decode(file).expect("the header is whole");
    let frames_at = SEGMENT_HEADER_BYTES as usize;
    let mut parts = vec![(0..48, Part::Header), (48..frames_at, Part::Padding)];
    let mut at = frames_at;
    while let Some(frame) = FrameHeader::decode(header.salt(), &file[at..]) {
        parts.push((at..at + FRAME_HEADER_BYTES, Part::Frame));
        at += FRAME_HEADER_BYTES;
        for _ in 0..frame.header.records {
            let (record, _) = record::decode(header.salt(), &file[at..]).expect("it is whole");
            let part = match record.kind {
                Kind::Entry => Part::Entry,
                Kind::Stream => Part::Declaration,
            };
            parts.push((at..at + record.record_bytes(), part));
            at += record.record_bytes();
        }
    }
    parts.push((at..file.len(), Part::Rest));
    parts
}
