//! Files of a journal and its snapshots that stay what they were when they were first looked at.
//!
//! A program goes on while its journal is copied, and replaces and deletes files. Two things must not happen.
//!
//! * Stream segments are rewritten under the same name, without entries that were forgotten since. So a
//!   file that was opened once stays open, and whoever opens it again gets the same one.
//! * Snapshots are stored and older ones deleted. By the end of a long copy all that are left may be newer than
//!   the copy, and what they stand for may be forgotten in it: nothing could be recovered from that. So they
//!   are opened before the mark is read. One that was there then is of the journal up to that mark.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use refrain_journal::{Access, Disk, DiskFile, DiskLock, FileSystem};

/// The operating system's files, each of them as it was first opened.
#[derive(Debug)]
pub(crate) struct HeldFiles {
    snapshots: Option<PathBuf>,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    files: BTreeMap<PathBuf, Arc<dyn DiskFile>>,
    /// The names of the snapshots, or why there are none.
    snapshots: io::Result<Vec<String>>,
}

impl HeldFiles {
    /// Holds nothing yet. What lies in `snapshots` is held from [`HeldFiles::renew`] on.
    pub(crate) fn new(snapshots: Option<&Path>) -> HeldFiles {
        HeldFiles {
            snapshots: snapshots.map(Path::to_path_buf),
            held: Mutex::new(Held::nothing()),
        }
    }

    /// Lets go of everything, and holds the snapshots that are there now. What goes wrong with them is
    /// told when they are listed.
    pub(crate) fn renew(&self) {
        let mut held = self.held();
        *held = Held::nothing();
        if let Some(dir) = &self.snapshots {
            held.snapshots = held.open_all(dir);
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn nothing() -> Held {
        Held {
            files: BTreeMap::new(),
            snapshots: Ok(Vec::new()),
        }
    }

    fn open_all(&mut self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for name in FileSystem.list(dir)? {
            match self.open(&dir.join(&name)) {
                // It was deleted meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // What else is wrong with it is told to whoever opens it.
                Ok(_) | Err(_) => names.push(name),
            }
        }
        Ok(names)
    }

    fn open(&mut self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = self.files.get(path) {
            return Ok(Arc::clone(file));
        }
        let file = FileSystem.open(path, Access::Read)?;
        self.files.insert(path.to_path_buf(), Arc::clone(&file));
        Ok(file)
    }
}

impl Disk for HeldFiles {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        FileSystem.create_dir(dir)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        match access {
            Access::Read => self.held().open(path),
            Access::Write | Access::Create => FileSystem.open(path, access),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        FileSystem.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        FileSystem.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        if Some(dir) != self.snapshots.as_deref() {
            return FileSystem.list(dir);
        }
        match &self.held().snapshots {
            Ok(names) => Ok(names.clone()),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
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
