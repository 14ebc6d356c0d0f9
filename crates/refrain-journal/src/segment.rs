//! Log segments: files of fixed size, allocated and as far as possible filled with zeros before use,
//! and overwritten in place.
//!
//! A file appears under its name only when its space is allocated and its size, its header and its
//! directory entry are on the medium. So no window is left in which a file's size could lag behind
//! its content. A sync of what is written over zeros that were written before touches data alone;
//! over space that is only allocated, file systems also have to note that it is in use, which takes
//! about half as long again. Both read as zeros until then, so filling is for speed alone.

use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::OpenError;
use crate::format::Unreadable;
use crate::format::segment_header::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::options::is_segment_size;
use crate::planted;
use crate::storage::{Access, Disk, DiskFile, read_up_to, write_all_at};

/// Zeros go down in pieces, so that a sync of the log never waits for many of them. Larger pieces cost
/// the page cache more for each byte.
pub(crate) const FILL_BYTES: u32 = 64 * 1024;

static ZEROS: [u8; FILL_BYTES as usize] = [0; FILL_BYTES as usize];

/// Ends the name of a segment that is not yet whole.
const TEMPORARY_SUFFIX: &str = ".new";

/// A log segment, open.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) path: PathBuf,
    pub(crate) header: SegmentHeader,
    /// Where the checksums in it start from.
    pub(crate) salt: u32,
}

impl Segment {
    /// Makes the segment that `header` describes, and says up to where it is filled; the rest is for
    /// [`Segment::fill`]. When it fails, what it left is removed.
    pub(crate) fn create(
        disk: &dyn Disk,
        dir: &Path,
        header: SegmentHeader,
    ) -> io::Result<(Segment, u32)> {
        let path = dir.join(log_name(header.number));
        let temporary = dir.join(log_name(header.number) + TEMPORARY_SUFFIX);
        let made = prepare(disk, &temporary, header).and_then(|made| {
            disk.rename(&temporary, &path)?;
            if !planted::is("segment-name-not-synced") {
                disk.sync_dir(dir)?;
            }
            Ok(made)
        });
        match made {
            Ok((file, filled)) => Ok((Segment::new(file, path, header), filled)),
            Err(error) => {
                // Only to give the space back; the next opening removes it as well.
                let _ = disk.remove(&temporary);
                Err(error)
            }
        }
    }

    /// Writes and syncs all zeros from `offset` on, of a segment that is needed at once.
    pub(crate) fn fill_rest(&self, mut offset: u32) -> io::Result<()> {
        while offset < self.header.segment_bytes {
            offset = fill_piece(self.file.as_ref(), offset, self.header.segment_bytes)?;
        }
        self.file.sync_data()
    }

    /// Writes the next piece of zeros, from `offset` on, into a segment without frames, and says where
    /// it ends: at the end of the segment when all are written. They are on their way to the medium
    /// then. They need not be there before a frame is, so nobody waits for them: a sync of theirs would
    /// make the file system commit, which holds up the writes and syncs of the log.
    pub(crate) fn fill(&self, offset: u32) -> io::Result<u32> {
        let end = fill_piece(self.file.as_ref(), offset, self.header.segment_bytes)?;
        if let Some(bytes) = NonZeroU64::new(u64::from(end - offset)) {
            self.file.begin_sync(u64::from(offset), bytes);
        }
        Ok(end)
    }

    /// Opens segment `number` of the journal `identity`, and checks whose it is.
    pub(crate) fn open(
        disk: &dyn Disk,
        dir: &Path,
        identity: u64,
        number: u64,
        access: Access,
    ) -> Result<Segment, OpenError> {
        let path = dir.join(log_name(number));
        let file = match disk.open(&path, access) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(OpenError::corrupt(&path, 0, "the segment is missing"));
            }
            Err(error) => return Err(OpenError::io(&path)(error)),
        };
        let mut bytes = [0; 64];
        let filled = read_up_to(file.as_ref(), &mut bytes, 0).map_err(OpenError::io(&path))?;
        let header = match SegmentHeader::decode(&bytes[..filled]) {
            Ok(header) => header,
            Err(Unreadable::Version(version)) => return Err(OpenError::Version { path, version }),
            Err(Unreadable::Newer) => return Err(OpenError::newer(&path, 0)),
            Err(Unreadable::Damaged) => {
                return Err(OpenError::corrupt(
                    &path,
                    0,
                    "this is not a segment's header",
                ));
            }
        };
        if (header.identity, header.number) != (identity, number) {
            let detail = "the segment belongs to another journal or another place";
            return Err(OpenError::corrupt(&path, 0, detail));
        }
        if !is_segment_size(u64::from(header.segment_bytes)) {
            let detail = format!("no segment has {} bytes", header.segment_bytes);
            return Err(OpenError::corrupt(&path, 0, detail));
        }
        Ok(Segment::new(file, path, header))
    }

    fn new(file: Arc<dyn DiskFile>, path: PathBuf, header: SegmentHeader) -> Segment {
        Segment {
            file,
            path,
            header,
            salt: header.salt(),
        }
    }

    /// Removes the segment's name. Whoever has it open reads on.
    pub(crate) fn remove(disk: &dyn Disk, dir: &Path, number: u64) -> Result<(), OpenError> {
        for name in [index_name(number), log_name(number)] {
            let path = dir.join(name);
            match disk.remove(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(OpenError::io(&path)(error)),
            }
        }
        Ok(())
    }
}

fn prepare(
    disk: &dyn Disk,
    path: &Path,
    header: SegmentHeader,
) -> io::Result<(Arc<dyn DiskFile>, u32)> {
    let file = disk.open(path, Access::Create)?;
    let size = header.segment_bytes;
    file.allocate(u64::from(size))?;
    let mut filled = SEGMENT_HEADER_BYTES;
    if file.size()? < u64::from(size) {
        // A file system that cannot allocate: only zeros take the space.
        while filled < size {
            filled = fill_piece(file.as_ref(), filled, size)?;
        }
    }
    write_all_at(file.as_ref(), &header.encode(), 0)?;
    if !planted::is("segment-header-not-synced") {
        file.sync_data()?;
    }
    Ok((file, filled))
}

/// Writes zeros from `offset` on, and says where they end: a whole number of pieces from the start.
fn fill_piece(file: &dyn DiskFile, offset: u32, size: u32) -> io::Result<u32> {
    let end = (offset + 1).next_multiple_of(FILL_BYTES).min(size);
    let zeros = &ZEROS[..(end - offset) as usize];
    write_all_at(file, zeros, u64::from(offset))?;
    Ok(end)
}

/// The name of a log segment's file.
pub(crate) fn log_name(number: u64) -> String {
    format!("{number:010}.log")
}

/// The name of the index beside it.
pub(crate) fn index_name(number: u64) -> String {
    format!("{number:010}.idx")
}

/// What a name in the journal's directory stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Log(u64),
    Index(u64),
    /// A stream segment, for these log segments.
    Streams(u64, u64),
    Directory,
    /// Left behind by something that did not finish.
    Temporary,
    /// Not ours to touch.
    Other,
}

impl FileKind {
    pub(crate) fn of(name: &str) -> FileKind {
        let Some((stem, ending)) = name.split_once('.') else {
            let is_directory = name == crate::directory::DIRECTORY_FILE;
            return if is_directory {
                FileKind::Directory
            } else {
                FileKind::Other
            };
        };
        if let Some((first, last)) = stem.split_once('-') {
            return match (number_of(first), number_of(last), ending) {
                (Some(first), Some(last), "seg") if first <= last => FileKind::Streams(first, last),
                (Some(_), Some(_), "seg.new") => FileKind::Temporary,
                _ => FileKind::Other,
            };
        }
        match (number_of(stem), ending) {
            (Some(number), "log") => FileKind::Log(number),
            (Some(number), "idx") => FileKind::Index(number),
            (Some(_), "log.new" | "idx.new") => FileKind::Temporary,
            _ if name == "mark.new" || name == "directory.new" => FileKind::Temporary,
            _ => FileKind::Other,
        }
    }
}

/// The numbers of the log segments among these names.
pub(crate) fn log_numbers(names: &[String]) -> impl Iterator<Item = u64> {
    names.iter().filter_map(|name| match FileKind::of(name) {
        FileKind::Log(number) => Some(number),
        FileKind::Index(_)
        | FileKind::Streams(..)
        | FileKind::Directory
        | FileKind::Temporary
        | FileKind::Other => None,
    })
}

/// The number that digits of the usual length stand for. Numbers start at 1.
fn number_of(digits: &str) -> Option<u64> {
    let is_usual = digits.len() >= 10 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse().ok().filter(|number| *number > 0);
    number.filter(|_| is_usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        assert_eq!(FileKind::of(&log_name(7)), FileKind::Log(7));
        assert_eq!(FileKind::of(&index_name(7)), FileKind::Index(7));
        assert_eq!(FileKind::of("0000000007.log.new"), FileKind::Temporary);
        assert_eq!(FileKind::of("mark.new"), FileKind::Temporary);
        let streams = crate::stream_segment::segment_name(1, 7);
        assert_eq!(FileKind::of(&streams), FileKind::Streams(1, 7));
        assert_eq!(FileKind::of(&(streams + ".new")), FileKind::Temporary);
        assert_eq!(FileKind::of("directory"), FileKind::Directory);
        assert_eq!(FileKind::of("0000000007-0000000001.seg"), FileKind::Other);
        assert_eq!(FileKind::of("7.log"), FileKind::Other);
        assert_eq!(FileKind::of("notes.txt"), FileKind::Other);
    }
}
