//! The journal as its users see it: opens a directory, owns the threads, implements the port.

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::sync::Arc;

use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{
    AppendError, Batch, Cursor, Durability, Journal, ReadError, RejectReason,
};
use refrain_core::{Name, Position};

use crate::compaction::{Compaction, CompactionProgress, Compactor};
use crate::error::{CompactError, OpenError};
use crate::format::directory::State;
use crate::format::mark::Mark;
use crate::held_directory::HeldDirectory;
use crate::inspect::tells_a_journal;
use crate::keeper::{Housekeeping, Keeper};
use crate::log::Log;
use crate::options::{Founding, JournalOptions, Settings};
use crate::queue::Queue;
use crate::read_side::ReadSide;
use crate::recovery::{Recovered, recover};
use crate::running::{Running, Work};
use crate::sealed::SealedSegment;
use crate::segment::Segment;
use crate::storage::{Disk, DiskLock, FileSystem};
use crate::writer::Writer;

/// The file that whoever writes holds a lock on.
pub(crate) const LOCK_FILE: &str = "lock";

/// A journal in a directory, open for writing by this process alone.
///
/// Acknowledged appends survive a loss of power. After a failed write or sync the journal takes
/// nothing more until it is opened again. Dropping it writes what was submitted and ends its
/// threads, which takes as long as that does; then the directory is free for another opening. Only
/// where it is dropped on one of its own threads, by a waker that was the last to hold it, that goes on
/// after the drop.
///
/// ```
/// use refrain_core::port::journal::{Batch, Journal};
/// use refrain_core::{Name, Position};
/// use refrain_journal::FileJournal;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("orders-data");
/// let journal = FileJournal::open(path)?;
/// let orders = Name::new("orders")?;
/// let mut batch = Batch::default();
/// batch.push(b"submitted");
/// journal.append(&orders, Position::FIRST, batch).await?;
///
/// let mut cursor = journal.read(&orders, Position::FIRST).await?;
/// let chunk = cursor.next().await?.expect("one entry was appended");
/// assert_eq!(chunk.entry(Position::FIRST).unwrap(), "submitted");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FileJournal {
    identity: u64,
    queue: Arc<Queue>,
    keeper: Arc<Keeper>,
    read_side: Arc<ReadSide>,
    /// Until it is dropped.
    running: Option<Running>,
}

impl FileJournal {
    /// Opens the journal in the directory `dir`, making both if need be. The journal stays in that
    /// directory, whatever its name means later.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed when stored bytes are damaged.
    pub fn open(dir: impl AsRef<Path>) -> Result<FileJournal, OpenError> {
        FileJournal::open_with(dir, JournalOptions::default())
    }

    /// As [`FileJournal::open`], with `options`.
    ///
    /// # Errors
    /// [`OpenError`], also when an option cannot be used, and [`OpenError::Missing`] when there must be
    /// a journal and is none.
    pub fn open_with(
        dir: impl AsRef<Path>,
        options: JournalOptions,
    ) -> Result<FileJournal, OpenError> {
        let dir = dir.as_ref();
        check_there(&FileSystem, dir, options.founding)?;
        let held = HeldDirectory::make(dir).map_err(OpenError::io(dir))?;
        FileJournal::open_on(Arc::new(held), dir, options)
    }

    /// As [`FileJournal::open_with`], on another disk than the operating system's.
    ///
    /// # Errors
    /// [`OpenError`], also when an option cannot be used.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        dir: impl AsRef<Path>,
        options: JournalOptions,
    ) -> Result<FileJournal, OpenError> {
        let dir = dir.as_ref().to_path_buf();
        let settings = options.check()?;
        check_there(disk.as_ref(), &dir, settings.founding)?;
        disk.create_dir(&dir).map_err(OpenError::io(&dir))?;
        let lock = lock(disk.as_ref(), &dir)?;
        let recovered = recover(disk.as_ref(), &dir, &settings)?;
        FileJournal::start(disk, &dir, &settings, recovered, lock).map_err(OpenError::io(&dir))
    }

    /// Starts the threads. When one cannot be started, those before it end again.
    fn start(
        disk: Arc<dyn Disk>,
        dir: &Path,
        settings: &Settings,
        recovered: Recovered,
        lock: Box<dyn DiskLock>,
    ) -> io::Result<FileJournal> {
        let nexts = recovered.index.nexts();
        let mark = *recovered.mark.last();
        let keeper = keeper(&mark, recovered.state, recovered.spare, recovered.unindexed);
        let dir = dir.to_path_buf();
        let read_side = ReadSide::new(Arc::clone(&disk), dir.clone(), recovered.index);
        let read_side = Arc::new(read_side);
        let queue = Arc::new(Queue::new(settings, Arc::clone(&read_side.names), nexts));
        let log = Log::new(
            recovered.tail,
            recovered.start,
            recovered.mark,
            Arc::clone(&keeper),
        );
        let writer = Writer::new(
            log,
            Arc::clone(&queue),
            Arc::clone(&read_side),
            Arc::clone(&keeper),
            settings.mark_sync_idle,
        );
        let compaction = Compaction {
            disk: Arc::clone(&disk),
            dir: dir.clone(),
            compactor: Arc::clone(&keeper.compactor),
            queue: Arc::clone(&queue),
            read_side: Arc::clone(&read_side),
            identity: mark.identity,
            epoch: mark.epoch,
            segment_bytes: settings.segment_bytes,
            bytes_per_second: settings.compaction_bytes_per_second,
        };
        let housekeeping = Housekeeping {
            disk,
            dir,
            keeper: Arc::clone(&keeper),
            queue: Arc::clone(&queue),
            read_side: Arc::clone(&read_side),
            identity: mark.identity,
            epoch: mark.epoch,
            segment_bytes: settings.segment_bytes,
            sealed_bytes: Cell::new(0),
        };
        let work = Work {
            writer,
            compaction,
            housekeeping,
        };
        Ok(FileJournal {
            identity: mark.identity,
            queue,
            keeper,
            read_side,
            running: Some(Running::start(work, settings.reader_threads, lock)?),
        })
    }

    /// The number that was drawn when the journal was made. Its backups are called by it.
    #[must_use]
    pub fn identity(&self) -> u64 {
        self.identity
    }

    /// Rewrites all sealed history as stream segments and leaves out what is forgotten, now and as
    /// fast as it goes. Asked by this call, before the future is polled. The segment that is being
    /// written stays as it is.
    ///
    /// # Errors
    /// [`CompactError`]; nothing is lost then, and what was done stays done.
    pub fn compact(&self) -> BoxFuture<'static, Result<(), CompactError>> {
        let asked = self.keeper.compactor.ask();
        Box::pin(async move { asked.await.unwrap_or(Err(CompactError::Closed)) })
    }

    /// How far compaction has come.
    #[must_use]
    pub fn compaction(&self) -> CompactionProgress {
        self.keeper.compactor.progress()
    }

    /// The rejected append may have been the last straw: look whether there is room again.
    fn noticed(&self, error: AppendError) -> AppendError {
        let is_full = matches!(
            error,
            AppendError::Rejected {
                reason: RejectReason::Full,
                ..
            }
        );
        if is_full && self.keeper.has_spare() {
            self.queue.resume();
        }
        error
    }
}

/// Refuses a directory without a journal, where none may be made.
fn check_there(disk: &dyn Disk, dir: &Path, founding: Founding) -> Result<(), OpenError> {
    if founding == Founding::Allowed {
        return Ok(());
    }
    let names = match disk.list(dir) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(OpenError::io(dir)(error)),
    };
    if names.iter().any(|name| tells_a_journal(name)) {
        return Ok(());
    }
    let dir = dir.to_path_buf();
    Err(OpenError::Missing { dir })
}

pub(crate) fn lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn DiskLock>, OpenError> {
    let path = dir.join(LOCK_FILE);
    disk.lock(&path).map_err(|error| {
        if error.kind() == io::ErrorKind::WouldBlock {
            let dir = dir.to_path_buf();
            return OpenError::Locked { dir };
        }
        OpenError::io(&path)(error)
    })
}

/// The keeper of a journal that was opened at `mark`. The directory is ordered if it is behind.
fn keeper(
    mark: &Mark,
    state: State,
    spare: Option<Segment>,
    unindexed: Vec<Arc<SealedSegment>>,
) -> Arc<Keeper> {
    let compactor = Arc::new(Compactor::new(mark.first_segment));
    let keeper = Keeper::new(mark.end.segment + 1, spare, unindexed, compactor);
    if state == State::Running && mark.end.segment > 1 {
        keeper.want_directory();
    }
    Arc::new(keeper)
}

impl Drop for FileJournal {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.end_anywhere();
        }
    }
}

impl Journal for FileJournal {
    fn append(
        &self,
        stream: &Name,
        at: Position,
        batch: Batch,
    ) -> BoxFuture<'static, Result<Position, AppendError>> {
        match self.queue.append(stream, at, &batch) {
            Ok(submitted) => Box::pin(submitted),
            Err(error) => Box::pin(std::future::ready(Err(self.noticed(error)))),
        }
    }

    fn read(
        &self,
        stream: &Name,
        from: Position,
    ) -> BoxFuture<'_, Result<Box<dyn Cursor>, ReadError>> {
        Box::pin(std::future::ready(self.read_side.read(stream, from)))
    }

    fn follow(
        &self,
        stream: &Name,
        from: Position,
    ) -> BoxFuture<'_, Result<Box<dyn Cursor>, ReadError>> {
        Box::pin(std::future::ready(self.read_side.follow(stream, from)))
    }

    fn head(&self, stream: &Name) -> BoxFuture<'_, Result<Option<Position>, ReadError>> {
        Box::pin(std::future::ready(Ok(self.read_side.head(stream))))
    }

    fn first(&self, stream: &Name) -> BoxFuture<'_, Result<Option<Position>, ReadError>> {
        Box::pin(std::future::ready(Ok(self.read_side.first(stream))))
    }

    fn streams(
        &self,
        prefix: &str,
        after: Option<&Name>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Name>, ReadError>> {
        let names = self.read_side.index().list(prefix, after, limit);
        Box::pin(std::future::ready(Ok(names)))
    }

    fn forget(&self, stream: &Name, below: Position) -> BoxFuture<'_, Result<(), AppendError>> {
        let (first, _) = self.read_side.bounds(stream);
        match self.queue.forget(stream, below, first) {
            Ok(Some(submitted)) => Box::pin(async move { submitted.await.map(|_| ()) }),
            Ok(None) => Box::pin(std::future::ready(Ok(()))),
            Err(error) => Box::pin(std::future::ready(Err(self.noticed(error)))),
        }
    }

    fn durability(&self) -> Durability {
        Durability::Power
    }

    fn entry_bytes_max(&self) -> usize {
        self.queue.entry_bytes_max()
    }
}
