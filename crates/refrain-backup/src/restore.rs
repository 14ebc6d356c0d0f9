//! Putting a backup back: aside, checked, and then renamed to where it shall be.
//!
//! Until the rename there is nothing under the wanted name, and what lies aside is no journal until
//! its mark is written, last. Names of files come from what they are, never from the backup, so
//! nothing is written outside; and the directory aside is made by us, so no link leads out of it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;

use refrain_journal::inspect::{Inspector, Rebuild};
use refrain_journal::{FileSnapshots, OpenError};

use crate::Progress;
use crate::aside::{Aside, check_empty, lock, parent_of, path_beside, sync_dir};
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
    check_empty(&target.dir)?;
    if let Some(dir) = &target.snapshots {
        check_apart(&target.dir, dir)?;
        SnapshotsAside::take_back(dir)?;
        check_empty(dir)?;
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
    let snapshots = match &target.snapshots {
        Some(dir) => {
            let (kept, count) = SnapshotsAside::fill(&mut filling, dir, &aside).await?;
            kept.rename_with(aside)?;
            count
        }
        None => {
            aside.rename()?;
            0
        }
    };
    Ok(Restored {
        manifest,
        snapshots,
    })
}

/// Whether neither of two directories lies in the other: each of them gets its name by a rename.
fn check_apart(journal: &Path, snapshots: &Path) -> Result<(), BackupError> {
    let [one, other] = [resolved(journal)?, resolved(snapshots)?];
    let detail = if one == other {
        "it is the journal's own directory"
    } else if one.starts_with(&other) || other.starts_with(&one) {
        "it and the journal's directory lie in each other"
    } else {
        return Ok(());
    };
    Err(BackupError::Target {
        path: snapshots.to_path_buf(),
        detail: format!("{detail}, and snapshots need one of their own"),
    })
}

/// `path` without links, as far as it is there.
fn resolved(path: &Path) -> Result<PathBuf, BackupError> {
    let path = absolute(path).map_err(BackupError::io(path))?;
    let there = path.ancestors().find_map(|ancestor| {
        let rest = path.strip_prefix(ancestor).ok()?;
        Some(ancestor.canonicalize().ok()?.join(rest))
    });
    Ok(there.unwrap_or(path))
}

/// Snapshots that are put back together with a journal.
///
/// Two directories cannot be renamed at once. So the snapshots get their name first, with a note in
/// them that says where the journal is still put together: as long as that is there, nobody may use
/// them ([`FileSnapshots::RESTORING_FILE`]). The journal's rename makes both active.
#[derive(Debug)]
struct SnapshotsAside {
    aside: Aside,
    dir: PathBuf,
}

impl SnapshotsAside {
    /// Takes back what a restore left that was killed: before the journal's directory goes, which the
    /// note in it speaks of.
    fn take_back(dir: &Path) -> Result<(), BackupError> {
        let note = dir.join(FileSnapshots::RESTORING_FILE);
        let io = BackupError::io;
        let aside = match std::fs::read(&note) {
            Ok(aside) => aside,
            Err(error) if is_not_there(&error) => return Ok(()),
            Err(error) => return Err(io(&note)(error)),
        };
        let aside = PathBuf::from(OsString::from_vec(aside));
        match std::fs::symlink_metadata(&aside) {
            Ok(_) => {}
            // The restore did come to its end, and these are somebody's snapshots.
            Err(error) if is_not_there(&error) => return Ok(()),
            Err(error) => return Err(io(&aside)(error)),
        }
        // Whoever still works there is just about to end.
        let _lock = lock(&aside, dir)?;
        // Makes room for the name, under a lock, and lets go of it again.
        drop(Aside::make(dir)?);
        let beside = path_beside(dir)?;
        std::fs::rename(dir, &beside).map_err(io(dir))?;
        sync_dir(&parent_of(dir))
    }

    /// Fills a directory beside `dir` with the snapshots of a backup.
    async fn fill(
        filling: &mut Filling<'_>,
        dir: &Path,
        journal: &Aside,
    ) -> Result<(SnapshotsAside, u64), BackupError> {
        let aside = Aside::make(dir)?;
        let count = filling.snapshots(&aside.path).await?;
        let waits_for = absolute(&journal.path).map_err(BackupError::io(&journal.path))?;
        let note = aside.path.join(FileSnapshots::RESTORING_FILE);
        let written = File::create_new(&note).and_then(|mut file| {
            file.write_all(waits_for.as_os_str().as_bytes())?;
            file.sync_all()
        });
        written.map_err(BackupError::io(&note))?;
        let dir = dir.to_path_buf();
        Ok((SnapshotsAside { aside, dir }, count))
    }

    /// Gives both directories their names.
    fn rename_with(self, journal: Aside) -> Result<(), BackupError> {
        self.aside.rename()?;
        // Whether it succeeds or not, the directory that the note speaks of goes with it.
        journal.rename_or(|| {
            // All at once, before the directory goes that their note speaks of.
            let Ok(beside) = path_beside(&self.dir) else {
                return;
            };
            let _ =
                std::fs::rename(&self.dir, &beside).and_then(|()| std::fs::remove_dir_all(&beside));
        })?;
        let note = self.dir.join(FileSnapshots::RESTORING_FILE);
        std::fs::remove_file(&note).map_err(BackupError::io(&note))?;
        sync_dir(&self.dir)
    }
}

fn is_not_there(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
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
                file.write_all(&bytes).map_err(BackupError::io(&path))?;
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
