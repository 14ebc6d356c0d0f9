//! The calls about bytes, with a bug.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use refrain_journal::DiskFile;

use super::DiskBug;
use super::disk::{State, is_named};

/// Where the second slot of the mark starts.
const SECOND_SLOT_AT: u64 = 2048;

/// An open file with a bug.
#[derive(Debug)]
pub(super) struct LyingFile {
    pub(super) bug: DiskBug,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) path: PathBuf,
    pub(super) state: Arc<Mutex<State>>,
}

impl LyingFile {
    fn is_log(&self) -> bool {
        is_named(&self.path, ".log")
    }

    fn is_mark(&self) -> bool {
        is_named(&self.path, "/mark")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does the syncs that were said to be done.
    fn pay(&self) {
        let owed = std::mem::take(&mut self.state().owed);
        for file in owed {
            // Whoever was told that it succeeded is not told that it did not.
            let _ = file.sync_data();
        }
    }

    /// Whether a write of `bytes` at `offset` is left out.
    fn is_left_out(&self, bytes: &[u8], offset: u64) -> bool {
        if self.bug != DiskBug::TailNotRewritten || !self.is_log() {
            return false;
        }
        let mut there = vec![0; bytes.len()];
        self.file.read_at(&mut there, offset).is_ok() && there == bytes
    }

    /// Whether this sync is left out.
    fn is_unsynced(&self) -> bool {
        let is = |bug| self.bug == bug;
        is(DiskBug::NoSync)
            || is(DiskBug::NoLogSync) && self.is_log()
            || is(DiskBug::NoMarkSync) && self.is_mark()
            || is(DiskBug::RenameBeforeSync) && is_named(&self.path, ".new")
            || is(DiskBug::HeaderNotSynced) && self.has_header()
    }

    /// Whether this is a segment in the making that has its header.
    fn has_header(&self) -> bool {
        let mut byte = [0];
        let read = self.file.read_at(&mut byte, 0);
        is_named(&self.path, ".log.new") && read.is_ok() && byte != [0]
    }

    /// Whether the sync is only promised.
    fn is_owed(&self) -> bool {
        let is_late = matches!(
            self.bug,
            DiskBug::AnswerBeforeSync | DiskBug::MarkBeforeSync
        );
        is_late && self.is_log()
    }

    /// Claims that all of `buffer` was read of which only the first `count` bytes were, as far as the
    /// file goes. One without an end would be read for ever.
    fn claim(&self, buffer: &mut [u8], count: usize, offset: u64) -> io::Result<usize> {
        let size = self.file.size()?;
        let left = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let claimed = buffer.len().min(left);
        buffer[count..claimed].fill(0);
        Ok(claimed)
    }
}

impl DiskFile for LyingFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.file.read_at(buffer, offset);
        match (self.bug, read) {
            (DiskBug::ShortReadIgnored, Ok(count)) if count > 0 => {
                self.claim(buffer, count, offset)
            }
            (DiskBug::FailedReadIgnored, Err(error))
                if error.kind() != io::ErrorKind::Interrupted =>
            {
                self.claim(buffer, 0, offset)
            }
            (_, read) => read,
        }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        if self.is_left_out(bytes, offset) {
            return Ok(bytes.len());
        }
        let is_second = self.is_mark() && offset == SECOND_SLOT_AT;
        let is_moved = self.bug == DiskBug::OneMarkSlot && is_second;
        let offset = if is_moved { 0 } else { offset };
        let written = self.file.write_at(bytes, offset);
        if self.bug == DiskBug::MarkBeforeSync && self.is_mark() {
            self.pay();
        }
        match (self.bug, written) {
            (DiskBug::ShortWriteIgnored, Ok(_)) => Ok(bytes.len()),
            (DiskBug::FullDiskIgnored, Err(error))
                if error.kind() == io::ErrorKind::StorageFull =>
            {
                Ok(bytes.len())
            }
            (DiskBug::FailedWriteIgnored, Err(error))
                if error.kind() != io::ErrorKind::Interrupted =>
            {
                Ok(bytes.len())
            }
            (_, written) => written,
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.is_unsynced() {
            return Ok(());
        }
        if self.is_owed() {
            self.pay();
            self.state().owed.push(Arc::clone(&self.file));
            return Ok(());
        }
        let synced = self.file.sync_data();
        let Err(error) = synced else {
            return Ok(());
        };
        let is_full = error.kind() == io::ErrorKind::StorageFull;
        let is_ignored = self.bug == DiskBug::FailedSyncIgnored
            || self.bug == DiskBug::FullDiskIgnored && is_full;
        if is_ignored {
            return Ok(());
        }
        if self.bug == DiskBug::RetryAfterFailedSync {
            return self.file.sync_data();
        }
        Err(error)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        match self.file.allocate(bytes) {
            Err(_) if self.bug == DiskBug::FullDiskIgnored => Ok(()),
            allocated => allocated,
        }
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }
}
