//! Compaction: rewrites sealed history as stream segments, merges those, and leaves out what is
//! forgotten. It is the only place where entries disappear.
//!
//! One thread does it, within a budget, and never in the way of an append. Each step leaves either
//! the old files or the new one complete: a new file gets its name when it is whole, synced and read
//! again, and what it stands for is removed after the mark or the index has gone over to it.

mod compactor;
mod failure;
mod gather;
mod merge;
mod pass;
mod plan;

use std::path::PathBuf;
use std::sync::Arc;

use crate::error::CompactError;
use crate::queue::Queue;
use crate::read_side::ReadSide;
use crate::storage::Disk;
pub use compactor::CompactionProgress;
pub(crate) use compactor::Compactor;
use compactor::Work;
pub(crate) use failure::CompactionFailure;
use pass::Pass;
use plan::Extent;

/// What compaction's thread works on.
#[derive(Debug)]
pub(crate) struct Compaction {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) compactor: Arc<Compactor>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) read_side: Arc<ReadSide>,
    pub(crate) identity: u64,
    pub(crate) epoch: u64,
    pub(crate) segment_bytes: u32,
    /// Bytes of entries a second that are rewritten in the background; 0: none unless asked.
    pub(crate) bytes_per_second: u64,
}

impl Compaction {
    /// Works until [`Compactor::end`].
    pub(crate) fn run(&self) {
        let mut serial = 0;
        loop {
            let (asked, has_forgotten) = match self.compactor.next() {
                Work::Pass {
                    asked,
                    has_forgotten,
                } => (asked, has_forgotten),
                Work::End => return,
            };
            let mut pass = Pass {
                of: self,
                extent: if asked.is_empty() {
                    Extent::Background
                } else {
                    Extent::All
                },
                has_forgotten,
                serial,
            };
            let done = pass.run();
            serial = pass.serial;
            if let Err(failure) = &done
                && !matches!(failure, CompactionFailure::Ending)
            {
                self.compactor.note(|progress| progress.failures += 1);
                tracing::warn!(%failure, dir = %self.dir.display(), "journal: compaction gave up for now");
            }
            let done = done.map_err(CompactError::from);
            for promise in asked {
                promise.keep(done.clone());
            }
        }
    }
}
