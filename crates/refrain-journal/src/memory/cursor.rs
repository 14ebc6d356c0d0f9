//! A reader's place in a stream of a memory journal.

use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{Chunk, Cursor, ReadError};
use refrain_core::{Name, Position};
use tokio::sync::watch;

use super::journal::MemoryJournal;

/// Where a cursor ends.
#[derive(Debug)]
pub(super) enum End {
    /// After this position; at once when there is none.
    After(Option<Position>),
    /// Nowhere: it waits for the signal that the journal changed.
    Never(watch::Receiver<()>),
}

/// Holds no lock and no entries between two calls.
#[derive(Debug)]
pub(super) struct MemoryCursor {
    journal: MemoryJournal,
    stream: Name,
    next: Position,
    end: End,
}

impl MemoryCursor {
    pub(super) fn new(journal: MemoryJournal, stream: Name, from: Position, end: End) -> Self {
        MemoryCursor {
            journal,
            stream,
            next: from,
            end,
        }
    }

    async fn next_chunk(&mut self) -> Result<Option<Chunk>, ReadError> {
        let chunk = match &mut self.end {
            End::After(None) => None,
            End::After(Some(last)) if *last < self.next => None,
            End::After(Some(last)) => self.journal.chunk(&self.stream, self.next, Some(*last))?,
            End::Never(changed) => loop {
                // Seen before looking: what changes after the look ends the wait.
                changed.mark_unchanged();
                if let Some(chunk) = self.journal.chunk(&self.stream, self.next, None)? {
                    break Some(chunk);
                }
                changed
                    .changed()
                    .await
                    .expect("the cursor keeps the journal, and with it the sender, alive");
            },
        };
        if let Some(chunk) = &chunk {
            self.next = chunk.last().next();
        }
        Ok(chunk)
    }
}

impl Cursor for MemoryCursor {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Chunk>, ReadError>> {
        Box::pin(self.next_chunk())
    }
}
