//! Cursors: pull the entries of one stream in chunks.
//!
//! A chunk is read by one of the reading threads in as few calls as it takes: records that lie
//! close together are read at once and what belongs to other streams is skipped. Every record is
//! checked against its checksum, its stream and its position before it is shown.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{Chunk, Cursor, ReadError};
use refrain_core::{Name, Position};

use crate::format::record::{self, Kind, RECORD_HEADER_BYTES, RecordHeader};
use crate::format::segment_header::SegmentHeader;
use crate::format::segment_index::{Run, decode_offsets};
use crate::read_side::{ReadSide, check_first, closed};
use crate::readers::Answer;
use crate::sealed::Extent;
use crate::segment::{index_name, log_name};
use crate::storage::{Access, DiskFile, read_exact_at, read_up_to};

/// Bytes of entries in a chunk, beyond which it takes no further one.
const CHUNK_BYTES: usize = 256 * 1024;

/// Entries in a chunk.
const CHUNK_ENTRIES: usize = 8192;

/// Bytes of other streams between two records, up to which reading them costs less than a call.
const GAP_BYTES: u32 = 16 * 1024;

/// Bytes that are read behind the start of a run's last record, whose length is not yet known.
const LAST_BYTES: u32 = 4096;

/// Where a cursor ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Before this position.
    Before(u64),
    /// When the journal is closed.
    Closed,
}

/// A cursor over files.
#[derive(Debug)]
pub(crate) struct FileCursor {
    side: Arc<ReadSide>,
    stream: Name,
    until: Until,
    state: State,
}

#[derive(Debug)]
enum State {
    Idle(Box<Reading>),
    /// A thread has it. Kept here, so that dropping the future of a chunk loses nothing.
    Busy(Answer<Done>),
    Failed,
}

type Done = (Box<Reading>, Result<Option<Chunk>, ReadError>);

impl FileCursor {
    pub(crate) fn new(side: Arc<ReadSide>, stream: Name, from: Position, until: Until) -> Self {
        let reading = Box::new(Reading::new(stream.clone(), from.get()));
        FileCursor {
            side,
            stream,
            until,
            state: State::Idle(reading),
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Chunk>, ReadError>> {
        loop {
            match std::mem::replace(&mut self.state, State::Failed) {
                State::Idle(reading) => {
                    let end = match self.until(reading.next, context) {
                        Found::Entries(end) => end,
                        Found::End => {
                            self.state = State::Idle(reading);
                            return Poll::Ready(Ok(None));
                        }
                        Found::NotYet => {
                            self.state = State::Idle(reading);
                            return Poll::Pending;
                        }
                        Found::Never => return Poll::Ready(Err(closed())),
                    };
                    let side = Arc::clone(&self.side);
                    let job = move || reading.chunk(&side, end);
                    self.state = State::Busy(self.side.readers.submit(job));
                }
                State::Busy(mut answer) => {
                    let polled = std::pin::Pin::new(&mut answer).poll(context);
                    if polled.is_pending() {
                        self.state = State::Busy(answer);
                    }
                    return Poll::Ready(match ready!(polled) {
                        Some((reading, Ok(chunk))) => {
                            self.state = State::Idle(reading);
                            Ok(chunk)
                        }
                        Some((_, Err(error))) => Err(error),
                        None => Err(closed()),
                    });
                }
                State::Failed => return Poll::Ready(Err(closed())),
            }
        }
    }

    /// What there is from `next` on. A following cursor is woken when there is more.
    fn until(&self, next: u64, context: &Context<'_>) -> Found {
        let id = self.side.names.find(&self.stream);
        match self.until {
            Until::Before(end) if next < end => Found::Entries(end),
            Until::Before(_) => Found::End,
            Until::Closed => {
                let mut index = self.side.index();
                let (_, end) = index.bounds(id);
                if next < end {
                    return Found::Entries(end);
                }
                if self.side.is_ended() {
                    return Found::Never;
                }
                index.follow(&self.stream, context.waker());
                Found::NotYet
            }
        }
    }
}

/// What there is to read for a cursor.
enum Found {
    /// Entries before this position.
    Entries(u64),
    /// Nothing, and the cursor wants nothing more.
    End,
    NotYet,
    /// Nothing, and there will be nothing: the journal is closed or stopped.
    Never,
}

impl Cursor for FileCursor {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Chunk>, ReadError>> {
        Box::pin(std::future::poll_fn(move |context| self.poll_next(context)))
    }
}

/// What a cursor knows, and works with on a reading thread.
#[derive(Debug)]
struct Reading {
    stream: Name,
    next: u64,
    segment: Option<OpenSegment>,
    /// Position of the entry at the first of `offsets`.
    first: u64,
    offsets: Vec<u32>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct OpenSegment {
    header: SegmentHeader,
    salt: u32,
    file: Arc<dyn DiskFile>,
    path: PathBuf,
}

impl Reading {
    fn new(stream: Name, next: u64) -> Reading {
        Reading {
            stream,
            next,
            segment: None,
            first: next,
            offsets: Vec::new(),
            buffer: Vec::new(),
        }
    }

    /// Reads the next chunk of what lies before `end`; there is at least one entry.
    fn chunk(mut self: Box<Self>, side: &ReadSide, end: u64) -> Done {
        let chunk = self.try_chunk(side, end);
        (self, chunk.map(Some))
    }

    fn try_chunk(&mut self, side: &ReadSide, end: u64) -> Result<Chunk, ReadError> {
        let from = Position::new(self.next).expect("positions start at 1");
        let (first, _) = side.bounds(&self.stream);
        check_first(&self.stream, self.next, first)?;
        let mut out = Entries::default();
        while self.next < end && out.bytes.len() < CHUNK_BYTES && out.ends.len() < CHUNK_ENTRIES {
            self.find_offsets(side)?;
            self.read_run(end, &mut out)?;
        }
        Ok(Chunk::new(from, Bytes::from(out.bytes), out.ends))
    }

    /// Makes sure that the offset of the next entry is known and its segment is open.
    fn find_offsets(&mut self, side: &ReadSide) -> Result<(), ReadError> {
        let known = self.first..self.first + self.offsets.len() as u64;
        if known.contains(&self.next) {
            return Ok(());
        }
        let id = side.names.find(&self.stream);
        let extent = id.and_then(|id| side.index().locate(id, self.next));
        match extent {
            Some(Extent::Offsets {
                segment,
                first,
                offsets,
            }) => {
                self.open(side, segment)?;
                self.first = first;
                self.offsets = offsets;
                Ok(())
            }
            Some(Extent::InFile { segment, run }) => {
                self.open(side, segment)?;
                self.first = run.first;
                self.offsets = self.offsets_in_file(side, &segment, &run)?;
                Ok(())
            }
            None => Err(self.gone(side, &io::ErrorKind::NotFound.into())),
        }
    }

    fn open(&mut self, side: &ReadSide, header: SegmentHeader) -> Result<(), ReadError> {
        if self
            .segment
            .as_ref()
            .is_some_and(|open| open.header == header)
        {
            return Ok(());
        }
        let path = side.dir.join(log_name(header.number));
        let file = side.disk.open(&path, Access::Read);
        self.segment = Some(OpenSegment {
            header,
            salt: header.salt(),
            file: file.map_err(|error| self.gone(side, &error))?,
            path,
        });
        Ok(())
    }

    fn offsets_in_file(
        &self,
        side: &ReadSide,
        segment: &SegmentHeader,
        run: &Run,
    ) -> Result<Vec<u32>, ReadError> {
        let path = side.dir.join(index_name(segment.number));
        let at = u64::from(run.offsets_at);
        let file = side.disk.open(&path, Access::Read);
        let offsets = match file.and_then(|file| read_there(&*file, run.count as usize * 4, at)) {
            Ok(bytes) => decode_offsets(segment, run, &bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => return Err(self.gone(side, &error)),
        };
        offsets.ok_or_else(|| ReadError::Corrupt {
            place: format!("{} at offset {at}", path.display()),
            detail: "the index is damaged; opening the journal without this file makes it again"
                .into(),
        })
    }

    /// A file could not be read: because its entries were forgotten meanwhile, or otherwise.
    fn gone(&self, side: &ReadSide, error: &io::Error) -> ReadError {
        let (first, _) = side.bounds(&self.stream);
        match check_first(&self.stream, self.next, first) {
            Err(forgotten) => forgotten,
            Ok(()) => ReadError::Unavailable(error.to_string()),
        }
    }

    /// Reads entries that lie close together, at least one.
    fn read_run(&mut self, end: u64, out: &mut Entries) -> Result<(), ReadError> {
        let segment = self.segment.as_ref().expect("find_offsets opened it");
        let skip = usize::try_from(self.next - self.first).expect("find_offsets found it");
        let wanted = usize::try_from(end - self.next).unwrap_or(usize::MAX);
        let offsets = &self.offsets[skip..];
        let offsets = close_together(&offsets[..offsets.len().min(wanted)]);
        let (start, last) = (offsets[0], offsets[offsets.len() - 1]);
        let mut room = (last - start + LAST_BYTES) as usize;
        loop {
            let filled = segment.read(&mut self.buffer, start, room)?;
            let before = self.next;
            for offset in offsets {
                // A file that was cut short may end before the place that its index names.
                let skip = (offset - start) as usize;
                let bytes = self.buffer.get(skip..filled).unwrap_or_default();
                let Some(length) = whole_record(bytes) else {
                    break;
                };
                let entry = segment.entry(&bytes[..length], *offset, self.next)?;
                out.push(entry);
                self.next += 1;
            }
            if self.next > before {
                return Ok(());
            }
            room = segment.record_bytes(&self.buffer[..filled], start)?;
        }
    }
}

impl OpenSegment {
    /// Fills `buffer` with up to `room` bytes from `offset` on, and says how many there were.
    fn read(&self, buffer: &mut Vec<u8>, offset: u32, room: usize) -> Result<usize, ReadError> {
        if buffer.len() < room {
            buffer.resize(room, 0);
        }
        let read = read_up_to(self.file.as_ref(), &mut buffer[..room], u64::from(offset));
        read.map_err(|error| ReadError::Unavailable(format!("{}: {error}", self.path.display())))
    }

    /// The entry in the record `bytes`, which starts at `offset`.
    fn entry<'a>(&self, bytes: &'a [u8], offset: u32, next: u64) -> Result<&'a [u8], ReadError> {
        let Some((header, entry)) = record::decode(self.salt, bytes) else {
            return Err(self.corrupt(offset, "the record's checksum does not fit"));
        };
        if header.kind != Kind::Entry || header.position != next {
            return Err(self.corrupt(offset, "another record is expected here"));
        }
        Ok(entry)
    }

    /// Bytes of the record at `offset`, which does not fit what was read.
    fn record_bytes(&self, bytes: &[u8], offset: u32) -> Result<usize, ReadError> {
        let size = self.file.size().unwrap_or(0);
        let size = size.min(u64::from(self.header.segment_bytes));
        let left = usize::try_from(size.saturating_sub(u64::from(offset))).unwrap_or(0);
        let wanted = RecordHeader::peek(bytes).map(|header| header.record_bytes());
        wanted
            .filter(|wanted| (bytes.len() + 1..=left).contains(wanted))
            .ok_or_else(|| self.corrupt(offset, "there is no whole record"))
    }

    fn corrupt(&self, offset: u32, detail: &str) -> ReadError {
        ReadError::Corrupt {
            place: format!("{} at offset {offset}", self.path.display()),
            detail: detail.to_owned(),
        }
    }
}

/// Entries on their way into a chunk.
#[derive(Debug, Default)]
struct Entries {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Entries {
    fn push(&mut self, entry: &[u8]) {
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(CHUNK_BYTES.max(entry.len()));
        }
        self.bytes.extend_from_slice(entry);
        self.ends.push(crate::format::written(self.bytes.len()));
    }
}

/// `length` bytes at `offset`, with no memory taken for what is not there.
fn read_there(file: &dyn DiskFile, length: usize, offset: u64) -> io::Result<Vec<u8>> {
    if file.size()? < offset + length as u64 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut bytes = vec![0; length];
    read_exact_at(file, &mut bytes, offset)?;
    Ok(bytes)
}

/// The first of `offsets`, and those after it that are worth reading in the same call.
fn close_together(offsets: &[u32]) -> &[u32] {
    let start = offsets[0];
    // An index may be wrong in any way: offsets that do not grow are read one by one.
    let reach = |pair: &&[u32]| {
        let gap = pair[1].checked_sub(pair[0]);
        gap.is_some_and(|gap| gap <= GAP_BYTES) && (pair[1] - start) as usize <= CHUNK_BYTES
    };
    let count = 1 + offsets.windows(2).take_while(reach).count();
    &offsets[..count]
}

/// Bytes of the record at the start of `bytes`, if it is there to its end.
fn whole_record(bytes: &[u8]) -> Option<usize> {
    if bytes.len() < RECORD_HEADER_BYTES {
        return None;
    }
    let header = RecordHeader::peek(bytes)?;
    (header.record_bytes() <= bytes.len()).then(|| header.record_bytes())
}
