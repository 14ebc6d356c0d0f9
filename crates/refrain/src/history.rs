//! A processor's state as of a position in the past, without disturbing anything that runs.

use std::sync::Arc;

use refrain_core::port::journal::Journal;
use refrain_core::{Name, Position, Processor, Remember, Replay};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Clock;
use crate::error::{BuildError, StartError};
use crate::progress::Progress;
use crate::recover::Source;
use crate::signal::Signals;
use crate::state_digest::StateDigest;

/// The history that a journal holds. Reads only, and replays from the first entry on.
///
/// ```
/// # use refrain::{Channels, Outbox, Processor};
/// # #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
/// # struct Counter { count: u64 }
/// # impl Processor for Counter {
/// #     type Message = u64; type Event = u64; type Answer = u64;
/// #     type Rejection = refrain::Never;
/// #     fn decide(&self, by: &u64, out: &mut Outbox<Self>) -> Result<u64, Self::Rejection> {
/// #         out.event(*by);
/// #         Ok(self.count + by)
/// #     }
/// #     fn apply(&mut self, by: &u64) { self.count += by; }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use refrain::{History, MemoryJournal, Refrain};
///
/// let journal = MemoryJournal::new();
/// let refrain = Refrain::builder()
///     .journal(journal.clone())
///     .processor("counter", Counter::default())
///     .start()
///     .await?;
/// let counter = refrain.processor::<Counter>("counter");
/// counter.ask(1).await?;
/// let then = counter.digest().await?;
/// counter.ask(10).await?;
///
/// let history = History::of(journal);
/// let state = history.state_at("counter", Counter::default(), then.position).await?;
/// assert_eq!(state.count, 1);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct History {
    journal: Arc<dyn Journal>,
}

impl History {
    /// The history in `journal`.
    pub fn of(journal: impl Journal) -> History {
        History::of_shared(Arc::new(journal))
    }

    /// The history in a journal that is shared already.
    #[must_use]
    pub fn of_shared(journal: Arc<dyn Journal>) -> History {
        History { journal }
    }

    /// The state of the processor called `name` right after the entry at `position`, or as of now
    /// when the stream is not that long.
    ///
    /// # Errors
    /// When the stream cannot be read or replayed, or its first entries are forgotten.
    pub async fn state_at<P>(
        &self,
        name: &str,
        initial: P,
        position: Position,
    ) -> Result<P, StartError>
    where
        P: Processor + Clone + Serialize + DeserializeOwned,
    {
        Ok(self.replay(name, initial, position).await?.into_state())
    }

    /// The digest of that state.
    ///
    /// # Errors
    /// As [`History::state_at`].
    pub async fn digest_at<P>(
        &self,
        name: &str,
        initial: P,
        position: Position,
    ) -> Result<StateDigest, StartError>
    where
        P: Processor + Clone + Serialize + DeserializeOwned,
    {
        let replay = self.replay(name, initial, position).await?;
        let position = replay.next().before().unwrap_or(position);
        Ok(StateDigest::of(replay.state(), position))
    }

    async fn replay<P>(
        &self,
        name: &str,
        initial: P,
        position: Position,
    ) -> Result<Replay<P>, StartError>
    where
        P: Processor + Clone + Serialize + DeserializeOwned,
    {
        let name = Name::new(name).map_err(|cause| BuildError::Name {
            text: name.to_owned(),
            cause,
        })?;
        let source = Source {
            journal: self.journal.clone(),
            snapshots: None,
            initial,
            remember: Remember::default(),
        };
        let progress = Progress::new(name.clone(), &Signals::new());
        let clock = Clock::start();
        Ok(source
            .replay(&name, Some(position), &clock, &progress)
            .await?)
    }
}
