//! Retention: entries that nobody needs any more are forgotten, and no others.
//!
//! What is needed is the widest of all claims: of the policy, of the oldest kept snapshot that is
//! valid, of deliveries that wait in the journal alone, of answers to remembered messages, and of
//! every hold. All of it is read from what is stored, and snapshots are read back whole: what a
//! running processor believes plays no part. Whatever cannot be found out keeps everything.

mod checkpoints;
mod claim;
mod error;
mod policy;
mod snapshots;

use std::sync::{Arc, Weak};
use std::time::Duration;

use refrain_core::port::BoxFuture;
use refrain_core::port::hold::Hold;
use refrain_core::{Entry, Name, Position, Processor, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::error::chain;
use crate::recover::Source;
use crate::signal::{Signal, WeakSignals};

pub use checkpoints::Checkpoints;
pub use claim::KeptFor;
use claim::{Claim, widest};
pub use error::RetainError;
pub use policy::RetentionPolicy;
use policy::{Answers, Keep};

/// What a retention left of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retained {
    /// The processor.
    pub processor: Name,
    /// Its first entry now; `None` when there is none.
    pub first: Option<Position>,
    /// Entries that were forgotten.
    pub forgotten: u64,
    /// For what the first one is kept.
    pub kept_for: KeptFor,
}

/// The retention of one processor's stream.
pub(crate) struct Retention<P> {
    pub(crate) stream: Name,
    pub(crate) source: Source<P>,
    pub(crate) policy: RetentionPolicy,
    /// Valid snapshots that are to be kept.
    pub(crate) snapshots_kept: usize,
    pub(crate) holds: Vec<Arc<dyn Hold>>,
    pub(crate) clock: Clock,
    pub(crate) signals: WeakSignals,
    /// Rung when a snapshot was stored.
    pub(crate) stored: Notify,
    /// Held by the one that forgets.
    pub(crate) turn: Mutex<()>,
}

/// A retention, whatever the type of its processor. Only the processor's tasks keep it, and through
/// it the journal, alive.
pub(crate) trait Retains: Send + Sync {
    fn retain(&self) -> BoxFuture<'_, Result<Retained, RetainError>>;
}

/// Retains now, if the runtime is there.
pub(crate) async fn retain(retention: &Weak<dyn Retains>) -> Result<Retained, RetainError> {
    match retention.upgrade() {
        Some(retention) => retention.retain().await,
        None => Err(RetainError::NotRunning),
    }
}

impl<P> Retains for Retention<P>
where
    P: Processor + Clone + Serialize + DeserializeOwned + Sync,
{
    fn retain(&self) -> BoxFuture<'_, Result<Retained, RetainError>> {
        Box::pin(self.apply())
    }
}

impl<P> Retention<P>
where
    P: Processor + Clone + Serialize + DeserializeOwned + Sync,
{
    /// Forgets what may go after each snapshot, until `drain`.
    pub(crate) async fn run(self: Arc<Self>, drain: CancellationToken) {
        let each = async {
            loop {
                self.stored.notified().await;
                // Whoever watches was told how it went.
                let _ = self.apply().await;
            }
        };
        tokio::select! {
            () = each => {}
            () = drain.cancelled() => {}
        }
    }

    /// Forgets what may go now, and says so.
    pub(crate) async fn apply(&self) -> Result<Retained, RetainError> {
        let _turn = self.turn.lock().await;
        let processor = self.stream.clone();
        let retained = self.forget().await;
        match &retained {
            Ok(Retained { forgotten: 0, .. }) => {}
            Ok(Retained {
                first: Some(first),
                forgotten,
                kept_for,
                ..
            }) => {
                let (first, forgotten) = (*first, *forgotten);
                tracing::info!(%processor, %first, forgotten, %kept_for, "entries forgotten");
                self.signals.tell(Signal::EntriesForgotten {
                    processor,
                    first,
                    forgotten,
                });
            }
            Ok(Retained { first: None, .. }) => unreachable!("the last entry always stays"),
            Err(error) => {
                let reason = chain(error);
                tracing::warn!(%processor, reason, "nothing is forgotten");
                self.signals
                    .tell(Signal::NothingForgotten { processor, reason });
            }
        }
        retained
    }

    async fn forget(&self) -> Result<Retained, RetainError> {
        let journal = &self.source.journal;
        let first = journal.first(&self.stream).await?;
        let head = journal.head(&self.stream).await?;
        let retained = |first, forgotten, kept_for| Retained {
            processor: self.stream.clone(),
            first,
            forgotten,
            kept_for,
        };
        let (Some(keep), Some(first), Some(head)) = (self.policy.keep, first, head) else {
            return Ok(retained(first, 0, KeptFor::Policy));
        };
        let mut claims = self.snapshot_claims().await?;
        claims.push(self.policy_claim(keep, first, head).await?);
        claims.extend(self.hold_claims().await?);
        let widest = widest(claims).expect("the policy claims something");
        let below = widest.first().map_or(head, |needed| needed.min(head));
        if below <= first {
            return Ok(retained(Some(first), 0, widest.by));
        }
        journal.forget(&self.stream, below).await?;
        let forgotten = below.get() - first.get();
        Ok(retained(Some(below), forgotten, widest.by))
    }

    async fn hold_claims(&self) -> Result<Vec<Claim>, RetainError> {
        let mut claims = Vec::new();
        for hold in &self.holds {
            let name = hold.name().to_owned();
            match hold.needs(&self.stream).await {
                Ok(need) => claims.push(Claim {
                    need,
                    by: KeptFor::Hold(name),
                }),
                Err(cause) => return Err(RetainError::Hold { name, cause }),
            }
        }
        Ok(claims)
    }

    async fn policy_claim(
        &self,
        keep: Keep,
        first: Position,
        head: Position,
    ) -> Result<Claim, RetainError> {
        let by_count = (head.get() + 1).saturating_sub(keep.entries);
        let by_count = Position::new(by_count).unwrap_or(Position::FIRST);
        let kept = match keep.span.is_zero() {
            true => by_count,
            false => by_count.min(self.first_within(keep.span, first, head).await?),
        };
        Ok(Claim::from(kept, KeptFor::Policy))
    }

    /// The first entry that is not older than `span`, or the last one there is. The time of a stream
    /// never goes back.
    async fn first_within(
        &self,
        span: Duration,
        first: Position,
        head: Position,
    ) -> Result<Position, RetainError> {
        let now = self.clock.now();
        let (mut low, mut high) = (first.get(), head.get());
        while low < high {
            let middle = low + (high - low) / 2;
            let position = Position::new(middle).expect("not below the first");
            if now.since(self.time_of(position).await?) > span {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(Position::new(low).expect("not below the first"))
    }

    async fn time_of(&self, position: Position) -> Result<Timestamp, RetainError> {
        let mut cursor = self.source.journal.read(&self.stream, position).await?;
        let chunk = cursor.next().await?;
        let entry = chunk.and_then(|chunk| chunk.entry(position));
        let entry = entry.ok_or(RetainError::Gone { position })?;
        let entry = Entry::decode(&entry);
        let entry = entry.map_err(|cause| RetainError::Entry { position, cause })?;
        Ok(match entry {
            Entry::Begun(begun) => begun.time,
            Entry::Step(step) => step.time,
            Entry::ChannelMoved(moved) => moved.time,
            Entry::Watermark(watermark) => watermark.time,
        })
    }
}
