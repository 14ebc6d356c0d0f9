//! The control: a journal that breaks the rule that everything else rests on.
//!
//! It acknowledges entries at once and writes them a moment later, as programs do that answer first
//! and save afterwards. A kill in that moment loses what was acknowledged: a drill with this journal
//! must fail, or it would prove nothing about the real one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use refrain::port::BoxFuture;
use refrain::port::journal::{
    AppendError, Batch, Cursor, Durability, Journal, ReadError, RejectReason,
};
use refrain::{Name, Position};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// How long acknowledged entries are not written: long beside the time from an acknowledgement to a
/// kill, also on a busy machine.
const LATE: Duration = Duration::from_secs(1);

/// Appends that wait at most.
const WAITING_MAX: usize = 10_000;

/// Acknowledges first, and writes later, to the journal inside.
#[derive(Debug)]
pub struct AcknowledgeBeforeWrite {
    inner: Arc<dyn Journal>,
    waiting: Arc<Waiting>,
    /// Holds the one task that writes.
    _writer: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Waiting {
    appends: Mutex<VecDeque<(Name, Position, Batch)>>,
    /// Told when the writer has emptied the queue.
    empty: Notify,
    /// Told when there is something to write.
    some: Notify,
}

impl AcknowledgeBeforeWrite {
    /// Spoils `inner`. Must be called in a Tokio runtime.
    pub fn new(inner: Arc<dyn Journal>) -> AcknowledgeBeforeWrite {
        let waiting = Arc::new(Waiting::default());
        let mut writer = JoinSet::new();
        writer.spawn(write_late(Arc::clone(&inner), Arc::clone(&waiting)));
        AcknowledgeBeforeWrite {
            inner,
            waiting,
            _writer: writer,
        }
    }
}

async fn write_late(inner: Arc<dyn Journal>, waiting: Arc<Waiting>) {
    loop {
        waiting.some.notified().await;
        tokio::time::sleep(LATE).await;
        while let Some((stream, at, batch)) = waiting.first() {
            if let Err(error) = inner.append(&stream, at, batch).await {
                tracing::error!(%error, "an acknowledged entry was not written");
                return;
            }
            waiting.written();
        }
    }
}

impl Waiting {
    fn first(&self) -> Option<(Name, Position, Batch)> {
        let appends = self.appends.lock().unwrap_or_else(PoisonError::into_inner);
        appends.front().cloned()
    }

    fn written(&self) {
        let mut appends = self.appends.lock().unwrap_or_else(PoisonError::into_inner);
        appends.pop_front();
        if appends.is_empty() {
            self.empty.notify_waiters();
        }
    }

    /// Waits until all is written, so that at least this process reads what it was told.
    async fn all_written(&self) {
        loop {
            let empty = self.empty.notified();
            if self.first().is_none() {
                return;
            }
            empty.await;
        }
    }
}

impl Journal for AcknowledgeBeforeWrite {
    fn append(
        &self,
        stream: &Name,
        at: Position,
        batch: Batch,
    ) -> BoxFuture<'static, Result<Position, AppendError>> {
        let mut appends = self
            .waiting
            .appends
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let appended = if batch.is_empty() || appends.len() == WAITING_MAX {
            Err(AppendError::Rejected {
                stream: stream.clone(),
                at,
                reason: if batch.is_empty() {
                    RejectReason::Empty
                } else {
                    RejectReason::Overloaded
                },
            })
        } else {
            let last = at.plus(batch.len() as u64 - 1);
            appends.push_back((stream.clone(), at, batch));
            self.waiting.some.notify_one();
            Ok(last)
        };
        Box::pin(std::future::ready(appended))
    }

    fn read(
        &self,
        stream: &Name,
        from: Position,
    ) -> BoxFuture<'_, Result<Box<dyn Cursor>, ReadError>> {
        let stream = stream.clone();
        Box::pin(async move {
            self.waiting.all_written().await;
            self.inner.read(&stream, from).await
        })
    }

    fn follow(
        &self,
        stream: &Name,
        from: Position,
    ) -> BoxFuture<'_, Result<Box<dyn Cursor>, ReadError>> {
        self.inner.follow(stream, from)
    }

    fn head(&self, stream: &Name) -> BoxFuture<'_, Result<Option<Position>, ReadError>> {
        let stream = stream.clone();
        Box::pin(async move {
            self.waiting.all_written().await;
            self.inner.head(&stream).await
        })
    }

    fn first(&self, stream: &Name) -> BoxFuture<'_, Result<Option<Position>, ReadError>> {
        self.inner.first(stream)
    }

    fn streams(
        &self,
        prefix: &str,
        after: Option<&Name>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Name>, ReadError>> {
        self.inner.streams(prefix, after, limit)
    }

    fn forget(&self, stream: &Name, below: Position) -> BoxFuture<'_, Result<(), AppendError>> {
        self.inner.forget(stream, below)
    }

    /// The lie.
    fn durability(&self) -> Durability {
        self.inner.durability()
    }

    fn entry_bytes_max(&self) -> usize {
        self.inner.entry_bytes_max()
    }
}
