//! A damaged journal with some of its segments read from a backup: to prove that they are the right
//! ones before anything is replaced.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use refrain_journal::inspect::{
    FileRole, Finding, FindingKind, Inspection, Inspector, Rebuild, Repair,
};
use refrain_journal::{Access, Disk, DiskFile, DiskLock, FileSystem, OpenError};

use crate::Progress;
use crate::error::BackupError;
use crate::manifest::{BackupId, FileRecord, Manifest};
use crate::piece_disk::{PieceDisk, PieceFile};
use crate::repository::Repository;
use crate::verify::digest_all;

/// A way to mend a journal: which segments, and from which backup.
#[derive(Debug)]
pub struct Mend {
    /// The backup.
    pub backup: BackupId,
    /// The segments that are replaced.
    pub segments: Vec<FileRole>,
    /// The journal as it would be.
    pub inspection: Inspection,
    disk: MendDisk,
    dir: PathBuf,
}

/// Looks for a backup with which the journal in `dir` would be sound if these segments were
/// read from it: the newest one counts. What the backup does not cover of a segment, for
/// it grew since, stays as it is. `None` when no backup is of that help.
///
/// The proof is an inspection of the journal as it would be: every frame that is taken from the
/// backup must be followed by the frames of the journal itself, which commit to it by their chain.
///
/// # Errors
/// [`BackupError`] when the repository or the journal cannot be read.
pub async fn mend(
    dir: &Path,
    segments: &[FileRole],
    repository: &Repository,
    progress: &Progress,
) -> Result<Option<Mend>, BackupError> {
    let mut backups = repository.backups().await?;
    backups.sort_by(|a, b| b.age().cmp(a.age()));
    for backup in backups {
        let Ok(manifest) = repository.manifest(&backup).await else {
            // A damaged one is of no help; another may be.
            continue;
        };
        let Some(disk) = MendDisk::new(dir, segments, &manifest, repository) else {
            continue;
        };
        let inspector = Inspector::on(Arc::new(disk.clone()), dir);
        let inspected = digest_all(inspector, Arc::clone(progress)).await;
        if disk.pieces.failure().is_some() {
            continue;
        }
        let (inspection, _) = inspected?;
        // Anywhere: bytes of another history are whole, and it is the frame after them that says so.
        if !inspection.damages().any(is_of_log) {
            return Ok(Some(Mend {
                backup,
                segments: segments.to_vec(),
                inspection,
                disk,
                dir: dir.to_path_buf(),
            }));
        }
    }
    Ok(None)
}

impl Mend {
    /// Replaces the segments. Gives where the old ones are now.
    ///
    /// # Errors
    /// [`BackupError`]; segments that were replaced before stay so, and the others are as they were.
    pub async fn apply(self, repair: Repair) -> Result<(Repair, Vec<PathBuf>), BackupError> {
        let failed = self.disk.pieces.clone();
        let applying = tokio::task::spawn_blocking(move || self.apply_blocking(repair));
        let applied = applying.await.expect("replacing does not panic");
        match failed.failure() {
            Some(failure) => Err(failure),
            None => Ok(applied?),
        }
    }

    fn apply_blocking(self, repair: Repair) -> Result<(Repair, Vec<PathBuf>), OpenError> {
        let mut kept = Vec::new();
        for role in self.segments {
            let name = Rebuild::name(role).expect("segments have names");
            let path = self.dir.join(name);
            let failed = |source| OpenError::Io {
                path: path.clone(),
                source,
            };
            let file = self.disk.open(&path, Access::Read).map_err(failed)?;
            let bytes = file.size().map_err(failed)?;
            let mut read = |buffer: &mut [u8], at: u64| read_all(file.as_ref(), buffer, at);
            kept.extend(repair.replace(role, bytes, &mut read)?);
        }
        Ok((repair, kept))
    }
}

/// Whether a finding speaks against the log as a whole.
fn is_of_log(finding: &Finding) -> bool {
    match finding.kind {
        FindingKind::MarkSlot
        | FindingKind::Index
        | FindingKind::IndexMissing
        | FindingKind::Snapshot
        | FindingKind::Unfinished
        | FindingKind::Tail => false,
        FindingKind::Mark
        | FindingKind::Segment
        | FindingKind::Block
        | FindingKind::Frame
        | FindingKind::Record
        | FindingKind::Stream
        | FindingKind::Version
        | FindingKind::Unreadable
        | _ => true,
    }
}

fn read_all(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    Ok(())
}

/// The journal's own directory, with some files from a backup.
#[derive(Debug, Clone)]
struct MendDisk {
    dir: PathBuf,
    files: Arc<BTreeMap<PathBuf, FileRecord>>,
    pieces: PieceDisk,
}

impl MendDisk {
    /// `None` when the backup does not have all of these segments.
    fn new(
        dir: &Path,
        segments: &[FileRole],
        manifest: &Manifest,
        repository: &Repository,
    ) -> Option<MendDisk> {
        let mut files = BTreeMap::new();
        for role in segments {
            let name = Rebuild::name(*role)?;
            let is_it = |file: &&FileRecord| file.is.role() == Some(*role);
            let record = manifest.files.iter().find(is_it)?;
            files.insert(dir.join(name), record.clone());
        }
        Some(MendDisk {
            dir: dir.to_path_buf(),
            files: Arc::new(files),
            pieces: PieceDisk::new(manifest, repository),
        })
    }
}

impl Disk for MendDisk {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        read_only()
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        if access != Access::Read {
            return read_only();
        }
        let Some(record) = self.files.get(path) else {
            return FileSystem.open(path, access);
        };
        let own = match FileSystem.open(path, access) {
            Ok(own) => Some(own),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Arc::new(MendFile {
            covered: record.pieces.iter().map(|piece| piece.bytes).sum(),
            bytes: record.bytes,
            backup: self.pieces.file(record.clone()),
            own,
        }))
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        read_only()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        read_only()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = FileSystem.list(dir)?;
        if dir == self.dir {
            let more = self.files.keys().filter_map(|path| path.file_name());
            names.extend(more.map(|name| name.to_string_lossy().into_owned()));
            names.sort_unstable();
            names.dedup();
        }
        Ok(names)
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        read_only()
    }

    fn space(&self, _: &Path) -> io::Result<u64> {
        Ok(0)
    }

    fn lock(&self, _: &Path) -> io::Result<Box<dyn DiskLock>> {
        read_only()
    }
}

fn read_only<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

/// A segment: what the backup covers from there, the rest as it is.
#[derive(Debug)]
struct MendFile {
    backup: PieceFile,
    covered: u64,
    bytes: u64,
    own: Option<Arc<dyn DiskFile>>,
}

impl DiskFile for MendFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset < self.covered {
            let room = usize::try_from(self.covered - offset).unwrap_or(usize::MAX);
            let count = buffer.len().min(room);
            return self.backup.read_at(&mut buffer[..count], offset);
        }
        // Where the journal's own file was cut off there is nothing of its own to keep.
        match &self.own {
            Some(own) if offset < own.size()? => own.read_at(buffer, offset),
            Some(_) | None => self.backup.read_at(buffer, offset),
        }
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        read_only()
    }

    fn sync_data(&self) -> io::Result<()> {
        read_only()
    }

    fn allocate(&self, _: u64) -> io::Result<()> {
        read_only()
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.bytes)
    }
}
