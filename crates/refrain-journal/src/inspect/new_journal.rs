//! Making a journal from the entries of another one, with the positions that they had.

use std::path::Path;

use refrain_core::{Name, Position};

use super::rebuild::{Rebuild, RebuiltFile};
use super::report::{EndSeen, FileRole, MarkSeen};
use crate::error::OpenError;
use crate::format::digest::Digest;
use crate::format::frame::{FRAME_HEADER_BYTES, FrameHeader};
use crate::format::record::{
    DECLARATION_BYTES_MAX, Declaration, RECORD_HEADER_BYTES, encode_entry,
};
use crate::format::segment_header::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::format::written;
use crate::names::STREAMS_MAX;
use crate::options::JournalOptions;
use crate::recovery::random_identity;
use crate::segment::log_name;

/// Bytes of records after which a frame is written.
const FRAME_BYTES: usize = 1024 * 1024;

/// The epoch of the frames; the first opening has the next one.
const EPOCH: u64 = 1;

/// Makes a journal in an empty directory, which nobody can open before [`NewJournal::finish`].
///
/// ```
/// use refrain_core::{Name, Position};
/// use refrain_journal::inspect::NewJournal;
/// use refrain_journal::{JournalOptions, JournalReader};
///
/// # let dir = tempfile::tempdir()?;
/// let orders = Name::new("orders")?;
/// let mut new = NewJournal::create(dir.path(), JournalOptions::default().segment_bytes(16_384))?;
/// let number = new.begin(&orders, Position::new(7).unwrap())?;
/// new.push(number, Position::new(7).unwrap(), b"the seventh")?;
/// new.finish()?;
/// assert_eq!(JournalReader::open(dir.path())?.first(&orders), Position::new(7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct NewJournal {
    rebuild: Rebuild,
    segment_bytes: u32,
    identity: u64,
    open: OpenSegment,
    /// Number of the next frame, and the chain that it names.
    frame: u64,
    chain: u32,
    /// The records of that frame, and the checksum of their checksums.
    records: Vec<u8>,
    count: u32,
    digest: Digest,
    streams: u32,
}

#[derive(Debug)]
struct OpenSegment {
    file: RebuiltFile,
    header: SegmentHeader,
    salt: u32,
    /// Where the next frame starts.
    at: u32,
}

impl NewJournal {
    /// Starts in `dir`, which is there and empty. Of `options` only those about files count.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn create(dir: impl AsRef<Path>, options: JournalOptions) -> Result<NewJournal, OpenError> {
        let settings = options.check()?;
        let rebuild = Rebuild::new(dir);
        let identity = settings.identity.unwrap_or_else(random_identity);
        let header = SegmentHeader {
            identity,
            number: 1,
            epoch: EPOCH,
            segment_bytes: settings.segment_bytes,
        };
        let open = OpenSegment::start(&rebuild, header)?;
        Ok(NewJournal {
            rebuild,
            segment_bytes: settings.segment_bytes,
            identity,
            frame: 1,
            chain: 0,
            records: Vec::new(),
            count: 0,
            digest: Digest::new(open.salt),
            streams: 0,
            open,
        })
    }

    /// Begins the stream `name`, whose next entry has the position `next`. Gives its number.
    ///
    /// # Errors
    /// [`OpenError`].
    ///
    /// # Panics
    /// When there are more streams than a journal may have.
    pub fn begin(&mut self, name: &Name, next: Position) -> Result<u32, OpenError> {
        let stream = self.streams;
        assert!(stream < STREAMS_MAX, "a journal has at most 2^24 streams");
        self.streams += 1;
        self.make_room(DECLARATION_BYTES_MAX)?;
        let declaration = Declaration {
            stream,
            name: name.clone(),
            first: next.get(),
            next: next.get(),
        };
        let checksum = declaration.encode(self.open.salt, &mut self.records);
        self.added(checksum);
        Ok(stream)
    }

    /// Adds the entry at `position` of the stream with this number: the next one of that stream.
    ///
    /// # Errors
    /// [`OpenError`]; also when the entry is larger than a segment.
    pub fn push(&mut self, stream: u32, position: Position, entry: &[u8]) -> Result<(), OpenError> {
        self.make_room(RECORD_HEADER_BYTES + entry.len())?;
        let salt = self.open.salt;
        let checksum = encode_entry(salt, stream, position.get(), entry, &mut self.records);
        self.added(checksum);
        Ok(())
    }

    /// Makes it a journal.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn finish(mut self) -> Result<(), OpenError> {
        self.flush()?;
        let mark = MarkSeen {
            identity: self.identity,
            epoch: EPOCH,
            first_segment: 1,
            end: EndSeen {
                segment: self.open.header.number,
                offset: self.open.at,
                frame: self.frame,
                chain: self.chain,
            },
        };
        self.open.file.finish()?;
        self.rebuild.finish(mark)
    }

    fn added(&mut self, checksum: u32) {
        self.digest.add(checksum);
        self.count += 1;
    }

    /// Makes sure that a record of so many bytes fits the frame that is being made.
    fn make_room(&mut self, bytes: usize) -> Result<(), OpenError> {
        if self.records.len() >= FRAME_BYTES || self.room() < bytes {
            self.flush()?;
        }
        if self.room() < bytes {
            self.next_segment()?;
        }
        if self.room() < bytes {
            let path = self.rebuild.path(&log_name(self.open.header.number));
            let detail = "an entry is larger than a segment of the new journal";
            return Err(OpenError::corrupt(&path, self.open.at.into(), detail));
        }
        Ok(())
    }

    /// Bytes of records for which there is room behind those of the frame.
    fn room(&self) -> usize {
        let left = (self.segment_bytes - self.open.at) as usize;
        left.saturating_sub(FRAME_HEADER_BYTES + self.records.len())
    }

    fn flush(&mut self) -> Result<(), OpenError> {
        if self.count == 0 {
            return Ok(());
        }
        let header = FrameHeader {
            number: self.frame,
            epoch: EPOCH,
            chain: self.chain,
            digest: self.digest.value(),
            body_bytes: written(self.records.len()),
            records: self.count,
        };
        let mut bytes = [0; FRAME_HEADER_BYTES];
        self.chain = header.encode(self.open.salt, &mut bytes);
        self.open.file.write(&bytes)?;
        self.open.file.write(&self.records)?;
        self.open.at += written(FRAME_HEADER_BYTES + self.records.len());
        self.frame += 1;
        self.start_frame();
        Ok(())
    }

    fn next_segment(&mut self) -> Result<(), OpenError> {
        assert_eq!(self.count, 0, "a frame lies in one segment");
        let header = SegmentHeader {
            number: self.open.header.number + 1,
            ..self.open.header
        };
        let next = OpenSegment::start(&self.rebuild, header)?;
        let full = std::mem::replace(&mut self.open, next);
        full.file.finish()?;
        self.start_frame();
        Ok(())
    }

    fn start_frame(&mut self) {
        self.records.clear();
        self.count = 0;
        self.digest = Digest::new(self.open.salt);
    }
}

impl OpenSegment {
    fn start(rebuild: &Rebuild, header: SegmentHeader) -> Result<OpenSegment, OpenError> {
        let role = FileRole::Log(header.number);
        let mut file = rebuild.file(role, header.segment_bytes.into())?;
        let mut bytes = header.encode().to_vec();
        bytes.resize(SEGMENT_HEADER_BYTES as usize, 0);
        file.write(&bytes)?;
        Ok(OpenSegment {
            file,
            header,
            salt: header.salt(),
            at: SEGMENT_HEADER_BYTES,
        })
    }
}
