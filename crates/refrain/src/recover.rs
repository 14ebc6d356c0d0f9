//! From a stream to a state: the newest usable snapshot, and the entries after it. Reads only.

use std::sync::Arc;

use refrain_core::port::journal::{AppendError, Journal, ReadError};
use refrain_core::port::snapshots::Snapshots;
use refrain_core::{Entry, Epoch, Name, Position, Processor, Remember, Replay, ReplayError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::planted;
use crate::progress::Progress;
use crate::turn::Turn;

/// What a recovery needs.
#[derive(Debug, Clone)]
pub(crate) struct Source<P> {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) snapshots: Option<Arc<dyn Snapshots>>,
    pub(crate) initial: P,
    pub(crate) remember: Remember,
}

/// Why a processor could not be recovered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// The journal cannot be read.
    #[error("{stream} cannot be read")]
    Read {
        /// The processor's stream.
        stream: Name,
        /// Why.
        #[source]
        cause: ReadError,
    },
    /// An entry cannot be replayed.
    #[error("{stream} cannot be replayed")]
    Replay {
        /// The processor's stream.
        stream: Name,
        /// Why, and where.
        #[source]
        cause: ReplayError,
    },
    /// The first entries are forgotten, and no snapshot that covers them can be used.
    #[error("{stream} begins at {first}, and no snapshot that covers what was before can be used")]
    NoSnapshot {
        /// The processor's stream.
        stream: Name,
        /// Its first kept entry.
        first: Position,
    },
    /// A state of the past was wanted whose entries are forgotten.
    #[error("{stream} begins at {first}, and position {wanted} is gone")]
    Forgotten {
        /// The processor's stream.
        stream: Name,
        /// The position that was asked for.
        wanted: Position,
        /// Its first kept entry.
        first: Position,
    },
    /// The runtime has ended.
    #[error("the runtime of {stream} has ended")]
    Ended {
        /// The processor's stream.
        stream: Name,
    },
    /// The entry that begins a new epoch could not be appended.
    #[error("{stream} cannot be written")]
    Begin {
        /// The processor's stream.
        stream: Name,
        /// Why.
        #[source]
        cause: AppendError,
    },
    /// Another runtime has taken the stream over. It goes on there.
    #[error("{stream} was taken over by another writer, which began epoch {epoch}")]
    Overtaken {
        /// The processor's stream.
        stream: Name,
        /// The epoch of the other writer.
        epoch: Epoch,
    },
    /// A drain was asked for while the recovery waited for the journal.
    #[error("{stream} was drained while it waited for the journal")]
    Drained {
        /// The processor's stream.
        stream: Name,
    },
}

impl<P> Source<P>
where
    P: Processor + Clone + Serialize + DeserializeOwned,
{
    /// The state of `stream` as of `up_to` (inclusive), or of now. Gives the turn up for as long as
    /// the journal is slow, and shares it with others.
    pub(crate) async fn replay(
        &self,
        stream: &Name,
        up_to: Option<Position>,
        turn: &mut Turn<'_>,
        progress: &Progress,
    ) -> Result<Replay<P>, RecoverError> {
        let read = |cause| RecoverError::Read {
            stream: stream.clone(),
            cause,
        };
        let head = turn.lend(self.journal.head(stream)).await.map_err(read)?;
        let last = up_to.or(head).min(head);
        let mut replay = turn.lend(self.start(stream, last, up_to)).await?;
        let from = replay.next();
        let remaining = last.map_or(0, |last| (last.get() + 1).saturating_sub(from.get()));
        progress.begin(turn.clock.now(), from.before(), remaining);
        if remaining == 0 {
            return Ok(replay);
        }
        let cursor = turn.lend(self.journal.read(stream, from)).await;
        let mut cursor = cursor.map_err(read)?;
        while let Some(chunk) = turn.lend(cursor.next()).await.map_err(read)? {
            let mut applied = 0;
            for (position, entry) in chunk.entries() {
                if Some(position) > last {
                    break;
                }
                replay
                    .entry(position, entry)
                    .map_err(|cause| RecoverError::Replay {
                        stream: stream.clone(),
                        cause,
                    })?;
                applied += 1;
            }
            progress.applied(applied, turn.clock.now());
            if Some(chunk.last()) >= last {
                break;
            }
            drop(chunk);
            turn.applied(applied).await;
        }
        Ok(replay)
    }

    /// A replay that starts with the newest usable snapshot at or below `last`, or with the initial
    /// state.
    async fn start(
        &self,
        stream: &Name,
        last: Option<Position>,
        wanted: Option<Position>,
    ) -> Result<Replay<P>, RecoverError> {
        if let Some(replay) = self.newest_snapshot(stream, last, wanted).await {
            return Ok(replay);
        }
        let first = self.journal.first(stream).await;
        let first = first.map_err(|cause| RecoverError::Read {
            stream: stream.clone(),
            cause,
        })?;
        let stream = stream.clone();
        match (first, wanted) {
            (Some(first), Some(wanted)) if first > wanted => Err(RecoverError::Forgotten {
                stream,
                wanted,
                first,
            }),
            (Some(first), _) if first > Position::FIRST => {
                Err(RecoverError::NoSnapshot { stream, first })
            }
            (Some(_) | None, _) => Ok(Replay::new(self.initial.clone(), self.remember)),
        }
    }

    /// One that is damaged, unreadable, of another history or ahead of the journal is passed over with
    /// a warning.
    async fn newest_snapshot(
        &self,
        stream: &Name,
        last: Option<Position>,
        wanted: Option<Position>,
    ) -> Option<Replay<P>> {
        let snapshots = self.snapshots.as_ref()?;
        let listed = match snapshots.list(stream).await {
            Ok(listed) => listed,
            Err(error) => {
                tracing::warn!(%stream, %error, "snapshots cannot be listed");
                return None;
            }
        };
        for position in listed {
            if Some(position) > last {
                if wanted.is_none() {
                    let head = last.map_or(0, Position::get);
                    tracing::warn!(%stream, %position, head, "a snapshot is ahead of the journal, which may have lost entries");
                }
                continue;
            }
            match self.open_snapshot(&**snapshots, stream, position).await {
                Ok(replay) => return Some(replay),
                Err(error) => {
                    tracing::warn!(%stream, %position, %error, "a snapshot is passed over");
                }
            }
        }
        None
    }

    pub(crate) async fn open_snapshot(
        &self,
        snapshots: &dyn Snapshots,
        stream: &Name,
        position: Position,
    ) -> Result<Replay<P>, String> {
        let stored = snapshots
            .get(stream, position)
            .await
            .map_err(|error| error.to_string())?;
        let load = |state: &[u8]| P::ENCODING.decode(state);
        let replay = Replay::from_snapshot(&stored, self.remember, load);
        let replay = replay.map_err(|error| error.to_string())?;
        if replay.next() != position.next() {
            return Err(format!(
                "it is of position {:?}, not {position}",
                replay.next().before()
            ));
        }
        let first = self
            .journal
            .first(stream)
            .await
            .map_err(|error| error.to_string())?;
        if first > Some(replay.next()) {
            return Err(format!("the entries after it are gone, up to {first:?}"));
        }
        let is_ours = self.is_vouched_for(stream, position, &stored).await;
        if is_ours.map_err(|error| error.to_string())? || planted::is("snapshot-not-compared") {
            return Ok(replay);
        }
        Err("the journal does not vouch for it: it is of another history".into())
    }

    /// Whether the entry after `position` is the watermark of `snapshot`.
    async fn is_vouched_for(
        &self,
        stream: &Name,
        position: Position,
        snapshot: &[u8],
    ) -> Result<bool, ReadError> {
        let after = position.next();
        let chunk = self.journal.read(stream, after).await?.next().await?;
        let entry = chunk.and_then(|chunk| chunk.entry(after));
        let entry = entry.as_deref().map(Entry::decode);
        Ok(match entry {
            Some(Ok(Entry::Watermark(watermark))) => watermark.vouches_for(snapshot),
            Some(Ok(Entry::Begun(_) | Entry::Step(_) | Entry::ChannelMoved(_)) | Err(_)) | None => {
                false
            }
        })
    }
}
