//! A directory that is put together beside the place it shall have, and then renamed to it.

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use refrain_journal::{FileSystem, make_lasting};

use crate::error::BackupError;

/// A directory beside the wanted one. Removed when dropped before [`Aside::rename`].
#[derive(Debug)]
pub(crate) struct Aside {
    pub(crate) path: PathBuf,
    target: PathBuf,
    /// Held as long as somebody works here.
    _lock: File,
    is_renamed: bool,
}

impl Aside {
    /// Makes the directory, in place of one that a restore left that was killed.
    pub(crate) fn make(target: &Path) -> Result<Aside, BackupError> {
        let refused = |detail: &str| BackupError::Target {
            path: target.to_path_buf(),
            detail: detail.to_owned(),
        };
        let parent = parent_of(target);
        make_lasting(&FileSystem, &parent).map_err(BackupError::io(&parent))?;
        let path = path_beside(target)?;
        match std::fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => {
                lock(&path, target)?;
                std::fs::remove_dir_all(&path).map_err(BackupError::io(&path))?;
            }
            Ok(_) => return Err(refused("something stands where it would be put together")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(BackupError::io(&path)(error)),
        }
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(BackupError::io(&path))?;
        let lock = lock(&path, target)?;
        Ok(Aside {
            path,
            target: target.to_path_buf(),
            _lock: lock,
            is_renamed: false,
        })
    }

    /// As [`Aside::rename`]; calls `undo` when the directory could not get its name, before it goes.
    pub(crate) fn rename_or(self, undo: impl FnOnce()) -> Result<(), BackupError> {
        let mut aside = self;
        let renamed = aside.rename_now();
        if !aside.is_renamed {
            undo();
        }
        renamed
    }

    /// Gives the directory its name, all at once. What is there by now stays.
    pub(crate) fn rename(mut self) -> Result<(), BackupError> {
        self.rename_now()
    }

    fn rename_now(&mut self) -> Result<(), BackupError> {
        let parent = parent_of(&self.target);
        sync_dir(&self.path)?;
        match std::fs::rename(&self.path, &self.target) {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty
                        | io::ErrorKind::AlreadyExists
                        | io::ErrorKind::NotADirectory
                ) =>
            {
                return Err(BackupError::Target {
                    path: self.target.clone(),
                    detail: "somebody put something there meanwhile".to_owned(),
                });
            }
            Err(error) => return Err(BackupError::io(&self.target)(error)),
        }
        self.is_renamed = true;
        sync_dir(&parent)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.is_renamed {
            // Only to give the space back; the next restore removes it as well.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Where `target` is put together.
pub(crate) fn path_beside(target: &Path) -> Result<PathBuf, BackupError> {
    let name = target.file_name().ok_or_else(|| BackupError::Target {
        path: target.to_path_buf(),
        detail: "it has no name of its own".to_owned(),
    })?;
    let mut aside = name.to_os_string();
    aside.push(".restoring");
    Ok(parent_of(target).join(aside))
}

/// Whether a directory can become `target`: it is not there, or empty, and not a link.
pub(crate) fn check_empty(target: &Path) -> Result<(), BackupError> {
    let refused = |detail: &str| {
        Err(BackupError::Target {
            path: target.to_path_buf(),
            detail: detail.to_owned(),
        })
    };
    let found = match std::fs::symlink_metadata(target) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(BackupError::io(target)(error)),
    };
    if !found.is_dir() {
        return refused("it is there, and not a directory");
    }
    let mut entries = std::fs::read_dir(target).map_err(BackupError::io(target))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => refused("it is not empty"),
    }
}

/// Holds the directory `path`, in which `target` is put together.
pub(crate) fn lock(path: &Path, target: &Path) -> Result<File, BackupError> {
    let dir = File::open(path).map_err(BackupError::io(path))?;
    match dir.try_lock() {
        Ok(()) => Ok(dir),
        Err(TryLockError::WouldBlock) => Err(BackupError::Target {
            path: target.to_path_buf(),
            detail: "another restore works there".to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(BackupError::io(path)(error)),
    }
}

pub(crate) fn sync_dir(path: &Path) -> Result<(), BackupError> {
    let synced = File::open(path).and_then(|dir| dir.sync_all());
    synced.map_err(BackupError::io(path))
}

pub(crate) fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        Some(_) | None => PathBuf::from("."),
    }
}
