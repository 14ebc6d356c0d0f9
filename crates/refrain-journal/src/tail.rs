//! What lies in a segment behind a place: behind the end of its frames, or in one that has none.

use std::io;

use crate::format::frame::{FRAME_HEADER_BYTES, FRAME_MAGIC, FrameHeader};
use crate::planted;
use crate::segment::Segment;
use crate::storage::read_up_to;

/// Unit in which bytes that are not zero are looked for.
const PAGE_BYTES: usize = 4096;

/// Bytes that are looked at at once.
const PIECE_BYTES: usize = 64 * PAGE_BYTES;

const ZEROS: [u8; PAGE_BYTES] = [0; PAGE_BYTES];

/// All that matters of the bytes from a place to the end of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Where the last byte that is not zero ends; the place itself when there is none.
    pub(crate) dirty_end: u32,
    /// The highest number in a whole frame header, wherever it stands; 0 when there is none.
    highest_frame: u64,
}

impl Tail {
    /// Looks at `segment` from offset `from` on.
    pub(crate) fn of(segment: &Segment, from: u32) -> io::Result<Tail> {
        let mut tail = Tail {
            dirty_end: from,
            highest_frame: 0,
        };
        let file_bytes = u32::try_from(segment.file.size()?).unwrap_or(u32::MAX);
        let size = segment.header.segment_bytes.min(file_bytes);
        // A header may start in one piece and end in the next one.
        let room = size.saturating_sub(from) as usize;
        let mut piece = vec![0; room.min(PIECE_BYTES + FRAME_HEADER_BYTES)];
        let mut offset = from;
        while offset < size {
            let reach = piece.len().min((size - offset) as usize);
            let bytes = &mut piece[..reach];
            let filled = read_up_to(segment.file.as_ref(), bytes, u64::from(offset))?;
            bytes[filled..].fill(0);
            tail.add(segment.salt, offset, bytes);
            offset += reach.min(PIECE_BYTES) as u32;
        }
        Ok(tail)
    }

    /// Whether there is a frame that was only written once number `expected` was durable.
    pub(crate) fn has_later_frame(&self, expected: u64) -> bool {
        self.highest_frame > expected && !planted::is("later-frame-overlooked")
    }

    /// Adds the piece that starts at `offset`, and what of the next one belongs to headers in this one.
    fn add(&mut self, salt: u32, offset: u32, bytes: &[u8]) {
        for start in (0..bytes.len().min(PIECE_BYTES)).step_by(PAGE_BYTES) {
            let own = &bytes[start..bytes.len().min(start + PAGE_BYTES)];
            // Comparing memory is many times faster than looking at bytes, and most are zero.
            if own == &ZEROS[..own.len()] {
                continue;
            }
            let last = own.iter().rposition(|byte| *byte != 0).unwrap_or(0);
            self.dirty_end = offset + (start + last) as u32 + 1;
            let reach = bytes.len().min(start + PAGE_BYTES + FRAME_HEADER_BYTES);
            let highest = highest_frame(salt, &bytes[start..reach]);
            self.highest_frame = self.highest_frame.max(highest);
        }
    }
}

fn highest_frame(salt: u32, bytes: &[u8]) -> u64 {
    let magic = FRAME_MAGIC.len();
    let starts = (0..bytes.len().saturating_sub(magic))
        .filter(|at| bytes[*at] == FRAME_MAGIC[0] && bytes[*at..*at + magic] == FRAME_MAGIC);
    let headers = starts.filter_map(|at| FrameHeader::decode(salt, &bytes[at..]));
    headers
        .map(|sealed| sealed.header.number)
        .max()
        .unwrap_or(0)
}
