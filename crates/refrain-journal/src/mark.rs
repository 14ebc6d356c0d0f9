//! The file of the durable mark: written after each sync of the log, before anybody is told.
//!
//! Invariants: what the mark covers was synced before the mark was written. It may lag, for it is
//! only synced when the journal is idle, closed, opened or loses a segment. One slot always holds a
//! mark that is synced: until the next sync only the other one is written, so that a loss of power
//! that tears what was being written leaves a mark.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::OpenError;
use crate::format::Unreadable;
use crate::format::mark::{End, MARK_FILE_BYTES, Mark, SLOT_BYTES, SLOTS_AT};
use crate::planted;
use crate::storage::{Access, Disk, DiskFile, read_whole, replace_file, write_all_at};

/// The file's name.
pub(crate) const MARK_FILE: &str = "mark";

const TEMPORARY: &str = "mark.new";

/// How often a reader tries again when the writer overwrote what it was reading. Both slots being
/// half written at once takes a sync and two writes during one read.
const READS_MAX: usize = 16;

/// The mark, open for writing.
#[derive(Debug)]
pub(crate) struct MarkFile {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    last: Mark,
    is_synced: bool,
}

impl MarkFile {
    /// Makes the file with `mark` in both slots.
    pub(crate) fn create(disk: &dyn Disk, dir: &Path, mark: Mark) -> io::Result<()> {
        let mut bytes = vec![0; MARK_FILE_BYTES];
        for at in SLOTS_AT {
            bytes[at..at + SLOT_BYTES].copy_from_slice(&mark.encode());
        }
        replace_file(disk, dir, TEMPORARY, MARK_FILE, &bytes)
    }

    /// The newest mark in `dir`; `None` when there is no file.
    pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Mark>, OpenError> {
        let path = dir.join(MARK_FILE);
        let file = match disk.open(&path, Access::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(OpenError::io(&path)(error)),
        };
        for _ in 0..READS_MAX {
            let bytes = match read_whole(file.as_ref(), MARK_FILE_BYTES) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return Err(OpenError::corrupt(&path, 0, error.to_string()));
                }
                Err(error) => return Err(OpenError::io(&path)(error)),
            };
            match Mark::newest(&bytes) {
                Ok(mark) => return Ok(Some(mark)),
                Err(Unreadable::Version(version)) => {
                    return Err(OpenError::Version { path, version });
                }
                Err(Unreadable::Newer) => return Err(OpenError::newer(&path, 0)),
                Err(Unreadable::Damaged) => {}
            }
        }
        Err(OpenError::corrupt(&path, 0, "neither slot holds a mark"))
    }

    /// Opens the file to go on from `last`.
    pub(crate) fn open(disk: &dyn Disk, dir: &Path, last: Mark) -> Result<MarkFile, OpenError> {
        let path = dir.join(MARK_FILE);
        let file = disk
            .open(&path, Access::Write)
            .map_err(OpenError::io(&path))?;
        Ok(MarkFile {
            file,
            path,
            last,
            is_synced: false,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn last(&self) -> &Mark {
        &self.last
    }

    /// Says that the log is durable up to `end`. Seen by readers at once; not synced.
    pub(crate) fn advance(&mut self, end: End) -> io::Result<()> {
        self.write(Mark { end, ..self.last })
    }

    /// Writes `mark` so that neither a loss of power nor a damaged slot brings an older one back.
    pub(crate) fn settle(&mut self, mark: Mark) -> io::Result<()> {
        if !self.is_synced {
            self.sync()?;
        }
        for _ in SLOTS_AT {
            self.write(mark)?;
            if !planted::is("mark-not-settled") {
                self.sync()?;
            }
        }
        Ok(())
    }

    /// Makes the mark survive a loss of power.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.is_synced = true;
        Ok(())
    }

    /// Whether the last mark survives a loss of power.
    pub(crate) fn is_synced(&self) -> bool {
        self.is_synced
    }

    /// Writes `mark` to the slot that its sequence names: the same one again until it is synced.
    fn write(&mut self, mark: Mark) -> io::Result<()> {
        let step = if self.is_synced || planted::is("both-slots-unsynced") {
            1
        } else {
            2
        };
        let sequence = self.last.sequence + step;
        let mark = Mark { sequence, ..mark };
        let slot = SLOTS_AT[usize::from(!sequence.is_multiple_of(2))];
        write_all_at(self.file.as_ref(), &mark.encode(), slot as u64)?;
        self.last = mark;
        self.is_synced = false;
        Ok(())
    }
}
