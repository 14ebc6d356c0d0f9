//! Journals that append wrongly.

use futures_util::FutureExt;
use refrain_core::limit::BATCH_ENTRIES_MAX;
use refrain_core::port::journal::{AppendError, Batch, Journal, RejectReason};
use refrain_core::{Name, Position};
use refrain_journal::MemoryJournal;
use tokio::task::yield_now;

use super::flawed::{Appended, Flaw, head};

/// Appends wherever the stream is.
#[derive(Debug, Default)]
pub(crate) struct IgnoresExpectedPosition;

impl Flaw for IgnoresExpectedPosition {
    fn append(&self, sound: &MemoryJournal, stream: &Name, _: Position, batch: Batch) -> Appended {
        sound.append(stream, Position::after(head(sound, stream)), batch)
    }
}

/// Takes an append that names too high a position.
#[derive(Debug, Default)]
pub(crate) struct FencesOnlyStale;

impl Flaw for FencesOnlyStale {
    fn append(&self, sound: &MemoryJournal, stream: &Name, at: Position, batch: Batch) -> Appended {
        let next = Position::after(head(sound, stream));
        sound.append(stream, at.min(next), batch)
    }
}

/// Tells a stale writer the head instead of the next position.
#[derive(Debug, Default)]
pub(crate) struct NamesWrongNext;

impl Flaw for NamesWrongNext {
    fn append(&self, sound: &MemoryJournal, stream: &Name, at: Position, batch: Batch) -> Appended {
        let append = sound.append(stream, at, batch);
        let wrong = |mut error| {
            if let AppendError::Fenced { next, .. } = &mut error {
                *next = next.before().unwrap_or(*next);
            }
            error
        };
        append.map(move |result| result.map_err(wrong)).boxed()
    }
}

#[derive(Debug, Default)]
pub(crate) struct AnswersFirstPosition;

impl Flaw for AnswersFirstPosition {
    fn append(&self, sound: &MemoryJournal, stream: &Name, at: Position, batch: Batch) -> Appended {
        let append = sound.append(stream, at, batch);
        append.map(move |result| result.map(|_| at)).boxed()
    }
}

/// Says that it appended nothing.
#[derive(Debug, Default)]
pub(crate) struct AcceptsEmptyBatches;

impl Flaw for AcceptsEmptyBatches {
    fn append(&self, sound: &MemoryJournal, stream: &Name, at: Position, batch: Batch) -> Appended {
        match batch.is_empty() {
            true => async move { Ok(at) }.boxed(),
            false => sound.append(stream, at, batch),
        }
    }
}

/// Keeps at most 64 KiB of an entry.
#[derive(Debug, Default)]
pub(crate) struct ClipsEntries;

impl Flaw for ClipsEntries {
    fn append(&self, sound: &MemoryJournal, stream: &Name, at: Position, batch: Batch) -> Appended {
        let clip = |entry: &[u8]| entry[..entry.len().min(64 * 1024)].to_vec();
        sound.append(stream, at, batch_of(batch.entries().map(clip)))
    }
}

/// Takes fewer entries in one append than it should.
#[derive(Debug, Default)]
pub(crate) struct RefusesBigBatches;

impl Flaw for RefusesBigBatches {
    fn append(&self, sound: &MemoryJournal, stream: &Name, at: Position, batch: Batch) -> Appended {
        if batch.len() < BATCH_ENTRIES_MAX {
            return sound.append(stream, at, batch);
        }
        let rejected = AppendError::Rejected {
            stream: stream.clone(),
            at,
            reason: RejectReason::Overloaded,
        };
        async { Err(rejected) }.boxed()
    }
}

#[derive(Debug, Default)]
pub(crate) struct DropsEmptyEntries;

impl Flaw for DropsEmptyEntries {
    fn append(&self, sound: &MemoryJournal, stream: &Name, at: Position, batch: Batch) -> Appended {
        let entries = batch.entries().filter(|entry| !entry.is_empty());
        sound.append(stream, at, batch_of(entries.map(<[u8]>::to_vec)))
    }
}

#[derive(Debug, Default)]
pub(crate) struct ReversesBatches;

impl Flaw for ReversesBatches {
    fn append(&self, sound: &MemoryJournal, stream: &Name, at: Position, batch: Batch) -> Appended {
        let entries: Vec<Vec<u8>> = batch.entries().map(<[u8]>::to_vec).collect();
        sound.append(stream, at, batch_of(entries.into_iter().rev()))
    }
}

/// Appends the entries of a batch one after the other.
#[derive(Debug, Default)]
pub(crate) struct SplitsBatches;

impl Flaw for SplitsBatches {
    fn append(&self, sound: &MemoryJournal, stream: &Name, at: Position, batch: Batch) -> Appended {
        let (sound, stream) = (sound.clone(), stream.clone());
        Box::pin(async move {
            let mut last = at;
            for (position, entry) in (at.get()..).zip(batch.entries()) {
                last = Position::new(position).expect("it grows");
                let one = batch_of([entry.to_vec()].into_iter());
                sound.append(&stream, last, one).await?;
                yield_now().await;
            }
            Ok(last)
        })
    }
}

/// Begins when it is polled, and so never when it is dropped before.
#[derive(Debug, Default)]
pub(crate) struct SubmitsWhenPolled;

impl Flaw for SubmitsWhenPolled {
    fn append(&self, sound: &MemoryJournal, stream: &Name, at: Position, batch: Batch) -> Appended {
        let (sound, stream) = (sound.clone(), stream.clone());
        Box::pin(async move { sound.append(&stream, at, batch).await })
    }
}

/// Acknowledges every other append a little later.
#[derive(Debug, Default)]
pub(crate) struct CompletesOutOfOrder;

impl Flaw for CompletesOutOfOrder {
    fn append(&self, sound: &MemoryJournal, stream: &Name, at: Position, batch: Batch) -> Appended {
        let append = sound.append(stream, at, batch);
        Box::pin(async move {
            if at.get() % 2 == 1 {
                yield_now().await;
            }
            append.await
        })
    }
}

fn batch_of(entries: impl Iterator<Item = Vec<u8>>) -> Batch {
    let mut batch = Batch::default();
    entries.for_each(|entry| batch.push(&entry));
    batch
}
