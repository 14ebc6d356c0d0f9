//! Stream segments: sealed history, rewritten in blocks per stream.
//!
//! A file stands for a range of log segments and joins its neighbours as they did, by the numbers
//! and chains of frames. It is written once and never changed.

pub(crate) mod catalogue;
pub(crate) mod output;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::OpenError;
use crate::format::catalogue::{Row, Span};
use crate::format::record::Declaration;
use crate::format::stream_segment::{Block, STREAM_SEGMENT_HEADER_BYTES, StreamSegmentHeader};
use crate::storage::{Access, Disk, DiskFile, read_exact_at, read_up_to};
use catalogue::{Catalogue, Flaw};

pub(crate) use writer::SegmentWriter;

/// A stream segment, open for reading. Whoever holds one reads on when its name is gone.
#[derive(Debug)]
pub(crate) struct StreamSegment {
    pub(crate) header: StreamSegmentHeader,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) catalogue: Catalogue,
    /// Size of the file.
    pub(crate) bytes: u64,
    salt: u32,
}

impl StreamSegment {
    /// Opens the file for the log segments from `first` to `last` of the journal `identity`.
    pub(crate) fn open(
        disk: &dyn Disk,
        dir: &Path,
        identity: u64,
        (first, last): (u64, u64),
    ) -> Result<StreamSegment, OpenError> {
        let path = dir.join(segment_name(first, last));
        let file = disk.open(&path, Access::Read);
        let file = file.map_err(OpenError::io(&path))?;
        StreamSegment::read(file, path.clone(), identity, (first, last))
            .map_err(Flaw::opening(&path))
    }

    /// As [`StreamSegment::open`], of a file that is open.
    pub(crate) fn read(
        file: Arc<dyn DiskFile>,
        path: PathBuf,
        identity: u64,
        (first, last): (u64, u64),
    ) -> Result<StreamSegment, Flaw> {
        let mut bytes = [0; STREAM_SEGMENT_HEADER_BYTES];
        let filled = read_up_to(file.as_ref(), &mut bytes, 0)?;
        let header = StreamSegmentHeader::decode(&bytes[..filled])
            .map_err(Flaw::of(0, "this is not a stream segment's header"))?;
        if (header.identity, header.first, header.last) != (identity, first, last) {
            let detail = "the stream segment belongs to another journal or another place";
            return Err(Flaw::damaged(0, detail));
        }
        let salt = header.salt();
        let catalogue = Catalogue::read(file.as_ref(), salt)?;
        let bytes = file.size()?;
        Ok(StreamSegment {
            header,
            path,
            file,
            catalogue,
            bytes,
            salt,
        })
    }

    pub(crate) fn span(&self) -> &Span {
        self.catalogue.span()
    }

    /// All rows, in order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Result<Row, Flaw>> + '_ {
        flat(self.catalogue.row_pages(self.file.as_ref()))
    }

    /// All declarations, in order.
    pub(crate) fn declarations(&self) -> impl Iterator<Item = Result<Declaration, Flaw>> + '_ {
        flat(self.catalogue.declaration_pages(self.file.as_ref()))
    }

    /// Reads the block of `row` into the start of `buffer`, and checks it.
    pub(crate) fn block<'a>(&self, row: &Row, buffer: &'a mut Vec<u8>) -> Result<Block<'a>, Flaw> {
        let bytes = row.bytes as usize;
        let end = row.at.checked_add(u64::from(row.bytes));
        if end.is_none_or(|end| end > self.bytes) {
            return Err(Flaw::damaged(row.at, "the block lies beyond the file"));
        }
        if buffer.len() < bytes {
            buffer.resize(bytes, 0);
        }
        read_exact_at(self.file.as_ref(), &mut buffer[..bytes], row.at)?;
        Block::decode(self.salt, row, &buffer[..bytes])
            .map_err(Flaw::of(row.at, "the block is damaged"))
    }

    /// Removes the name of a stream segment, if it is there.
    pub(crate) fn remove(disk: &dyn Disk, dir: &Path, range: (u64, u64)) -> Result<(), OpenError> {
        let path = dir.join(segment_name(range.0, range.1));
        match disk.remove(&path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(OpenError::io(&path)(error)),
        }
    }
}

/// The items of `pages`, one by one.
fn flat<T>(
    pages: impl Iterator<Item = Result<Vec<T>, Flaw>>,
) -> impl Iterator<Item = Result<T, Flaw>> {
    pages.flat_map(|page| {
        let (items, flaw) = match page {
            Ok(items) => (items, None),
            Err(flaw) => (Vec::new(), Some(flaw)),
        };
        items.into_iter().map(Ok).chain(flaw.map(Err))
    })
}

/// The name of the stream segment for the log segments from `first` to `last`.
pub(crate) fn segment_name(first: u64, last: u64) -> String {
    format!("{first:010}-{last:010}.seg")
}
