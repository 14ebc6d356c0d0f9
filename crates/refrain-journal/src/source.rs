//! The two kinds of places where a stream's entries lie: records of a log segment, which other
//! streams' records lie between, and blocks of a stream segment.
//!
//! Everything is checked before it is shown: every record against its checksum, its stream and its
//! position, every block as a whole.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use refrain_core::Position;
use refrain_core::port::journal::{Chunk, ReadError};

use crate::buffers::Buffers;
use crate::format::record::{self, Kind, RECORD_HEADER_BYTES, RecordHeader};
use crate::format::segment_header::SegmentHeader;
use crate::format::stream_segment::{BLOCK_HEADER_BYTES, LENGTH_BYTES, Method, ends};
use crate::read_side::ReadSide;
use crate::reading::{CHUNK_BYTES, Entries};
use crate::sealed::Extent;
use crate::segment::log_name;
use crate::storage::{Access, DiskFile, read_up_to};
use crate::stream_segment::StreamSegment;
use crate::stream_segment::catalogue::{Flaw, Page};

/// Bytes of other streams between two records, up to which reading them costs less than a call.
const GAP_BYTES: u32 = 16 * 1024;

/// Bytes that are read behind the start of a run's last record, whose length is not yet known.
const LAST_BYTES: u32 = 4096;

/// Where the next entries come from.
#[derive(Debug)]
pub(crate) enum Source {
    Records(RecordRun),
    Blocks(BlockRun),
}

impl Source {
    /// Goes on to the entry at `next`. When it is not here, gives a frame before which it is not.
    pub(crate) fn advance(&mut self, next: u64) -> Result<Option<u64>, ReadError> {
        match self {
            Source::Records(run) => {
                let known = run.first..run.first + run.offsets.len() as u64;
                Ok((!known.contains(&next)).then_some(0))
            }
            Source::Blocks(run) => run.advance(next),
        }
    }
}

/// Records in one log segment.
#[derive(Debug)]
pub(crate) struct RecordRun {
    file: LogFile,
    stream: u32,
    /// Position of the entry at the first of `offsets`.
    first: u64,
    offsets: Vec<u32>,
}

#[derive(Debug)]
struct LogFile {
    header: SegmentHeader,
    salt: u32,
    file: Arc<dyn DiskFile>,
    path: PathBuf,
}

impl RecordRun {
    /// Opens the segment, unless `before` has it open.
    pub(crate) fn open(
        side: &ReadSide,
        extent: Extent,
        before: Option<RecordRun>,
    ) -> io::Result<RecordRun> {
        let header = extent.segment;
        let file = match before
            .map(|run| run.file)
            .filter(|file| file.header == header)
        {
            Some(file) => file,
            None => {
                let path = side.dir.join(log_name(header.number));
                LogFile {
                    header,
                    salt: header.salt(),
                    file: side.disk.open(&path, Access::Read)?,
                    path,
                }
            }
        };
        Ok(RecordRun {
            file,
            stream: extent.stream,
            first: extent.first,
            offsets: extent.offsets,
        })
    }

    /// Reads entries that lie close together, at least one, from `next` on. Gives the position
    /// after the last.
    pub(crate) fn read(
        &self,
        next: u64,
        end: u64,
        buffer: &mut Vec<u8>,
        out: &mut Entries,
    ) -> Result<u64, ReadError> {
        let mut next = next;
        let skip = usize::try_from(next - self.first).expect("the run has the entry");
        let wanted = usize::try_from(end - next).unwrap_or(usize::MAX);
        let offsets = &self.offsets[skip..];
        let offsets = close_together(&offsets[..offsets.len().min(wanted)]);
        let (start, last) = (offsets[0], offsets[offsets.len() - 1]);
        let mut room = (last - start + LAST_BYTES) as usize;
        loop {
            let filled = self.file.read(buffer, start, room)?;
            let before = next;
            for offset in offsets {
                let bytes = &buffer[..filled];
                let Some(bytes) = bytes.get((offset - start) as usize..) else {
                    break;
                };
                let Some(length) = whole_record(bytes) else {
                    break;
                };
                out.push(self.entry(&bytes[..length], *offset, next)?);
                next += 1;
            }
            if next > before {
                return Ok(next);
            }
            room = self.file.record_bytes(&buffer[..filled], start)?;
        }
    }

    /// The entry at position `next` in the record `bytes`, which starts at `offset`.
    fn entry<'a>(&self, bytes: &'a [u8], offset: u32, next: u64) -> Result<&'a [u8], ReadError> {
        let (header, entry) = self.file.record(bytes, offset)?;
        let found = (header.kind, header.stream, header.position);
        if found != (Kind::Entry, self.stream, next) {
            return Err(self.file.corrupt(offset, "another record is expected here"));
        }
        Ok(entry)
    }
}

impl LogFile {
    /// Fills `buffer` with up to `room` bytes from `offset` on, and says how many there were.
    fn read(&self, buffer: &mut Vec<u8>, offset: u32, room: usize) -> Result<usize, ReadError> {
        if buffer.len() < room {
            buffer.resize(room, 0);
        }
        let read = read_up_to(self.file.as_ref(), &mut buffer[..room], u64::from(offset));
        read.map_err(|error| ReadError::Unavailable(format!("{}: {error}", self.path.display())))
    }

    /// The whole record `bytes`, which starts at `offset`: its header and what follows it.
    fn record<'a>(
        &self,
        bytes: &'a [u8],
        offset: u32,
    ) -> Result<(RecordHeader, &'a [u8]), ReadError> {
        record::decode(self.salt, bytes)
            .ok_or_else(|| self.corrupt(offset, "the record's checksum does not fit"))
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

/// The first of `offsets`, and those after it that are worth reading in the same call.
fn close_together(offsets: &[u32]) -> &[u32] {
    let start = offsets[0];
    let reach =
        |pair: &&[u32]| pair[1] - pair[0] <= GAP_BYTES && (pair[1] - start) as usize <= CHUNK_BYTES;
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

/// Blocks in one stream segment.
#[derive(Debug)]
pub(crate) struct BlockRun {
    segment: Arc<StreamSegment>,
    /// The row of the block with the next entry, and those around it.
    page: Page,
}

impl BlockRun {
    pub(crate) fn new(segment: Arc<StreamSegment>, page: Page) -> BlockRun {
        BlockRun { segment, page }
    }

    /// Whether the block is worth a chunk of its own.
    pub(crate) fn fills_chunk(&self) -> bool {
        self.page.rows[self.page.at].bytes as usize >= CHUNK_BYTES / 4
    }

    fn advance(&mut self, next: u64) -> Result<Option<u64>, ReadError> {
        let row = self.page.rows[self.page.at];
        if (row.first..row.next()).contains(&next) {
            return Ok(None);
        }
        let (segment, page) = (&self.segment, &mut self.page);
        let after = segment.catalogue.step(segment.file.as_ref(), page);
        let after = after.map_err(Flaw::reading(&segment.path))?;
        let is_there = after.is_some_and(|after| {
            after.stream == row.stream && (after.first..after.next()).contains(&next)
        });
        Ok((!is_there).then_some(segment.span().next_frame))
    }

    /// A chunk that is the block from `next` on, without a copy.
    pub(crate) fn lend(&self, next: u64, end: u64, buffers: &Buffers) -> Result<Chunk, ReadError> {
        let row = &self.page.rows[self.page.at];
        let count = row.count as usize;
        let mut stored = buffers.lend();
        let block = self.segment.block(row, &mut stored.bytes);
        let block = block.map_err(Flaw::reading(&self.segment.path))?;
        let raw_bytes = block.raw_bytes as usize;
        let (raw, start) = match block.method {
            Method::None => (stored, BLOCK_HEADER_BYTES),
            Method::Lz4 => {
                let mut raw = buffers.lend();
                let unpacked = block.unpack(&mut raw.bytes);
                unpacked.ok_or_else(|| self.damaged("the block cannot be decompressed"))?;
                (raw, 0)
            }
        };
        let ends = ends(&raw.bytes[start..start + raw_bytes], count);
        let mut ends = ends.ok_or_else(|| self.damaged("the entries do not fill the block"))?;
        let skip = usize::try_from(next - row.first).expect("the block has the entry");
        let wanted = usize::try_from(end - next).unwrap_or(usize::MAX);
        ends.truncate(count.min(skip.saturating_add(wanted)));
        let before = skip.checked_sub(1).map_or(0, |last| ends[last]);
        let data = start + count * LENGTH_BYTES;
        let to = ends[ends.len() - 1] as usize;
        if skip > 0 {
            ends = ends[skip..].iter().map(|end| end - before).collect();
        }
        let bytes = Bytes::from_owner(raw).slice(data + before as usize..data + to);
        let first = Position::new(next).expect("positions start at 1");
        Ok(Chunk::new(first, bytes, ends))
    }

    /// Adds the entries of the block from `next` on. Gives the position after the last.
    pub(crate) fn copy(
        &self,
        next: u64,
        end: u64,
        buffer: &mut Vec<u8>,
        out: &mut Entries,
    ) -> Result<u64, ReadError> {
        let row = &self.page.rows[self.page.at];
        let mut raw = Vec::new();
        let block = self.segment.block(row, buffer);
        let block = block.map_err(Flaw::reading(&self.segment.path))?;
        let raw = match block.method {
            Method::None => block.stored,
            Method::Lz4 => {
                let unpacked = block.unpack(&mut raw);
                unpacked.ok_or_else(|| self.damaged("the block cannot be decompressed"))?;
                raw.as_slice()
            }
        };
        let ends = ends(raw, row.count as usize);
        let ends = ends.ok_or_else(|| self.damaged("the entries do not fill the block"))?;
        let data = &raw[row.count as usize * LENGTH_BYTES..];
        let mut start = 0;
        for (position, stop) in (row.first..end).zip(ends) {
            if position >= next {
                out.push(&data[start..stop as usize]);
            }
            start = stop as usize;
        }
        Ok(end.min(row.next()))
    }

    fn damaged(&self, detail: &'static str) -> ReadError {
        let at = self.page.rows[self.page.at].at;
        Flaw::reading(&self.segment.path)(Flaw::damaged(at, detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::mark::End;
    use crate::index::Index;
    use crate::scan::Scan;
    use crate::segment::Segment;
    use crate::storage::{Disk, FileSystem, write_all_at};

    const STREAM: u32 = 4;
    const POSITION: u64 = 7;

    /// A segment whose first record is `record`, as whoever reads entries of [`STREAM`] from
    /// [`POSITION`] on sees it.
    fn read(record: impl FnOnce(u32, &mut Vec<u8>)) -> Result<Vec<u8>, ReadError> {
        let dir = tempfile::tempdir().unwrap();
        let header = SegmentHeader {
            identity: 1,
            number: 1,
            epoch: 1,
            segment_bytes: 64 * 1024,
        };
        let (segment, _) = Segment::create(&FileSystem, dir.path(), header).unwrap();
        let mut bytes = Vec::new();
        record(segment.salt, &mut bytes);
        let start: End = Scan::start_of(1, 1, 0);
        write_all_at(segment.file.as_ref(), &bytes, u64::from(start.offset)).unwrap();
        let disk: Arc<dyn Disk> = Arc::new(FileSystem);
        let index = Index::new(header, start);
        let side = ReadSide::new(disk, dir.path().to_owned(), index);
        let extent = Extent {
            segment: header,
            stream: STREAM,
            first: POSITION,
            offsets: vec![start.offset],
        };
        let run = RecordRun::open(&side, extent, None).unwrap();
        let mut out = Entries::default();
        let next = run.read(POSITION, POSITION + 1, &mut Vec::new(), &mut out)?;
        assert_eq!(next, POSITION + 1);
        Ok(out.into_bytes())
    }

    #[test]
    fn an_entry_is_read_only_where_a_record_has_its_stream_its_position_and_its_kind() {
        let entry = |stream, position| {
            read(move |salt, out| {
                record::encode_entry(salt, stream, position, b"paid", out);
            })
        };
        assert_eq!(entry(STREAM, POSITION).unwrap(), b"paid");
        let declared = read(|salt, out| {
            let declaration = record::Declaration {
                stream: STREAM,
                name: refrain_core::Name::new("orders").unwrap(),
                first: 1,
                next: POSITION,
            };
            declaration.encode(salt, out);
        });
        for other in [
            entry(STREAM + 1, POSITION),
            entry(STREAM, POSITION + 1),
            declared,
        ] {
            let damaged = matches!(&other, Err(ReadError::Corrupt { detail, .. })
                if detail == "another record is expected here");
            assert!(damaged, "{other:?}");
        }
    }
}
