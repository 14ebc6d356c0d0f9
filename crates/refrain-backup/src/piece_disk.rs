//! A backup as a disk that can only be read, so that it is checked as the journal that it is.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use refrain_journal::inspect::Rebuild;
use refrain_journal::{Access, Disk, DiskFile, DiskLock};
use tokio::runtime::Handle;

use crate::error::BackupError;
use crate::manifest::{FileRecord, Manifest, PIECE_BYTES, Piece};
use crate::repository::{Repository, place_of};

/// Where the journal of the backup seems to be.
pub(crate) const JOURNAL: &str = "/journal";

/// Where its snapshots seem to be.
pub(crate) const SNAPSHOTS: &str = "/snapshots";

/// The disk. Reads block, so it is used on threads that may.
#[derive(Debug, Clone)]
pub(crate) struct PieceDisk(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    files: BTreeMap<PathBuf, Content>,
    repository: Repository,
    backup: String,
    runtime: Handle,
    /// Why a read failed, for the one who asked for all this.
    failure: Mutex<Option<BackupError>>,
}

#[derive(Debug, Clone)]
enum Content {
    Bytes(Bytes),
    Pieces(FileRecord),
}

impl PieceDisk {
    /// The backup that `manifest` describes.
    pub(crate) fn new(manifest: &Manifest, repository: &Repository) -> PieceDisk {
        let mut files = BTreeMap::new();
        for file in &manifest.files {
            let path = match file.is.role().and_then(Rebuild::name) {
                Some(name) => Path::new(JOURNAL).join(name),
                None => match file.is.snapshot_name() {
                    Some(name) => Path::new(SNAPSHOTS).join(name),
                    None => continue,
                },
            };
            files.insert(path, Content::Pieces(file.clone()));
        }
        if let Ok(mark) = manifest.mark() {
            let bytes = Rebuild::mark_file(mark);
            files.insert(
                Path::new(JOURNAL).join("mark"),
                Content::Bytes(bytes.into()),
            );
        }
        PieceDisk(Arc::new(Shared {
            files,
            repository: repository.clone(),
            backup: manifest.id().to_string(),
            runtime: Handle::current(),
            failure: Mutex::new(None),
        }))
    }

    /// One file, whose failures are told to this disk.
    pub(crate) fn file(&self, record: FileRecord) -> PieceFile {
        PieceFile {
            content: Content::Pieces(record),
            disk: self.clone(),
            last: Mutex::new(None),
        }
    }

    /// The first reason why a read failed.
    pub(crate) fn failure(&self) -> Option<BackupError> {
        let mut failure = self
            .0
            .failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        failure.take()
    }
}

fn read_only<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Disk for PieceDisk {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        read_only()
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        if access != Access::Read {
            return read_only();
        }
        let content = self.0.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(PieceFile {
            content: content.clone(),
            disk: self.clone(),
            last: Mutex::new(None),
        }))
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        read_only()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        read_only()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let inside = self
            .0
            .files
            .keys()
            .filter(|path| path.parent() == Some(dir));
        let names = inside.filter_map(|path| path.file_name());
        Ok(names
            .map(|name| name.to_string_lossy().into_owned())
            .collect())
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

/// One file of a backup.
#[derive(Debug)]
pub(crate) struct PieceFile {
    content: Content,
    disk: PieceDisk,
    /// The piece that was read last, with its place among the pieces.
    last: Mutex<Option<(usize, Bytes)>>,
}

impl PieceFile {
    fn piece(&self, index: usize, piece: &Piece) -> io::Result<Bytes> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((read, bytes)) = &*last
            && *read == index
        {
            return Ok(bytes.clone());
        }
        let shared = &self.disk.0;
        let got = shared.runtime.block_on(shared.repository.piece(piece));
        let failure = match got {
            Ok(Ok(bytes)) => {
                *last = Some((index, bytes.clone()));
                return Ok(bytes);
            }
            Ok(Err(detail)) => BackupError::Damaged {
                backup: shared.backup.clone(),
                place: place_of(piece),
                detail,
            },
            Err(error) => error,
        };
        let text = failure.to_string();
        let mut first = shared
            .failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(failure);
        Err(io::Error::other(text))
    }
}

impl DiskFile for PieceFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let size = self.size()?;
        let left = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = buffer.len().min(left);
        if count == 0 {
            return Ok(0);
        }
        let buffer = &mut buffer[..count];
        let file = match &self.content {
            Content::Bytes(bytes) => {
                let start = usize::try_from(offset).map_err(io::Error::other)?;
                buffer.copy_from_slice(&bytes[start..start + count]);
                return Ok(count);
            }
            Content::Pieces(file) => file,
        };
        let index = usize::try_from(offset / PIECE_BYTES as u64).map_err(io::Error::other)?;
        let skip = usize::try_from(offset % PIECE_BYTES as u64).map_err(io::Error::other)?;
        let Some(piece) = file.pieces.get(index) else {
            buffer.fill(0);
            return Ok(count);
        };
        let bytes = self.piece(index, piece)?;
        let there = bytes.get(skip..).unwrap_or_default();
        let count = count.min(PIECE_BYTES - skip);
        let from_piece = count.min(there.len());
        buffer[..from_piece].copy_from_slice(&there[..from_piece]);
        // Behind the last piece there are zeros, as in the file that it was.
        buffer[from_piece..count].fill(0);
        Ok(count)
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
        Ok(match &self.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Pieces(file) => file.bytes,
        })
    }
}
