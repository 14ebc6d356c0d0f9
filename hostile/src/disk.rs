//! Files in memory: quick to copy, to change and to throw away, with what was read of them counted.
//!
//! Nothing here fails or is lost: that is the part of `sim`. A file may be larger than its bytes;
//! behind them there are zeros, so that a file of 4 GiB costs nothing.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use refrain_journal::{Access, Disk, DiskFile, DiskLock, fuzzing};

/// Where the only directory is.
pub const DIR: &str = "/journal";

/// The files of a directory by name.
#[derive(Debug, Clone, Default)]
pub struct Files(pub BTreeMap<String, FileBytes>);

/// The bytes of a file.
#[derive(Debug, Clone, Default)]
pub struct FileBytes {
    /// What was written. Shared until somebody changes it.
    pub bytes: Arc<Vec<u8>>,
    /// The size where it is larger than that: zeros follow.
    pub size: u64,
}

impl FileBytes {
    /// The size as a program sees it.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size.max(self.bytes.len() as u64)
    }
}

impl From<Vec<u8>> for FileBytes {
    fn from(bytes: Vec<u8>) -> FileBytes {
        FileBytes {
            bytes: Arc::new(bytes),
            size: 0,
        }
    }
}

impl Files {
    /// Files with these bytes.
    #[must_use]
    pub fn of(files: BTreeMap<String, Vec<u8>>) -> Files {
        let files = files.into_iter();
        Files(files.map(|(name, bytes)| (name, bytes.into())).collect())
    }

    /// The same files with right checksums.
    #[must_use]
    pub fn resealed(&self) -> Files {
        let bytes = self.0.iter();
        let mut sealed = bytes
            .map(|(name, file)| (name.clone(), file.bytes.to_vec()))
            .collect();
        fuzzing::reseal(&mut sealed);
        let mut files = Files::of(sealed);
        for (name, file) in &mut files.0 {
            file.size = self.0[name].size;
        }
        files
    }

    /// Puts a file there, in place of one that is there.
    pub fn put(&mut self, name: &str, bytes: Vec<u8>) {
        self.0.insert(name.to_owned(), bytes.into());
    }

    /// The bytes of a file; none when it is not there.
    #[must_use]
    pub fn bytes(&self, name: &str) -> &[u8] {
        self.0.get(name).map_or(&[], |file| file.bytes.as_slice())
    }

    /// The bytes of a file, to be changed.
    pub fn bytes_mut(&mut self, name: &str) -> Option<&mut Vec<u8>> {
        let file = self.0.get_mut(name)?;
        Some(Arc::make_mut(&mut file.bytes))
    }

    /// The sizes of all files together, as a program sees them.
    #[must_use]
    pub fn apparent_size(&self) -> u64 {
        self.0.values().map(FileBytes::size).sum()
    }
}

/// A disk with one directory. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    names: Mutex<BTreeMap<String, Content>>,
    /// Rung when names change.
    renamed: Condvar,
    bytes_read: AtomicU64,
}

type Content = Arc<Mutex<FileBytes>>;

impl MemoryDisk {
    /// A disk with these files.
    #[must_use]
    pub fn with(files: Files) -> MemoryDisk {
        let disk = MemoryDisk::default();
        let contents = files.0.into_iter();
        *disk.names() = contents
            .map(|(name, file)| (name, Arc::new(Mutex::new(file))))
            .collect();
        disk
    }

    /// The files as they are.
    #[must_use]
    pub fn files(&self) -> Files {
        copied(&self.names())
    }

    /// Bytes that were read so far, zeros behind the end of files included.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.0.bytes_read.load(Ordering::Relaxed)
    }

    /// Returns once the files are as `is_so` wants them; it is asked when names change.
    pub fn until(&self, is_so: impl Fn(&Files) -> bool) {
        let mut names = self.names();
        while !is_so(&copied(&names)) {
            names = self
                .0
                .renamed
                .wait(names)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn names(&self) -> MutexGuard<'_, BTreeMap<String, Content>> {
        self.0.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn copied(names: &BTreeMap<String, Content>) -> Files {
    let copies = names
        .iter()
        .map(|(name, content)| (name.clone(), locked(content).clone()));
    Files(copies.collect())
}

fn locked(content: &Content) -> MutexGuard<'_, FileBytes> {
    content.lock().unwrap_or_else(PoisonError::into_inner)
}

fn name_of(path: &Path) -> io::Result<String> {
    let name = path.strip_prefix(DIR).ok().and_then(Path::to_str);
    name.map(str::to_owned)
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

impl Disk for MemoryDisk {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let name = name_of(path)?;
        let mut names = self.names();
        if access == Access::Create {
            names.insert(name.clone(), Content::default());
        }
        let content = names.get(&name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(MemoryFile {
            content: Arc::clone(content),
            disk: self.clone(),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut names = self.names();
        let content = names
            .remove(&name_of(from)?)
            .ok_or(io::ErrorKind::NotFound)?;
        names.insert(name_of(to)?, content);
        self.0.renamed.notify_all();
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let removed = self.names().remove(&name_of(path)?);
        self.0.renamed.notify_all();
        removed.map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        if dir != Path::new(DIR) {
            return Ok(Vec::new());
        }
        Ok(self.names().keys().cloned().collect())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn space(&self, _: &Path) -> io::Result<u64> {
        Ok(1 << 40)
    }

    fn lock(&self, _: &Path) -> io::Result<Box<dyn DiskLock>> {
        Ok(Box::new(MemoryLock))
    }
}

/// Nobody competes for it: each run has a disk of its own.
#[derive(Debug)]
struct MemoryLock;

impl DiskLock for MemoryLock {}

#[derive(Debug)]
struct MemoryFile {
    content: Content,
    disk: MemoryDisk,
}

impl DiskFile for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let file = locked(&self.content);
        let left = usize::try_from(file.size().saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = left.min(buffer.len());
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let written = file.bytes.get(start..).unwrap_or_default();
        let copied = written.len().min(count);
        buffer[..copied].copy_from_slice(&written[..copied]);
        buffer[copied..count].fill(0);
        self.disk
            .0
            .bytes_read
            .fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let mut file = locked(&self.content);
        let content = Arc::make_mut(&mut file.bytes);
        if content.len() < start + bytes.len() {
            content.resize(start + bytes.len(), 0);
        }
        content[start..start + bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let bytes = usize::try_from(bytes).map_err(io::Error::other)?;
        let mut file = locked(&self.content);
        let content = Arc::make_mut(&mut file.bytes);
        if content.len() < bytes {
            content.resize(bytes, 0);
        }
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(locked(&self.content).size())
    }
}
