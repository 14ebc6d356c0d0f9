//! Every planted bug: its name, where it is, what it breaks.

use super::DiskBug;
use crate::order::Order;

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bug {
    /// What it is chosen by.
    pub name: &'static str,
    /// Where it is.
    pub site: Site,
    /// What is broken then.
    pub breaks: &'static str,
}

/// Where a bug is planted, which says what must find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// In the disk, below the journal.
    Disk(DiskBug),
    /// In the journal's code.
    Journal,
    /// As [`Site::Journal`], where it takes an order of events that seeds seldom give.
    Order(Order),
    /// As [`Site::Journal`], between two steps that the simulation takes as one:
    /// `cargo xtask interleavings` looks for it.
    Interleavings,
    /// In the runtime's code, or the engine's.
    Runtime,
}

impl Site {
    /// Whether it takes a build with `--cfg planted`.
    #[must_use]
    pub fn is_code(self) -> bool {
        match self {
            Site::Disk(_) => false,
            Site::Journal | Site::Order(_) | Site::Interleavings | Site::Runtime => true,
        }
    }
}

impl Bug {
    /// The bug called `name`.
    #[must_use]
    pub fn find(name: &str) -> Option<Bug> {
        BUGS.iter().find(|bug| bug.name == name).copied()
    }
}

const fn disk(name: &'static str, bug: DiskBug, breaks: &'static str) -> Bug {
    let site = Site::Disk(bug);
    Bug { name, site, breaks }
}

const fn code(name: &'static str, site: Site, breaks: &'static str) -> Bug {
    Bug { name, site, breaks }
}

/// All of them.
pub const BUGS: &[Bug] = &[
    disk("disk-no-sync", DiskBug::NoSync, "nothing is ever synced"),
    disk(
        "disk-no-log-sync",
        DiskBug::NoLogSync,
        "the log is not synced before an append is answered",
    ),
    disk(
        "disk-no-mark-sync",
        DiskBug::NoMarkSync,
        "the mark is not synced, not even before segments are removed",
    ),
    disk(
        "disk-no-directory-sync",
        DiskBug::NoDirectorySync,
        "directories are not synced",
    ),
    disk(
        "disk-rename-before-sync",
        DiskBug::RenameBeforeSync,
        "a file gets its name before its content is synced",
    ),
    disk(
        "disk-header-not-synced",
        DiskBug::HeaderNotSynced,
        "a segment's header is not synced",
    ),
    disk(
        "disk-directory-sync-before-rename",
        DiskBug::DirectorySyncBeforeRename,
        "a directory is synced before the rename, not after it",
    ),
    disk(
        "disk-answer-before-sync",
        DiskBug::AnswerBeforeSync,
        "an append is answered before the sync, which happens with the next one",
    ),
    disk(
        "disk-mark-before-sync",
        DiskBug::MarkBeforeSync,
        "the mark is moved before the log is synced",
    ),
    disk(
        "disk-retry-after-failed-sync",
        DiskBug::RetryAfterFailedSync,
        "a sync that failed is called again and then believed",
    ),
    disk(
        "disk-failed-sync-ignored",
        DiskBug::FailedSyncIgnored,
        "a sync that failed is taken for one that succeeded",
    ),
    disk(
        "disk-failed-write-ignored",
        DiskBug::FailedWriteIgnored,
        "a write that failed is taken for one that succeeded",
    ),
    disk(
        "disk-full-disk-ignored",
        DiskBug::FullDiskIgnored,
        "a full disk is taken for a success",
    ),
    disk(
        "disk-short-write-ignored",
        DiskBug::ShortWriteIgnored,
        "a short write is taken for a whole one",
    ),
    disk(
        "disk-short-read-ignored",
        DiskBug::ShortReadIgnored,
        "a short read is taken for a whole one",
    ),
    disk(
        "disk-failed-read-ignored",
        DiskBug::FailedReadIgnored,
        "a failed read is taken for one of zeros",
    ),
    disk(
        "disk-rename-not-atomic",
        DiskBug::RenameNotAtomic,
        "a rename is a copy, which is not synced",
    ),
    disk(
        "disk-failed-rename-ignored",
        DiskBug::FailedRenameIgnored,
        "a failed rename is taken for one that succeeded",
    ),
    disk(
        "disk-failed-directory-sync-ignored",
        DiskBug::FailedDirectorySyncIgnored,
        "a failed sync of a directory is taken for one that succeeded",
    ),
    disk(
        "disk-tail-not-rewritten",
        DiskBug::TailNotRewritten,
        "recovery does not write the unproven tail again",
    ),
    disk(
        "disk-lock-not-exclusive",
        DiskBug::LockNotExclusive,
        "the lock is not exclusive",
    ),
    disk(
        "disk-one-mark-slot",
        DiskBug::OneMarkSlot,
        "both slots of the mark are one",
    ),
    disk(
        "disk-next-segment-unseen",
        DiskBug::NextSegmentUnseen,
        "recovery does not look at the segment after the one that the mark names",
    ),
    code(
        "fence-not-checked",
        Site::Journal,
        "an append at a wrong position is taken",
    ),
    code(
        "queue-unbounded",
        Site::Journal,
        "appends are taken however many wait",
    ),
    code(
        "writer-not-rung",
        Site::Journal,
        "the writer is not woken when something comes",
    ),
    code(
        "stopped-without-telling",
        Site::Journal,
        "who waits when the journal stops is not told",
    ),
    code(
        "rejected-keeps-its-position",
        Site::Order(Order::FullThenRoom),
        "a rejected append leaves its position taken",
    ),
    code(
        "any-note-believed",
        Site::Journal,
        "a number that was noted with a stream's name counts in every journal, and for ever",
    ),
    code(
        "full-for-ever",
        Site::Journal,
        "there is room again and nothing is taken",
    ),
    code(
        "answer-before-sync",
        Site::Journal,
        "an append is answered before it is written",
    ),
    code(
        "failed-write-shown",
        Site::Journal,
        "what could not be written is shown to readers",
    ),
    code(
        "later-frame-answered",
        Site::Journal,
        "appends of the next frame are answered with those of this one",
    ),
    code(
        "removed-before-declared",
        Site::Journal,
        "a segment with the newest declaration of a stream is removed",
    ),
    code(
        "removed-before-mark",
        Site::Journal,
        "segments are removed and the mark does not say so",
    ),
    code(
        "goes-on-after-failure",
        Site::Journal,
        "the journal goes on after a failed write or sync",
    ),
    code(
        "mark-before-log",
        Site::Journal,
        "the mark is moved before the log is written",
    ),
    code("log-not-synced", Site::Journal, "the log is not synced"),
    code(
        "failed-sync-tried-again",
        Site::Journal,
        "a sync that failed is called again and believed",
    ),
    code(
        "failed-sync-taken-for-done",
        Site::Journal,
        "a sync that failed is taken for one that succeeded",
    ),
    code(
        "both-slots-unsynced",
        Site::Order(Order::NoWholeSlot),
        "both slots of the mark are written between two syncs",
    ),
    code(
        "mark-not-settled",
        Site::Journal,
        "a mark that must not go back is not synced",
    ),
    code(
        "segment-name-not-synced",
        Site::Journal,
        "the name of a new segment is not synced",
    ),
    code(
        "segment-header-not-synced",
        Site::Journal,
        "the header of a new segment is not synced",
    ),
    code(
        "short-write-taken-for-whole",
        Site::Journal,
        "a short write is taken for a whole one",
    ),
    code(
        "renamed-before-sync",
        Site::Journal,
        "a file gets its name before its content is synced",
    ),
    code(
        "torn-frame-taken",
        Site::Journal,
        "the whole records of a torn frame are taken",
    ),
    code(
        "later-frame-overlooked",
        Site::Order(Order::DamageBeforeLater),
        "damage before a later frame is cut off",
    ),
    code(
        "frame-header-without-checksum",
        Site::Journal,
        "the checksum of a frame's header is not compared",
    ),
    code(
        "record-without-checksum",
        Site::Journal,
        "the checksum of a record is not compared",
    ),
    code(
        "spare-header-not-read",
        Site::Journal,
        "a spare segment of an earlier opening is taken for one of this",
    ),
    code(
        "names-found-not-synced",
        Site::Order(Order::NameOfKilled),
        "names that opening finds are not synced",
    ),
    code(
        "tail-believed",
        Site::Journal,
        "what lies beyond the mark is not written again",
    ),
    code(
        "recovery-not-synced",
        Site::Journal,
        "what recovery wrote is not synced",
    ),
    code(
        "log-before-mark",
        Site::Order(Order::LogWithoutMark),
        "a log is made before its mark is lasting",
    ),
    code(
        "damage-cut-off",
        Site::Order(Order::DamageBelowMark),
        "damage below the mark is cut off",
    ),
    code(
        "reader-beyond-the-mark",
        Site::Journal,
        "a reader of another process reads beyond the mark",
    ),
    code(
        "log-ends-at-the-mark",
        Site::Journal,
        "frames beyond the mark are dropped",
    ),
    code(
        "next-segment-overlooked",
        Site::Journal,
        "the log is not followed into the next segment",
    ),
    code(
        "position-used-again",
        Site::Journal,
        "the next position in the directory is not kept",
    ),
    code(
        "segment-removed-too-early",
        Site::Journal,
        "a segment with one kept entry is removed",
    ),
    code(
        "follower-not-woken",
        Site::Journal,
        "who follows a stream is not woken",
    ),
    code(
        "told-before-durable",
        Site::Runtime,
        "answers leave before their entry is durable",
    ),
    code(
        "sent-before-intent",
        Site::Runtime,
        "a request is sent before its entry is durable",
    ),
    code(
        "order-of-key-lost",
        Site::Runtime,
        "deliveries do not wait for the one before them of their key",
    ),
    code(
        "next-of-key-before-settled",
        Site::Runtime,
        "the next of a key leaves before the settlement of the one before is durable",
    ),
    code(
        "redelivery-before-record",
        Site::Runtime,
        "a redelivery starts before it is recorded",
    ),
    code(
        "doubt-forgotten",
        Site::Runtime,
        "what may have been sent before a crash is sent as if it were the first time",
    ),
    code(
        "key-changes-on-redelivery",
        Site::Runtime,
        "each attempt has a key of its own",
    ),
    code(
        "settlement-not-recorded",
        Site::Runtime,
        "a reply is applied, and its settlement is not recorded",
    ),
    code(
        "memory-lost-on-restart",
        Site::Runtime,
        "handled messages are forgotten by a replay",
    ),
    code(
        "snapshot-without-memory",
        Site::Runtime,
        "handled messages are forgotten by a snapshot",
    ),
    code(
        "unknown-told-as-not-recorded",
        Site::Runtime,
        "an append of unknown outcome is told as one that did not happen",
    ),
    code(
        "failed-append-passed-over",
        Site::Runtime,
        "an append that failed is taken for durable",
    ),
    code(
        "overload-told-as-failure",
        Site::Runtime,
        "what the journal has no room for yet is dropped, and told as not recorded",
    ),
    code(
        "keys-from-numbers",
        Site::Runtime,
        "keys follow from numbers of deliveries, which a journal put back gives to others",
    ),
    code(
        "watermark-of-anything",
        Site::Runtime,
        "a snapshot is used where there is a watermark, also of another state",
    ),
    code(
        "snapshot-not-compared",
        Site::Runtime,
        "a snapshot of another history is used",
    ),
    code(
        "waker-left-unseen",
        Site::Journal,
        "whether an append is durable is not asked again once its waker is to be left",
    ),
    code(
        "call-overlooked",
        Site::Journal,
        "the writer goes to sleep without looking again at what waits",
    ),
    code(
        "wakers-taken-before-store",
        Site::Interleavings,
        "who waits is woken before the store that says why",
    ),
    code(
        "part-taken-for-whole",
        Site::Journal,
        "compaction takes the first part of a segment for the whole",
    ),
    code(
        "retired-before-rewritten",
        Site::Journal,
        "log segments are let go of before they are rewritten",
    ),
    code(
        "rewritten-not-synced",
        Site::Journal,
        "what compaction writes is not synced",
    ),
    code(
        "entry-left-out",
        Site::Journal,
        "compaction leaves an entry out",
    ),
    code(
        "neighbour-taken-instead",
        Site::Journal,
        "compaction takes an entry twice, in the place of the next one",
    ),
    code(
        "last-block-left-out",
        Site::Journal,
        "a stream segment lacks its last block",
    ),
    code(
        "merge-input-left-out",
        Site::Journal,
        "a merge leaves one stream segment out",
    ),
    code(
        "merge-newest-first",
        Site::Journal,
        "a merge puts newer entries of a stream before older ones",
    ),
    code(
        "directory-of-earlier",
        Site::Journal,
        "the directory of an earlier opening is taken for the last word",
    ),
    code(
        "directory-believed-after-more",
        Site::Journal,
        "the directory of a clean end is believed although the log went on",
    ),
    code(
        "position-passed-over",
        Site::Journal,
        "positions in the directory are one too high",
    ),
    code(
        "directory-ahead-of-its-place",
        Site::Journal,
        "the directory counts entries behind the place that it is of",
    ),
    code(
        "follower-elsewhere-not-woken",
        Site::Journal,
        "who follows a stream in another process is not woken",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_bugs_have_one_name() {
        let names: BTreeSet<&str> = BUGS.iter().map(|bug| bug.name).collect();
        assert_eq!(names.len(), BUGS.len());
        assert_eq!(Bug::find("nothing"), None);
    }
}
