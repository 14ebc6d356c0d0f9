//! The directory file: written beside the log now and then and when the journal is closed, so that
//! opening need not read the whole history.

use std::io;
use std::path::Path;

use crate::format::Unreadable;
use crate::format::directory::{
    DIRECTORY_HEADER_BYTES, DirectoryHeader, State, Streams, encode_stream,
};
use crate::format::mark::Mark;
use crate::index::Index;
use crate::parts::Part;
use crate::read_side::ReadSide;
use crate::storage::{Access, Disk, read_whole, replace_file};

/// The file's name.
pub(crate) const DIRECTORY_FILE: &str = "directory";

const TEMPORARY: &str = "directory.new";

/// Streams that are looked at while the index is locked once.
const STREAMS_AT_ONCE: u32 = 1024;

/// The directory and its streams, read into `bytes`. `None` when there is none that is of use beside
/// `mark`: the other files say the same, only more slowly. Streams come one by one: as many names at
/// once would leave the memory in pieces.
pub(crate) fn read<'a>(
    disk: &dyn Disk,
    dir: &Path,
    mark: &Mark,
    bytes: &'a mut Vec<u8>,
) -> Option<(DirectoryHeader, Streams<'a>)> {
    let path = dir.join(DIRECTORY_FILE);
    let file = disk.open(&path, Access::Read).ok()?;
    *bytes = read_whole(file.as_ref(), usize::MAX).ok()?;
    let refused = |reason: &str| {
        tracing::warn!(path = %path.display(), reason, "journal: the directory is not used");
        None
    };
    let (header, streams) = match DirectoryHeader::decode(bytes) {
        Ok(decoded) => decoded,
        Err(Unreadable::Damaged) => return refused("it is damaged"),
        Err(Unreadable::Version(_) | Unreadable::Newer) => {
            return refused("it is of another version");
        }
    };
    let (end, of) = (&header.end, &mark.end);
    let is_reached = (end.segment, end.offset) <= (of.segment, of.offset) && end.frame <= of.frame;
    if header.identity != mark.identity || header.epoch > mark.epoch || !is_reached {
        return refused("it is of another journal, or ahead of the mark");
    }
    Some((header, streams))
}

/// What writes the directory needs to know.
#[derive(Debug)]
pub(crate) struct DirectoryWriter<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) dir: &'a Path,
    pub(crate) side: &'a ReadSide,
    pub(crate) identity: u64,
    /// This opening.
    pub(crate) epoch: u64,
}

impl DirectoryWriter<'_> {
    /// Writes the directory for the start of what is open. Says whether it did: not when the log
    /// moved on to another segment meanwhile, or an index file is missing.
    pub(crate) fn running(&self) -> io::Result<bool> {
        let (header, end) = {
            let index = self.side.index();
            (self.header(&index, State::Running), index.open_start())
        };
        let Some(mut header) = header else {
            return Ok(false);
        };
        let mut body = Vec::new();
        let mut next = 0;
        loop {
            let index = self.side.index();
            if index.open_start() != end {
                return Ok(false);
            }
            let to = next + STREAMS_AT_ONCE;
            for stream in index.declarations_at_start(next..to) {
                encode_stream(&stream, &mut body);
                header.streams += 1;
            }
            if to >= index.stream_count() {
                break;
            }
            next = to;
        }
        self.write(&header, &body)?;
        Ok(true)
    }

    /// Writes the directory for the end of the log, which nothing will be added to. All that was
    /// open is sealed. Without an index file for everything there is no use for it.
    pub(crate) fn closed(&self) -> io::Result<()> {
        let mut body = Vec::new();
        let index = self.side.index();
        let Some(mut header) = self.header(&index, State::Closed) else {
            return Ok(());
        };
        for stream in index.declarations_at_start(0..index.stream_count()) {
            encode_stream(&stream, &mut body);
            header.streams += 1;
        }
        drop(index);
        self.write(&header, &body)
    }

    /// Whoever reads the directory believes that the index files say all of the segments that it
    /// names.
    fn header(&self, index: &Index, state: State) -> Option<DirectoryHeader> {
        let parts = index.parts().all();
        let log = parts.iter().filter_map(Part::log);
        let epochs = parts.iter().map(|part| part.span().epoch);
        if log.clone().any(|segment| !segment.is_in_index_file()) {
            return None;
        }
        Some(DirectoryHeader {
            identity: self.identity,
            epoch: self.epoch,
            state,
            end: index.open_start(),
            frame_epoch: epochs.max().unwrap_or(0),
            segments: log.map(|segment| (segment.header, segment.span)).collect(),
            streams: 0,
        })
    }

    fn write(&self, header: &DirectoryHeader, body: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        bytes.extend_from_slice(body);
        let checksum = crc32c::crc32c(&bytes[DIRECTORY_HEADER_BYTES..]);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        replace_file(self.disk, self.dir, TEMPORARY, DIRECTORY_FILE, &bytes)
    }
}
