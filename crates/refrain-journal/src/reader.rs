//! Reading a journal that another process has open, or nobody.
//!
//! Takes no lock and writes nothing: it goes as far as the durable mark, which the writer moves
//! only over what is synced.

use std::path::Path;
use std::sync::Arc;

use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{Cursor, ReadError};
use refrain_core::{Name, Position};

use crate::error::OpenError;
use crate::held_directory::HeldDirectory;
use crate::options::{JournalOptions, Settings};
use crate::storage::Disk;
use crate::threads::Threads;
use crate::tracker::Tracker;

/// Reads the journal in a directory, also while another process writes it.
///
/// What it shows is durable: it ends at the writer's durable mark, as it was at the last
/// [`JournalReader::refresh`]. It stays with the journal in the directory that it was opened in, whatever
/// the directory's name means later.
///
/// ```
/// use refrain_core::{Name, Position};
/// use refrain_journal::{FileJournal, JournalReader};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("orders-data");
/// let journal = FileJournal::open(&path)?;
/// let reader = JournalReader::open(&path)?;
/// assert_eq!(reader.head(&Name::new("orders")?), None);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct JournalReader {
    tracker: Arc<Tracker>,
    threads: Threads,
}

impl JournalReader {
    /// Opens the journal in `dir` for reading.
    ///
    /// # Errors
    /// [`OpenError::Missing`] when there is none; [`OpenError::Corrupt`] when what it holds below
    /// the durable mark is damaged.
    pub fn open(dir: impl AsRef<Path>) -> Result<JournalReader, OpenError> {
        JournalReader::open_with(dir, JournalOptions::default())
    }

    /// As [`JournalReader::open`], with `options`; those that concern writing have no effect.
    ///
    /// # Errors
    /// As [`JournalReader::open`], and when an option cannot be used.
    pub fn open_with(
        dir: impl AsRef<Path>,
        options: JournalOptions,
    ) -> Result<JournalReader, OpenError> {
        let dir = dir.as_ref();
        let held = match HeldDirectory::find(dir) {
            Ok(held) => held,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let dir = dir.to_path_buf();
                return Err(OpenError::Missing { dir });
            }
            Err(error) => return Err(OpenError::io(dir)(error)),
        };
        JournalReader::open_on(Arc::new(held), dir, options)
    }

    /// As [`JournalReader::open_with`], on another disk than the operating system's.
    ///
    /// # Errors
    /// As [`JournalReader::open`], and when an option cannot be used.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        dir: impl AsRef<Path>,
        options: JournalOptions,
    ) -> Result<JournalReader, OpenError> {
        let settings = options.check()?;
        let dir = dir.as_ref().to_path_buf();
        let tracker = Arc::new(Tracker::open(disk, dir.clone())?);
        tracker.side.set_tracker(Arc::downgrade(&tracker));
        let reader = JournalReader {
            tracker,
            threads: Threads::default(),
        };
        reader.start(&settings).map_err(OpenError::io(&dir))
    }

    fn start(mut self, settings: &Settings) -> std::io::Result<JournalReader> {
        let readers = Arc::clone(&self.tracker.side.readers);
        readers.start(settings.reader_threads, &mut self.threads)?;
        let tracker = Arc::clone(&self.tracker);
        let interval = settings.poll_interval;
        self.threads
            .start("refrain-watch", move || tracker.watch(interval))?;
        Ok(self)
    }

    /// Looks how far the journal is by now. Blocks while it reads what is new.
    ///
    /// # Errors
    /// [`ReadError::Corrupt`] when what is new is damaged.
    pub fn refresh(&self) -> Result<(), ReadError> {
        self.tracker.refresh()
    }

    /// As [`Journal::read`](refrain_core::port::journal::Journal::read).
    ///
    /// # Errors
    /// [`ReadError::Forgotten`] when `from` lies below the first kept entry.
    pub fn read(&self, stream: &Name, from: Position) -> Result<Box<dyn Cursor>, ReadError> {
        self.tracker.side.read(stream, from)
    }

    /// As [`Journal::follow`](refrain_core::port::journal::Journal::follow). New entries are seen
    /// within the poll interval.
    ///
    /// # Errors
    /// [`ReadError::Forgotten`] when `from` lies below the first kept entry.
    pub fn follow(&self, stream: &Name, from: Position) -> Result<Box<dyn Cursor>, ReadError> {
        let cursor = self.tracker.side.follow(stream, from)?;
        Ok(Box::new(Watching {
            cursor,
            tracker: Arc::clone(&self.tracker),
        }))
    }

    /// The position of the last durable entry of `stream`.
    #[must_use]
    pub fn head(&self, stream: &Name) -> Option<Position> {
        self.tracker.side.head(stream)
    }

    /// The position of the first entry of `stream` that is still kept.
    #[must_use]
    pub fn first(&self, stream: &Name) -> Option<Position> {
        self.tracker.side.first(stream)
    }

    /// Up to `limit` streams whose names start with `prefix`, in order, after the name `after`.
    #[must_use]
    pub fn streams(&self, prefix: &str, after: Option<&Name>, limit: usize) -> Vec<Name> {
        self.tracker.side.index().list(prefix, after, limit)
    }
}

impl Drop for JournalReader {
    /// Ends its threads, and tells those who follow a stream that nothing more will come.
    fn drop(&mut self) {
        self.tracker.end();
        self.tracker.side.end();
        self.tracker.side.readers.end();
        self.threads.join();
    }
}

/// A following cursor that has the mark looked at while it waits.
#[derive(Debug)]
struct Watching {
    cursor: Box<dyn Cursor>,
    tracker: Arc<Tracker>,
}

impl Cursor for Watching {
    fn next(
        &mut self,
    ) -> BoxFuture<'_, Result<Option<refrain_core::port::journal::Chunk>, ReadError>> {
        let mut next = self.cursor.next();
        let tracker = &self.tracker;
        Box::pin(std::future::poll_fn(move |context| {
            let polled = next.as_mut().poll(context);
            if polled.is_pending() {
                tracker.start_watching();
            }
            polled
        }))
    }
}
