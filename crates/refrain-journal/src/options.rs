//! What a user may choose, and the checked settings that the journal runs on.

use std::time::Duration;

use refrain_core::limit::{BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, ENTRY_BYTES_MAX};

use crate::format::frame::FRAME_HEADER_BYTES;
use crate::format::record::{DECLARATION_BYTES_MAX, RECORD_HEADER_BYTES};
use crate::format::segment_header::SEGMENT_HEADER_BYTES;

const MIB: u64 = 1024 * 1024;

/// The smallest segment: a header and one block of frames.
const SEGMENT_BYTES_MIN: u64 = 2 * SEGMENT_HEADER_BYTES as u64;

/// The largest segment; offsets in it fit 32 bits with room to spare.
const SEGMENT_BYTES_MAX: u64 = 1024 * MIB;

const _: () = assert!(SEGMENT_BYTES_MAX <= (u32::MAX / 2) as u64);

/// How a [`FileJournal`](crate::FileJournal) is set up. The defaults fit most uses; existing
/// journals can be opened with other options than they were made with.
///
/// ```
/// use refrain_journal::JournalOptions;
///
/// let options = JournalOptions::default().segment_bytes(16 * 1024 * 1024);
/// # let _ = options;
/// ```
#[derive(Debug, Clone)]
#[must_use]
#[non_exhaustive]
pub struct JournalOptions {
    segment_bytes: u64,
    queue_appends_max: usize,
    queue_bytes_max: usize,
    reader_threads: usize,
    mark_sync_idle: Duration,
    poll_interval: Duration,
    compaction_bytes_per_second: u64,
    identity: Option<u64>,
    pub(crate) founding: Founding,
}

/// Whether opening makes a journal where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Founding {
    Allowed,
    Refused,
}

impl Default for JournalOptions {
    fn default() -> JournalOptions {
        JournalOptions {
            segment_bytes: 64 * MIB,
            queue_appends_max: 65_536,
            queue_bytes_max: 64 * 1024 * 1024,
            reader_threads: 2,
            mark_sync_idle: Duration::from_secs(1),
            poll_interval: Duration::from_millis(10),
            compaction_bytes_per_second: 32 * MIB,
            identity: None,
            founding: Founding::Allowed,
        }
    }
}

impl JournalOptions {
    /// Size of new segments, in bytes: a multiple of 4,096 between 8 KiB and 1 GiB; 64 MiB unless
    /// set. The space is taken in advance: the journal owns at least two segments. A segment
    /// bounds the size of an entry, and is what `forget` gives back to the disk.
    pub fn segment_bytes(mut self, bytes: u64) -> JournalOptions {
        self.segment_bytes = bytes;
        self
    }

    /// Appends that may wait to be written; 65,536 unless set. Further ones are rejected as
    /// overloaded.
    pub fn queue_appends_max(mut self, count: usize) -> JournalOptions {
        self.queue_appends_max = count;
        self
    }

    /// Bytes of entries that may wait to be written; 64 MiB unless set. Further ones are rejected
    /// as overloaded, except one that finds nothing waiting.
    pub fn queue_bytes_max(mut self, bytes: usize) -> JournalOptions {
        self.queue_bytes_max = bytes;
        self
    }

    /// Threads that read entries for all cursors; 2 unless set.
    pub fn reader_threads(mut self, count: usize) -> JournalOptions {
        self.reader_threads = count;
        self
    }

    /// Time without an append after which the durable mark is synced; 1 s unless set. It bounds
    /// what recovery has to write again after a loss of power, not what survives it.
    pub fn mark_sync_idle(mut self, span: Duration) -> JournalOptions {
        self.mark_sync_idle = span;
        self
    }

    /// How often a [`JournalReader`](crate::JournalReader) looks for more while somebody follows;
    /// 10 ms unless set. Readers in the journal's own process are woken instead.
    pub fn poll_interval(mut self, span: Duration) -> JournalOptions {
        self.poll_interval = span;
        self
    }

    /// Bytes of entries that compaction rewrites in a second at most, in the background, counted before
    /// it compresses them; 32 MiB unless set. With 0
    /// it only gives back log segments of which nothing is needed any more, until
    /// [`FileJournal::compact`](crate::FileJournal::compact) asks for more.
    pub fn compaction_bytes_per_second(mut self, bytes: u64) -> JournalOptions {
        self.compaction_bytes_per_second = bytes;
        self
    }

    /// The identity of a journal that is made, instead of a random one, so that a simulation
    /// repeats byte by byte. Has no effect on a journal that exists.
    pub fn identity(mut self, identity: u64) -> JournalOptions {
        self.identity = Some(identity);
        self
    }

    /// Opens a journal that is there, and makes none: where there is none, opening fails with
    /// [`OpenError::Missing`](crate::OpenError::Missing) and changes nothing.
    ///
    /// For every start of a service but its first one. A volume that is not mounted, or a path that is
    /// written wrong, looks like an empty directory: a journal that is made there remembers nothing, and
    /// whatever comes again is done again.
    pub fn must_exist(mut self) -> JournalOptions {
        self.founding = Founding::Refused;
        self
    }

    /// Checks what was written.
    pub(crate) fn check(self) -> Result<Settings, SettingError> {
        if !is_segment_size(self.segment_bytes) {
            return Err(SettingError::SegmentBytes(self.segment_bytes));
        }
        let positive = [
            ("queue_appends_max", self.queue_appends_max),
            ("queue_bytes_max", self.queue_bytes_max),
            ("reader_threads", self.reader_threads),
            ("poll_interval", usize::from(!self.poll_interval.is_zero())),
        ];
        if let Some((setting, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(SettingError::Zero(setting));
        }
        let segment_bytes = u32::try_from(self.segment_bytes).expect("checked against the range");
        Ok(Settings {
            segment_bytes,
            queue_appends_max: self.queue_appends_max,
            queue_bytes_max: self.queue_bytes_max,
            reader_threads: self.reader_threads,
            mark_sync_idle: self.mark_sync_idle,
            poll_interval: self.poll_interval,
            compaction_bytes_per_second: self.compaction_bytes_per_second,
            identity: self.identity,
            founding: self.founding,
        })
    }
}

/// Whether a segment may have this size.
pub(crate) fn is_segment_size(bytes: u64) -> bool {
    let range = SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX;
    range.contains(&bytes) && bytes.is_multiple_of(u64::from(SEGMENT_HEADER_BYTES))
}

/// Checked options.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) segment_bytes: u32,
    pub(crate) queue_appends_max: usize,
    pub(crate) queue_bytes_max: usize,
    pub(crate) reader_threads: usize,
    pub(crate) mark_sync_idle: Duration,
    pub(crate) poll_interval: Duration,
    pub(crate) compaction_bytes_per_second: u64,
    pub(crate) identity: Option<u64>,
    pub(crate) founding: Founding,
}

impl Settings {
    /// Bytes of records that one frame takes, which is what a segment has room for.
    pub(crate) fn body_bytes_max(&self) -> usize {
        (self.segment_bytes - SEGMENT_HEADER_BYTES) as usize - FRAME_HEADER_BYTES
    }

    /// Bytes of records, declaration included, that one append may lead to.
    pub(crate) fn append_bytes_max(&self) -> usize {
        self.body_bytes_max().min(APPEND_BYTES_MAX)
    }

    /// The largest entry.
    pub(crate) fn entry_bytes_max(&self) -> usize {
        let room = self.body_bytes_max() - DECLARATION_BYTES_MAX - RECORD_HEADER_BYTES;
        room.min(ENTRY_BYTES_MAX)
    }
}

/// Bytes of records that the largest append of the engine leads to: a batch takes entries until it
/// has `BATCH_BYTES_MAX`, so it ends less than one entry above it.
const APPEND_BYTES_MAX: usize = BATCH_BYTES_MAX
    + ENTRY_BYTES_MAX
    + BATCH_ENTRIES_MAX * RECORD_HEADER_BYTES
    + DECLARATION_BYTES_MAX;

/// Which option has a value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SettingError {
    #[error("segment_bytes is a multiple of 4096 between 8 KiB and 1 GiB, not {0}")]
    SegmentBytes(u64),
    #[error("{0} must be more than zero")]
    Zero(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_out_of_range_are_refused_by_name() {
        let refused = |options: JournalOptions| options.check().unwrap_err().to_string();
        let defaults = JournalOptions::default;
        assert!(defaults().check().is_ok());
        assert!(refused(defaults().segment_bytes(4096)).contains("segment_bytes"));
        assert!(refused(defaults().segment_bytes(8193)).contains("segment_bytes"));
        assert!(refused(defaults().segment_bytes(1 << 31)).contains("segment_bytes"));
        assert!(refused(defaults().queue_bytes_max(0)).contains("queue_bytes_max"));
        assert!(refused(defaults().reader_threads(0)).contains("reader_threads"));
    }

    #[test]
    fn largest_entry_fits_the_smallest_segment_with_its_declaration() {
        let settings = JournalOptions::default()
            .segment_bytes(8192)
            .check()
            .unwrap();
        let entry = settings.entry_bytes_max() + RECORD_HEADER_BYTES + DECLARATION_BYTES_MAX;
        assert_eq!(entry, settings.append_bytes_max());
    }
}
