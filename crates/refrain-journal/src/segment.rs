//! Log segments: files of fixed size, filled with zeros before use and overwritten in place.
//!
//! A file appears under its name only when its zeros, its header and its directory entry are on
//! the medium. So a sync of what is written into it later touches data alone, which halves its
//! latency and leaves no window in which a file's size could lag behind its content.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::OpenError;
use crate::format::Unreadable;
use crate::format::segment_header::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::planted;
use crate::storage::{Access, Disk, DiskFile, read_up_to, write_all_at};

/// Zeros go down in pieces, each synced, so that a sync of the log never waits for all of them.
const FILL_BYTES: usize = 1024 * 1024;

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
    /// Makes the segment that `header` describes. When it fails, what it left is removed.
    pub(crate) fn create(
        disk: &dyn Disk,
        dir: &Path,
        header: SegmentHeader,
    ) -> io::Result<Segment> {
        let path = dir.join(log_name(header.number));
        let temporary = dir.join(log_name(header.number) + TEMPORARY_SUFFIX);
        let made = fill(disk, &temporary, header).and_then(|file| {
            disk.rename(&temporary, &path)?;
            if !planted::is("segment-name-not-synced") {
                disk.sync_dir(dir)?;
            }
            Ok(file)
        });
        match made {
            Ok(file) => Ok(Segment::new(file, path, header)),
            Err(error) => {
                // Only to give the space back; the next opening removes it as well.
                let _ = disk.remove(&temporary);
                Err(error)
            }
        }
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
        if header.segment_bytes <= SEGMENT_HEADER_BYTES {
            return Err(OpenError::corrupt(&path, 0, "the segment has no room"));
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

fn fill(disk: &dyn Disk, path: &Path, header: SegmentHeader) -> io::Result<Arc<dyn DiskFile>> {
    let file = disk.open(path, Access::Create)?;
    let size = u64::from(header.segment_bytes);
    file.allocate(size)?;
    let zeros = vec![0; FILL_BYTES.min(header.segment_bytes as usize)];
    let mut offset = 0;
    while offset < size {
        let left = usize::try_from(size - offset).unwrap_or(FILL_BYTES);
        let piece = &zeros[..left.min(zeros.len())];
        write_all_at(file.as_ref(), piece, offset)?;
        file.sync_data()?;
        offset += piece.len() as u64;
    }
    write_all_at(file.as_ref(), &header.encode(), 0)?;
    if !planted::is("segment-header-not-synced") {
        file.sync_data()?;
    }
    Ok(file)
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
    /// Left behind by something that did not finish.
    Temporary,
    /// Not ours to touch.
    Other,
}

impl FileKind {
    pub(crate) fn of(name: &str) -> FileKind {
        let Some((stem, ending)) = name.split_once('.') else {
            return FileKind::Other;
        };
        let number = stem.parse().ok().filter(|_| stem.len() >= 10);
        match (number, ending) {
            (Some(number), "log") => FileKind::Log(number),
            (Some(number), "idx") => FileKind::Index(number),
            (Some(_), "log.new" | "idx.new") => FileKind::Temporary,
            _ if name == "mark.new" => FileKind::Temporary,
            _ => FileKind::Other,
        }
    }
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
        assert_eq!(FileKind::of("7.log"), FileKind::Other);
        assert_eq!(FileKind::of("notes.txt"), FileKind::Other);
    }
}
