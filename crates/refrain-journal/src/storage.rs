//! The few file calls that the journal and the snapshots use, as traits, and the real ones.
//!
//! Nothing else in this crate touches a file. A test or a simulator that implements [`Disk`] sees
//! every operation, in order, and may fail, delay, tear or forget it. The promises written at each
//! call are all that the journal's correctness rests on.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Advice, FallocateFlags, StatVfs, fadvise, fallocate, statvfs};
use rustix::io::Errno;

use crate::new_directory::{self, SystemDirectories};
use crate::planted;

/// Mode of every file that is made: nobody but the owner reads or writes it.
pub(crate) const FILE_MODE: u32 = 0o600;

/// A place that holds directories and files.
pub trait Disk: Send + Sync + std::fmt::Debug + 'static {
    /// Makes `dir` and what is missing above it; nothing happens when it is there. The names of all
    /// that is made survive a loss of power.
    ///
    /// # Errors
    /// When it cannot be made.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Opens the file at `path`.
    ///
    /// # Errors
    /// `NotFound` when it is missing and `access` does not create it.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives the file at `from` the name `to`, in place of one that is there: a reader sees the old
    /// file or the new one. Lasting after [`Disk::sync_dir`].
    ///
    /// # Errors
    /// When it did not happen, or may not have.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes the name of a file; whoever has it open reads on. Lasting after [`Disk::sync_dir`].
    ///
    /// # Errors
    /// `NotFound` when there is none.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// The names in `dir`, in no order.
    ///
    /// # Errors
    /// When it cannot be read.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Makes the names in `dir` survive a loss of power.
    ///
    /// # Errors
    /// After an error nothing may be taken for lasting.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Free bytes where `dir` lies.
    ///
    /// # Errors
    /// When it cannot be asked.
    fn space(&self, dir: &Path) -> io::Result<u64>;

    /// Takes the exclusive lock on `path`, creating the file if need be, and on its directory. Dropping
    /// the answer or the end of the process gives both back.
    ///
    /// # Errors
    /// `WouldBlock` at once when somebody holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>>;
}

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading a file that is there.
    Read,
    /// Reading and overwriting a file that is there.
    Write,
    /// Reading and writing an empty file, made or emptied by the call.
    Create,
}

/// An open file.
pub trait DiskFile: Send + Sync + std::fmt::Debug {
    /// Reads up to `buffer.len()` bytes at `offset`; 0 at the end of the file.
    ///
    /// # Errors
    /// When nothing was read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes some of `bytes` at `offset` and says how many. Not lasting before
    /// [`DiskFile::sync_data`], and seen by readers at once.
    ///
    /// # Errors
    /// After an error any part of `bytes` may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes the file's bytes and its size survive a loss of power.
    ///
    /// # Errors
    /// After an error any part may be lost, and a later success does not make up for it.
    fn sync_data(&self) -> io::Result<()>;

    /// Has the system begin to bring the `bytes` bytes at `offset` to the medium, so that a later
    /// [`DiskFile::sync_data`] finds less to do. Only a hint: nothing lasts because of it, and readers
    /// see the same before and after. An error shows in the next sync.
    fn begin_sync(&self, offset: u64, bytes: NonZeroU64) {
        let (_, _) = (offset, bytes);
    }

    /// Reserves space for the first `bytes` bytes, so that the lack of it shows here.
    ///
    /// # Errors
    /// `StorageFull` when there is not enough.
    fn allocate(&self, bytes: u64) -> io::Result<()>;

    /// The size in bytes.
    ///
    /// # Errors
    /// When it cannot be asked.
    fn size(&self) -> io::Result<u64>;
}

/// A lock that is held until it is dropped.
pub trait DiskLock: Send + Sync + std::fmt::Debug {}

/// Fills `buffer` from `offset` on, in as many reads as it takes.
///
/// # Errors
/// `UnexpectedEof` when the file ends before.
///
/// ```
/// use refrain_journal::{Access, Disk, FileSystem, read_exact_at};
///
/// # fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("letters");
/// std::fs::write(&path, "abcdef")?;
/// let mut buffer = [0; 3];
/// let file = FileSystem.open(&path, Access::Read)?;
/// read_exact_at(&*file, &mut buffer, 2)?;
/// assert_eq!(&buffer, b"cde");
/// # Ok(())
/// # }
/// ```
pub fn read_exact_at(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    if read_up_to(file, buffer, offset)? == buffer.len() {
        return Ok(());
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

/// Fills `buffer` from `offset` on as far as the file goes, and says how far that was.
pub(crate) fn read_up_to(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The whole file, if it has at most `bytes_max` bytes.
///
/// # Errors
/// `InvalidData` when it is larger.
pub(crate) fn read_whole(file: &dyn DiskFile, bytes_max: usize) -> io::Result<Vec<u8>> {
    let size = file.size()?;
    let Some(size) = usize::try_from(size).ok().filter(|size| *size <= bytes_max) else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{size} bytes are more than the {bytes_max} that such a file may have"),
        ));
    };
    let mut bytes = vec![0; size];
    read_exact_at(file, &mut bytes, 0)?;
    Ok(bytes)
}

/// Writes all of `bytes` at `offset`, however many calls it takes.
pub(crate) fn write_all_at(file: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut written = 0;
    while written < bytes.len() {
        match file.write_at(&bytes[written..], offset + written as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(_) if planted::is("short-write-taken-for-whole") => return Ok(()),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether `error` says that the medium, or the owner's share of it, is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Whether `error` says that there is not enough of something of which there may be enough later: room
/// on the medium, or files that the program may have open.
pub(crate) fn may_pass(error: &io::Error) -> bool {
    let of = Errno::from_io_error(error);
    is_full(error) || matches!(of, Some(Errno::MFILE | Errno::NFILE))
}

/// Writes `bytes` to `temporary`, syncs, renames to `path` and syncs the directory: afterwards the
/// file is there whole, whatever happens; before, the old one is.
pub(crate) fn replace_file(
    disk: &dyn Disk,
    dir: &Path,
    temporary: &str,
    name: &str,
    bytes: &[u8],
) -> io::Result<()> {
    let temporary = dir.join(temporary);
    let file = disk.open(&temporary, Access::Create)?;
    write_all_at(file.as_ref(), bytes, 0)?;
    if !planted::is("renamed-before-sync") {
        file.sync_data()?;
    }
    disk.rename(&temporary, &dir.join(name))?;
    disk.sync_dir(dir)
}

/// The operating system's files.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileSystem;

impl Disk for FileSystem {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        new_directory::make(&SystemDirectories, dir)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).mode(FILE_MODE);
        match access {
            Access::Read => {}
            Access::Write => {
                options.write(true);
            }
            Access::Create => {
                options.write(true).create(true).truncate(true);
            }
        }
        Ok(Arc::new(SystemFile(options.open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        std::fs::read_dir(dir)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn space(&self, dir: &Path) -> io::Result<u64> {
        Ok(free_bytes(&statvfs(dir)?))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(path)?;
        lock_both(file, File::open(parent_of(path))?)
    }
}

/// Bytes that are free where `answer` is of.
pub(crate) fn free_bytes(answer: &StatVfs) -> u64 {
    answer.f_bavail.saturating_mul(answer.f_frsize)
}

/// Locks `file` and the directory that it is in: whoever removes the file, taking it for something
/// left over, lets nobody else in. A file system that locks no directories has the file alone.
pub(crate) fn lock_both(file: File, dir: File) -> io::Result<Box<dyn DiskLock>> {
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    match dir.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
        Err(TryLockError::Error(error)) => {
            tracing::debug!(%error, "journal: its lock file is locked, its directory cannot be");
        }
    }
    Ok(Box::new(SystemLock {
        _file: file,
        _dir: dir,
    }))
}

#[derive(Debug)]
pub(crate) struct SystemFile(pub(crate) File);

impl DiskFile for SystemFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn begin_sync(&self, offset: u64, bytes: NonZeroU64) {
        // The one call of those in `rustix` that starts writing and does not wait. It also lets go of
        // pages that are written by the time it looks, which few are. A refusal changes nothing.
        let _ = fadvise(&self.0, offset, Some(bytes), Advice::DontNeed);
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        match fallocate(&self.0, FallocateFlags::empty(), 0, bytes) {
            Ok(()) => Ok(()),
            // A file system without the call: the writes that follow find out.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

/// Held through the open files: the operating system gives them back when the process ends.
#[derive(Debug)]
struct SystemLock {
    _file: File,
    _dir: File,
}

impl DiskLock for SystemLock {}

/// The directory that holds `path`, also for a bare name.
pub(crate) fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        Some(_) | None => PathBuf::from("."),
    }
}
