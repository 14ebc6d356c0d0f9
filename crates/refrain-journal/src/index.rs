//! Where the durable entries of each stream are.
//!
//! Invariant: the index knows only what is synced. The writer adds a frame to it after the sync and
//! before anybody is told, so readers see all that was acknowledged and nothing else.
//!
//! Of sealed segments the index keeps one run per stream; of the open one the offset of every
//! record.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::Waker;

use refrain_core::Name;

use crate::format::record::Declaration;
use crate::format::segment_header::SegmentHeader;
use crate::format::segment_index::{Span, Table};
use crate::names::STREAMS_MAX;
use crate::planted;
use crate::scan::Item;
use crate::sealed::{Extent, OffsetRun, SealedSegment, extent};

/// All that readers need to know.
#[derive(Debug)]
pub(crate) struct Index {
    streams: Vec<Stream>,
    /// Oldest first.
    sealed: VecDeque<Arc<SealedSegment>>,
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
    /// The segment with the newest declaration.
    declared: u64,
    /// Its run in the open segment, counted from 1.
    open_run: Option<NonZeroU32>,
}

impl Stream {
    const VACANT: Stream = Stream {
        name: None,
        first: 1,
        next: 1,
        declared: 0,
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
    declarations: Vec<Declaration>,
    /// Stream, first position, offsets; in the order in which the streams first wrote here.
    runs: Vec<OffsetRun>,
}

impl OpenSegment {
    fn new(header: SegmentHeader) -> OpenSegment {
        OpenSegment {
            header,
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
    /// An empty index whose open segment is `header`'s.
    pub(crate) fn new(header: SegmentHeader) -> Index {
        Index {
            streams: Vec::new(),
            sealed: VecDeque::new(),
            open: OpenSegment::new(header),
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
                self.declare(declaration, self.open.header.number)?;
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

    fn declare(&mut self, new: &Declaration, segment: u64) -> Result<(), Contradiction> {
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
        if !planted::is("position-used-again") {
            stream.next = new.next;
        }
        stream.declared = segment;
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
        let mut open = std::mem::replace(&mut self.open, OpenSegment::new(next));
        for (stream, _, _) in &open.runs {
            self.streams[*stream as usize].open_run = None;
        }
        open.runs.sort_unstable_by_key(|(stream, _, _)| *stream);
        let sealed = Arc::new(SealedSegment::in_memory(
            open.header,
            span,
            open.declarations,
            open.runs,
        ));
        self.sealed.push_back(Arc::clone(&sealed));
        sealed
    }

    /// Adds the segment that is open, whole, from its index file, and goes on in `next`.
    pub(crate) fn add_sealed(
        &mut self,
        table: Table,
        next: SegmentHeader,
    ) -> Result<(), Contradiction> {
        let header = self.open.header;
        for run in &table.runs {
            let stream = Index::stream_mut(&mut self.streams, run.stream, self.streams_max)?;
            if stream.is_unseen() {
                stream.first = run.first;
            } else if stream.next != run.first {
                return Err(Contradiction::new(run.stream, "its segments do not join"));
            }
            stream.next = run.first + u64::from(run.count);
        }
        for declaration in table.declarations {
            let id = declaration.stream;
            let next = Index::stream_mut(&mut self.streams, id, self.streams_max)?.next;
            let next = next.max(declaration.next);
            let stream = &mut self.streams[id as usize];
            stream.next = next;
            self.declare(
                &Declaration {
                    next,
                    ..declaration
                },
                header.number,
            )?;
        }
        self.sealed.push_back(Arc::new(SealedSegment::on_disk(
            header, table.span, table.runs,
        )));
        self.open = OpenSegment::new(next);
        Ok(())
    }

    /// Goes over to the index file of segment `number`, which is written.
    pub(crate) fn use_index_file(&mut self, number: u64, table: Table) {
        let found = self
            .sealed
            .iter_mut()
            .find(|one| one.header.number == number);
        if let Some(sealed) = found {
            *sealed = Arc::new(SealedSegment::on_disk(
                sealed.header,
                sealed.span,
                table.runs,
            ));
        }
    }

    /// Forgets about segments below `number`, which are about to be removed.
    pub(crate) fn drop_sealed(&mut self, number: u64) {
        self.sealed.retain(|sealed| sealed.header.number >= number);
    }

    /// The oldest segment that is known.
    pub(crate) fn oldest_segment(&self) -> u64 {
        let oldest = self.sealed.front().map(|sealed| sealed.header.number);
        oldest.unwrap_or(self.open.header.number)
    }

    /// The segment below which no entry is kept any more; the oldest one when there is none.
    pub(crate) fn retirable(&self) -> u64 {
        let is_needed = |sealed: &&Arc<SealedSegment>| {
            let lasts = sealed.last_positions();
            lasts.iter().any(|(id, last)| {
                let first = self.streams[*id as usize].first;
                *last >= first + u64::from(planted::is("segment-removed-too-early"))
            })
        };
        match self.sealed.iter().find(is_needed) {
            Some(needed) => needed.header.number,
            None => self.open.header.number,
        }
    }

    /// The streams whose newest declaration lies below segment `number`, as they are now.
    pub(crate) fn declared_below(&self, number: u64) -> Vec<Declaration> {
        let ids = 0..u32::try_from(self.streams.len()).expect("numbers of streams fit 32 bits");
        let old = ids.filter(|id| self.streams[*id as usize].declared < number);
        old.filter_map(|id| self.declaration(id)).collect()
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

    /// Where the durable entry at `position` and those after it are.
    pub(crate) fn locate(&self, id: u32, position: u64) -> Option<Extent> {
        let stream = self.streams.get(id as usize)?;
        if let Some(run) = stream.open_run {
            let (_, first, offsets) = &self.open.runs[run.get() as usize - 1];
            if position >= *first {
                return extent(self.open.header, *first, offsets, position);
            }
        }
        self.sealed
            .iter()
            .find_map(|sealed| sealed.locate(id, position))
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
