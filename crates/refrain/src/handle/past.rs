//! Looking at a processor's past, and letting go of it. The one that runs is not disturbed.

use refrain_core::port::BoxFuture;
use refrain_core::{Position, Processor};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Handle;
use crate::progress::Progress;
use crate::recover::RecoverError;
use crate::retention::{RetainError, Retained, Retains, Retention};
use crate::state_digest::StateDigest;
use crate::turn::Turn;

/// A processor's past. Only the processor's tasks keep it alive.
pub(crate) trait Past<P>: Retains {
    /// The state as of a position, and the position that it is of.
    fn state_at(&self, position: Position) -> BoxFuture<'_, Result<(P, Position), RecoverError>>;
}

impl<P> Past<P> for Retention<P>
where
    P: Processor + Clone + Serialize + DeserializeOwned + Sync,
{
    fn state_at(&self, position: Position) -> BoxFuture<'_, Result<(P, Position), RecoverError>> {
        Box::pin(async move {
            let progress = Progress::unwatched(self.stream.clone());
            let mut turn = Turn::alone(self.clock);
            let source = &self.source;
            let replay = source.replay(&self.stream, Some(position), &mut turn, &progress);
            let replay = replay.await?;
            let last = replay.next().before().unwrap_or(position);
            Ok((replay.into_state(), last))
        })
    }
}

impl<P: Processor> Handle<P> {
    /// The state right after the entry at `position`, or as of now when the stream is not that long:
    /// the newest usable snapshot before it, and the entries from there on, replayed aside.
    ///
    /// # Errors
    /// [`RecoverError`]: [`Forgotten`](RecoverError::Forgotten) when the entry is no longer kept.
    pub async fn state_at(&self, position: Position) -> Result<P, RecoverError> {
        Ok(self.past(position).await?.0)
    }

    /// The digest of that state.
    ///
    /// # Errors
    /// As [`Handle::state_at`].
    pub async fn digest_at(&self, position: Position) -> Result<StateDigest, RecoverError>
    where
        P: Serialize,
    {
        let (state, position) = self.past(position).await?;
        Ok(StateDigest::of(&state, position))
    }

    async fn past(&self, position: Position) -> Result<(P, Position), RecoverError> {
        match self.shared.past.upgrade() {
            Some(past) => past.state_at(position).await,
            None => Err(RecoverError::Ended {
                stream: self.shared.name.clone(),
            }),
        }
    }

    /// Forgets now what the processor's [retention](crate::ProcessorBuilder::retention) lets go and
    /// nobody needs any more.
    ///
    /// # Errors
    /// [`RetainError`] when that could not be found out: then nothing was forgotten.
    pub async fn retain(&self) -> Result<Retained, RetainError> {
        match self.shared.past.upgrade() {
            Some(past) => past.retain().await,
            None => Err(RetainError::NotRunning),
        }
    }
}
