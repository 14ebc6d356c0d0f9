//! When snapshots are taken, and how many are kept.

/// When snapshots are taken, and how many are kept.
///
/// ```
/// use refrain::SnapshotPolicy;
///
/// let policy = SnapshotPolicy::every_entries(10_000).keeping(3);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotPolicy {
    pub(crate) every_entries: Option<u64>,
    pub(crate) keep: usize,
}

impl SnapshotPolicy {
    /// One after every `count` entries of a processor's stream. Two are kept.
    #[must_use]
    pub const fn every_entries(count: u64) -> SnapshotPolicy {
        SnapshotPolicy {
            every_entries: Some(count),
            keep: 2,
        }
    }

    /// Only when somebody asks, through [`Handle::snapshot`](crate::Handle::snapshot). Two are kept.
    #[must_use]
    pub const fn on_request() -> SnapshotPolicy {
        SnapshotPolicy {
            every_entries: None,
            keep: 2,
        }
    }

    /// Keeps the newest `count`, at least one.
    #[must_use]
    pub const fn keeping(mut self, count: usize) -> SnapshotPolicy {
        self.keep = if count == 0 { 1 } else { count };
        self
    }
}
