//! Looking at a processor and its channels, and changing channels. Whatever is told here is durable.

use std::panic::{AssertUnwindSafe, catch_unwind};

use refrain_core::{Actor, ChannelStatus, Command, InDoubt, Name, Position, Processor};
use serde::Serialize;
use tokio::sync::oneshot;

use super::Handle;
use crate::driver::{Control, TellSeen, Work};
use crate::error::{QueryError, panic_text};
use crate::stage::Stage;
use crate::state_digest::StateDigest;

impl<P: Processor> Handle<P> {
    /// Looks at the state, after all that was sent before, and gives what was seen once that is
    /// durable. The processor handles nothing else while `look` runs; a panic in it harms nobody
    /// else.
    ///
    /// # Errors
    /// [`QueryError`]; a repeat is safe.
    pub async fn query<R: Send + 'static>(
        &self,
        look: impl FnOnce(&P) -> R + Send + 'static,
    ) -> Result<R, QueryError> {
        self.query_at(|state, _| look(state)).await
    }

    /// As [`Handle::query`]; `look` gets the position of the state as well.
    ///
    /// # Errors
    /// [`QueryError`]; a repeat is safe.
    pub async fn query_at<R: Send + 'static>(
        &self,
        look: impl FnOnce(&P, Position) -> R + Send + 'static,
    ) -> Result<R, QueryError> {
        let (reply, seen) = oneshot::channel();
        let look = Box::new(move |state: &P, position: Position| -> TellSeen {
            let seen = catch_unwind(AssertUnwindSafe(|| look(state, position)));
            let seen = seen.map_err(|panic| QueryError::Panicked {
                text: panic_text(&*panic),
            });
            // Whoever asked may be gone.
            Box::new(move || _ = reply.send(seen))
        });
        if self.shared.work.send(0, Work::Look(look)).await.is_err() {
            return Err(self.query_not_running());
        }
        seen.await.unwrap_or_else(|_| Err(self.not_seen()))
    }

    /// The digest of the state, after all that was sent before.
    ///
    /// # Errors
    /// [`QueryError`]; a repeat is safe.
    pub async fn digest(&self) -> Result<StateDigest, QueryError>
    where
        P: Serialize,
    {
        self.query_at(StateDigest::of::<P>).await
    }

    /// How each channel stands, in the order of the stream. Waits during recovery.
    ///
    /// # Errors
    /// [`QueryError`]; a repeat is safe.
    pub async fn channels(&self) -> Result<Vec<ChannelStatus>, QueryError> {
        self.control(Control::Channels).await
    }

    /// Activates a channel that stopped or was not activated yet, and releases what was parked on it.
    /// Does nothing for a channel that delivers. Returns when that is durable.
    ///
    /// # Errors
    /// [`QueryError`]; a repeat is safe.
    pub async fn deliver(&self, channel: &str) -> Result<(), QueryError> {
        self.command(channel, Command::Deliver).await
    }

    /// Lets a channel deliver to another of its destinations from now on, also after a restart. The
    /// one that it begins with has the channel's name, the others the names that
    /// [`alternative`](crate::ProcessorBuilder::alternative) gave them.
    ///
    /// What certainly was not sent goes there. What may have been sent waits, unless the channel has
    /// no side effects or `in_doubt` says to move it: then a destination that does not share its
    /// memory of idempotency keys with the one before may do it twice.
    ///
    /// # Errors
    /// [`QueryError`]; a repeat is safe.
    pub async fn redirect(
        &self,
        channel: &str,
        destination: Name,
        in_doubt: InDoubt,
    ) -> Result<(), QueryError> {
        let redirect = Command::Redirect {
            destination,
            in_doubt,
        };
        self.command(channel, redirect).await
    }

    /// Takes a snapshot now, and gives its position once it is stored.
    ///
    /// # Errors
    /// [`QueryError::Snapshot`] when it could not be stored; a repeat is safe.
    pub async fn snapshot(&self) -> Result<Position, QueryError> {
        let taken = self.control(Control::Snapshot).await?;
        taken.map_err(|reason| QueryError::Snapshot { reason })
    }

    async fn command(&self, channel: &str, command: Command) -> Result<(), QueryError> {
        let known = P::CHANNELS.iter().find(|route| route.name() == channel);
        let Some(channel) = known.and_then(|route| Name::new(route.name()).ok()) else {
            return Err(QueryError::NoSuchChannel {
                processor: self.shared.name.clone(),
                channel: channel.to_owned(),
            });
        };
        self.control(|done| Control::Command {
            channel,
            by: Actor::Application,
            command,
            done,
        })
        .await?
    }

    async fn control<R>(
        &self,
        control: impl FnOnce(oneshot::Sender<R>) -> Control<P>,
    ) -> Result<R, QueryError> {
        let (reply, answer) = oneshot::channel();
        if self.shared.control.send(control(reply)).await.is_err() {
            return Err(self.query_not_running());
        }
        answer.await.map_err(|_| self.not_seen())
    }

    /// Why whoever looked was told nothing: an append failed, or the processor ended.
    fn not_seen(&self) -> QueryError {
        match &*self.shared.stage.borrow() {
            Stage::Recovering | Stage::Running => QueryError::NotDurable,
            stage @ Stage::Ended(_) => QueryError::NotRunning {
                processor: self.shared.name.clone(),
                reason: stage.reason(),
            },
        }
    }

    fn query_not_running(&self) -> QueryError {
        QueryError::NotRunning {
            processor: self.shared.name.clone(),
            reason: self.reason(),
        }
    }
}
