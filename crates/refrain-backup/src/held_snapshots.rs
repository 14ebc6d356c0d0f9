//! Snapshots that are held open before the journal is looked at.
//!
//! A program that goes on stores snapshots and deletes older ones while its journal is copied. By the end of
//! a long copy all that are left may be newer than the copy, and what they stand for may be forgotten in
//! it: such a backup could not be recovered from. A snapshot that was there before the mark was read is
//! of the journal up to that mark, and can be read as long as it is open.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use refrain_journal::{Access, Disk, DiskFile, DiskLock, FileSystem};

type Files = BTreeMap<String, Arc<dyn DiskFile>>;

/// The operating system's files, where one directory has the snapshots that are held.
#[derive(Debug)]
pub(crate) struct HeldSnapshots {
    dir: PathBuf,
    held: Mutex<io::Result<Files>>,
}

impl HeldSnapshots {
    /// Holds none yet of those in `dir`.
    pub(crate) fn of(dir: &Path) -> HeldSnapshots {
        HeldSnapshots {
            dir: dir.to_path_buf(),
            held: Mutex::new(Ok(Files::new())),
        }
    }

    /// Holds those that are there now, and no others. What went wrong is told when they are listed.
    pub(crate) fn renew(&self) {
        *self.held() = open_all(&self.dir);
    }

    fn held(&self) -> MutexGuard<'_, io::Result<Files>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open_all(dir: &Path) -> io::Result<Files> {
    let mut files = Files::new();
    for name in FileSystem.list(dir)? {
        match FileSystem.open(&dir.join(&name), Access::Read) {
            Ok(file) => _ = files.insert(name, file),
            // It was deleted meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

/// An error that can be told more than once.
fn again(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

impl Disk for HeldSnapshots {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        FileSystem.create_dir(dir)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        if path.parent() != Some(&self.dir) || access != Access::Read {
            return FileSystem.open(path, access);
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match &*self.held() {
            Ok(files) => files
                .get(&*name)
                .cloned()
                .ok_or_else(|| io::ErrorKind::NotFound.into()),
            Err(error) => Err(again(error)),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        FileSystem.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        FileSystem.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        if dir != self.dir {
            return FileSystem.list(dir);
        }
        match &*self.held() {
            Ok(files) => Ok(files.keys().cloned().collect()),
            Err(error) => Err(again(error)),
        }
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        FileSystem.sync_dir(dir)
    }

    fn space(&self, dir: &Path) -> io::Result<u64> {
        FileSystem.space(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        FileSystem.lock(path)
    }
}
