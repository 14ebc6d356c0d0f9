//! The directory of a journal, held open: its files are found in it, whatever its name means by now.
//!
//! A path is looked up anew at each call. While a journal is open its directory may be moved or
//! removed, another journal may be put in its place, and the program may go to another directory: by
//! its path a file of one journal would then be made, replaced or removed in another one.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, fstatvfs, openat, renameat, unlinkat};
use rustix::io::retry_on_intr;

use crate::storage::{
    Access, Disk, DiskFile, DiskLock, FILE_MODE, FileSystem, SystemFile, free_bytes, lock_both,
};

/// The operating system's files, those of one directory found in the directory itself.
#[derive(Debug)]
pub(crate) struct HeldDirectory {
    path: PathBuf,
    dir: File,
}

impl HeldDirectory {
    /// Holds the directory that `path` means now; makes it if need be.
    pub(crate) fn make(path: &Path) -> io::Result<HeldDirectory> {
        FileSystem.create_dir(path)?;
        HeldDirectory::find(path)
    }

    /// Holds the directory that `path` means now.
    pub(crate) fn find(path: &Path) -> io::Result<HeldDirectory> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))?;
        Ok(HeldDirectory {
            path: path.to_path_buf(),
            dir: File::from(dir),
        })
    }

    /// The name of a file in the held directory; `None` when `path` leads elsewhere.
    fn name_of<'a>(&self, path: &'a Path) -> Option<&'a OsStr> {
        let is_own = path.parent() == Some(&self.path);
        path.file_name().filter(|_| is_own)
    }

    fn open_file(&self, name: &OsStr, flags: OFlags) -> io::Result<File> {
        let (flags, mode) = (flags | OFlags::CLOEXEC, Mode::from_raw_mode(FILE_MODE));
        let opened = retry_on_intr(|| openat(&self.dir, name, flags, mode))?;
        Ok(File::from(opened))
    }
}

impl Disk for HeldDirectory {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        if dir == self.path {
            return Ok(());
        }
        FileSystem.create_dir(dir)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let Some(name) = self.name_of(path) else {
            return FileSystem.open(path, access);
        };
        let flags = match access {
            Access::Read => OFlags::RDONLY,
            Access::Write => OFlags::RDWR,
            Access::Create => OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC,
        };
        Ok(Arc::new(SystemFile(self.open_file(name, flags)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        match (self.name_of(from), self.name_of(to)) {
            (Some(from), Some(to)) => Ok(renameat(&self.dir, from, &self.dir, to)?),
            (Some(_) | None, Some(_) | None) => FileSystem.rename(from, to),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match self.name_of(path) {
            Some(name) => Ok(unlinkat(&self.dir, name, AtFlags::empty())?),
            None => FileSystem.remove(path),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        if dir != self.path {
            return FileSystem.list(dir);
        }
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_string_lossy().into_owned());
            }
        }
        Ok(names)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if dir == self.path {
            return self.dir.sync_all();
        }
        FileSystem.sync_dir(dir)
    }

    fn space(&self, dir: &Path) -> io::Result<u64> {
        if dir == self.path {
            return Ok(free_bytes(&fstatvfs(&self.dir)?));
        }
        FileSystem.space(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let Some(name) = self.name_of(path) else {
            return FileSystem.lock(path);
        };
        let file = self.open_file(name, OFlags::WRONLY | OFlags::CREATE)?;
        // Opened anew: whoever reads what is left of the journal holds `self.dir`, and no lock.
        let dir = self.open_file(OsStr::new("."), OFlags::RDONLY | OFlags::DIRECTORY)?;
        lock_both(file, dir)
    }
}
