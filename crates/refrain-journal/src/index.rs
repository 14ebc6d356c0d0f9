//! Where the durable entries of each stream are.
//!
//! Invariant: the index knows only what is synced. The writer adds a frame to it after the sync and
//! before anybody is told, so readers see all that was acknowledged and nothing else.
//!
//! Of the open segment the index keeps the offset of every record, of what is sealed only which
//! files there are.

mod followers;
mod stored;

use std::ops::Range;
use std::sync::Arc;
use std::task::Waker;

use refrain_core::Name;

pub(crate) use self::followers::Follower;
use self::followers::Followers;
use crate::format::catalogue::Span;
use crate::format::mark::End;
use crate::format::record::Declaration;
use crate::format::segment_header::SegmentHeader;
use crate::growth::make_room;
use crate::names::{Names, STREAMS_MAX};
use crate::open_segment::{Last, OpenSegment};
use crate::parts::{Misfit, Part, Parts};
use crate::planted;
use crate::scan::{Item, Scan};
use crate::sealed::{Content, Extent, InMemory, SealedSegment};
use crate::stream_segment::StreamSegment;

/// All that readers need to know.
#[derive(Debug)]
pub(crate) struct Index {
    /// By number. Their names, and others of which nothing is durable yet, are in `names`.
    streams: Vec<Stream>,
    names: Arc<Names>,
    parts: Parts,
    /// A stream segment that is whole, and takes the place of log segments when the mark lets go of
    /// them.
    prepared: Option<Arc<StreamSegment>>,
    open: OpenSegment,
    /// The streams in the order of their names; made when somebody asks, dropped with a new name.
    by_name: Option<Vec<u32>>,
    /// Numbers of streams are below it.
    streams_max: u32,
    followers: Followers,
}

/// What is known of one stream. Kept small: there may be millions, most of them idle.
#[derive(Debug, Clone, Copy)]
struct Stream {
    first: u64,
    next: u64,
    /// Its last record in the open segment.
    last: Option<Last>,
}

const _: () = assert!(size_of::<Stream>() == 24);

impl Stream {
    const VACANT: Stream = Stream {
        first: 1,
        next: 1,
        last: None,
    };
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
            names: Arc::default(),
            parts: Parts::default(),
            prepared: None,
            open: OpenSegment::new(header, start),
            by_name: None,
            streams_max: STREAMS_MAX,
            followers: Followers::default(),
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
        let is_unseen = self.is_unseen(id)?;
        let stream = &mut self.streams[id as usize];
        if is_unseen {
            stream.first = position;
        } else if stream.next != position {
            let detail = format!("entry {position} follows entry {}", stream.next - 1);
            return Err(Contradiction::new(id, detail));
        }
        stream.next = position + 1;
        stream.last = Some(self.open.add((id, stream.last), position, offset));
        Ok(())
    }

    fn declare(&mut self, new: &Declaration) -> Result<(), Contradiction> {
        let is_unseen = self.is_unseen(new.stream)?;
        let next = self.streams[new.stream as usize].next;
        if !is_unseen && next != new.next {
            let detail = format!("declared at {}, is at {next}", new.next);
            return Err(Contradiction::new(new.stream, detail));
        }
        self.names.learn(new.stream, &new.name)?;
        if is_unseen {
            self.by_name = None;
        }
        let stream = &mut self.streams[new.stream as usize];
        stream.first = stream.first.max(new.first);
        stream.next = new.next;
        Ok(())
    }

    /// Makes sure that there is a row for stream `id`. Says whether nothing is known of it: it may be
    /// declared only later when a suffix of the log is read.
    fn is_unseen(&mut self, id: u32) -> Result<bool, Contradiction> {
        if id >= self.streams_max {
            return Err(Contradiction::new(id, "there cannot be so many streams"));
        }
        let count = id as usize + 1;
        if count > self.streams.len() {
            make_room(&mut self.streams, count);
            self.streams.resize(count, Stream::VACANT);
            self.by_name = None;
        }
        Ok(self.streams[id as usize].next == 1 && !self.names.has_name(id))
    }

    /// Ends the open segment, which covers `span`, and goes on in `next`.
    pub(crate) fn seal(&mut self, span: Span, next: SegmentHeader) -> Arc<SealedSegment> {
        let start = Scan::start_of(next.number, span.next_frame, span.next_chain);
        let open = std::mem::replace(&mut self.open, OpenSegment::new(next, start));
        for stream in open.streams() {
            self.streams[stream as usize].last = None;
        }
        let header = open.header;
        let (declarations, records) = open.into_parts();
        let sealed = Arc::new(SealedSegment {
            header,
            span,
            content: Content::InMemory(InMemory::new(declarations, records)),
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
            let last = self.streams[known.stream as usize].last;
            let last = last.filter(|_| !planted::is("directory-ahead-of-its-place"));
            let next = last.map_or(known.next, |last| self.open.first(last));
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
            name: self.names.name(id)?,
            first: stream.first,
            next: stream.next,
        })
    }

    /// A stream that has entries or a number, but no name: a contradiction once all is read.
    pub(crate) fn nameless(&self) -> Option<Contradiction> {
        let id = self.names.first_vacant(self.stream_count())?;
        Some(Contradiction::new(id, "it was never declared"))
    }

    /// The names of the streams, which those who append know as well.
    pub(crate) fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// Goes over to `names`, which others look streams up in already.
    pub(crate) fn share_names(&mut self, names: Arc<Names>) -> Result<(), Contradiction> {
        for stream in 0..self.stream_count() {
            if let Some(name) = self.names.name(stream) {
                names.learn(stream, &name)?;
            }
        }
        self.names = names;
        Ok(())
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
        let stream = self.streams.get(id as usize)?;
        self.open.locate(stream.last?, stream.next, position)
    }

    /// Up to `limit` streams that start with `prefix`, after the name `after`.
    pub(crate) fn list(&mut self, prefix: &str, after: Option<&Name>, limit: usize) -> Vec<Name> {
        let (names, count) = (&self.names, self.streams.len());
        let by_name = self.by_name.get_or_insert_with(|| {
            let ids = 0..u32::try_from(count).expect("numbers of streams fit 32 bits");
            let mut named: Vec<u32> = ids.filter(|id| names.has_name(*id)).collect();
            names.sort(&mut named);
            named
        });
        let after = after.map(|after| after.as_str().as_bytes());
        let start = names.partition_point(by_name, |name| {
            name < prefix.as_bytes() || Some(name) <= after
        });
        let listed = by_name[start..].iter().filter_map(|id| names.name(*id));
        let wanted = listed.take_while(|name| name.as_str().starts_with(prefix));
        wanted.take(limit).collect()
    }

    /// Wakes `waker` when `stream` gets an entry. Gives the waker that `follower` left before, to be
    /// dropped when nothing is locked.
    #[must_use]
    pub(crate) fn follow(
        &mut self,
        stream: &Name,
        follower: Follower,
        waker: &Waker,
    ) -> Option<Waker> {
        self.followers.add(stream, follower, waker)
    }

    /// `follower` of `stream` does not wait any more. Gives the waker that it left, to be dropped when
    /// nothing is locked.
    #[must_use]
    pub(crate) fn unfollow(&mut self, stream: &Name, follower: Follower) -> Option<Waker> {
        self.followers.remove(stream, follower)
    }

    /// Who waits for entries of `stream`; they no longer do.
    pub(crate) fn take_followers(&mut self, stream: u32) -> Vec<Waker> {
        if self.followers.is_empty() || planted::is("follower-not-woken") {
            return Vec::new();
        }
        let name = self.names.name(stream);
        name.map_or_else(Vec::new, |name| self.followers.take(&name))
    }

    /// Who waits for anything; they no longer do.
    pub(crate) fn take_all_followers(&mut self) -> Vec<Waker> {
        self.followers.take_all()
    }

    /// Whether anybody waits.
    pub(crate) fn has_followers(&self) -> bool {
        !self.followers.is_empty()
    }
}
