//! Reading a segment frame by frame, through a bounded window.
//!
//! A frame is taken only when its header, each of its records and their digest are right, so what
//! a scan gives is whole or nothing.

use std::io;

use crate::format::digest::Digest;
use crate::format::frame::{FRAME_HEADER_BYTES, FrameHeader, Sealed};
use crate::format::mark::End;
use crate::format::record::{self, Declaration, Kind, RECORD_HEADER_BYTES, RecordHeader};
use crate::format::segment_header::SEGMENT_HEADER_BYTES;
use crate::planted;
use crate::recovery::table::Found;
use crate::segment::Segment;
use crate::storage::read_up_to;

/// Bytes that a window reads at once, unless a frame is larger. What was just read is then still near
/// the processor when its checksums are computed.
const WINDOW_BYTES: usize = 256 * 1024;

/// One record of a frame, as the index needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Entry {
        stream: u32,
        position: u64,
        /// Where its record starts in the segment.
        offset: u32,
    },
    Stream(Declaration),
}

/// Reads frames of one segment in order.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) segment: Segment,
    /// Where the next frame starts, and what it must say.
    pub(crate) at: End,
    /// The epoch of the last frame; later ones are not lower.
    pub(crate) epoch: u64,
    /// The records of the last frame that was taken.
    pub(crate) items: Vec<Item>,
    window: Window,
}

impl Scan {
    /// Starts at `at`, behind a frame of `epoch`.
    pub(crate) fn new(segment: Segment, at: End, epoch: u64) -> Scan {
        assert_eq!(
            segment.header.number, at.segment,
            "a scan stays in its segment"
        );
        Scan {
            segment,
            at,
            epoch,
            items: Vec::new(),
            window: Window::default(),
        }
    }

    /// The place where the frames of segment `number` start, behind frame `frame - 1`.
    pub(crate) fn start_of(number: u64, frame: u64, chain: u32) -> End {
        End {
            segment: number,
            offset: SEGMENT_HEADER_BYTES,
            frame,
            chain,
        }
    }

    /// What is at the place, without going on. After [`Found::Frame`], [`Scan::items`] hold its
    /// records and [`Scan::take`] goes behind it. No frame may cross `barrier`.
    pub(crate) fn look(&mut self, barrier: Option<u32>) -> io::Result<(Found, Option<Sealed>)> {
        let segment_bytes = self.segment.header.segment_bytes;
        let room = segment_bytes.saturating_sub(self.at.offset) as usize;
        if room < FRAME_HEADER_BYTES {
            return Ok((Found::Nothing, None));
        }
        let bytes = self
            .window
            .get(&self.segment, self.at.offset, FRAME_HEADER_BYTES)?;
        let Some(sealed) = FrameHeader::decode(self.segment.salt, bytes) else {
            let is_zero = bytes.iter().all(|byte| *byte == 0);
            let found = if is_zero {
                Found::Nothing
            } else {
                Found::Fragment
            };
            return Ok((found, None));
        };
        let frame_bytes = FRAME_HEADER_BYTES + sealed.header.body_bytes as usize;
        let crosses = barrier.is_some_and(|barrier| {
            self.at.offset < barrier && self.at.offset as usize + frame_bytes > barrier as usize
        });
        let is_expected = sealed.header.number == self.at.frame
            && sealed.header.chain == self.at.chain
            && sealed.header.epoch >= self.epoch;
        if !is_expected || crosses || frame_bytes > room {
            return Ok((Found::Stranger, None));
        }
        // Zeros, of which there may be a lot behind the end of a short file, complete no frame.
        let end = u64::from(self.at.offset) + frame_bytes as u64;
        if !self.window.holds(self.at.offset, frame_bytes) && self.segment.file.size()? < end {
            return Ok((Found::Fragment, None));
        }
        let frame = self
            .window
            .get(&self.segment, self.at.offset, frame_bytes)?;
        let body = &frame[FRAME_HEADER_BYTES..];
        let body_at = self.at.offset as usize + FRAME_HEADER_BYTES;
        match parse(
            self.segment.salt,
            &sealed.header,
            body,
            body_at,
            &mut self.items,
        ) {
            Some(()) => Ok((Found::Frame, Some(sealed))),
            None => Ok((Found::Fragment, None)),
        }
    }

    /// The bytes of an entry among [`Scan::items`], whose record starts at `offset`.
    pub(crate) fn entry(&self, offset: u32) -> &[u8] {
        let at = offset as usize - self.window.start;
        let record = &self.window.bytes[at..];
        let header = RecordHeader::peek(record).expect("the frame was whole");
        &record[RECORD_HEADER_BYTES..header.record_bytes()]
    }

    /// Forgets what was read ahead: it may have been overwritten since.
    pub(crate) fn look_again(&mut self) {
        self.window = Window::default();
    }

    /// Goes behind the frame that [`Scan::look`] found.
    pub(crate) fn take(&mut self, frame: &Sealed) {
        self.at.offset += FRAME_HEADER_BYTES as u32 + frame.header.body_bytes;
        self.at.frame += 1;
        self.at.chain = frame.checksum;
        self.epoch = frame.header.epoch;
    }
}

/// The records of a frame's body, if all of them are whole and are those the header speaks of.
fn parse(
    salt: u32,
    header: &FrameHeader,
    body: &[u8],
    body_at: usize,
    items: &mut Vec<Item>,
) -> Option<()> {
    items.clear();
    let mut digest = Digest::new(salt);
    let mut at = 0;
    while at < body.len() {
        let Some((record, content)) = record::decode(salt, &body[at..]) else {
            return planted::is("torn-frame-taken").then_some(());
        };
        digest.add(record.checksum);
        // Each is pushed where it is made, and decoding is inlined. What is put together in memory first
        // and then moved is read in wider pieces than it was written in; with such a read the processor
        // waits for all before it, and the checksums of several records do not overlap.
        match record.kind {
            Kind::Entry => items.push(Item::Entry {
                stream: record.stream,
                position: record.position,
                offset: u32::try_from(body_at + at).ok()?,
            }),
            Kind::Stream => items.push(Item::Stream(Declaration::decode(&record, content)?)),
        }
        at += record.record_bytes();
    }
    let is_whole = digest.value() == header.digest && items.len() == header.records as usize;
    is_whole.then_some(())
}

/// A part of a segment in memory.
#[derive(Debug, Default)]
pub(crate) struct Window {
    start: usize,
    /// How many of `bytes` are those of the segment. What is behind them is left over.
    held: usize,
    bytes: Vec<u8>,
}

impl Window {
    /// Whether `length` bytes at `offset` were read already.
    fn holds(&self, offset: u32, length: usize) -> bool {
        let offset = offset as usize;
        offset >= self.start && offset + length <= self.start + self.held
    }

    /// `length` bytes at `offset`. Behind the end of a file that is shorter than it should be
    /// there are zeros, which no frame is made of.
    pub(crate) fn get(
        &mut self,
        segment: &Segment,
        offset: u32,
        length: usize,
    ) -> io::Result<&[u8]> {
        let is_inside = self.holds(offset, length);
        let offset = offset as usize;
        if !is_inside {
            let room = segment.header.segment_bytes as usize - offset;
            let wanted = length.max(WINDOW_BYTES.min(room));
            let kept = self.keep_from(offset);
            if self.bytes.len() < wanted {
                self.bytes.resize(wanted, 0);
            }
            (self.start, self.held) = (offset, wanted);
            let missing = &mut self.bytes[kept..wanted];
            let read = read_up_to(segment.file.as_ref(), missing, (offset + kept) as u64);
            if read.is_err() {
                *self = Window::default();
            }
            let filled = kept + read?;
            self.bytes[filled..wanted].fill(0);
        }
        let from = offset - self.start;
        Ok(&self.bytes[from..from + length])
    }

    /// Moves what is held from `offset` on to the front, and says how much that is: a frame that
    /// crosses the end of the window is not read twice.
    fn keep_from(&mut self, offset: usize) -> usize {
        let end = self.start + self.held;
        if !(self.start..end).contains(&offset) {
            return 0;
        }
        self.bytes.copy_within(offset - self.start..self.held, 0);
        end - offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::segment_header::SegmentHeader;
    use crate::storage::{Access, Disk, FileSystem, write_all_at};

    const HEADER: SegmentHeader = SegmentHeader {
        identity: 1,
        number: 1,
        epoch: 1,
        segment_bytes: 4 * WINDOW_BYTES as u32,
    };

    /// Every byte differs from those around it and from those a window away.
    fn content(bytes: usize) -> Vec<u8> {
        (0..bytes)
            .map(|at| (at ^ at >> 8 ^ at >> 16) as u8)
            .collect()
    }

    #[test]
    fn a_window_gives_the_bytes_of_the_file_wherever_it_was_before_and_zeros_behind_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let (segment, _) = Segment::create(&FileSystem, dir.path(), HEADER).unwrap();
        let mut expected = content(3 * WINDOW_BYTES);
        let path = dir.path().join("short");
        let file = FileSystem.open(&path, Access::Create).unwrap();
        write_all_at(file.as_ref(), &expected, 0).unwrap();
        expected.resize(HEADER.segment_bytes as usize, 0);
        let segment = Segment { file, ..segment };
        let steps = [
            (4096, 40),
            (4096, WINDOW_BYTES + 7),
            (4096 + WINDOW_BYTES as u32, 40),
            (4096 + WINDOW_BYTES as u32, 2 * WINDOW_BYTES),
            (3 * WINDOW_BYTES as u32 - 5, 40),
            (4096, 3 * WINDOW_BYTES),
            (4 * WINDOW_BYTES as u32 - 40, 40),
            (0, 64),
            (64, WINDOW_BYTES + 100),
        ];
        let mut window = Window::default();
        for (offset, length) in steps {
            let found = window.get(&segment, offset, length).unwrap();
            let from = offset as usize;
            assert!(
                found == &expected[from..from + length],
                "{length} bytes at {offset}"
            );
        }
    }
}
