//! Putting a backup back: aside, checked, and then renamed to where it shall be.
//!
//! Until the rename there is nothing under the wanted name, and what lies aside is no journal until
//! its mark is written, last. Names of files come from what they are, never from the backup, so
//! nothing is written outside; and the directory aside is made by us, so no link leads out of it.

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use refrain_journal::OpenError;
use refrain_journal::inspect::{Inspector, Rebuild};

use crate::Progress;
use crate::error::BackupError;
use crate::manifest::{BackupId, FileRecord, Manifest};
use crate::repository::{Repository, place_of};
use crate::verify::{compare, digest_all, stream_list};

/// A journal that was put back.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Restored {
    /// The backup.
    pub manifest: Manifest,
    /// Snapshots that were put back.
    pub snapshots: u64,
}

/// Where a backup is put back.
///
/// ```
/// use refrain_backup::{Repository, Source, Target, create, restore, silent};
/// use refrain_journal::FileJournal;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let (path, again) = (dir.path().join("orders-data"), dir.path().join("again"));
/// drop(FileJournal::open(&path)?);
/// let repository = Repository::in_memory();
/// let created = create(&Source::new(&path, 0), &repository, &silent()).await?;
///
/// restore(&repository, &created.id, &Target::new(&again), &silent()).await?;
/// FileJournal::open(&again)?;
/// // Nothing is ever restored over something.
/// assert!(restore(&repository, &created.id, &Target::new(&again), &silent()).await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Target {
    dir: PathBuf,
    snapshots: Option<PathBuf>,
}

impl Target {
    /// The directory `dir`, which is empty or not there.
    #[must_use]
    pub fn new(dir: impl AsRef<Path>) -> Target {
        Target {
            dir: dir.as_ref().to_path_buf(),
            snapshots: None,
        }
    }

    /// Puts snapshots back as well, into `dir`, which is empty or not there.
    #[must_use]
    pub fn snapshots(mut self, dir: impl AsRef<Path>) -> Target {
        self.snapshots = Some(dir.as_ref().to_path_buf());
        self
    }
}

/// Puts backup `id` back. The journal gets an epoch of its own.
///
/// # Errors
/// [`BackupError::Target`] when something is in the way, [`BackupError::Damaged`] when the backup is
/// not what was stored. Then there is nothing under the wanted name.
pub async fn restore(
    repository: &Repository,
    id: &BackupId,
    target: &Target,
    progress: &Progress,
) -> Result<Restored, BackupError> {
    for dir in [Some(&target.dir), target.snapshots.as_ref()] {
        dir.map_or(Ok(()), |dir| check_empty(dir))?;
    }
    let manifest = repository.manifest(id).await?;
    let wanted = stream_list(repository, &manifest).await?;
    let aside = Aside::make(&target.dir)?;
    let mut filling = Filling {
        repository,
        manifest: &manifest,
        progress,
        done: 0,
    };
    filling.journal(&aside.path).await?;
    let inspector = Inspector::new(&aside.path);
    let (inspection, digests) = digest_all(inspector, Arc::clone(progress)).await?;
    compare(&manifest, &wanted, &inspection, &digests)?;
    let mut snapshots = 0;
    if let Some(dir) = &target.snapshots {
        let kept = Aside::make(dir)?;
        snapshots = filling.snapshots(&kept.path).await?;
        // First, for without a journal they mean nothing.
        kept.rename()?;
    }
    aside.rename()?;
    Ok(Restored {
        manifest,
        snapshots,
    })
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
        let name = target
            .file_name()
            .ok_or_else(|| refused("it has no name of its own"))?;
        let parent = parent_of(target);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&parent)
            .map_err(BackupError::io(&parent))?;
        let mut aside = name.to_os_string();
        aside.push(".restoring");
        let path = parent.join(aside);
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

    /// Gives the directory its name, all at once. What is there by now stays.
    pub(crate) fn rename(mut self) -> Result<(), BackupError> {
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

fn lock(path: &Path, target: &Path) -> Result<File, BackupError> {
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

fn sync_dir(path: &Path) -> Result<(), BackupError> {
    let synced = File::open(path).and_then(|dir| dir.sync_all());
    synced.map_err(BackupError::io(path))
}

fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        Some(_) | None => PathBuf::from("."),
    }
}

/// Fetches pieces into files.
struct Filling<'a> {
    repository: &'a Repository,
    manifest: &'a Manifest,
    progress: &'a Progress,
    done: u64,
}

impl Filling<'_> {
    async fn journal(&mut self, dir: &Path) -> Result<(), BackupError> {
        let rebuild = Rebuild::new(dir);
        for record in &self.manifest.files {
            let Some(role) = record.is.role() else {
                continue;
            };
            let mut file = rebuild.file(role, record.bytes)?;
            for index in 0..record.pieces.len() {
                let bytes = self.piece(record, index).await?;
                file.write(&bytes).map_err(|error| self.misfit(error))?;
            }
            let finished = tokio::task::spawn_blocking(move || file.finish()).await;
            finished.expect("filling does not panic")?;
        }
        let mark = self.manifest.mark();
        let mark = mark.map_err(|detail| self.damaged(self.manifest.id().place(), detail))?;
        Ok(rebuild.finish(mark)?)
    }

    async fn snapshots(&mut self, dir: &Path) -> Result<u64, BackupError> {
        let mut count = 0;
        for record in &self.manifest.files {
            let Some(name) = record.is.snapshot_name() else {
                continue;
            };
            let path = dir.join(name);
            let file = File::options()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path);
            let mut file = file.map_err(BackupError::io(&path))?;
            for index in 0..record.pieces.len() {
                let bytes = self.piece(record, index).await?;
                io::Write::write_all(&mut file, &bytes).map_err(BackupError::io(&path))?;
            }
            file.sync_all().map_err(BackupError::io(&path))?;
            count += 1;
        }
        Ok(count)
    }

    async fn piece(
        &mut self,
        record: &FileRecord,
        index: usize,
    ) -> Result<bytes::Bytes, BackupError> {
        let piece = &record.pieces[index];
        match self.repository.piece(piece).await? {
            Ok(bytes) => {
                self.done += piece.bytes;
                (self.progress)(self.done, self.manifest.piece_bytes());
                Ok(bytes)
            }
            Err(detail) => Err(self.damaged(place_of(piece), detail)),
        }
    }

    /// What a file cannot take is the backup's fault.
    fn misfit(&self, error: OpenError) -> BackupError {
        match error {
            OpenError::Corrupt { place, detail } => self.damaged(place, detail),
            OpenError::Options { .. }
            | OpenError::Locked { .. }
            | OpenError::Version { .. }
            | OpenError::Newer { .. }
            | OpenError::Io { .. }
            | OpenError::Missing { .. }
            | _ => BackupError::Journal(error),
        }
    }

    fn damaged(&self, place: String, detail: String) -> BackupError {
        BackupError::Damaged {
            backup: self.manifest.id().to_string(),
            place,
            detail,
        }
    }
}
