//! What a cursor works with on a reading thread: finds the files with the next entries of its
//! stream, oldest first, and makes chunks of what they hold.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;
use refrain_core::port::journal::{Chunk, ReadError};
use refrain_core::{Name, Position};

use crate::cursor::Done;
use crate::error::OpenError;
use crate::log_index::LogIndex;
use crate::parts::Part;
use crate::read_side::{ReadSide, check_first};
use crate::recovery::table::Found;
use crate::scan::{Item, Scan};
use crate::sealed::{Content, Extent, SealedSegment};
use crate::segment::{Segment, log_name};
use crate::source::{BlockRun, RecordRun, Source};
use crate::storage::Access;
use crate::stream_segment::catalogue::Flaw;

/// Bytes of entries in a chunk, beyond which it takes no further one.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;

/// Entries in a chunk.
const CHUNK_ENTRIES: usize = 8192;

/// How often entries are looked for again because files went away meanwhile.
const TRIES_MAX: usize = 16;

/// The place of a cursor, and the file that it reads.
#[derive(Debug)]
pub(crate) struct Reading {
    stream: Name,
    /// The position of the next entry.
    pub(crate) next: u64,
    source: Option<Source>,
    /// A frame before which nothing of what is still to be read lies; 0 when nothing is known.
    frame: u64,
    buffer: Vec<u8>,
}

impl Reading {
    pub(crate) fn new(stream: Name, next: u64) -> Reading {
        Reading {
            stream,
            next,
            source: None,
            frame: 0,
            buffer: Vec::new(),
        }
    }

    /// Reads up to `count` chunks of what lies before `end`; there is at least one entry.
    pub(crate) fn chunks(mut self: Box<Self>, side: &ReadSide, end: u64, count: usize) -> Done {
        let mut chunks = VecDeque::new();
        while self.next < end && chunks.len() < count {
            let from = self.next;
            match self.try_chunk(side, end) {
                Ok(chunk) => chunks.push_back(chunk),
                Err(error) if chunks.is_empty() => return (self, Err(error)),
                // What was read before it comes first; then the same is tried again.
                Err(_) => {
                    let stream = self.stream.clone();
                    return (Box::new(Reading::new(stream, from)), Ok(chunks));
                }
            }
        }
        (self, Ok(chunks))
    }

    fn try_chunk(&mut self, side: &ReadSide, end: u64) -> Result<Chunk, ReadError> {
        let from = Position::new(self.next).expect("positions start at 1");
        let (first, _) = side.bounds(&self.stream);
        check_first(&self.stream, self.next, first)?;
        let mut out = Entries::default();
        while self.next < end && out.bytes.len() < CHUNK_BYTES && out.ends.len() < CHUNK_ENTRIES {
            self.find(side)?;
            let mut buffer = std::mem::take(&mut self.buffer);
            let read = match self.source.as_mut().expect("it was found") {
                Source::Records(run) => run.read(self.next, end, &mut buffer, &mut out),
                Source::Blocks(run) if run.fills_chunk() => {
                    if out.ends.is_empty() {
                        let chunk = run.lend(self.next, end, &side.buffers)?;
                        self.next = chunk.last().get() + 1;
                        return Ok(chunk);
                    }
                    break;
                }
                Source::Blocks(run) => run.copy(self.next, end, &mut buffer, &mut out),
            };
            self.buffer = buffer;
            self.next = read?;
        }
        Ok(Chunk::new(from, Bytes::from(out.bytes), out.ends))
    }

    /// Makes sure that the source has the next entry.
    fn find(&mut self, side: &ReadSide) -> Result<(), ReadError> {
        if let Some(source) = &mut self.source {
            match source.advance(self.next)? {
                Some(frame) => {
                    self.frame = self.frame.max(frame);
                    // A file of records is kept: more of it is likely to follow.
                    if let Source::Blocks(_) = source {
                        self.source = None;
                    }
                }
                None => return Ok(()),
            }
        }
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for _ in 0..TRIES_MAX {
            match self.look(side) {
                Ok(true) => return Ok(()),
                // What was there may have been rewritten by now, under another name.
                Ok(false) if self.frame > 0 => {}
                Ok(false) => break,
                Err(Lost::Missing(error)) => last = error,
                Err(Lost::Unreadable(error)) => return Err(error),
            }
            self.frame = 0;
            side.look_again()?;
            let (first, _) = side.bounds(&self.stream);
            check_first(&self.stream, self.next, first)?;
        }
        Err(ReadError::Unavailable(format!(
            "{} at {}: {last}",
            self.stream, self.next
        )))
    }

    /// Looks through the files; says whether the entry was there.
    fn look(&mut self, side: &ReadSide) -> Result<bool, Lost> {
        let Some(id) = side.names.find(&self.stream) else {
            return Ok(false);
        };
        let (open, parts, (first, head)) = {
            let index = side.index();
            let open = index.locate(id, self.next);
            (open, index.parts().clone(), index.bounds(Some(id)))
        };
        if let Some(extent) = open {
            self.read_records(side, extent)?;
            return Ok(true);
        }
        let parts = parts.since_frame(self.frame);
        let is_near_end = self.frame == 0 && self.next - first > head - self.next;
        for index in 0..parts.len() {
            let index = if is_near_end {
                parts.len() - 1 - index
            } else {
                index
            };
            if self.look_in(side, &parts[index], id)? {
                self.frame = parts[index].span().first_frame;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn look_in(&mut self, side: &ReadSide, part: &Part, id: u32) -> Result<bool, Lost> {
        match part {
            Part::Streams(segment) => {
                let found = segment.catalogue.find(segment.file.as_ref(), id, self.next);
                let found = found.map_err(Flaw::reading(&segment.path))?;
                let Some(page) = found else {
                    return Ok(false);
                };
                self.source = Some(Source::Blocks(BlockRun::new(segment.clone(), page)));
                Ok(true)
            }
            Part::Log(segment) => {
                let extent = match &segment.content {
                    Content::InMemory(known) => known.runs().locate(segment.header, id, self.next),
                    Content::InIndexFile => self.look_up(side, segment, id)?,
                };
                match extent {
                    Some(extent) => self.read_records(side, extent).map(|()| true),
                    None => Ok(false),
                }
            }
        }
    }

    /// What the index file of `segment` says of the next entry. An index is a convenience: where it
    /// is of no use, the segment is asked.
    fn look_up(
        &self,
        side: &ReadSide,
        sealed: &SealedSegment,
        id: u32,
    ) -> Result<Option<Extent>, Lost> {
        let segment = sealed.header;
        let found = (|| {
            let index = LogIndex::open(side.disk.as_ref(), &side.dir, &segment)?;
            if *index.span() != sealed.span {
                return Err(Flaw::damaged(0, "it speaks of other frames"));
            }
            let page = index.catalogue.find(index.file.as_ref(), id, self.next)?;
            let row = page.map(|page| page.rows[page.at]);
            row.map(|row| Ok((row.first, index.offsets(&row)?)))
                .transpose()
        })();
        let found = match found {
            Ok(found) => found,
            Err(flaw) => {
                tracing::warn!(
                    segment = segment.number,
                    ?flaw,
                    "journal: an index is of no use"
                );
                self.search(side, sealed, id)?
            }
        };
        Ok(found.map(|(first, offsets)| Extent {
            segment,
            stream: id,
            first,
            offsets,
        }))
    }

    /// Looks for the entries of a stream in the frames of a log segment.
    fn search(
        &self,
        side: &ReadSide,
        sealed: &SealedSegment,
        id: u32,
    ) -> Result<Option<(u64, Vec<u32>)>, Lost> {
        let header = &sealed.header;
        let disk = side.disk.as_ref();
        let (identity, number) = (header.identity, header.number);
        let segment = match Segment::open(disk, &side.dir, identity, number, Access::Read) {
            Ok(segment) => segment,
            // It is there, so it was not rewritten: nobody uses its name again.
            Err(OpenError::Corrupt { place, detail })
                if disk
                    .open(&side.dir.join(log_name(number)), Access::Read)
                    .is_ok() =>
            {
                return Err(Lost::Unreadable(ReadError::Corrupt { place, detail }));
            }
            Err(error) => {
                return Err(Lost::Missing(io::Error::new(
                    io::ErrorKind::NotFound,
                    error.to_string(),
                )));
            }
        };
        let path = segment.path.clone();
        let start = Scan::start_of(number, sealed.span.first_frame, sealed.span.first_chain);
        let mut scan = Scan::new(segment, start, 0);
        let mut found: Option<(u64, Vec<u32>)> = None;
        while scan.at.frame < sealed.span.next_frame {
            let at = u64::from(scan.at.offset);
            let (Found::Frame, Some(frame)) = scan.look(None).map_err(Lost::Missing)? else {
                let flaw = Flaw::damaged(at, "what was acknowledged here is damaged");
                return Err(Lost::Unreadable(Flaw::reading(&path)(flaw)));
            };
            for item in &scan.items {
                if let Item::Entry {
                    stream,
                    position,
                    offset,
                } = item
                    && *stream == id
                {
                    found.get_or_insert((*position, Vec::new())).1.push(*offset);
                }
            }
            scan.take(&frame);
        }
        let has_next = |(first, offsets): &(u64, Vec<u32>)| {
            (*first..first + offsets.len() as u64).contains(&self.next)
        };
        Ok(found.filter(has_next))
    }

    fn read_records(&mut self, side: &ReadSide, extent: Extent) -> Result<(), Lost> {
        let before = match self.source.take() {
            Some(Source::Records(run)) => Some(run),
            Some(Source::Blocks(_)) | None => None,
        };
        let run = RecordRun::open(side, extent, before).map_err(Lost::Missing)?;
        self.source = Some(Source::Records(run));
        Ok(())
    }
}

/// Why entries were not found where they should be.
enum Lost {
    /// A file could not be opened: it may be gone because it was rewritten.
    Missing(io::Error),
    Unreadable(ReadError),
}

impl From<ReadError> for Lost {
    fn from(error: ReadError) -> Lost {
        Lost::Unreadable(error)
    }
}

/// Entries on their way into a chunk.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Entries {
    #[cfg(test)]
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn push(&mut self, entry: &[u8]) {
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(entry.len().max(4096));
        }
        self.bytes.extend_from_slice(entry);
        self.ends.push(crate::format::written(self.bytes.len()));
    }
}
