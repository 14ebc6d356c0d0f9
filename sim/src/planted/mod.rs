//! Bugs that are planted, each of which must be found. A checker that finds nothing is only believed
//! because it finds these.
//!
//! Some are planted below the journal, by a disk that does not do what it says: to its users, a
//! journal on such a disk behaves as one that forgot a step. The others are planted in the code, and
//! are there in builds with `--cfg planted` alone.

mod disk;
mod file;
mod table;

use std::sync::Arc;

use refrain_journal::Disk;

use crate::disk::Process;
use disk::LyingDisk;

pub use table::{BUGS, Bug, Site};

/// What a disk may do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskBug {
    /// Nothing is ever synced.
    NoSync,
    /// The log is not synced before an append is answered.
    NoLogSync,
    /// The mark is not synced, not even before segments are removed.
    NoMarkSync,
    /// Directories are not synced.
    NoDirectorySync,
    /// A file gets its name before its content is synced.
    RenameBeforeSync,
    /// A segment's header is not synced.
    HeaderNotSynced,
    /// A directory is synced before the rename, not after it.
    DirectorySyncBeforeRename,
    /// An append is answered before the sync, which happens with the next one.
    AnswerBeforeSync,
    /// The mark is moved before the log is synced.
    MarkBeforeSync,
    /// A sync that failed is called again and then believed.
    RetryAfterFailedSync,
    /// A sync that failed is taken for one that succeeded.
    FailedSyncIgnored,
    /// A write that failed is taken for one that succeeded.
    FailedWriteIgnored,
    /// A full disk is taken for a success.
    FullDiskIgnored,
    /// A short write is taken for a whole one.
    ShortWriteIgnored,
    /// A short read is taken for a whole one.
    ShortReadIgnored,
    /// A failed read is taken for one of zeros.
    FailedReadIgnored,
    /// A rename is a copy, which is not synced.
    RenameNotAtomic,
    /// A failed rename is taken for one that succeeded.
    FailedRenameIgnored,
    /// A failed sync of a directory is taken for one that succeeded.
    FailedDirectorySyncIgnored,
    /// Recovery does not write the unproven tail again.
    TailNotRewritten,
    /// The lock is not exclusive.
    LockNotExclusive,
    /// Both slots of the mark are one.
    OneMarkSlot,
    /// Recovery does not look at the segment after the one that the mark names.
    NextSegmentUnseen,
}

impl DiskBug {
    /// The disk of `process` with this bug in front of it.
    pub(crate) fn plant(self, process: Process) -> Arc<dyn Disk> {
        Arc::new(LyingDisk::new(self, process))
    }
}
