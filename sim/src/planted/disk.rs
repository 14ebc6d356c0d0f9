//! The calls about names, with a bug.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use refrain_journal::{Access, Disk, DiskFile, DiskLock};

use super::DiskBug;
use super::file::LyingFile;
use crate::disk::{Process, SECTOR_BYTES};

/// A process's disk with a bug.
#[derive(Debug)]
pub(super) struct LyingDisk {
    bug: DiskBug,
    process: Process,
    state: Arc<Mutex<State>>,
}

/// What the disk remembers between calls.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Syncs that it said were done.
    pub(super) owed: Vec<Arc<dyn DiskFile>>,
    /// Whether a name was moved since a directory was synced.
    has_renamed: bool,
}

impl LyingDisk {
    pub(super) fn new(bug: DiskBug, process: Process) -> LyingDisk {
        LyingDisk {
            bug,
            process,
            state: Arc::default(),
        }
    }

    /// A copy under the new name in place of the move.
    fn copy(&self, file: &dyn DiskFile, from: &Path, to: &Path) -> io::Result<()> {
        let size = usize::try_from(file.size()?).unwrap_or(0);
        let mut bytes = vec![0; size];
        let copy = self.process.open(to, Access::Create)?;
        for offset in (0..size).step_by(SECTOR_BYTES) {
            let piece = &mut bytes[offset..(offset + SECTOR_BYTES).min(size)];
            again(|| file.read_at(piece, offset as u64))?;
            again(|| copy.write_at(piece, offset as u64))?;
        }
        self.process.remove(from)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls again what was interrupted.
fn again(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// A lock that somebody else holds.
#[derive(Debug)]
struct Shared;

impl DiskLock for Shared {}

impl Disk for LyingDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.process.create_dir(dir)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.process.open(path, access)?;
        Ok(Arc::new(LyingFile {
            bug: self.bug,
            file,
            path: path.to_path_buf(),
            state: Arc::clone(&self.state),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.state().has_renamed = true;
        if self.bug == DiskBug::RenameNotAtomic
            && let Ok(file) = self.process.open(from, Access::Read)
        {
            return self.copy(file.as_ref(), from, to);
        }
        let renamed = self.process.rename(from, to);
        match renamed {
            Err(_) if self.bug == DiskBug::FailedRenameIgnored => Ok(()),
            renamed => renamed,
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.process.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = self.process.list(dir)?;
        if self.bug == DiskBug::NextSegmentUnseen {
            let last = names
                .iter()
                .filter(|name| name.ends_with(".log"))
                .max()
                .cloned();
            names.retain(|name| Some(name) != last.as_ref() || name.starts_with("0000000001"));
        }
        Ok(names)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let has_renamed = std::mem::take(&mut self.state().has_renamed);
        let is_never = matches!(self.bug, DiskBug::NoSync | DiskBug::NoDirectorySync);
        let is_early = self.bug == DiskBug::DirectorySyncBeforeRename && has_renamed;
        if is_never || is_early {
            return Ok(());
        }
        match self.process.sync_dir(dir) {
            Err(_) if self.bug == DiskBug::FailedDirectorySyncIgnored => Ok(()),
            synced => synced,
        }
    }

    fn space(&self, dir: &Path) -> io::Result<u64> {
        self.process.space(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        match self.process.lock(path) {
            Err(error)
                if self.bug == DiskBug::LockNotExclusive
                    && error.kind() == io::ErrorKind::WouldBlock =>
            {
                Ok(Box::new(Shared))
            }
            locked => locked,
        }
    }
}

pub(super) fn is_named(path: &Path, ending: &str) -> bool {
    PathBuf::from(path).to_string_lossy().ends_with(ending)
}
