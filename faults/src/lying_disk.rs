//! Disks that deceive the journal, for controls: with one of these the checker must go red.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use refrain_journal::{Access, Disk, DiskFile, DiskLock, FileSystem};

use crate::clock::pass;
use crate::order::Lie;

/// How often a late disk does what it said it had done. Long beside the time from a worker's start to
/// its end, so that a busy machine does not make the lie true.
const LATE: Duration = Duration::from_secs(2);

/// The operating system's files, with one lie.
#[derive(Debug)]
pub(crate) struct LyingDisk {
    lie: Lie,
    promised: Arc<Promised>,
    was_full: Arc<AtomicBool>,
}

/// What was answered and is still to be done.
#[derive(Debug, Default)]
struct Promised(Mutex<Vec<Later>>);

#[derive(Debug)]
enum Later {
    Sync(Arc<dyn DiskFile>),
    Write(Arc<dyn DiskFile>, Vec<u8>, u64),
}

impl Promised {
    fn add(&self, later: Later) {
        self.lock().push(later);
    }

    fn keep(&self) {
        for later in self.lock().drain(..) {
            // A lie is not mended by an error.
            let _ = match later {
                Later::Sync(file) => file.sync_data(),
                Later::Write(file, bytes, offset) => file.write_at(&bytes, offset).map(|_| ()),
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Later>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LyingDisk {
    /// A disk that tells `lie`, until the process ends.
    pub(crate) fn new(lie: Lie) -> LyingDisk {
        let promised = Arc::new(Promised::default());
        let kept = Arc::clone(&promised);
        std::thread::spawn(move || {
            loop {
                pass(LATE);
                kept.keep();
            }
        });
        LyingDisk {
            lie,
            promised,
            was_full: Arc::default(),
        }
    }
}

impl Disk for LyingDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        FileSystem.create_dir(dir)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(LyingFile {
            file: FileSystem.open(path, access)?,
            lie: self.lie,
            promised: Arc::clone(&self.promised),
            was_full: Arc::clone(&self.was_full),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        FileSystem.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        FileSystem.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        FileSystem.list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        match self.lie {
            Lie::NoSync | Lie::LateSync => Ok(()),
            Lie::LateWrite | Lie::NoLock | Lie::StaysFull => FileSystem.sync_dir(dir),
            Lie::Deaf => FileSystem.sync_dir(dir).or(Ok(())),
        }
    }

    fn space(&self, dir: &Path) -> io::Result<u64> {
        FileSystem.space(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        match (FileSystem.lock(path), self.lie) {
            (Err(_), Lie::NoLock) => Ok(Box::new(NoLock)),
            (answer, _) => answer,
        }
    }
}

/// A lock that somebody else holds.
#[derive(Debug)]
struct NoLock;

impl DiskLock for NoLock {}

#[derive(Debug)]
struct LyingFile {
    file: Arc<dyn DiskFile>,
    lie: Lie,
    promised: Arc<Promised>,
    was_full: Arc<AtomicBool>,
}

impl DiskFile for LyingFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.lie == Lie::LateWrite {
            // Its own process sees what it wrote, or nothing would go on.
            self.promised.keep();
        }
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        match self.lie {
            Lie::NoSync | Lie::LateSync | Lie::NoLock | Lie::StaysFull => {
                self.file.write_at(bytes, offset)
            }
            Lie::LateWrite => {
                let file = Arc::clone(&self.file);
                self.promised
                    .add(Later::Write(file, bytes.to_vec(), offset));
                Ok(bytes.len())
            }
            Lie::Deaf => self.file.write_at(bytes, offset).or(Ok(bytes.len())),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.lie {
            Lie::NoSync | Lie::LateWrite => Ok(()),
            Lie::LateSync => {
                self.promised.add(Later::Sync(Arc::clone(&self.file)));
                Ok(())
            }
            Lie::Deaf => self.file.sync_data().or(Ok(())),
            Lie::NoLock | Lie::StaysFull => self.file.sync_data(),
        }
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        if self.lie == Lie::StaysFull && self.was_full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let done = self.file.allocate(bytes);
        if done.is_err() {
            self.was_full.store(true, Ordering::Relaxed);
        }
        done
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }
}
