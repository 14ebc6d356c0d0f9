//! The worker's other door: processors of the runtime, told durably, one message after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use refrain::{AskError, Handle, Never, Outbox, Processor, Refrain};
use refrain_journal::FileJournal;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::line::{Batch, Line};
use crate::order::Order;
use crate::payload::Digest;
use crate::work::{chain, open, say, stream_name};

/// A processor that remembers each message: its entries are what the checker compares.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Ledger {
    /// What stands for each message, in the order in which they were handled.
    pub(crate) notes: Vec<u64>,
}

/// A message to it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Note(u64);

impl Processor for Ledger {
    type Message = Note;
    type Event = Note;
    type Answer = ();
    type Rejection = Never;

    fn decide(&self, note: &Note, out: &mut Outbox<Self>) -> Result<(), Never> {
        out.event(*note);
        Ok(())
    }

    fn apply(&mut self, note: &Note) {
        self.notes.push(note.0);
    }
}

/// Starts `count` processors on the journal in `dir`.
pub(crate) async fn start(journal: FileJournal, count: u32) -> Result<Refrain, String> {
    let mut builder = Refrain::builder()
        .journal(journal)
        .processor(stream_name(0).as_str(), Ledger::default());
    for stream in 1..count {
        builder = builder.processor(stream_name(stream).as_str(), Ledger::default());
    }
    builder.start().await.map_err(|error| chain(&error))
}

/// What each processor remembers, by its number.
///
/// # Errors
/// When the journal cannot be opened, or a processor does not recover.
pub(crate) async fn remembered(order: &Order) -> Result<Vec<Vec<Digest>>, String> {
    let journal = open(order).map_err(|error| chain(&error))?;
    let refrain = start(journal, order.streams).await?;
    let mut all = Vec::new();
    for stream in 0..order.streams {
        let ledger = refrain.processor::<Ledger>(stream_name(stream).as_str());
        let notes = ledger.query(|ledger| ledger.notes.clone()).await;
        let notes = notes.map_err(|error| chain(&error))?;
        all.push(notes.into_iter().map(Digest).collect());
    }
    refrain.drain().await;
    Ok(all)
}

/// Tells until a line comes in or all is done.
///
/// # Errors
/// When the journal cannot be opened, or a processor does not recover.
pub(crate) async fn through_runtime(
    order: &Order,
    told_to_end: Arc<AtomicBool>,
) -> Result<(), String> {
    let journal = open(order).map_err(|error| chain(&error))?;
    let refrain = start(journal, order.streams).await?;
    say(&Line::Opened);
    let mut tellers = JoinSet::new();
    for stream in 0..order.streams {
        let ledger = refrain.processor::<Ledger>(stream_name(stream).as_str());
        let teller = Teller {
            ledger,
            stream,
            seed: order.seed,
            appends: order.appends,
            told_to_end: Arc::clone(&told_to_end),
        };
        tellers.spawn(teller.run());
    }
    while tellers.join_next().await.is_some() {}
    refrain.drain().await;
    Ok(())
}

/// Who tells one processor.
struct Teller {
    ledger: Handle<Ledger>,
    stream: u32,
    seed: u64,
    appends: u64,
    told_to_end: Arc<AtomicBool>,
}

impl Teller {
    async fn run(self) {
        let stream = self.stream;
        let Ok(head) = self.ledger.query(|ledger| ledger.notes.len() as u64).await else {
            return;
        };
        say(&Line::Head { stream, head });
        let last = head.saturating_add(self.appends);
        for first in head + 1..=last {
            if self.told_to_end.load(Ordering::Relaxed) {
                return;
            }
            let place = (u64::from(stream) << 48) ^ first;
            let note = Note(self.seed ^ place.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let batch = Batch {
                stream,
                first,
                digests: vec![Digest(note.0)],
            };
            say(&Line::Submitted(batch.clone()));
            match self.ledger.tell_durable(note).await {
                Ok(()) => say(&Line::Acknowledged(batch)),
                Err(AskError::Unknown { .. } | AskError::NotRunning { .. }) => {
                    say(&Line::Unknown { stream, first });
                    return;
                }
                Err(error) => {
                    let reason = chain(&error);
                    say(&Line::Rejected {
                        stream,
                        first,
                        reason,
                    });
                    return;
                }
            }
        }
    }
}
