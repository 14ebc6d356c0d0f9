//! Snapshots as files: one file each, written aside and renamed.
//!
//! The stream and the position are in the file's name, and again, checked, in its header; so a
//! file that was copied to a wrong name is not served.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use refrain_core::limit::NAME_BYTES_MAX;
use refrain_core::port::BoxFuture;
use refrain_core::port::snapshots::{SnapshotError, Snapshots};
use refrain_core::{Name, Position};

use crate::error::OpenError;
use crate::format::{VERSION, u32_at, u64_at, written};
use crate::held_directory::HeldDirectory;
use crate::new_directory::make_lasting;
use crate::readers::Readers;
use crate::storage::{Access, Disk, is_full, read_whole, replace_file};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::threads::Threads;

const MAGIC: [u8; 8] = *b"REFRAINS";

/// Bytes of the header, before the stream's name and the snapshot itself.
pub(crate) const HEADER_BYTES: usize = 32;

/// The largest snapshot that is read back.
const SNAPSHOT_BYTES_MAX: usize = 1 << 30;

/// The longest path that a note of a restore holds.
const PATH_BYTES_MAX: usize = 4096;

const FILE_ENDING: &str = ".snap";

/// Behind the name of one that is being written.
const UNFINISHED_ENDING: &str = ".new";

/// Keeps snapshots as files in a directory, which is for those of one journal alone: of two that have
/// streams of the same names each would delete what the other needs. Any number of programs may read there;
/// whoever writes the journal is the only one that stores and deletes.
///
/// ```
/// use bytes::Bytes;
/// use refrain_core::port::snapshots::Snapshots;
/// use refrain_core::{Name, Position};
/// use refrain_journal::FileSnapshots;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let snapshots = FileSnapshots::open(dir.path().join("snapshots"))?;
/// let orders = Name::new("orders")?;
/// snapshots.put(&orders, Position::FIRST, Bytes::from_static(b"state")).await?;
/// assert_eq!(snapshots.get(&orders, Position::FIRST).await?, "state");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FileSnapshots {
    place: Arc<Place>,
    workers: Arc<Readers>,
    threads: Threads,
}

#[derive(Debug)]
struct Place {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// Whether there may be names that do not last: their sync failed, or has not come yet.
    is_in_doubt: AtomicBool,
}

impl FileSnapshots {
    /// The file by which a restore says that these snapshots are of no journal yet: it holds the path
    /// of the directory in which the journal is put together. Once that directory has its name, the
    /// file means nothing, and the next opening removes it.
    pub const RESTORING_FILE: &'static str = "restoring";

    /// Opens the directory `dir`, making it if need be. Snapshots stay in that directory, whatever its
    /// name means later.
    ///
    /// # Errors
    /// [`OpenError::Io`] when it cannot be used, and as long as a restore of it has not come to its
    /// end: its snapshots would be taken for those of another journal.
    pub fn open(dir: impl AsRef<Path>) -> Result<FileSnapshots, OpenError> {
        let dir = dir.as_ref();
        let held = HeldDirectory::make(dir).map_err(OpenError::io(dir))?;
        FileSnapshots::open_on(Arc::new(held), dir)
    }

    /// As [`FileSnapshots::open`], on another disk than the operating system's.
    ///
    /// # Errors
    /// [`OpenError::Io`] when it cannot be used.
    pub fn open_on(disk: Arc<dyn Disk>, dir: impl AsRef<Path>) -> Result<FileSnapshots, OpenError> {
        let dir = dir.as_ref().to_path_buf();
        let failed = |error| OpenError::io(&dir)(error);
        make_lasting(disk.as_ref(), &dir).map_err(failed)?;
        settle_restore(disk.as_ref(), &dir).map_err(failed)?;
        let place = Place {
            disk,
            dir,
            // Whoever was here before may have been killed between a rename and its sync.
            is_in_doubt: AtomicBool::new(true),
        };
        let mut threads = Threads::default();
        let workers = Arc::new(Readers::default());
        workers
            .start(1, &mut threads)
            .map_err(OpenError::io(&place.dir))?;
        Ok(FileSnapshots {
            place: Arc::new(place),
            workers,
            threads,
        })
    }

    /// Does `job` on the thread for snapshots.
    fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Place) -> Result<T, SnapshotError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, SnapshotError>> {
        let place = Arc::clone(&self.place);
        let answer = self.workers.submit(move || job(&place));
        Box::pin(async move {
            let closed = || SnapshotError::Unavailable("they are closed".into());
            answer.await.unwrap_or_else(|| Err(closed()))
        })
    }
}

impl Drop for FileSnapshots {
    fn drop(&mut self) {
        self.workers.end();
        self.threads.join();
    }
}

impl Snapshots for FileSnapshots {
    fn put(
        &self,
        stream: &Name,
        position: Position,
        bytes: Bytes,
    ) -> BoxFuture<'_, Result<(), SnapshotError>> {
        let stream = stream.clone();
        self.run(move |place| place.put(&stream, position, &bytes))
    }

    fn list(&self, stream: &Name) -> BoxFuture<'_, Result<Vec<Position>, SnapshotError>> {
        let stream = stream.clone();
        self.run(move |place| place.list(&stream))
    }

    fn get(
        &self,
        stream: &Name,
        position: Position,
    ) -> BoxFuture<'_, Result<Bytes, SnapshotError>> {
        let stream = stream.clone();
        self.run(move |place| place.get(&stream, position))
    }

    fn delete(
        &self,
        stream: &Name,
        position: Position,
    ) -> BoxFuture<'_, Result<(), SnapshotError>> {
        let stream = stream.clone();
        self.run(move |place| place.delete(&stream, position))
    }
}

impl Place {
    fn put(&self, stream: &Name, position: Position, bytes: &[u8]) -> Result<(), SnapshotError> {
        if bytes.len() > SNAPSHOT_BYTES_MAX {
            let reason = format!("{} bytes are more than {SNAPSHOT_BYTES_MAX}", bytes.len());
            return Err(SnapshotError::Unavailable(reason));
        }
        let name = file_name(stream, position);
        let temporary = format!("{name}{UNFINISHED_ENDING}");
        let file = encode(stream, position, bytes);
        let disk = self.disk.as_ref();
        self.clear_unfinished(stream)?;
        self.is_in_doubt.store(true, Ordering::Release);
        match replace_file(disk, &self.dir, &temporary, &name, &file) {
            Ok(()) => {
                self.is_in_doubt.store(false, Ordering::Release);
                Ok(())
            }
            Err(error) => {
                if is_full(&error) {
                    // Only to give the space back.
                    let _ = disk.remove(&self.dir.join(&temporary));
                }
                Err(unavailable(&self.dir.join(&name), &error))
            }
        }
    }

    /// Removes what was being written when somebody before was killed.
    fn clear_unfinished(&self, stream: &Name) -> Result<(), SnapshotError> {
        for name in self.names()? {
            let whole = name.strip_suffix(UNFINISHED_ENDING);
            if whole.is_some_and(|whole| position_in(whole, stream).is_some()) {
                // Only to give the space back.
                let _ = self.disk.remove(&self.dir.join(name));
            }
        }
        Ok(())
    }

    fn names(&self) -> Result<Vec<String>, SnapshotError> {
        let names = self.disk.list(&self.dir);
        names.map_err(|error| unavailable(&self.dir, &error))
    }

    /// Only names that last: what they cover may be forgotten.
    fn list(&self, stream: &Name) -> Result<Vec<Position>, SnapshotError> {
        if self.is_in_doubt.load(Ordering::Acquire) {
            let synced = self.disk.sync_dir(&self.dir);
            synced.map_err(|error| unavailable(&self.dir, &error))?;
            self.is_in_doubt.store(false, Ordering::Release);
        }
        let names = self.names()?;
        let positions = names.iter().filter_map(|name| position_in(name, stream));
        let mut positions: Vec<Position> = positions.collect();
        positions.sort_unstable_by(|a, b| b.cmp(a));
        Ok(positions)
    }

    fn get(&self, stream: &Name, position: Position) -> Result<Bytes, SnapshotError> {
        let path = self.dir.join(file_name(stream, position));
        let file = match self.disk.open(&path, Access::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let stream = stream.clone();
                return Err(SnapshotError::Missing { stream, position });
            }
            Err(error) => return Err(unavailable(&path, &error)),
        };
        let damaged = |detail: String| SnapshotError::Damaged {
            place: path.display().to_string(),
            detail,
        };
        let bytes_max = SNAPSHOT_BYTES_MAX + HEADER_BYTES + NAME_BYTES_MAX;
        let bytes = read_whole(file.as_ref(), bytes_max).map_err(|error| {
            let is_cut = error.kind() == io::ErrorKind::UnexpectedEof;
            if is_cut || error.kind() == io::ErrorKind::InvalidData {
                return damaged(error.to_string());
            }
            unavailable(&path, &error)
        })?;
        let start = content_at(stream, position, &bytes).map_err(damaged)?;
        Ok(Bytes::from(bytes).slice(start..))
    }

    fn delete(&self, stream: &Name, position: Position) -> Result<(), SnapshotError> {
        let path = self.dir.join(file_name(stream, position));
        match self.disk.remove(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(unavailable(&path, &error)),
        }
        let synced = self.disk.sync_dir(&self.dir);
        synced.map_err(|error| unavailable(&self.dir, &error))
    }
}

/// Refuses snapshots whose journal was not restored to its end. The journal's rename is what makes
/// both active, so whether it happened is read from the names, and not noted twice.
fn settle_restore(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    let note = dir.join(FileSnapshots::RESTORING_FILE);
    let file = match disk.open(&note, Access::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let aside = read_whole(file.as_ref(), PATH_BYTES_MAX)?;
    let aside = Path::new(OsStr::from_bytes(&aside));
    match disk.list(aside) {
        Ok(_) => Err(io::Error::other(format!(
            "the restore that put these snapshots here did not come to its end ({} is still there); \
             run it again",
            aside.display()
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            disk.remove(&note)?;
            disk.sync_dir(dir)
        }
        Err(error) => Err(error),
    }
}

fn unavailable(path: &Path, error: &io::Error) -> SnapshotError {
    SnapshotError::Unavailable(format!("{}: {error}", path.display()))
}

/// `@` cannot be part of a name, so no stream's files are mistaken for another's.
fn file_name(stream: &Name, position: Position) -> String {
    format!("{stream}@{position:020}{FILE_ENDING}")
}

/// The stream and the position that a file's name speaks of.
pub(crate) fn subject(file: &str) -> Option<(Name, Position)> {
    let (stream, position) = file.strip_suffix(FILE_ENDING)?.split_once('@')?;
    let position = Position::new(position.parse().ok()?)?;
    Some((Name::new(stream).ok()?, position))
}

fn position_in(file: &str, stream: &Name) -> Option<Position> {
    let (name, position) = subject(file)?;
    (name == *stream).then_some(position)
}

pub(crate) fn encode(stream: &Name, position: Position, content: &[u8]) -> Vec<u8> {
    let name = stream.as_str().as_bytes();
    let mut bytes = vec![0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[16..24].copy_from_slice(&position.get().to_le_bytes());
    bytes[24..28].copy_from_slice(&written(name.len()).to_le_bytes());
    bytes[28..32].copy_from_slice(&written(content.len()).to_le_bytes());
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(content);
    let checksum = checksum(&bytes);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
}

/// What the header of a snapshot file says, as far as it can be read without the rest.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) checksum: u32,
    pub(crate) position: u64,
    pub(crate) name_bytes: usize,
    pub(crate) content_bytes: usize,
}

impl Header {
    /// The header at the start of a file, or what is wrong with it.
    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Header, String> {
        if bytes[..8] != MAGIC {
            return Err("this is not a snapshot".into());
        }
        let number = |at| u32_at(bytes, at).unwrap_or_default();
        if number(8) != VERSION {
            return Err(format!("format version {} is not known", number(8)));
        }
        Ok(Header {
            checksum: number(12),
            position: u64_at(bytes, 16).unwrap_or_default(),
            name_bytes: number(24) as usize,
            content_bytes: number(28) as usize,
        })
    }

    /// The checksum as far as the header goes; the bytes behind it follow.
    pub(crate) fn checksum_start(&self, bytes: &[u8; HEADER_BYTES]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
    }
}

/// Where the content of a snapshot file starts, if it is whole and the wanted one.
pub(crate) fn content_at(stream: &Name, position: Position, bytes: &[u8]) -> Result<usize, String> {
    if bytes.len() < HEADER_BYTES || bytes[..8] != MAGIC {
        return Err("this is not a snapshot".into());
    }
    if u32_at(bytes, 12) != Some(checksum(bytes)) {
        return Err("the checksum does not fit".into());
    }
    match u32_at(bytes, 8) {
        Some(VERSION) => {}
        other => return Err(format!("format version {other:?} is not known")),
    }
    let name = stream.as_str().as_bytes();
    let start = HEADER_BYTES + name.len();
    let is_wanted = u64_at(bytes, 16) == Some(position.get())
        && u32_at(bytes, 24) == Some(written(name.len()))
        && bytes.get(HEADER_BYTES..start) == Some(name)
        && u32_at(bytes, 28).map(|length| length as usize) == Some(bytes.len() - start);
    if is_wanted {
        return Ok(start);
    }
    Err("it is a snapshot of something else".into())
}
