//! The walk through the log that builds the index and finds the end. It changes nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::table::{After, Found, Place, Verdict, decide};
use crate::error::OpenError;
use crate::format::frame::{FRAME_HEADER_BYTES, FrameHeader, Sealed};
use crate::format::mark::{End, Mark};
use crate::format::record::DECLARATION_BYTES_MIN;
use crate::format::segment_header::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::format::segment_index::{self, INDEX_HEADER_BYTES, Span, Table};
use crate::index::{Contradiction, Index};
use crate::planted;
use crate::scan::Scan;
use crate::sealed::SealedSegment;
use crate::segment::{FileKind, Segment, index_name};
use crate::storage::{Access, Disk, read_exact_at, read_up_to};

/// Goes through the log of one directory.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    mark: Mark,
    reach: Reach,
    /// The last segment that is looked at.
    last: u64,
}

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// To the end, for whoever goes on writing.
    Log,
    /// To the durable mark, for whoever only reads while somebody else writes.
    Mark,
}

/// What the walk found.
#[derive(Debug)]
pub(crate) struct Walked {
    pub(crate) index: Index,
    /// The segment that holds the end.
    pub(crate) tail: Segment,
    /// Where the frames of that segment start.
    pub(crate) start: End,
    pub(crate) end: End,
    /// The highest epoch in the log.
    pub(crate) epoch: u64,
    /// What lies between the mark and the end, oldest first; the last one holds the end.
    pub(crate) unproven: Vec<Unproven>,
    /// Segments behind the one with the end; no frame of the log is in them.
    pub(crate) ahead: Vec<Segment>,
    /// Sealed segments without an index file.
    pub(crate) unindexed: Vec<Arc<SealedSegment>>,
}

/// Part of a segment that recovery cannot know to be durable.
#[derive(Debug)]
pub(crate) struct Unproven {
    pub(crate) segment: Segment,
    pub(crate) from: u32,
    /// Where its last frame ends.
    pub(crate) to: u32,
    /// Where the last byte ends that is not zero.
    pub(crate) dirty_end: u32,
}

/// How the scan of one segment ended.
enum Stop {
    /// The log goes on in the next segment.
    Sealed(Span),
    /// The log ends here.
    End { dirty_end: u32 },
}

impl<'a> Walk<'a> {
    /// Looks at which segments there are. Those below the first one of `mark` are passed over.
    pub(crate) fn new(
        disk: &'a dyn Disk,
        dir: &'a Path,
        mark: Mark,
        reach: Reach,
    ) -> Result<Walk<'a>, OpenError> {
        let names = disk.list(dir).map_err(OpenError::io(dir))?;
        let numbers = names.iter().filter_map(|name| match FileKind::of(name) {
            FileKind::Log(number) => Some(number),
            FileKind::Index(_) | FileKind::Temporary | FileKind::Other => None,
        });
        let last = match reach {
            Reach::Log => numbers.max().unwrap_or(0).max(mark.end.segment),
            Reach::Mark => mark.end.segment,
        };
        Ok(Walk {
            disk,
            dir,
            mark,
            reach,
            last,
        })
    }

    /// Goes through the log.
    pub(crate) fn run(&self) -> Result<Walked, OpenError> {
        let mut segment = self.open(self.mark.first_segment)?;
        let mut index = Index::new(segment.header);
        index.bound_streams(self.streams_max()?);
        let mut at = self.start(&segment)?;
        let mut epoch = 0;
        let mut unproven = Vec::new();
        let mut unindexed = Vec::new();
        loop {
            let number = segment.header.number;
            if let Some(table) = self.table(&segment, at) {
                let next = self.open(number + 1)?;
                at = Scan::start_of(number + 1, table.span.next_frame, table.span.next_chain);
                epoch = table.span.epoch;
                let added = index.add_sealed(table, next.header);
                added.map_err(contradicted(&segment.path, 0))?;
                segment = next;
                continue;
            }
            let mut scan = Scan::new(segment.clone(), at, epoch);
            let stop = self.scan(&mut scan, &mut index)?;
            let dirty_end = match stop {
                Stop::Sealed(_) => scan.at.offset,
                Stop::End { dirty_end } => dirty_end,
            };
            if number >= self.mark.end.segment {
                unproven.push(self.unproven(&scan, dirty_end));
            }
            epoch = scan.epoch;
            match stop {
                Stop::Sealed(span) => {
                    segment = self.open(number + 1)?;
                    at = Scan::start_of(number + 1, span.next_frame, span.next_chain);
                    unindexed.push(index.seal(span, segment.header));
                }
                Stop::End { .. } => {
                    index.bound_streams(u32::MAX);
                    let ahead = (number + 1..=self.last).map(|number| self.open(number));
                    return Ok(Walked {
                        index,
                        tail: segment,
                        start: at,
                        end: scan.at,
                        epoch,
                        unproven,
                        ahead: ahead.collect::<Result<_, _>>()?,
                        unindexed,
                    });
                }
            }
        }
    }

    /// How many streams the log can be about: each is declared in it.
    fn streams_max(&self) -> Result<u32, OpenError> {
        let mut log_bytes = 0;
        for name in self.disk.list(self.dir).map_err(OpenError::io(self.dir))? {
            if let FileKind::Log(_) = FileKind::of(&name) {
                let path = self.dir.join(name);
                let file = self.disk.open(&path, Access::Read);
                match file.and_then(|file| file.size()) {
                    Ok(size) => log_bytes += size,
                    // A writer may have removed it meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(OpenError::io(&path)(error)),
                }
            }
        }
        let declarations = log_bytes / DECLARATION_BYTES_MIN as u64;
        Ok(u32::try_from(declarations).unwrap_or(u32::MAX))
    }

    fn unproven(&self, scan: &Scan, dirty_end: u32) -> Unproven {
        let mark = self.mark.end;
        let is_marked = scan.at.segment == mark.segment;
        Unproven {
            segment: scan.segment.clone(),
            from: if is_marked {
                mark.offset
            } else {
                SEGMENT_HEADER_BYTES
            },
            to: scan.at.offset,
            dirty_end,
        }
    }

    /// Takes frames into the index until the segment or the log ends.
    fn scan(&self, scan: &mut Scan, index: &mut Index) -> Result<Stop, OpenError> {
        let path = scan.segment.path.clone();
        let mark = self.mark.end;
        let first = scan.at;
        let barrier = (scan.at.segment == mark.segment).then_some(mark.offset);
        loop {
            let at = scan.at;
            let is_mark = (at.segment, at.offset) == (mark.segment, mark.offset);
            if is_mark && (at.frame, at.chain) != (mark.frame, mark.chain) {
                let detail = "the log and the durable mark contradict each other";
                return Err(OpenError::corrupt(&path, u64::from(at.offset), detail));
            }
            let is_far_enough = self.reach == Reach::Mark && !planted::is("reader-beyond-the-mark");
            if is_mark && (is_far_enough || planted::is("log-ends-at-the-mark")) {
                let dirty_end = at.offset;
                return Ok(Stop::End { dirty_end });
            }
            let is_below = (at.segment, at.offset) < (mark.segment, mark.offset)
                && !planted::is("damage-cut-off");
            let place = if is_below {
                Place::BelowMark
            } else {
                Place::BeyondMark
            };
            let (found, frame) = scan.look(barrier).map_err(OpenError::io(&path))?;
            let (after, dirty_end) = match found {
                Found::Frame => (After::Silence, at.offset),
                Found::Nothing | Found::Fragment | Found::Stranger => self.after(scan)?,
            };
            match (decide(place, found, after), frame) {
                (Verdict::Take, Some(frame)) => take(scan, index, &frame)?,
                (Verdict::Take, None) => unreachable!("a frame that is taken was found"),
                (Verdict::Advance, _) => return Ok(Stop::Sealed(span(first, scan))),
                (Verdict::End | Verdict::Cut, _) => return Ok(Stop::End { dirty_end }),
                (Verdict::Refuse, _) => {
                    let detail = refusal(place, found, after);
                    return Err(OpenError::corrupt(&path, u64::from(at.offset), detail));
                }
            }
        }
    }

    /// What follows the place where `scan` stands, and where this segment's last byte is.
    fn after(&self, scan: &mut Scan) -> Result<(After, u32), OpenError> {
        let at = scan.at;
        let tail = scan.tail().map_err(OpenError::io(&scan.segment.path))?;
        let mut has_later_frame = tail.has_later_frame;
        for number in at.segment + 1..=self.last {
            let next = self.open(number)?;
            let path = next.path.clone();
            let start = Scan::start_of(number, at.frame, at.chain);
            let mut ahead = Scan::new(next, start, scan.epoch);
            let (found, _) = ahead.look(None).map_err(OpenError::io(&path))?;
            let is_next = number == at.segment + 1 && !planted::is("next-segment-overlooked");
            if found == Found::Frame && is_next {
                return Ok((After::NextSegment, tail.dirty_end));
            }
            let tail = ahead.tail().map_err(OpenError::io(&path))?;
            has_later_frame |= tail.has_later_frame;
        }
        let after = if has_later_frame {
            After::LaterFrame
        } else {
            After::Silence
        };
        Ok((after, tail.dirty_end))
    }

    /// The index file of a segment that is sealed for certain and starts at `at`.
    fn table(&self, segment: &Segment, at: End) -> Option<Table> {
        if segment.header.number >= self.mark.end.segment {
            return None;
        }
        let table = read_table(self.disk, self.dir, &segment.header)?;
        let joins = (table.span.first_frame, table.span.first_chain) == (at.frame, at.chain);
        joins.then_some(table)
    }

    /// Where the log starts. The segments before the first kept one are gone, and with them the
    /// frame before; what its successor says of it has to be believed.
    fn start(&self, segment: &Segment) -> Result<End, OpenError> {
        let number = segment.header.number;
        if number == 1 {
            return Ok(Scan::start_of(1, 1, 0));
        }
        let mark = self.mark.end;
        if (number, SEGMENT_HEADER_BYTES) == (mark.segment, mark.offset) {
            return Ok(mark);
        }
        let failed = OpenError::io(&segment.path);
        match first_frame(segment).map_err(failed)? {
            Some(frame) => Ok(Scan::start_of(number, frame.number, frame.chain)),
            None => {
                let at = u64::from(SEGMENT_HEADER_BYTES);
                Err(OpenError::corrupt(
                    &segment.path,
                    at,
                    "the log's first frame is damaged",
                ))
            }
        }
    }

    /// Opens a segment: for writing when recovery may have to.
    fn open(&self, number: u64) -> Result<Segment, OpenError> {
        let is_proven = number < self.mark.end.segment;
        let access = match self.reach {
            Reach::Log if !is_proven => Access::Write,
            Reach::Log | Reach::Mark => Access::Read,
        };
        Segment::open(self.disk, self.dir, self.mark.identity, number, access)
    }
}

fn first_frame(segment: &Segment) -> io::Result<Option<FrameHeader>> {
    let mut bytes = [0; FRAME_HEADER_BYTES];
    let at = u64::from(SEGMENT_HEADER_BYTES);
    read_up_to(segment.file.as_ref(), &mut bytes, at)?;
    Ok(FrameHeader::decode(segment.salt, &bytes).map(|frame| frame.header))
}

/// Takes the frame that was found into the index, and goes behind it.
pub(crate) fn take(scan: &mut Scan, index: &mut Index, frame: &Sealed) -> Result<(), OpenError> {
    for item in &scan.items {
        let added = index.add(item);
        added.map_err(contradicted(&scan.segment.path, scan.at.offset))?;
    }
    scan.take(frame);
    Ok(())
}

fn span(first: End, scan: &Scan) -> Span {
    Span {
        first_frame: first.frame,
        first_chain: first.chain,
        next_frame: scan.at.frame,
        next_chain: scan.at.chain,
        epoch: scan.epoch,
        end: scan.at.offset,
    }
}

fn contradicted(path: &Path, offset: u32) -> impl FnOnce(Contradiction) -> OpenError {
    let path: PathBuf = path.to_path_buf();
    move |error| OpenError::corrupt(&path, u64::from(offset), error.to_string())
}

fn refusal(place: Place, found: Found, after: After) -> &'static str {
    match (place, found, after) {
        (_, Found::Stranger, _) => "a frame stands here that belongs elsewhere",
        (Place::BelowMark, _, _) => "what was acknowledged here is damaged",
        (Place::BeyondMark, _, _) => "a later frame proves that what was here is damaged",
    }
}

/// The table of a segment's index file; `None` when it is missing or damaged, for it can be made
/// again.
pub(crate) fn read_table(disk: &dyn Disk, dir: &Path, segment: &SegmentHeader) -> Option<Table> {
    let path = dir.join(index_name(segment.number));
    let file = disk.open(&path, Access::Read).ok()?;
    let mut header = [0; INDEX_HEADER_BYTES];
    read_exact_at(file.as_ref(), &mut header, 0).ok()?;
    let read = segment_index::Header::decode(segment, &header).and_then(|header| {
        // The header's checksum was right, yet the file may be shorter than it says.
        let bytes = u64::from(header.table_bytes);
        let is_there = file
            .size()
            .is_ok_and(|size| size >= INDEX_HEADER_BYTES as u64 + bytes);
        let mut table = vec![
            0;
            if is_there {
                header.table_bytes as usize
            } else {
                0
            }
        ];
        let filled = read_exact_at(file.as_ref(), &mut table, INDEX_HEADER_BYTES as u64);
        filled.map_err(|_| crate::format::Unreadable::Damaged)?;
        header.table(segment, &table)
    });
    match read {
        Ok(table) => Some(table),
        Err(reason) => {
            tracing::warn!(path = %path.display(), ?reason, "journal: an index is made again");
            None
        }
    }
}
