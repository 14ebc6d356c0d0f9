//! The walk through the log that builds the index and finds the end. It changes nothing.

mod ahead;
mod behind;
mod footing;

use std::io;
use std::path::Path;
use std::sync::Arc;

use self::ahead::{Ahead, Lookout};
use self::behind::Behind;
use self::footing::{add_index, in_index_file};
use super::table::{After, Found, Place, Verdict, decide};
use super::void_spare::is_void_spare;
use crate::error::OpenError;
use crate::format::catalogue::Span;
use crate::format::directory::State;
use crate::format::frame::{FRAME_HEADER_BYTES, FrameHeader, Sealed};
use crate::format::mark::{End, Mark};
use crate::format::segment_header::SEGMENT_HEADER_BYTES;
use crate::index::{Contradiction, Index};
use crate::log_index::LogIndex;
use crate::planted;
use crate::scan::Scan;
use crate::sealed::SealedSegment;
use crate::segment::{Segment, log_numbers};
use crate::storage::{Access, Disk, read_up_to};

/// Goes through the log of one directory.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    mark: Mark,
    reach: Reach,
    /// The last segment that is looked at.
    last: u64,
    /// The one behind it, if that is a spare without a whole header.
    pub(crate) void_spare: Option<u64>,
    names: Vec<String>,
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
    /// Behind the one with the end.
    pub(crate) ahead: Vec<Ahead>,
    /// Sealed segments without an index file.
    pub(crate) unindexed: Vec<Arc<SealedSegment>>,
    /// Stream segments that a crash left.
    pub(crate) leftovers: Vec<(u64, u64)>,
    /// Closed when nothing was looked for behind the end, because there is nothing.
    pub(crate) state: State,
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
    End(Behind),
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
        let newest = log_numbers(&names).max().unwrap_or(0);
        let newest = newest.max(mark.end.segment);
        let (last, void_spare) = match reach {
            Reach::Log if is_void_spare(disk, dir, &mark, newest)? => (newest - 1, Some(newest)),
            Reach::Log => (newest, None),
            Reach::Mark => (mark.end.segment, None),
        };
        Ok(Walk {
            disk,
            dir,
            mark,
            reach,
            last,
            void_spare,
            names,
        })
    }

    /// Goes through the log.
    pub(crate) fn run(&self) -> Result<Walked, OpenError> {
        let footing = self.footing()?;
        let mut walked = Walked {
            index: footing.index,
            tail: footing.segment,
            start: footing.at,
            end: footing.at,
            epoch: footing.epoch,
            unproven: Vec::new(),
            ahead: Vec::new(),
            unindexed: Vec::new(),
            leftovers: footing.leftovers,
            state: footing.state,
        };
        walked.ahead = match walked.state {
            State::Closed => self.untouched(walked.end.segment)?,
            State::Running => self.go_on(&mut walked)?,
        };
        walked.index.bound_streams(u32::MAX);
        Ok(walked)
    }

    /// Goes on to the end of the log, and gives the segments behind it.
    fn go_on(&self, walked: &mut Walked) -> Result<Vec<Ahead>, OpenError> {
        let mut lookout = self.lookout();
        loop {
            let (segment, at) = (walked.tail.clone(), walked.start);
            if at.offset == SEGMENT_HEADER_BYTES
                && let Some(known) = self.index_file(&segment, at)
            {
                walked.epoch = known.span().epoch;
                let index = &mut walked.index;
                (walked.tail, walked.start) = self.pass_over(index, segment, &known)?;
                continue;
            }
            let number = segment.header.number;
            let mut scan = Scan::new(segment, at, walked.epoch);
            let stop = self.scan(&mut scan, &mut walked.index, lookout.as_mut())?;
            let dirty_end = match &stop {
                Stop::Sealed(_) => scan.at.offset,
                Stop::End(behind) => behind.dirty_end,
            };
            if number >= self.mark.end.segment {
                walked.unproven.push(self.unproven(&scan, dirty_end));
            }
            walked.epoch = scan.epoch;
            match stop {
                Stop::Sealed(span) => {
                    walked.tail = self.open(number + 1)?;
                    walked.start = Scan::start_of(number + 1, span.next_frame, span.next_chain);
                    let sealed = walked.index.seal(span, walked.tail.header);
                    walked.unindexed.push(sealed);
                }
                Stop::End(behind) => {
                    walked.end = scan.at;
                    return Ok(behind.ahead);
                }
            }
        }
    }

    /// The segments after `number` of a journal that was closed, which says that they are untouched.
    fn untouched(&self, number: u64) -> Result<Vec<Ahead>, OpenError> {
        let later = (number + 1..=self.last).map(|number| {
            Ok(Ahead {
                segment: self.open(number)?,
                is_untouched: true,
            })
        });
        later.collect()
    }

    /// Starts to look at what may be the spare. Where it cannot be opened, whoever gets there says so.
    fn lookout(&self) -> Option<Lookout> {
        let is_behind = self.last > self.mark.end.segment;
        let segment = is_behind.then(|| self.open(self.last).ok()).flatten()?;
        Some(Lookout::new(segment))
    }

    /// Takes the frames that an index file speaks of, and gives the place behind them.
    fn pass_over(
        &self,
        index: &mut Index,
        segment: Segment,
        known: &LogIndex,
    ) -> Result<(Segment, End), OpenError> {
        let path = &known.path;
        add_index(index, known).map_err(|flaw| flaw.opening(path))?;
        let (number, span) = (segment.header.number, *known.span());
        index.add_part(in_index_file(segment.header, span));
        let behind = End {
            segment: number,
            offset: span.end,
            frame: span.next_frame,
            chain: span.next_chain,
        };
        let (segment, at) = match self.next_if_starts(number, behind)? {
            Some(next) => {
                let at = Scan::start_of(number + 1, behind.frame, behind.chain);
                (next, at)
            }
            None => (segment, behind),
        };
        index.go_on_at(at, segment.header);
        Ok((segment, at))
    }

    /// The segment after `number`, if it starts with the frame that is expected at `at`.
    fn next_if_starts(&self, number: u64, at: End) -> Result<Option<Segment>, OpenError> {
        if number >= self.mark.end.segment {
            return Ok(None);
        }
        let next = self.open(number + 1)?;
        let found = frame_at(&next, SEGMENT_HEADER_BYTES).map_err(OpenError::io(&next.path))?;
        let starts = found.is_some_and(|frame| (frame.number, frame.chain) == (at.frame, at.chain));
        Ok(starts.then_some(next))
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
    fn scan(
        &self,
        scan: &mut Scan,
        index: &mut Index,
        mut lookout: Option<&mut Lookout>,
    ) -> Result<Stop, OpenError> {
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
                return Ok(Stop::End(Behind::nothing(at)));
            }
            let is_below = (at.segment, at.offset) < (mark.segment, mark.offset)
                && !planted::is("damage-cut-off");
            let place = if is_below {
                Place::BelowMark
            } else {
                Place::BeyondMark
            };
            let (found, frame) = scan.look(barrier).map_err(OpenError::io(&path))?;
            let behind = match found {
                Found::Frame => Behind::nothing(at),
                Found::Nothing | Found::Fragment | Found::Stranger => {
                    self.behind(scan, lookout.as_deref_mut())?
                }
            };
            match (decide(place, found, behind.after), frame) {
                (Verdict::Take, Some(frame)) => take(scan, index, &frame)?,
                (Verdict::Take, None) => unreachable!("a frame that is taken was found"),
                (Verdict::Advance, _) => return Ok(Stop::Sealed(span(first, scan))),
                (Verdict::End | Verdict::Cut, _) => return Ok(Stop::End(behind)),
                (Verdict::Refuse, _) => {
                    let detail = refusal(place, found, behind.after);
                    return Err(OpenError::corrupt(&path, u64::from(at.offset), detail));
                }
            }
        }
    }

    /// The index file of a segment that is sealed for certain and starts at `at`. It may end before
    /// the segment's frames do.
    fn index_file(&self, segment: &Segment, at: End) -> Option<LogIndex> {
        if segment.header.number >= self.mark.end.segment {
            return None;
        }
        let known = match LogIndex::open(self.disk, self.dir, &segment.header) {
            Ok(known) => known,
            Err(flaw) => {
                let path = &segment.path;
                tracing::warn!(path = %path.display(), ?flaw, "journal: an index is made again");
                return None;
            }
        };
        let span = known.span();
        let joins = (span.first_frame, span.first_chain) == (at.frame, at.chain);
        let has_frames = span.next_frame > span.first_frame;
        (joins && has_frames && known.is_whole()).then_some(known)
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

/// The header of the frame at `offset`.
fn frame_at(segment: &Segment, offset: u32) -> io::Result<Option<FrameHeader>> {
    let mut bytes = [0; FRAME_HEADER_BYTES];
    read_up_to(segment.file.as_ref(), &mut bytes, u64::from(offset))?;
    Ok(FrameHeader::decode(segment.salt, &bytes).map(|frame| frame.header))
}

/// Takes the frame that was found into the index, and goes behind it.
pub(crate) fn take(scan: &mut Scan, index: &mut Index, frame: &Sealed) -> Result<(), OpenError> {
    for item in &scan.items {
        let added = index.add(item);
        added.map_err(|error| contradicted(&scan.segment.path, scan.at.offset, &error))?;
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

fn contradicted(path: &Path, offset: u32, error: &Contradiction) -> OpenError {
    OpenError::corrupt(path, u64::from(offset), error.to_string())
}

fn refusal(place: Place, found: Found, after: After) -> &'static str {
    match (place, found, after) {
        (_, Found::Stranger, _) => "a frame stands here that belongs elsewhere",
        (Place::BelowMark, _, _) => "what was acknowledged here is damaged",
        (Place::BeyondMark, _, _) => "a later frame proves that what was here is damaged",
    }
}
