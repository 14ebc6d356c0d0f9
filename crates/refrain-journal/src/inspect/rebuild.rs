//! Putting the files of a journal back, as a restore does.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::report::{EndSeen, FileRole, MarkSeen};
use crate::error::OpenError;
use crate::format::mark::{End, MARK_FILE_BYTES, Mark, SLOT_BYTES, SLOTS_AT, Stage};
use crate::mark::{MARK_FILE, MarkFile};
use crate::segment::{index_name, log_name};
use crate::storage::{Access, Disk, DiskFile, FileSystem, write_all_at};

/// Zeros go down in pieces.
const FILL_BYTES: usize = 1024 * 1024;

/// Makes the files of a journal in an empty directory. Nobody can open the journal before
/// [`Rebuild::finish`]: a log without a mark is refused.
///
/// ```
/// use refrain_journal::FileJournal;
/// use refrain_journal::inspect::{FileRole, Inspector, Rebuild};
///
/// # let dir = tempfile::tempdir()?;
/// # let (path, again) = (dir.path().join("orders-data"), dir.path().join("again"));
/// drop(FileJournal::open(&path)?);
/// let seen = Inspector::new(&path).run(&mut ())?;
///
/// std::fs::create_dir(&again)?;
/// let rebuild = Rebuild::new(&again);
/// for file in seen.files.iter().filter(|file| matches!(file.role, FileRole::Log(_))) {
///     let mut copy = rebuild.file(file.role, file.bytes)?;
///     copy.write(&std::fs::read(&file.path)?[..file.used as usize])?;
///     copy.finish()?;
/// }
/// rebuild.finish(seen.mark.expect("it was opened"))?;
/// assert!(Inspector::new(&again).run(&mut ())?.is_sound());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Rebuild {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

impl Rebuild {
    /// Makes files in `dir`, which is there and empty.
    #[must_use]
    pub fn new(dir: impl AsRef<Path>) -> Rebuild {
        Rebuild {
            disk: Arc::new(FileSystem),
            dir: dir.as_ref().to_path_buf(),
        }
    }

    /// The name of a file with this role; `None` for those that no restore makes.
    #[must_use]
    pub fn name(role: FileRole) -> Option<String> {
        match role {
            FileRole::Log(number) => Some(log_name(number)),
            FileRole::Index(number) => Some(index_name(number)),
            FileRole::Mark
            | FileRole::Lock
            | FileRole::Spare(_)
            | FileRole::Snapshot
            | FileRole::Unfinished
            | FileRole::Other => None,
        }
    }

    /// Starts the file with this role and size. Its name follows from the role, so it is in this
    /// directory whatever a backup says.
    ///
    /// # Errors
    /// [`OpenError::Io`] when it cannot be made.
    ///
    /// # Panics
    /// For a role that has no [`Rebuild::name`].
    pub fn file(&self, role: FileRole, bytes: u64) -> Result<RebuiltFile, OpenError> {
        let name = Rebuild::name(role).expect("only logs and indexes are put back");
        let path = self.dir.join(name);
        let made = self.disk.open(&path, Access::Create).and_then(|file| {
            file.allocate(bytes)?;
            Ok(file)
        });
        Ok(RebuiltFile {
            file: made.map_err(OpenError::io(&path))?,
            path,
            at: 0,
            bytes,
        })
    }

    /// Where a file of this name is.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes the durable mark, in an epoch of its own, and makes all names lasting. From now on
    /// this is a journal.
    ///
    /// # Errors
    /// [`OpenError::Io`].
    pub fn finish(self, mark: MarkSeen) -> Result<(), OpenError> {
        let dir = &self.dir;
        let disk = self.disk.as_ref();
        disk.sync_dir(dir).map_err(OpenError::io(dir))?;
        let mark = Mark {
            epoch: mark.epoch + 1,
            ..stored(mark)
        };
        MarkFile::create(disk, dir, mark).map_err(OpenError::io(&dir.join(MARK_FILE)))
    }

    /// The bytes of a mark file that says `mark`.
    #[must_use]
    pub fn mark_file(mark: MarkSeen) -> Vec<u8> {
        let slot = stored(mark).encode();
        let mut bytes = vec![0; MARK_FILE_BYTES];
        for at in SLOTS_AT {
            bytes[at..at + SLOT_BYTES].copy_from_slice(&slot);
        }
        bytes
    }
}

fn stored(mark: MarkSeen) -> Mark {
    let EndSeen {
        segment,
        offset,
        frame,
        chain,
    } = mark.end;
    Mark {
        stage: Stage::Running,
        identity: mark.identity,
        sequence: 0,
        epoch: mark.epoch,
        first_segment: mark.first_segment,
        end: End {
            segment,
            offset,
            frame,
            chain,
        },
    }
}

/// A file that is being put back.
#[derive(Debug)]
pub struct RebuiltFile {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    at: u64,
    bytes: u64,
}

impl RebuiltFile {
    /// Adds bytes.
    ///
    /// # Errors
    /// [`OpenError::Io`]; [`OpenError::Corrupt`] when there are more than the file has.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), OpenError> {
        let end = self.at + bytes.len() as u64;
        if end > self.bytes {
            let detail = "there are more bytes than the file has";
            return Err(OpenError::corrupt(&self.path, self.at, detail));
        }
        let written = write_all_at(self.file.as_ref(), bytes, self.at);
        written.map_err(OpenError::io(&self.path))?;
        self.at = end;
        Ok(())
    }

    /// Fills the rest with zeros and syncs.
    ///
    /// # Errors
    /// [`OpenError::Io`].
    pub fn finish(mut self) -> Result<(), OpenError> {
        let zeros = vec![0; FILL_BYTES];
        while self.at < self.bytes {
            let left = usize::try_from(self.bytes - self.at).unwrap_or(FILL_BYTES);
            self.write(&zeros[..left.min(FILL_BYTES)])?;
        }
        self.file.sync_data().map_err(OpenError::io(&self.path))
    }
}
