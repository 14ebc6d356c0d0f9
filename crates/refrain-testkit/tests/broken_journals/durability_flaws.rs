//! Journals that tell too early what is durable, or lose what they told.

use futures_util::FutureExt;
use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{Batch, Journal, ReadError};
use refrain_core::{Name, Position};
use refrain_journal::MemoryJournal;

use super::flawed::{Appended, Flaw, Opened, head};

/// Acknowledges what is only submitted.
#[derive(Debug, Default)]
pub(crate) struct AcknowledgesTooEarly;

impl Flaw for AcknowledgesTooEarly {
    fn append(&self, sound: &MemoryJournal, stream: &Name, at: Position, batch: Batch) -> Appended {
        let last = at.plus(batch.len() as u64 - 1);
        drop(sound.append(stream, at, batch));
        async move { Ok(last) }.boxed()
    }
}

/// Shows readers what is only submitted.
#[derive(Debug, Default)]
pub(crate) struct ShowsTooEarly {
    submitted: MemoryJournal,
}

impl Flaw for ShowsTooEarly {
    fn append(&self, sound: &MemoryJournal, stream: &Name, at: Position, batch: Batch) -> Appended {
        drop(self.submitted.append(stream, at, batch.clone()));
        sound.append(stream, at, batch)
    }

    fn read<'a>(&'a self, _: &'a MemoryJournal, stream: &Name, from: Position) -> Opened<'a> {
        self.submitted.read(stream, from)
    }

    fn follow<'a>(&'a self, _: &'a MemoryJournal, stream: &Name, from: Position) -> Opened<'a> {
        self.submitted.follow(stream, from)
    }
}

/// Acknowledges and shows what it would write later.
#[derive(Debug, Default)]
pub(crate) struct WritesBehind;

impl Flaw for WritesBehind {
    fn reopen<'a>(&'a self, _: &'a MemoryJournal) -> BoxFuture<'a, MemoryJournal> {
        Box::pin(async { MemoryJournal::new() })
    }
}

/// Cuts the last entry of every stream when it is opened.
#[derive(Debug, Default)]
pub(crate) struct LosesTheLastEntry;

impl Flaw for LosesTheLastEntry {
    fn reopen<'a>(&'a self, sound: &'a MemoryJournal) -> BoxFuture<'a, MemoryJournal> {
        Box::pin(async move {
            let cut = MemoryJournal::new();
            copy_but_the_last(sound, &cut)
                .await
                .expect("nothing was forgotten");
            cut
        })
    }
}

async fn copy_but_the_last(from: &MemoryJournal, to: &MemoryJournal) -> Result<(), ReadError> {
    for stream in from.streams("", None, usize::MAX).await? {
        let mut cursor = from.read(&stream, Position::FIRST).await?;
        while let Some(chunk) = cursor.next().await? {
            for (position, entry) in chunk.entries() {
                if Some(position) < head(from, &stream) {
                    let mut batch = Batch::default();
                    batch.push(entry);
                    drop(to.append(&stream, position, batch));
                }
            }
        }
    }
    Ok(())
}

/// Forgets in memory only.
#[derive(Debug, Default)]
pub(crate) struct BringsForgottenBack {
    everything: MemoryJournal,
}

impl Flaw for BringsForgottenBack {
    fn append(&self, sound: &MemoryJournal, stream: &Name, at: Position, batch: Batch) -> Appended {
        drop(self.everything.append(stream, at, batch.clone()));
        sound.append(stream, at, batch)
    }

    fn reopen<'a>(&'a self, _: &'a MemoryJournal) -> BoxFuture<'a, MemoryJournal> {
        Box::pin(async { self.everything.clone() })
    }
}
