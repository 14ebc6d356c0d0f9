//! A disk in memory. It keeps what is written apart from what is synced, counts its operations,
//! and at a chosen one fails, freezes for good, or waits at a gate.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use refrain_journal::{Access, Disk, DiskFile, DiskLock};

use super::Gate;

/// The number that Linux has for "too many open files"; there is no [`io::ErrorKind`] of it.
const EMFILE: i32 = 24;

/// Operations that change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Create,
    Write,
    Sync,
    SyncDir,
    Rename,
    Remove,
    Allocate,
}

/// What happens at the chosen operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This one operation fails; a failed sync loses what it should have kept.
    Fail(io::ErrorKind),
    /// A write of half its bytes, then this and all later operations fail: the process is gone.
    Freeze,
}

/// The disk. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct FaultDisk(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Where syncs of files whose path ends in `.log` wait.
    sync_gate: Gate,
    /// Where reads wait.
    read_gate: Gate,
    /// Rung when names change, and after writes and syncs.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Names as they are, and as they survive a loss of power.
    names: BTreeMap<PathBuf, Content>,
    durable_names: BTreeMap<PathBuf, Content>,
    operations: Vec<Kind>,
    fault: Option<(usize, Fault)>,
    fail_next: Option<Kind>,
    is_frozen: bool,
    locks: Vec<PathBuf>,
    /// Bytes that may still be allocated.
    space: Option<u64>,
    /// Whether the process may open no more files.
    is_out_of_files: bool,
}

type Content = Arc<Mutex<Bytes>>;

#[derive(Debug, Default)]
struct Bytes {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// What was written since the last sync.
    dirty: Vec<std::ops::Range<usize>>,
    /// Where the furthest write ended.
    written: usize,
}

impl Bytes {
    fn write(&mut self, bytes: &[u8], offset: usize) {
        let range = offset..offset + bytes.len();
        if self.now.len() < range.end {
            self.now.resize(range.end, 0);
        }
        self.now[range.clone()].copy_from_slice(bytes);
        self.written = self.written.max(range.end);
        self.dirty.push(range);
    }

    /// Whether it was written to its end.
    fn is_filled(&self) -> bool {
        self.written == self.now.len()
    }

    fn sync(&mut self) {
        self.durable.resize(self.now.len(), 0);
        for range in self.dirty.drain(..) {
            self.durable[range.clone()].copy_from_slice(&self.now[range]);
        }
    }
}

impl FaultDisk {
    /// Lets `fault` happen at the operation with this number, counted from 0.
    pub(crate) fn set_fault(&self, operation: usize, fault: Fault) {
        self.state().fault = Some((operation, fault));
    }

    /// Lets the next operation of this kind fail.
    pub(crate) fn fail_next(&self, kind: Kind) {
        self.state().fail_next = Some(kind);
    }

    /// Returns once the journal's spare segment is filled, so that its operations are over.
    pub(crate) fn until_spare_is_made(&self) {
        self.until(|names| {
            let mut logs = names
                .iter()
                .filter(|(path, _)| path.extension().is_some_and(|e| e == "log"));
            let (tail, spare) = (logs.next(), logs.next_back());
            tail.is_some() && spare.is_some_and(|(_, file)| file.lock().unwrap().is_filled())
        });
    }

    /// Returns once there is no such file.
    pub(crate) fn until_removed(&self, path: &Path) {
        self.until(|names| !names.contains_key(path));
    }

    /// Returns once nobody holds a lock.
    pub(crate) fn until_unlocked(&self) {
        let mut state = self.state();
        while !state.locks.is_empty() {
            state = self.0.changed.wait(state).unwrap();
        }
    }

    fn until(&self, is_so: impl Fn(&BTreeMap<PathBuf, Content>) -> bool) {
        let mut state = self.state();
        while !is_so(&state.names) {
            state = self.0.changed.wait(state).unwrap();
        }
    }

    pub(crate) fn set_space(&self, bytes: Option<u64>) {
        self.state().space = bytes;
    }

    pub(crate) fn set_out_of_files(&self, is_out_of_files: bool) {
        self.state().is_out_of_files = is_out_of_files;
    }

    pub(crate) fn operations(&self) -> Vec<Kind> {
        self.state().operations.clone()
    }

    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.state()
            .operations
            .iter()
            .filter(|other| **other == kind)
            .count()
    }

    pub(crate) fn sync_gate(&self) -> Gate {
        self.0.sync_gate.clone()
    }

    pub(crate) fn read_gate(&self) -> Gate {
        self.0.read_gate.clone()
    }

    /// The disk as the next process finds it after this one was killed.
    pub(crate) fn after_kill(&self) -> FaultDisk {
        let disk = FaultDisk::default();
        for (path, content) in &self.state().names {
            disk.put(path, content.lock().unwrap().now.clone());
        }
        disk
    }

    /// The disk as the next process finds it after a loss of power that kept only what was synced.
    pub(crate) fn after_power_loss(&self) -> FaultDisk {
        let disk = FaultDisk::default();
        for (path, content) in &self.state().durable_names {
            disk.put(path, content.lock().unwrap().durable.clone());
        }
        disk
    }

    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.state().names.keys().cloned().collect()
    }

    pub(crate) fn get(&self, path: &Path) -> Vec<u8> {
        let content = Arc::clone(&self.state().names[path]);
        let bytes = content.lock().unwrap();
        bytes.now.clone()
    }

    /// Makes a file with these bytes, synced.
    pub(crate) fn put(&self, path: &Path, bytes: Vec<u8>) {
        let durable = bytes.clone();
        let content = Arc::new(Mutex::new(Bytes {
            now: bytes,
            durable,
            dirty: Vec::new(),
            written: 0,
        }));
        let mut state = self.state();
        state.names.insert(path.to_path_buf(), Arc::clone(&content));
        state.durable_names.insert(path.to_path_buf(), content);
    }

    pub(crate) fn delete(&self, path: &Path) {
        let mut state = self.state();
        state.names.remove(path);
        state.durable_names.remove(path);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// Counts an operation; says what happens to it.
    fn begin(&self, kind: Kind) -> io::Result<Option<Fault>> {
        let mut state = self.state();
        if state.is_frozen {
            return Err(io::Error::other("the disk is frozen"));
        }
        let number = state.operations.len();
        state.operations.push(kind);
        if state.fail_next == Some(kind) {
            state.fail_next = None;
            return Ok(Some(Fault::Fail(io::ErrorKind::Other)));
        }
        match state.fault {
            Some((at, fault)) if at == number => {
                state.is_frozen = fault == Fault::Freeze;
                Ok(Some(fault))
            }
            _ => Ok(None),
        }
    }

    /// As `begin`, for operations that happen or do not.
    fn check(&self, kind: Kind) -> io::Result<()> {
        match self.begin(kind)? {
            None => Ok(()),
            Some(Fault::Fail(kind)) => Err(kind.into()),
            Some(Fault::Freeze) => Err(io::Error::other("the disk is frozen")),
        }
    }
}

impl Disk for FaultDisk {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        if self.state().is_out_of_files {
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        if access == Access::Create {
            self.check(Kind::Create)?;
            let content = Content::default();
            self.state().names.insert(path.to_path_buf(), content);
        }
        let content = self.state().names.get(path).cloned();
        Ok(Arc::new(FaultFile {
            content: content.ok_or(io::ErrorKind::NotFound)?,
            disk: self.clone(),
            is_log: path.extension().is_some_and(|ending| ending == "log"),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check(Kind::Rename)?;
        let mut state = self.state();
        let content = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_path_buf(), content);
        self.0.changed.notify_all();
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.check(Kind::Remove)?;
        let removed = self.state().names.remove(path);
        self.0.changed.notify_all();
        removed.map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        let names = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(names
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.check(Kind::SyncDir)?;
        let mut state = self.state();
        let inside = |path: &PathBuf| path.parent() == Some(dir);
        let names: Vec<_> = state
            .names
            .iter()
            .filter(|(path, _)| inside(path))
            .collect();
        let names: Vec<_> = names
            .iter()
            .map(|(a, b)| ((*a).clone(), Arc::clone(b)))
            .collect();
        state.durable_names.retain(|path, _| !inside(path));
        state.durable_names.extend(names);
        Ok(())
    }

    fn space(&self, _: &Path) -> io::Result<u64> {
        Ok(self.state().space.unwrap_or(u64::MAX))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let mut state = self.state();
        if state.locks.iter().any(|held| held == path) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.locks.push(path.to_path_buf());
        Ok(Box::new(FaultLock {
            path: path.to_path_buf(),
            disk: self.clone(),
        }))
    }
}

#[derive(Debug)]
struct FaultLock {
    path: PathBuf,
    disk: FaultDisk,
}

impl DiskLock for FaultLock {}

impl Drop for FaultLock {
    fn drop(&mut self) {
        self.disk.state().locks.retain(|held| *held != self.path);
        self.disk.0.changed.notify_all();
    }
}

#[derive(Debug)]
struct FaultFile {
    content: Content,
    disk: FaultDisk,
    is_log: bool,
}

impl DiskFile for FaultFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.0.read_gate.pass();
        let bytes = self.content.lock().unwrap();
        let rest = bytes.now.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, new: &[u8], offset: u64) -> io::Result<usize> {
        let fault = self.disk.begin(Kind::Write)?;
        let count = match fault {
            None => new.len(),
            Some(Fault::Fail(_)) => 0,
            Some(Fault::Freeze) => new.len() / 2,
        };
        let mut bytes = self.content.lock().unwrap();
        bytes.write(&new[..count], offset as usize);
        drop(bytes);
        // Whoever looks whether something changed holds this one.
        drop(self.disk.state());
        self.disk.0.changed.notify_all();
        match fault {
            None => Ok(count),
            Some(Fault::Fail(kind)) => Err(kind.into()),
            Some(Fault::Freeze) => Err(io::Error::other("the disk is frozen")),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.is_log {
            self.disk.0.sync_gate.pass();
        }
        let checked = self.disk.check(Kind::Sync);
        // Whoever looks whether something changed holds this one.
        let _state = self.disk.state();
        let mut bytes = self.content.lock().unwrap();
        match checked {
            Ok(()) => bytes.sync(),
            // What a failed sync did not keep is never kept by a later one.
            Err(_) => bytes.dirty.clear(),
        }
        self.disk.0.changed.notify_all();
        checked
    }

    fn allocate(&self, count: u64) -> io::Result<()> {
        self.disk.check(Kind::Allocate)?;
        let mut state = self.disk.state();
        match &mut state.space {
            Some(space) if *space < count => return Err(io::ErrorKind::StorageFull.into()),
            Some(space) => *space -= count,
            None => {}
        }
        let mut bytes = self.content.lock().unwrap();
        let size = bytes.now.len().max(count as usize);
        bytes.now.resize(size, 0);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.content.lock().unwrap().now.len() as u64)
    }
}
