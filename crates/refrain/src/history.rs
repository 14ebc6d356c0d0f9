//! A processor's state as of a position in the past, without disturbing anything that runs.

use std::ops::RangeBounds;
use std::sync::Arc;

use refrain_core::port::journal::Journal;
use refrain_core::port::snapshots::Snapshots;
use refrain_core::{Name, Position, Processor, Remember, Replay, apply_entry};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Clock;
use crate::entries::{Entries, EntryAt};
use crate::error::{BuildError, StartError};
use crate::progress::Progress;
use crate::recover::{RecoverError, Source};
use crate::state_digest::StateDigest;
use crate::turn::Turn;

/// The history that a journal holds, of as many processors as are asked for. Reads only: whoever writes
/// the journal meanwhile is not disturbed.
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
    snapshots: Option<Arc<dyn Snapshots>>,
}

impl History {
    /// The history in `journal`.
    pub fn of(journal: impl Journal) -> History {
        History::of_shared(Arc::new(journal))
    }

    /// The history in a journal that is shared already.
    #[must_use]
    pub fn of_shared(journal: Arc<dyn Journal>) -> History {
        History {
            journal,
            snapshots: None,
        }
    }

    /// Replays begin with the newest usable snapshot in `snapshots`, rather than with the first entry.
    #[must_use]
    pub fn with_snapshots(mut self, snapshots: impl Snapshots) -> History {
        self.snapshots = Some(Arc::new(snapshots));
        self
    }

    /// The state of the processor called `name` right after the entry at `position`, or as of now
    /// when the stream is not that long.
    ///
    /// # Errors
    /// When the stream cannot be read or replayed; [`RecoverError::Forgotten`] when the entry, and
    /// [`RecoverError::NoSnapshot`] when what it follows from, is not kept.
    pub async fn state_at<P>(
        &self,
        name: &str,
        initial: P,
        position: Position,
    ) -> Result<P, StartError>
    where
        P: Processor + Clone + Serialize + DeserializeOwned,
    {
        Ok(self.as_of(name, initial, position).await?.into_state())
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
        let replay = self.as_of(name, initial, position).await?;
        let position = replay.next().before().unwrap_or(position);
        Ok(StateDigest::of(replay.state(), position))
    }

    /// `state` after the events of the entries in `range`, and of no others, were applied to it: from
    /// a position, up to one (inclusive or not), or of nothing. What `state` is a state of is the
    /// caller's affair.
    ///
    /// ```
    /// # use refrain::{History, MemoryJournal, Outbox, Position, Processor, Refrain};
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
    /// # let journal = MemoryJournal::new();
    /// # let refrain = Refrain::builder()
    /// #     .journal(journal.clone())
    /// #     .processor("counter", Counter::default())
    /// #     .start()
    /// #     .await?;
    /// # let counter = refrain.processor::<Counter>("counter");
    /// // The first entry begins the stream; these are the second to the fourth.
    /// for by in [1, 10, 100] {
    ///     counter.ask(by).await?;
    /// }
    /// let third = Position::new(3).ok_or("positions start at 1")?;
    /// let history = History::of(journal);
    /// let since = history.replay("counter", Counter::default(), third..).await?;
    /// assert_eq!(since.count, 110);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When one of the entries cannot be read or applied, or the first of them is forgotten.
    pub async fn replay<P: Processor>(
        &self,
        name: &str,
        state: P,
        range: impl RangeBounds<Position>,
    ) -> Result<P, StartError> {
        let stream = checked(name)?;
        let read = |cause| RecoverError::Read {
            stream: stream.clone(),
            cause,
        };
        let entries = Entries::read(&*self.journal, &stream, range).await;
        let mut entries = entries.map_err(read)?;
        let mut state = state;
        while let Some(EntryAt { position, stored }) = entries.next().await.map_err(read)? {
            apply_entry(&mut state, position, &stored).map_err(|cause| {
                let stream = stream.clone();
                RecoverError::Replay { stream, cause }
            })?;
        }
        Ok(state)
    }

    /// The entries of the processor called `name` in `range`, up to its end as it is now.
    ///
    /// # Errors
    /// When they cannot be read, or the first of them is forgotten.
    pub async fn entries(
        &self,
        name: &str,
        range: impl RangeBounds<Position>,
    ) -> Result<Entries, StartError> {
        let stream = checked(name)?;
        let entries = Entries::read(&*self.journal, &stream, range).await;
        Ok(entries.map_err(|cause| RecoverError::Read { stream, cause })?)
    }

    async fn as_of<P>(
        &self,
        name: &str,
        initial: P,
        position: Position,
    ) -> Result<Replay<P>, StartError>
    where
        P: Processor + Clone + Serialize + DeserializeOwned,
    {
        let name = checked(name)?;
        let source = Source {
            journal: self.journal.clone(),
            snapshots: self.snapshots.clone(),
            initial,
            remember: Remember::default(),
        };
        let progress = Progress::unwatched(name.clone());
        let mut turn = Turn::alone(Clock::start());
        let replay = source.replay(&name, Some(position), &mut turn, &progress);
        Ok(replay.await?)
    }
}

fn checked(name: &str) -> Result<Name, BuildError> {
    Name::new(name).map_err(|cause| BuildError::Name {
        text: name.to_owned(),
        cause,
    })
}
