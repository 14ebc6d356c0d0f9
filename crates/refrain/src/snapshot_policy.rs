//! When snapshots are taken, and how many are kept.

use std::time::Duration;

/// When snapshots are taken, and how many are kept.
///
/// A snapshot is copied between two messages, which takes as long as encoding the state does, and
/// stored in the background once its position is durable. One that cannot be stored is missed, with
/// a warning, and nothing else: the journal has it all.
///
/// ```
/// use refrain::SnapshotPolicy;
/// use std::time::Duration;
///
/// let policy = SnapshotPolicy::every_entries(10_000)
///     .or_every(Duration::from_secs(3600))
///     .keeping(3);
/// # let _ = policy;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotPolicy {
    pub(crate) every_entries: Option<u64>,
    pub(crate) every: Option<Duration>,
    pub(crate) keep: usize,
}

impl SnapshotPolicy {
    /// One after every `count` entries of a processor's stream. Two are kept.
    #[must_use]
    pub const fn every_entries(count: u64) -> SnapshotPolicy {
        SnapshotPolicy {
            every_entries: Some(if count == 0 { 1 } else { count }),
            ..SnapshotPolicy::on_request()
        }
    }

    /// Only when somebody asks, through [`Handle::snapshot`](crate::Handle::snapshot). Two are kept.
    #[must_use]
    pub const fn on_request() -> SnapshotPolicy {
        SnapshotPolicy {
            every_entries: None,
            every: None,
            keep: 2,
        }
    }

    /// Also when the last one is `span` old and entries have come since.
    #[must_use]
    pub const fn or_every(mut self, span: Duration) -> SnapshotPolicy {
        self.every = Some(span);
        self
    }

    /// Keeps the newest `count`, at least one.
    #[must_use]
    pub const fn keeping(mut self, count: usize) -> SnapshotPolicy {
        self.keep = if count == 0 { 1 } else { count };
        self
    }
}
