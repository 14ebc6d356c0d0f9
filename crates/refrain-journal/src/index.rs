//! Where the durable entries of each stream are.
//!
//! Invariant: the index knows only what is synced. The writer adds a frame to it after the sync and
//! before anybody is told, so readers see all that was acknowledged and nothing else.
//!
//! Of the open segment the index keeps the offset of every record, of what is sealed only which
//! files there are.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;
use std::task::Waker;

use refrain_core::Name;

use crate::format::catalogue::{Row, Span};
use crate::format::mark::End;
use crate::format::record::Declaration;
use crate::format::segment_header::SegmentHeader;
use crate::names::STREAMS_MAX;
use crate::parts::{Misfit, Part, Parts};
use crate::planted;
use crate::scan::{Item, Scan};
use crate::sealed::{Content, Extent, OffsetRun, SealedSegment, extent};
use crate::stream_segment::StreamSegment;

/// All that readers need to know.
#[derive(Debug)]
pub(crate) struct Index {
    streams: Vec<Stream>,
    parts: Parts,
    /// A stream segment that is whole, and takes the place of log segments when the mark lets go of
    /// them.
    prepared: Option<Arc<StreamSegment>>,
    open: OpenSegment,
    /// The streams in the order of their names; made when somebody asks, dropped with a new name.
    by_name: Option<Vec<u32>>,
    /// Numbers of streams are below it.
    streams_max: u32,
    followers: HashMap<Name, Vec<Waker>>,
}

/// What is known of one stream. Kept small: there may be millions, most of them idle.
#[derive(Debug, Clone)]
struct Stream {
    /// Missing while only a suffix of the log was read and the declaration is still to come.
    name: Option<Name>,
    first: u64,
    next: u64,
    /// Its run in the open segment, counted from 1.
    open_run: Option<NonZeroU32>,
}

impl Stream {
    const VACANT: Stream = Stream {
        name: None,
        first: 1,
        next: 1,
        open_run: None,
    };

    fn is_unseen(&self) -> bool {
        self.name.is_none() && self.next == 1
    }
}

/// The segment that is being written.
#[derive(Debug)]
struct OpenSegment {
    header: SegmentHeader,
    /// The place behind what is sealed.
    start: End,
    declarations: Vec<Declaration>,
    /// Stream, first position, offsets; in the order in which the streams first wrote here.
    runs: Vec<OffsetRun>,
}

impl OpenSegment {
    fn new(header: SegmentHeader, start: End) -> OpenSegment {
        OpenSegment {
            header,
            start,
            declarations: Vec::new(),
            runs: Vec::new(),
        }
    }
}

/// The log contradicts itself, although every checksum is right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stream {stream}: {detail}")]
pub(crate) struct Contradiction {
    stream: u32,
    detail: String,
}

impl Contradiction {
    pub(crate) fn new(stream: u32, detail: impl Into<String>) -> Contradiction {
        let detail = detail.into();
        Contradiction { stream, detail }
    }
}

impl Index {
    /// An empty index whose open segment is `header`'s, from `start` on.
    pub(crate) fn new(header: SegmentHeader, start: End) -> Index {
        Index {
            streams: Vec::new(),
            parts: Parts::default(),
            prepared: None,
            open: OpenSegment::new(header, start),
            by_name: None,
            streams_max: STREAMS_MAX,
            followers: HashMap::new(),
        }
    }

    /// Lets in numbers of streams below `streams_max` only, until it is changed again. Numbers have
    /// no gaps, so while a log is read, its size bounds them; or a record of a few bytes would make
    /// a table of 2^24 streams.
    pub(crate) fn bound_streams(&mut self, streams_max: u32) {
        self.streams_max = streams_max.min(STREAMS_MAX);
    }

    /// Adds one record of the open segment.
    pub(crate) fn add(&mut self, item: &Item) -> Result<(), Contradiction> {
        match item {
            Item::Entry {
                stream,
                position,
                offset,
            } => self.add_entry(*stream, *position, *offset),
            Item::Stream(declaration) => {
                self.declare(declaration)?;
                self.open.declarations.push(declaration.clone());
                Ok(())
            }
        }
    }

    fn add_entry(&mut self, id: u32, position: u64, offset: u32) -> Result<(), Contradiction> {
        let stream = Index::stream_mut(&mut self.streams, id, self.streams_max)?;
        if stream.is_unseen() {
            stream.first = position;
        } else if stream.next != position {
            let detail = format!("entry {position} follows entry {}", stream.next - 1);
            return Err(Contradiction::new(id, detail));
        }
        stream.next = position + 1;
        let run = *stream.open_run.get_or_insert_with(|| {
            self.open.runs.push((id, position, Vec::new()));
            let count = u32::try_from(self.open.runs.len()).ok();
            count.and_then(NonZeroU32::new).expect("one was just added")
        });
        self.open.runs[run.get() as usize - 1].2.push(offset);
        Ok(())
    }

    fn declare(&mut self, new: &Declaration) -> Result<(), Contradiction> {
        let stream = Index::stream_mut(&mut self.streams, new.stream, self.streams_max)?;
        if stream.name.as_ref().is_some_and(|name| *name != new.name) {
            return Err(Contradiction::new(new.stream, "it has two names"));
        }
        if !stream.is_unseen() && stream.next != new.next {
            let detail = format!("declared at {}, is at {}", new.next, stream.next);
            return Err(Contradiction::new(new.stream, detail));
        }
        if stream.name.is_none() {
            stream.name = Some(new.name.clone());
            self.by_name = None;
        }
        stream.first = stream.first.max(new.first);
        stream.next = new.next;
        Ok(())
    }

    fn stream_mut(
        streams: &mut Vec<Stream>,
        id: u32,
        streams_max: u32,
    ) -> Result<&mut Stream, Contradiction> {
        if id >= streams_max {
            return Err(Contradiction::new(id, "there cannot be so many streams"));
        }
        let index = id as usize;
        if index >= streams.len() {
            streams.resize(index + 1, Stream::VACANT);
        }
        Ok(&mut streams[index])
    }

    /// Ends the open segment, which covers `span`, and goes on in `next`.
    pub(crate) fn seal(&mut self, span: Span, next: SegmentHeader) -> Arc<SealedSegment> {
        let start = Scan::start_of(next.number, span.next_frame, span.next_chain);
        let mut open = std::mem::replace(&mut self.open, OpenSegment::new(next, start));
        for (stream, _, _) in &open.runs {
            self.streams[*stream as usize].open_run = None;
        }
        open.runs.sort_unstable_by_key(|(stream, _, _)| *stream);
        let sealed = Arc::new(SealedSegment {
            header: open.header,
            span,
            content: Content::InMemory {
                declarations: open.declarations,
                runs: open.runs,
            },
        });
        if span.first_frame < span.next_frame {
            self.parts.push(Part::Log(Arc::clone(&sealed)));
        }
        sealed
    }

    /// Ends what is open at `end`, which is the end of the log in `epoch`. Gives it, if it has any
    /// frames.
    pub(crate) fn seal_end(&mut self, end: End, epoch: u64) -> Option<Arc<SealedSegment>> {
        let (header, start) = (self.open.header, self.open.start);
        assert_eq!(header.number, end.segment, "the index is as far as the log");
        if start.frame == end.frame {
            return None;
        }
        let span = Span {
            first_frame: start.frame,
            first_chain: start.chain,
            next_frame: end.frame,
            next_chain: end.chain,
            epoch,
            end: end.offset,
        };
        let sealed = self.seal(span, header);
        self.open.start = end;
        Some(sealed)
    }

    /// Adds what the index file of a log segment says: first the rows, then the declarations, then
    /// [`Index::add_sealed`].
    pub(crate) fn add_row(&mut self, row: &Row) -> Result<(), Contradiction> {
        let stream = Index::stream_mut(&mut self.streams, row.stream, self.streams_max)?;
        if stream.is_unseen() {
            stream.first = row.first;
        } else if stream.next != row.first {
            return Err(Contradiction::new(row.stream, "its segments do not join"));
        }
        stream.next = row.next();
        Ok(())
    }

    /// As [`Index::add_row`]: a declaration of an index file, which entries may follow.
    pub(crate) fn add_declaration(&mut self, new: &Declaration) -> Result<(), Contradiction> {
        let next = Index::stream_mut(&mut self.streams, new.stream, self.streams_max)?.next;
        let next = next.max(new.next);
        let stream = &mut self.streams[new.stream as usize];
        stream.next = next;
        self.declare(&Declaration {
            next,
            ..new.clone()
        })
    }

    /// As [`Index::add_declaration`], of a stream segment, whose declarations come before its rows:
    /// what lies below the first kept position may be missing.
    pub(crate) fn add_kept(&mut self, new: &Declaration) -> Result<(), Contradiction> {
        let stream = Index::stream_mut(&mut self.streams, new.stream, self.streams_max)?;
        let next = if stream.is_unseen() {
            new.first
        } else {
            stream.next.max(new.first)
        };
        stream.next = next;
        self.declare(&Declaration {
            next,
            ..new.clone()
        })
    }

    /// Ends what [`Index::add_kept`] began for a stream, when its rows are added.
    pub(crate) fn end_kept(&mut self, new: &Declaration) {
        let stream = &mut self.streams[new.stream as usize];
        stream.next = stream.next.max(new.next);
    }

    /// Adds a stream as the directory knows it.
    pub(crate) fn add_stream(&mut self, new: Declaration) -> Result<(), Contradiction> {
        let stream = Index::stream_mut(&mut self.streams, new.stream, self.streams_max)?;
        (stream.first, stream.next) = (new.first, new.next);
        if planted::is("position-used-again") {
            stream.next = new.first;
        }
        stream.next += u64::from(planted::is("position-passed-over"));
        stream.name = Some(new.name);
        self.by_name = None;
        Ok(())
    }

    /// Adds a part of the history, whose streams are known.
    pub(crate) fn add_part(&mut self, part: Part) {
        self.parts.push(part);
    }

    /// Goes on at `start`, in `next`.
    pub(crate) fn go_on_at(&mut self, start: End, next: SegmentHeader) {
        self.open = OpenSegment::new(next, start);
    }

    /// The place behind what is sealed.
    pub(crate) fn open_start(&self) -> End {
        self.open.start
    }

    /// How many streams there may be.
    pub(crate) fn stream_count(&self) -> u32 {
        u32::try_from(self.streams.len()).expect("numbers of streams fit 32 bits")
    }

    /// Those of `streams` that have a name, as they were at [`Index::open_start`], or as whoever goes
    /// on from there finds them.
    pub(crate) fn declarations_at_start(
        &self,
        streams: Range<u32>,
    ) -> impl Iterator<Item = Declaration> + '_ {
        let known = streams.filter_map(|id| self.declaration(id));
        known.map(|known| {
            let run = self.streams[known.stream as usize].open_run;
            let run = run.filter(|_| !planted::is("directory-ahead-of-its-place"));
            let next = run.map_or(known.next, |run| self.open.runs[run.get() as usize - 1].1);
            let first = known.first.min(next);
            Declaration {
                first,
                next,
                ..known
            }
        })
    }

    /// Goes over to the index file of `segment`, which covers `span`.
    pub(crate) fn use_index_file(&mut self, header: SegmentHeader, span: Span) {
        self.parts.replace(Part::Log(Arc::new(SealedSegment {
            header,
            span,
            content: Content::InIndexFile,
        })));
    }

    /// The files of the history.
    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Keeps a stream segment for when the mark lets go of the log segments that it stands for. It
    /// is refused unless it has all of them: the first part of one is not the whole.
    pub(crate) fn prepare(&mut self, segment: Arc<StreamSegment>) -> Result<(), Misfit> {
        let numbers = (segment.header.first, segment.header.last);
        self.parts
            .check_fit(self.open.start, numbers, segment.span())?;
        self.prepared = Some(segment);
        Ok(())
    }

    /// Puts the stream segment that was prepared in the place of the log segments below `segment`,
    /// which are about to be removed.
    pub(crate) fn adopt(&mut self, segment: u64) {
        if let Some(prepared) = self.prepared.take() {
            assert_eq!(
                prepared.header.last + 1,
                segment,
                "what is let go of is kept"
            );
            self.parts.replace(Part::Streams(prepared));
        }
    }

    /// Puts a stream segment in the place of those it was merged from.
    pub(crate) fn use_merged(&mut self, segment: Arc<StreamSegment>) {
        self.parts.replace(Part::Streams(segment));
    }

    /// Takes `streams` for the history before the log segment `first`.
    pub(crate) fn set_history(&mut self, streams: Vec<Arc<StreamSegment>>, first: u64) {
        self.parts.set_history(streams, first);
    }

    /// The first kept position of stream `id`.
    pub(crate) fn first(&self, id: u32) -> u64 {
        self.streams
            .get(id as usize)
            .map_or(1, |stream| stream.first)
    }

    /// What would be declared of stream `id` now.
    pub(crate) fn declaration(&self, id: u32) -> Option<Declaration> {
        let stream = self.streams.get(id as usize)?;
        Some(Declaration {
            stream: id,
            name: stream.name.clone()?,
            first: stream.first,
            next: stream.next,
        })
    }

    /// A stream that has entries or a number, but no name: a contradiction once all is read.
    pub(crate) fn nameless(&self) -> Option<Contradiction> {
        let index = self
            .streams
            .iter()
            .position(|stream| stream.name.is_none())?;
        let id = u32::try_from(index).expect("numbers of streams fit 32 bits");
        Some(Contradiction::new(id, "it was never declared"))
    }

    /// Every stream's name and number.
    pub(crate) fn names(&self) -> impl Iterator<Item = (Name, u32)> {
        let numbered = (0u32..).zip(&self.streams);
        numbered.filter_map(|(id, stream)| Some((stream.name.clone()?, id)))
    }

    /// The position after the last durable entry of each stream, by number.
    pub(crate) fn nexts(&self) -> Vec<u64> {
        self.streams.iter().map(|stream| stream.next).collect()
    }

    /// The first kept position and the next one; (1, 1) of a stream that does not exist.
    pub(crate) fn bounds(&self, stream: Option<u32>) -> (u64, u64) {
        let stream = stream.and_then(|id| self.streams.get(id as usize));
        stream.map_or((1, 1), |stream| (stream.first, stream.next))
    }

    /// Where the durable entry at `position` and those after it are, if that is in the open segment.
    pub(crate) fn locate(&self, id: u32, position: u64) -> Option<Extent> {
        let run = self.streams.get(id as usize)?.open_run?;
        let (_, first, offsets) = &self.open.runs[run.get() as usize - 1];
        extent(self.open.header, *first, offsets, position)
    }

    /// Up to `limit` streams that start with `prefix`, after the name `after`.
    pub(crate) fn list(&mut self, prefix: &str, after: Option<&Name>, limit: usize) -> Vec<Name> {
        let streams = &self.streams;
        let name_of = |id: &u32| streams[*id as usize].name.as_ref();
        let by_name = self.by_name.get_or_insert_with(|| {
            let ids = 0..u32::try_from(streams.len()).expect("numbers of streams fit 32 bits");
            let mut named: Vec<u32> = ids.filter(|id| name_of(id).is_some()).collect();
            named.sort_unstable_by(|a, b| name_of(a).cmp(&name_of(b)));
            named
        });
        let start = by_name.partition_point(|id| {
            name_of(id).is_some_and(|name| name.as_str() < prefix || Some(name) <= after)
        });
        let names = by_name[start..].iter().filter_map(name_of);
        let wanted = names.take_while(|name| name.as_str().starts_with(prefix));
        wanted.take(limit).cloned().collect()
    }

    /// Wakes `waker` when `stream` gets an entry.
    pub(crate) fn follow(&mut self, stream: &Name, waker: &Waker) {
        let waiting = self.followers.entry(stream.clone()).or_default();
        if !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }

    /// Who waits for entries of `stream`; they no longer do.
    pub(crate) fn take_followers(&mut self, stream: u32) -> Vec<Waker> {
        if self.followers.is_empty() || planted::is("follower-not-woken") {
            return Vec::new();
        }
        let name = self
            .streams
            .get(stream as usize)
            .and_then(|one| one.name.as_ref());
        name.and_then(|name| self.followers.remove(name))
            .unwrap_or_default()
    }

    /// Who waits for anything; they no longer do.
    pub(crate) fn take_all_followers(&mut self) -> Vec<Waker> {
        let all = std::mem::take(&mut self.followers);
        all.into_values().flatten().collect()
    }

    /// Whether anybody waits.
    pub(crate) fn has_followers(&self) -> bool {
        !self.followers.is_empty()
    }
}
