//! The walk through the log that builds the index and finds the end. It changes nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::history::History;
use super::table::{After, Found, Place, Verdict, decide};
use super::void_spare::is_void_spare;
use crate::directory;
use crate::error::OpenError;
use crate::format::catalogue::{CATALOGUED_BYTES_MIN, Span};
use crate::format::directory::{DirectoryHeader, State};
use crate::format::frame::{FRAME_HEADER_BYTES, FrameHeader, Sealed};
use crate::format::mark::{End, Mark};
use crate::format::record::DECLARATION_BYTES_MIN;
use crate::format::segment_header::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::index::{Contradiction, Index};
use crate::log_index::LogIndex;
use crate::parts::Part;
use crate::planted;
use crate::scan::Scan;
use crate::sealed::{Content, SealedSegment};
use crate::segment::{FileKind, Segment, index_name, log_name};
use crate::storage::{Access, Disk, read_up_to};
use crate::stream_segment::StreamSegment;
use crate::stream_segment::catalogue::Flaw;

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

/// What is known without going through the log, and where that starts.
#[derive(Debug)]
struct Footing {
    index: Index,
    segment: Segment,
    at: End,
    /// The highest epoch before.
    epoch: u64,
    state: State,
    leftovers: Vec<(u64, u64)>,
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
            FileKind::Index(_)
            | FileKind::Streams(..)
            | FileKind::Directory
            | FileKind::Temporary
            | FileKind::Other => None,
        });
        let newest = numbers.max().unwrap_or(0).max(mark.end.segment);
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
        let Footing {
            mut index,
            mut segment,
            mut at,
            mut epoch,
            state,
            leftovers,
        } = self.footing()?;
        let mut unproven = Vec::new();
        let mut unindexed = Vec::new();
        loop {
            let number = segment.header.number;
            let ahead = || (number + 1..=self.last).map(|number| self.open(number));
            if state == State::Closed {
                index.bound_streams(u32::MAX);
                return Ok(Walked {
                    index,
                    tail: segment,
                    start: at,
                    end: at,
                    epoch,
                    unproven,
                    ahead: ahead().collect::<Result<_, _>>()?,
                    unindexed,
                    leftovers,
                    state,
                });
            }
            if at.offset == SEGMENT_HEADER_BYTES
                && let Some(known) = self.index_file(&segment, at)
            {
                epoch = known.span().epoch;
                (segment, at) = self.pass_over(&mut index, segment, &known)?;
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
                    return Ok(Walked {
                        index,
                        tail: segment,
                        start: at,
                        end: scan.at,
                        epoch,
                        unproven,
                        ahead: ahead().collect::<Result<_, _>>()?,
                        unindexed,
                        leftovers,
                        state,
                    });
                }
            }
        }
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

    /// What the walk starts with: the directory when it is of use, otherwise what the stream
    /// segments say.
    fn footing(&self) -> Result<Footing, OpenError> {
        let history = History::open(self.disk, self.dir, &self.mark, &self.names)?;
        if let Some(footing) = self.footing_in_directory(&history)? {
            return Ok(footing);
        }
        let segment = self.open(self.mark.first_segment)?;
        let (frame, chain) = history.end();
        let at = Scan::start_of(self.mark.first_segment, frame, chain);
        let mut index = Index::new(segment.header, at);
        index.bound_streams(self.streams_max()?);
        let mut epoch = 0;
        for streams in history.segments {
            let added = add_history(&mut index, &streams);
            added.map_err(|flaw| flaw.opening(&streams.path))?;
            epoch = streams.span().epoch;
            index.add_part(Part::Streams(streams));
        }
        Ok(Footing {
            index,
            segment,
            at,
            epoch,
            state: State::Running,
            leftovers: history.leftovers,
        })
    }

    fn footing_in_directory(&self, history: &History) -> Result<Option<Footing>, OpenError> {
        let mut bytes = Vec::new();
        let read = directory::read(self.disk, self.dir, &self.mark, &mut bytes);
        let Some((header, streams)) = read else {
            return Ok(None);
        };
        let Some(sealed) = self.sealed(&header, history) else {
            tracing::info!("journal: the directory is behind what is kept, and not used");
            return Ok(None);
        };
        let segment = self.open(header.end.segment)?;
        if !self.goes_on(&segment, &header)? {
            tracing::warn!("journal: the directory and the log do not join, it is not used");
            return Ok(None);
        }
        let mut index = Index::new(segment.header, header.end);
        index.bound_streams(header.streams);
        for stream in streams {
            let added = stream.map(|stream| index.add_stream(&stream));
            if !matches!(added, Some(Ok(()))) {
                tracing::warn!("journal: the directory's streams have no meaning, it is not used");
                return Ok(None);
            }
        }
        // A file's name may say any number; the walk finds out that those before it are missing.
        let segments = (self.last - header.end.segment).saturating_add(1);
        let behind = segments.saturating_mul(segment.header.segment_bytes.into());
        let born = u32::try_from(behind / DECLARATION_BYTES_MIN as u64).unwrap_or(u32::MAX);
        index.bound_streams(header.streams.saturating_add(born));
        let streams = history.segments.iter().cloned().map(Part::Streams);
        for part in streams.chain(sealed) {
            index.add_part(part);
        }
        let is_of_last = header.epoch == self.mark.epoch || planted::is("directory-of-earlier");
        let is_end = header.end == self.mark.end && is_of_last
            || planted::is("directory-believed-after-more");
        let state = if is_end { header.state } else { State::Running };
        Ok(Some(Footing {
            index,
            segment,
            at: header.end,
            epoch: header.frame_epoch,
            state,
            leftovers: history.leftovers.clone(),
        }))
    }

    /// The sealed log segments of a directory, if they are all there and join.
    fn sealed(&self, header: &DirectoryHeader, history: &History) -> Option<Vec<Part>> {
        let first = self.mark.first_segment;
        let (mut at, mut number) = (history.end(), first);
        let mut sealed = Vec::new();
        let kept = header.segments.iter();
        for (segment, span) in kept.filter(|(segment, _)| segment.number >= first) {
            let joins = segment.number == number && (span.first_frame, span.first_chain) == at;
            let has_files = [log_name(number), index_name(number)]
                .iter()
                .all(|name| self.names.contains(name));
            let is_part = number == header.end.segment;
            let is_covered = !is_part || {
                let known = LogIndex::open(self.disk, self.dir, segment);
                known.is_ok_and(|known| known.span() == span)
            };
            if !joins || !has_files || !is_covered {
                return None;
            }
            at = (span.next_frame, span.next_chain);
            number += u64::from(!is_part);
            sealed.push(in_index_file(*segment, *span));
        }
        let is_reached = at == (header.end.frame, header.end.chain) && number == header.end.segment;
        is_reached.then_some(sealed)
    }

    /// Whether the log goes on at the place of the directory, as the directory says.
    fn goes_on(&self, segment: &Segment, header: &DirectoryHeader) -> Result<bool, OpenError> {
        let (end, mark) = (header.end, self.mark.end);
        if (end.segment, end.offset) == (mark.segment, mark.offset) {
            return Ok((end.frame, end.chain) == (mark.frame, mark.chain));
        }
        let joins = |frame: Option<FrameHeader>| {
            frame.is_some_and(|frame| (frame.number, frame.chain) == (end.frame, end.chain))
        };
        let found = frame_at(segment, end.offset).map_err(OpenError::io(&segment.path))?;
        if joins(found) {
            return Ok(true);
        }
        Ok(end.segment < mark.segment && self.next_if_starts(end.segment, end)?.is_some())
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

    /// How many streams the history can be about: each is declared in it.
    fn streams_max(&self) -> Result<u32, OpenError> {
        let mut log_bytes = 0;
        for name in self.disk.list(self.dir).map_err(OpenError::io(self.dir))? {
            if let FileKind::Log(_) | FileKind::Streams(..) = FileKind::of(&name) {
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
        let declarations = log_bytes / DECLARATION_BYTES_MIN.min(CATALOGUED_BYTES_MIN) as u64;
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

fn in_index_file(header: SegmentHeader, span: Span) -> Part {
    Part::Log(Arc::new(SealedSegment {
        header,
        span,
        content: Content::InIndexFile,
    }))
}

/// What is wrong with what a file says.
enum Wrong {
    Flaw(Flaw),
    Contradiction(Contradiction),
}

impl Wrong {
    fn opening(self, path: &Path) -> OpenError {
        match self {
            Wrong::Flaw(flaw) => Flaw::opening(path)(flaw),
            Wrong::Contradiction(error) => contradicted(path, 0)(error),
        }
    }
}

impl From<Flaw> for Wrong {
    fn from(flaw: Flaw) -> Wrong {
        Wrong::Flaw(flaw)
    }
}

impl From<Contradiction> for Wrong {
    fn from(error: Contradiction) -> Wrong {
        Wrong::Contradiction(error)
    }
}

/// Takes what an index file says into the index.
fn add_index(index: &mut Index, known: &LogIndex) -> Result<(), Wrong> {
    let (file, catalogue) = (known.file.as_ref(), &known.catalogue);
    for page in catalogue.row_pages(file) {
        for row in page? {
            index.add_row(&row)?;
        }
    }
    for page in catalogue.declaration_pages(file) {
        for declaration in page? {
            index.add_declaration(&declaration)?;
        }
    }
    Ok(())
}

/// Takes what a stream segment says into the index.
fn add_history(index: &mut Index, streams: &StreamSegment) -> Result<(), Wrong> {
    let mut declared = Vec::new();
    for declaration in streams.declarations() {
        let declaration = declaration?;
        index.add_kept(&declaration)?;
        declared.push(declaration);
    }
    for row in streams.rows() {
        index.add_row(&row?)?;
    }
    for declaration in &declared {
        index.end_kept(declaration);
    }
    Ok(())
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
