//! A journal whose readers are watched: what they hold, how many there are, and whether they get anything.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use refrain::{Journal, MemoryJournal, Name, Position};
use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{AppendError, Batch, Chunk, Cursor, Durability, ReadError};
use tokio::sync::Semaphore;

/// A journal that sees what its readers hold, and that cannot be reached at first.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    journal: MemoryJournal,
    /// Bytes of each chunk that was read.
    pub(crate) chunks: Arc<Mutex<Vec<usize>>>,
    pub(crate) failures: Arc<Mutex<u32>>,
    /// Reads of this stream wait until they are released.
    pub(crate) stalled: Arc<Mutex<Option<Name>>>,
    pub(crate) release: Arc<Semaphore>,
    /// Reads under way, and the most there were.
    pub(crate) under_way: Arc<Mutex<usize>>,
    pub(crate) under_way_max: Arc<Mutex<usize>>,
}

impl Watched {
    pub(crate) fn new(journal: MemoryJournal) -> Watched {
        Watched {
            journal,
            chunks: Arc::default(),
            failures: Arc::default(),
            stalled: Arc::default(),
            release: Arc::new(Semaphore::new(0)),
            under_way: Arc::default(),
            under_way_max: Arc::default(),
        }
    }

    /// A read, that takes a while in which others could begin theirs.
    async fn look(&self) {
        let count = {
            let mut under_way = self.under_way.lock().unwrap();
            *under_way += 1;
            *under_way
        };
        {
            let mut most = self.under_way_max.lock().unwrap();
            *most = count.max(*most);
        }
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        *self.under_way.lock().unwrap() -= 1;
    }
}

#[derive(Debug)]
struct WatchedCursor {
    inner: Box<dyn Cursor>,
    before: Option<Bytes>,
    is_stalled: bool,
    journal: Watched,
}

impl Cursor for WatchedCursor {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Chunk>, ReadError>> {
        Box::pin(async {
            if let Some(before) = self.before.take() {
                assert!(before.is_unique(), "the chunk before is still held");
            }
            if std::mem::take(&mut self.is_stalled) {
                let _ = self.journal.release.acquire().await;
            }
            self.journal.look().await;
            let chunk = self.inner.next().await?;
            if let Some(chunk) = &chunk {
                self.before = chunk.entry(chunk.first());
                let bytes = chunk.entries().map(|(_, entry)| entry.len()).sum();
                self.journal.chunks.lock().unwrap().push(bytes);
            }
            Ok(chunk)
        })
    }
}

impl Journal for Watched {
    fn append(
        &self,
        stream: &Name,
        at: Position,
        batch: Batch,
    ) -> BoxFuture<'static, Result<Position, AppendError>> {
        self.journal.append(stream, at, batch)
    }

    fn read(
        &self,
        stream: &Name,
        from: Position,
    ) -> BoxFuture<'_, Result<Box<dyn Cursor>, ReadError>> {
        let stream = stream.clone();
        Box::pin(async move {
            let inner = self.journal.read(&stream, from).await?;
            let is_stalled = self.stalled.lock().unwrap().as_ref() == Some(&stream);
            Ok(Box::new(WatchedCursor {
                inner,
                before: None,
                is_stalled,
                journal: self.clone(),
            }) as Box<dyn Cursor>)
        })
    }

    fn follow(
        &self,
        stream: &Name,
        from: Position,
    ) -> BoxFuture<'_, Result<Box<dyn Cursor>, ReadError>> {
        self.journal.follow(stream, from)
    }

    fn head(&self, stream: &Name) -> BoxFuture<'_, Result<Option<Position>, ReadError>> {
        let mut failures = self.failures.lock().unwrap();
        if *failures > 0 {
            *failures -= 1;
            let error = ReadError::Unavailable("the connection is gone".to_owned());
            return Box::pin(std::future::ready(Err(error)));
        }
        self.journal.head(stream)
    }

    fn first(&self, stream: &Name) -> BoxFuture<'_, Result<Option<Position>, ReadError>> {
        self.journal.first(stream)
    }

    fn streams(
        &self,
        prefix: &str,
        after: Option<&Name>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Name>, ReadError>> {
        self.journal.streams(prefix, after, limit)
    }

    fn forget(&self, stream: &Name, below: Position) -> BoxFuture<'_, Result<(), AppendError>> {
        self.journal.forget(stream, below)
    }

    fn durability(&self) -> Durability {
        self.journal.durability()
    }

    fn entry_bytes_max(&self) -> usize {
        self.journal.entry_bytes_max()
    }
}
