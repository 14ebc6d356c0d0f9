//! What the bytes of a log segment are for.

use std::ops::Range;

use crate::format::catalogue::{PAGE_REF_BYTES, TRAILER_BYTES};
use crate::format::frame::{FRAME_HEADER_BYTES, FrameHeader};
use crate::format::record::{self, Kind};
use crate::format::segment_header::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::format::u32_at;

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

/// Where the pages of declarations lie in a whole stream segment.
///
/// # Panics
/// When it is not whole.
#[must_use]
pub fn declaration_pages(file: &[u8]) -> Vec<Range<usize>> {
    let trailer = file.len() - TRAILER_BYTES;
    let number = |at| u32_at(file, at).expect("the trailer is whole") as usize;
    let place = |at| number(at) + (number(at + 4) << 32);
    let (first, row_pages, pages) = (
        place(trailer + 56),
        number(trailer + 64),
        number(trailer + 68),
    );
    let items = (row_pages..row_pages + pages).map(|page| first + page * PAGE_REF_BYTES);
    items
        .map(|item| place(item + 16)..place(item + 16) + number(item + 24))
        .collect()
}
