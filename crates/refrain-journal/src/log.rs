//! The end of the log: builds frames, writes and syncs them, and moves on to the next segment.
//!
//! Invariants: a frame is written only once the one before it is durable, and lies in one segment.
//! After any error nothing more is written. The log does not know who waits for what; that is the
//! writer's part.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::format::catalogue::Span;
use crate::format::frame::{FRAME_HEADER_BYTES, FrameHeader};
use crate::format::mark::{End, Mark};
use crate::format::record;
use crate::format::segment_header::SegmentHeader;
use crate::keeper::{Keeper, NoSpare};
use crate::mark::MarkFile;
use crate::pending::{Gathered, Pending};
use crate::planted;
use crate::scan::{Item, Scan};
use crate::segment::{FILL_BYTES, Segment};
use crate::storage::DiskFile;

/// Bytes of records beyond which a frame takes no further append. One sync costs as much as
/// writing a few hundred KiB, so larger frames gain nothing.
const FRAME_BODY_BYTES: usize = 4 * 1024 * 1024;

/// The largest frames that zeros are written for. A sync of larger ones gains less from zeros than it
/// loses by sharing the disk with them.
const FILL_FRAME_BYTES: u32 = 64 * 1024;

/// The log, at its end.
#[derive(Debug)]
pub(crate) struct Log {
    tail: Segment,
    /// Where the first frame of this segment starts.
    start: End,
    end: End,
    epoch: u64,
    mark: MarkFile,
    keeper: Arc<Keeper>,
    /// Bytes of frames for which no zeros were ordered yet.
    unmatched_bytes: u32,
    /// The records of the last frame, for the index.
    items: Vec<Item>,
}

/// A segment was filled: what it covers, and the header of its successor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rotation {
    pub(crate) span: Span,
    pub(crate) next: SegmentHeader,
}

/// Why nothing was written, or perhaps something was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// There is no room and nothing happened.
    #[error("the medium is full")]
    Full,
    /// Something may have happened; nothing more may.
    #[error("{path}: {source}")]
    Failed { path: String, source: io::Error },
    /// The next segment could not be made; nothing more may happen.
    #[error("{0}")]
    NoSegment(String),
}

impl WriteError {
    fn failed(path: &Path) -> impl FnOnce(io::Error) -> WriteError {
        move |source| WriteError::Failed {
            path: path.display().to_string(),
            source,
        }
    }
}

impl Log {
    /// Goes on behind what `mark` covers, which is the end of the log in `tail`. `start` is the
    /// first frame of that segment.
    pub(crate) fn new(tail: Segment, start: End, mark: MarkFile, keeper: Arc<Keeper>) -> Log {
        let Mark { end, epoch, .. } = *mark.last();
        assert_eq!(end.segment, tail.header.number, "the mark names the end");
        Log {
            tail,
            start,
            end,
            epoch,
            mark,
            keeper,
            unmatched_bytes: 0,
            items: Vec::new(),
        }
    }

    /// Whether an append of `record_bytes` fits what is left of the segment, alone in a frame.
    fn has_room(&self, record_bytes: usize) -> bool {
        let left = self.tail.header.segment_bytes - self.end.offset;
        FRAME_HEADER_BYTES + record_bytes <= left as usize
    }

    /// Moves on to the spare segment when what comes next, of `record_bytes`, does not fit any
    /// more. Nothing is made or synced here.
    pub(crate) fn make_room(
        &mut self,
        record_bytes: usize,
    ) -> Result<Option<Rotation>, WriteError> {
        if self.has_room(record_bytes) {
            return Ok(None);
        }
        let spare = self.keeper.take_spare().map_err(|reason| match reason {
            NoSpare::Full => WriteError::Full,
            NoSpare::Failed(reason) => WriteError::NoSegment(reason),
        })?;
        let number = self.end.segment + 1;
        assert_eq!(spare.header.number, number, "segments have no gaps");
        let rotation = Rotation {
            span: self.span(),
            next: spare.header,
        };
        self.start = Scan::start_of(number, self.end.frame, self.end.chain);
        self.end = self.start;
        self.tail = spare;
        assert!(
            self.has_room(record_bytes),
            "sizes are checked when appends are submitted"
        );
        Ok(Some(rotation))
    }

    fn span(&self) -> Span {
        Span {
            first_frame: self.start.frame,
            first_chain: self.start.chain,
            next_frame: self.end.frame,
            next_chain: self.end.chain,
            epoch: self.epoch,
            end: self.end.offset,
        }
    }

    /// Writes what `gathered` has from place `from` on, as much of it as one frame takes but at least
    /// one submission, and says before which place it ended. What was written is durable then, and
    /// the mark says so; [`Log::items`] holds its records.
    pub(crate) fn write(
        &mut self,
        gathered: &mut Gathered,
        from: usize,
    ) -> Result<usize, WriteError> {
        let mut body_bytes = gathered.record_bytes_of(from);
        let mut to = from + 1;
        while to < gathered.pendings().len() {
            let with_next = body_bytes + gathered.record_bytes_of(to);
            if with_next > FRAME_BODY_BYTES || !self.has_room(with_next) {
                break;
            }
            body_bytes = with_next;
            to += 1;
        }
        let (pendings, frame) = gathered.frame(from, to);
        let digest = self.salt(pendings, &mut frame[FRAME_HEADER_BYTES..]);
        self.finish(frame, digest)?;
        Ok(to)
    }

    /// Lets go of the segments below `first`: afterwards nothing looks for them any more.
    pub(crate) fn retire(&mut self, first: u64) -> Result<(), WriteError> {
        let mark = Mark {
            first_segment: first,
            ..*self.mark.last()
        };
        let settled = self.mark.settle(mark);
        settled.map_err(WriteError::failed(self.mark.path()))
    }

    /// The end of the log, as the mark says it.
    pub(crate) fn end(&self) -> End {
        self.mark.last().end
    }

    /// The oldest kept segment.
    pub(crate) fn first_segment(&self) -> u64 {
        self.mark.last().first_segment
    }

    /// Makes the durable mark survive a loss of power.
    pub(crate) fn sync_mark(&mut self) -> Result<(), WriteError> {
        if self.mark.is_synced() {
            return Ok(());
        }
        let synced = self.mark.sync();
        synced.map_err(WriteError::failed(self.mark.path()))
    }

    /// Whether the durable mark survives a loss of power.
    pub(crate) fn is_mark_synced(&self) -> bool {
        self.mark.is_synced()
    }

    /// The records of the last frame that was written.
    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    /// Orders zeros for the next segment, as many as a frame of `frame_bytes` took here.
    fn order_zeros(&mut self, frame_bytes: u32) {
        if frame_bytes <= FILL_FRAME_BYTES {
            self.unmatched_bytes += frame_bytes;
        }
        if self.unmatched_bytes >= FILL_BYTES {
            self.keeper
                .fill_more(std::mem::take(&mut self.unmatched_bytes));
        }
    }

    /// Adds the salt to the records of `pendings`, notes where they will lie, and gives the digest
    /// of the frame they are.
    fn salt(&mut self, pendings: &[Pending], records: &mut [u8]) -> u32 {
        let salt = self.tail.salt;
        let base = self.end.offset + FRAME_HEADER_BYTES as u32;
        let mut digest = salt;
        let mut at = 0;
        self.items.clear();
        let mut next = || {
            let offset = base + crate::format::written(at);
            let header = record::add_salt(salt, &mut records[at..]);
            digest = crc32c::crc32c_append(digest, &header.checksum.to_le_bytes());
            at += header.record_bytes();
            offset
        };
        for pending in pendings {
            if let Some(declaration) = pending.declaration() {
                next();
                self.items.push(Item::Stream(declaration));
            }
            let stream = pending.stream;
            let positions = pending.at.get()..;
            for position in positions.take(pending.entries() as usize) {
                self.items.push(Item::Entry {
                    stream,
                    position,
                    offset: next(),
                });
            }
        }
        assert_eq!(
            at,
            records.len(),
            "the records are those of the submissions"
        );
        digest
    }

    /// One write, one sync, one move of the mark.
    fn finish(&mut self, frame: &mut [u8], digest: u32) -> Result<(), WriteError> {
        let header = FrameHeader {
            number: self.end.frame,
            epoch: self.epoch,
            chain: self.end.chain,
            digest,
            body_bytes: crate::format::written(frame.len() - FRAME_HEADER_BYTES),
            records: crate::format::written(self.items.len()),
        };
        let head = frame
            .first_chunk_mut()
            .expect("a frame starts with its header");
        let checksum = header.encode(self.tail.salt, head);
        let offset = u64::from(self.end.offset);
        let end = self.end.offset + crate::format::written(frame.len());
        assert!(
            end <= self.tail.header.segment_bytes,
            "a frame lies in one segment"
        );
        let next = End {
            segment: self.end.segment,
            offset: end,
            frame: self.end.frame + 1,
            chain: checksum,
        };
        if planted::is("mark-before-log") {
            let advanced = self.mark.advance(next);
            advanced.map_err(WriteError::failed(self.mark.path()))?;
        }
        let file = self.tail.file.as_ref();
        crate::storage::write_all_at(file, frame, offset)
            .and_then(|()| sync(file))
            .map_err(WriteError::failed(&self.tail.path))?;
        self.order_zeros(next.offset - self.end.offset);
        self.end = next;
        let advanced = self.mark.advance(self.end);
        advanced.map_err(WriteError::failed(self.mark.path()))
    }
}

/// Makes what was written to the log survive a loss of power. A failure is final: the system may
/// have dropped the bytes, and the next call would succeed without them.
fn sync(file: &dyn DiskFile) -> io::Result<()> {
    if planted::is("log-not-synced") {
        return Ok(());
    }
    let synced = file.sync_data();
    if synced.is_err() && planted::is("failed-sync-tried-again") {
        return file.sync_data();
    }
    if planted::is("failed-sync-taken-for-done") {
        return Ok(());
    }
    synced
}
