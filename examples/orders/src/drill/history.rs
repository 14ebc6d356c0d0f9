//! What the journal says of the orders, read from its first entry, without snapshots, in the drill's
//! own process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use refrain::entry::{Entry, FormatError};
use refrain::port::journal::ReadError;
use refrain::{CodecError, FileJournal, History, Journal, Name, OpenError, Position};

use crate::announcement::Recovered;
use crate::domain::{OrderId, OrderStatus};
use crate::processor::{OrderEvent, Orders};
use crate::wiring::{ORDERS, journal_dir};

/// What the journal says.
#[derive(Debug, Default)]
pub struct Told {
    /// Where each order was decided.
    pub decisions: BTreeMap<OrderId, Vec<u64>>,
    /// What became of each order at the end.
    pub orders: BTreeMap<OrderId, OrderStatus>,
    /// Where each epoch began.
    pub begun: BTreeMap<u64, u64>,
    /// The digest of the state where each recovery took its own; `None` beyond the end.
    pub digests: Vec<Option<String>>,
}

/// Why the journal cannot be read or replayed.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The journal does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Entries cannot be read.
    #[error("entries cannot be read")]
    Read(#[from] ReadError),
    /// An entry is not understood.
    #[error("an entry is not understood")]
    Format(#[from] FormatError),
    /// An event is not understood.
    #[error("an event is not understood")]
    Event(#[from] CodecError),
    /// The entries cannot be applied.
    #[error("the entries cannot be applied")]
    Replay(#[from] refrain::StartError),
}

/// Reads and replays the journal of the processor that kept its data in `data`, and has ended.
///
/// # Errors
/// When the journal cannot be read or replayed.
pub async fn replay(data: &Path, recoveries: &[Recovered]) -> Result<Told, HistoryError> {
    let journal: Arc<dyn Journal> = Arc::new(FileJournal::open(journal_dir(data))?);
    let mut told = Told::default();
    let stream = Name::new(ORDERS).expect("the processor's name is a name");
    let mut cursor = journal.read(&stream, Position::FIRST).await?;
    let mut last = None;
    while let Some(chunk) = cursor.next().await? {
        for (position, bytes) in chunk.entries() {
            told.note(position.get(), &Entry::decode(bytes)?)?;
            last = Some(position);
        }
    }
    let history = History::of_shared(journal);
    for recovery in recoveries {
        let wanted = Position::new(recovery.digest_position).filter(|at| Some(*at) <= last);
        told.digests.push(match wanted {
            Some(at) => {
                let then = history.digest_at(ORDERS, Orders::default(), at).await?;
                Some(then.to_string())
            }
            None => None,
        });
    }
    if let Some(last) = last {
        let state = history.state_at(ORDERS, Orders::default(), last).await?;
        let orders = state.orders_after(OrderId::default());
        told.orders = orders
            .map(|order| (order.id, order.status.clone()))
            .collect();
    }
    Ok(told)
}

impl Told {
    fn note(&mut self, position: u64, entry: &Entry<'_>) -> Result<(), HistoryError> {
        match entry {
            Entry::Begun(begun) => {
                self.begun.insert(begun.epoch.get(), position);
            }
            Entry::Step(step) => {
                for event in step.events.iter() {
                    match step.encoding.decode(event?)? {
                        OrderEvent::Stored(_) => {}
                        OrderEvent::Accepted { id } | OrderEvent::Declined { id, .. } => {
                            self.decisions.entry(id).or_default().push(position);
                        }
                    }
                }
            }
            Entry::ChannelMoved(_) | Entry::Watermark(_) => {}
        }
        Ok(())
    }
}
