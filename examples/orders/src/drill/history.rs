//! The journal, replayed from its first entry, without snapshots, in the drill's own process.

use std::collections::{BTreeMap, HashMap, HashSet};

use refrain::{Entry, Journal, Name, Position, Remember, Replay};

use crate::announcement::Recovered;
use crate::domain::{OrderId, OrderStatus};
use crate::processor::{OrderEvent, Orders};

/// What the journal says.
#[derive(Debug, Default)]
pub struct History {
    /// Where each order was decided.
    pub decisions: BTreeMap<OrderId, Vec<u64>>,
    /// What became of each order at the end.
    pub orders: BTreeMap<OrderId, OrderStatus>,
    /// Where each epoch began.
    pub begun: BTreeMap<u64, u64>,
    /// The digest of the state where each recovery took its own; `None` beyond the end.
    pub digests: Vec<Option<String>>,
}

/// Why the journal cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("the journal cannot be read")]
    Read(#[from] refrain::ReadError),
    #[error("an entry cannot be applied")]
    Replay(#[from] refrain::ReplayError),
    #[error("an entry cannot be read")]
    Format(#[from] refrain::FormatError),
    #[error("an event cannot be read")]
    Codec(#[from] refrain::CodecError),
}

/// Replays the stream of the orders.
///
/// # Errors
/// When an entry cannot be read or applied.
pub async fn replay(
    journal: &dyn Journal,
    recoveries: &[Recovered],
) -> Result<History, HistoryError> {
    let wanted: HashSet<u64> = recoveries.iter().map(|start| start.digest_position).collect();
    let mut replay = Replay::new(Orders::default(), Remember::default());
    let mut digests = HashMap::from([(0, digest(replay.state()))]);
    let mut history = History::default();
    let mut cursor = journal.read(&STREAM.parse()?, Position::FIRST).await?;
    while let Some(chunk) = cursor.next().await? {
        for (position, bytes) in chunk.entries() {
            replay.entry(position, bytes)?;
            history.note(position.get(), &Entry::decode(bytes)?)?;
            if wanted.contains(&position.get()) {
                digests.insert(position.get(), digest(replay.state()));
            }
        }
    }
    let orders = replay.state().orders_after(OrderId::default());
    history.orders = orders.map(|order| (order.id, order.status.clone())).collect();
    let digest_of = |start: &Recovered| digests.get(&start.digest_position).cloned();
    history.digests = recoveries.iter().map(digest_of).collect();
    Ok(history)
}

impl History {
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
            Entry::ChannelMoved(_) => {}
        }
        Ok(())
    }
}
