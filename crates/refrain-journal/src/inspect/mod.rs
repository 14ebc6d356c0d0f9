//! Looking at a journal as it lies on the disk: every byte of it, also behind damage.
//!
//! An [`Inspector`] takes no lock and writes nothing, so it works beside a program that has the
//! journal open: it goes as far as the durable mark. Opening a journal stops at the first damage;
//! an inspection names each one, with its file and offset, and goes on. It keeps a few numbers per
//! stream and one frame in memory, whatever the size of the history.

mod files;
mod finding;
mod frames;
mod history;
mod indexes;
mod log;
mod marks;
mod new_journal;
mod rebuild;
mod repair;
mod report;
mod run;
mod snapshots;
mod streams;
mod tail;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use refrain_core::Position;

use crate::error::OpenError;
use crate::storage::{Disk, FileSystem};

pub use finding::{Finding, FindingKind, Severity};
pub use new_journal::NewJournal;
pub use rebuild::{Rebuild, RebuiltFile};
pub use repair::{Repair, RepairAction, RepairStep, repair_plan};
pub use report::{EndSeen, FileRole, FileSeen, Inspection, MarkSeen, SnapshotSeen};
pub use streams::StreamSeen;

use run::Run;
pub(crate) use run::tells_a_journal;

/// How often an inspection starts again because segments went away while it looked at them.
const TRIES_MAX: usize = 16;

/// Inspects the journal in a directory.
///
/// ```
/// use refrain_core::port::journal::{Batch, Journal};
/// use refrain_core::{Name, Position};
/// use refrain_journal::FileJournal;
/// use refrain_journal::inspect::Inspector;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("orders-data");
/// let journal = FileJournal::open(&path)?;
/// let mut batch = Batch::default();
/// batch.push(b"submitted");
/// journal.append(&Name::new("orders")?, Position::FIRST, batch).await?;
///
/// let inspection = Inspector::new(&path).run(&mut ())?;
/// assert!(inspection.is_sound());
/// assert_eq!(inspection.streams[0].entries, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Inspector {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    snapshots: Option<PathBuf>,
}

impl Inspector {
    /// Inspects the journal in `dir`.
    #[must_use]
    pub fn new(dir: impl AsRef<Path>) -> Inspector {
        Inspector::on(Arc::new(FileSystem), dir)
    }

    /// As [`Inspector::new`], on another disk than the operating system's.
    #[must_use]
    pub fn on(disk: Arc<dyn Disk>, dir: impl AsRef<Path>) -> Inspector {
        Inspector {
            disk,
            dir: dir.as_ref().to_path_buf(),
            snapshots: None,
        }
    }

    /// Inspects the snapshots in `dir` as well.
    #[must_use]
    pub fn snapshots(mut self, dir: impl AsRef<Path>) -> Inspector {
        self.snapshots = Some(dir.as_ref().to_path_buf());
        self
    }

    /// Looks at everything, and shows each whole entry that is kept to `visitor`.
    ///
    /// # Errors
    /// [`OpenError::Missing`] when there is no journal, [`OpenError::Io`] when the directory cannot
    /// be read. What is damaged, or a file that cannot be read, is part of the answer.
    pub fn run(&self, visitor: &mut dyn Visitor) -> Result<Inspection, OpenError> {
        for _ in 0..TRIES_MAX {
            if let Some(inspection) = Run::new(self)?.go(visitor)? {
                return Ok(inspection);
            }
            visitor.restart();
        }
        Err(OpenError::Missing {
            dir: self.dir.clone(),
        })
    }
}

/// Watches an inspection.
///
/// ```
/// use refrain_journal::inspect::{SeenEntry, Visitor};
///
/// /// Counts the bytes of all entries.
/// struct Count(u64);
///
/// impl Visitor for Count {
///     fn entry(&mut self, entry: &SeenEntry<'_>) {
///         self.0 += entry.bytes.len() as u64;
///     }
///
///     fn restart(&mut self) {
///         self.0 = 0;
///     }
/// }
/// ```
pub trait Visitor {
    /// An entry that is kept and whole. Those of one stream come in order; of several streams, in
    /// the order of the log.
    fn entry(&mut self, entry: &SeenEntry<'_>) {
        let _ = entry;
    }

    /// How far the inspection is, in bytes of all files.
    fn progress(&mut self, done: u64, of: u64) {
        let _ = (done, of);
    }

    /// Everything comes again from the start: files went away meanwhile.
    fn restart(&mut self) {}
}

/// Watches nothing.
impl Visitor for () {}

/// An entry, as an inspection shows it.
#[derive(Debug, Clone, Copy)]
pub struct SeenEntry<'a> {
    /// The number of its stream; [`StreamSeen::number`] says which one that is.
    pub stream: u32,
    /// Its position.
    pub position: Position,
    /// Its bytes.
    pub bytes: &'a [u8],
}
