//! Bugs that are planted below the journal, by a disk that does not do what it says.
//!
//! The journal's code is untouched: to its users, a journal on such a disk behaves as one that
//! forgot the step. Every one of them must be found by the checkers; a checker that finds nothing
//! is only believed because it finds these.

mod disk;
mod file;

use std::sync::Arc;

use refrain_journal::Disk;

use crate::disk::Process;
use disk::LyingDisk;

/// The bugs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
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

impl Planted {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Planted); 23] = [
        ("no-sync", Planted::NoSync),
        ("no-log-sync", Planted::NoLogSync),
        ("no-mark-sync", Planted::NoMarkSync),
        ("no-directory-sync", Planted::NoDirectorySync),
        ("rename-before-sync", Planted::RenameBeforeSync),
        ("header-not-synced", Planted::HeaderNotSynced),
        (
            "directory-sync-before-rename",
            Planted::DirectorySyncBeforeRename,
        ),
        ("answer-before-sync", Planted::AnswerBeforeSync),
        ("mark-before-sync", Planted::MarkBeforeSync),
        ("retry-after-failed-sync", Planted::RetryAfterFailedSync),
        ("failed-sync-ignored", Planted::FailedSyncIgnored),
        ("failed-write-ignored", Planted::FailedWriteIgnored),
        ("full-disk-ignored", Planted::FullDiskIgnored),
        ("short-write-ignored", Planted::ShortWriteIgnored),
        ("short-read-ignored", Planted::ShortReadIgnored),
        ("failed-read-ignored", Planted::FailedReadIgnored),
        ("rename-not-atomic", Planted::RenameNotAtomic),
        ("failed-rename-ignored", Planted::FailedRenameIgnored),
        (
            "failed-directory-sync-ignored",
            Planted::FailedDirectorySyncIgnored,
        ),
        ("tail-not-rewritten", Planted::TailNotRewritten),
        ("lock-not-exclusive", Planted::LockNotExclusive),
        ("one-mark-slot", Planted::OneMarkSlot),
        ("next-segment-unseen", Planted::NextSegmentUnseen),
    ];

    /// The disk of `process` with this bug in front of it.
    pub(crate) fn plant(self, process: Process) -> Arc<dyn Disk> {
        Arc::new(LyingDisk::new(self, process))
    }
}
