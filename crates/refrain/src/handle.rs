//! The handle of a processor: tell it something, ask it, look at it.

use std::sync::{Arc, OnceLock};

use refrain_core::port::BoxFuture;
use refrain_core::port::asks::Asks;
use refrain_core::{
    Actor, AskError, ChannelStatus, Command, InDoubt, MessageId, Name, Position, Processor,
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, oneshot};

use crate::driver::{Control, TellSeen, Told, Work};
use crate::error::QueryError;
use crate::progress::{Progress, RecoveryStatus};

/// A processor of a running [`Refrain`](crate::Refrain). Cheap to clone.
///
/// Messages of one handle are handled in the order sent; queries keep their place among them.
/// Messages that are sent during recovery wait for its end.
pub struct Handle<P: Processor> {
    shared: Arc<Shared<P>>,
}

pub(crate) struct Shared<P: Processor> {
    pub(crate) name: Name,
    pub(crate) work: mpsc::Sender<Work<P>>,
    pub(crate) control: mpsc::Sender<Control<P>>,
    pub(crate) progress: Arc<Progress>,
    /// Why the processor does not run any more.
    pub(crate) ended: OnceLock<String>,
}

impl<P: Processor> Clone for Handle<P> {
    fn clone(&self) -> Handle<P> {
        Handle {
            shared: self.shared.clone(),
        }
    }
}

impl<P: Processor> std::fmt::Debug for Handle<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle")
            .field("processor", &self.shared.name)
            .finish_non_exhaustive()
    }
}

/// A state by its position and the SHA-256 digest of its encoded form.
///
/// Two replays of one stream give the same digest at the same position, if the state's encoded form
/// is canonical: ordered maps, no addresses, no time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateDigest {
    /// The last entry that the state contains.
    pub position: Position,
    /// The digest.
    pub digest: [u8; 32],
}

impl StateDigest {
    pub(crate) fn of<P: Processor + Serialize>(state: &P, position: Position) -> StateDigest {
        let mut bytes = Vec::new();
        // A state that cannot be encoded has no snapshots either, and says so there.
        let _ = P::ENCODING.encode(state, &mut bytes);
        StateDigest {
            position,
            digest: Sha256::digest(&bytes).into(),
        }
    }
}

impl std::fmt::Display for StateDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:", self.position)?;
        self.digest
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<P: Processor> Handle<P> {
    pub(crate) fn new(shared: Shared<P>) -> Handle<P> {
        Handle {
            shared: Arc::new(shared),
        }
    }

    pub(crate) fn end(&self, reason: String) {
        // The first reason is the one that is told.
        let _ = self.shared.ended.set(reason);
    }

    /// The processor's name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.shared.name
    }

    /// Sends `message` and waits until its step is durable. Waits while the inbox is full.
    ///
    /// # Errors
    /// [`AskError`] says whether the message certainly was not handled, or may have been; then it
    /// names the identity to ask again with.
    pub async fn ask(&self, message: P::Message) -> Told<P> {
        self.ask_as(drawn(), message).await
    }

    /// As [`Handle::ask`], under an identity that the sender gave: the same one again changes nothing
    /// and gets the stored answer.
    ///
    /// # Errors
    /// [`AskError`], as for [`Handle::ask`].
    pub async fn ask_as(&self, id: MessageId, message: P::Message) -> Told<P> {
        let (reply, answer) = oneshot::channel();
        let work = Work::Message {
            id: id.clone(),
            message,
            reply: Some(reply),
        };
        self.send(work).await?;
        self.answer(id, answer).await
    }

    /// As [`Handle::ask_as`], but a full inbox refuses.
    ///
    /// # Errors
    /// [`AskError::Overloaded`] before anything happened, else as [`Handle::ask`].
    pub async fn try_ask_as(&self, id: MessageId, message: P::Message) -> Told<P> {
        let (reply, answer) = oneshot::channel();
        let work = Work::Message {
            id: id.clone(),
            message,
            reply: Some(reply),
        };
        self.try_send(work)?;
        self.answer(id, answer).await
    }

    /// Sends several messages and waits until all are durable; answers come in the same order. They
    /// share appends, so this is the fastest way to send many.
    ///
    /// # Errors
    /// [`AskError::NotRunning`] for all of them; else each has a result of its own.
    pub async fn ask_all(
        &self,
        messages: Vec<P::Message>,
    ) -> Result<Vec<Told<P>>, AskError<P::Rejection>> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let messages = messages
            .into_iter()
            .map(|message| (drawn(), message))
            .collect();
        self.ask_all_as(messages).await
    }

    /// As [`Handle::ask_all`], each message under an identity that its sender gave.
    ///
    /// # Errors
    /// As [`Handle::ask_all`].
    pub async fn ask_all_as(
        &self,
        messages: Vec<(MessageId, P::Message)>,
    ) -> Result<Vec<Told<P>>, AskError<P::Rejection>> {
        let (reply, answers) = oneshot::channel();
        self.send(Work::Batch {
            messages,
            reply: Some(reply),
        })
        .await?;
        answers.await.map_err(|_| self.not_running())
    }

    /// Sends `message` and does not wait: it is handled, or lost with the process before it is
    /// durable. Waits while the inbox is full.
    ///
    /// # Errors
    /// [`AskError::NotRunning`].
    pub async fn tell(&self, message: P::Message) -> Result<(), AskError<P::Rejection>> {
        self.send(Work::Message {
            id: drawn(),
            message,
            reply: None,
        })
        .await
    }

    /// As [`Handle::tell`], for several messages at once.
    ///
    /// # Errors
    /// [`AskError::NotRunning`].
    pub async fn tell_all(&self, messages: Vec<P::Message>) -> Result<(), AskError<P::Rejection>> {
        let messages = messages
            .into_iter()
            .map(|message| (drawn(), message))
            .collect();
        self.send(Work::Batch {
            messages,
            reply: None,
        })
        .await
    }

    /// As [`Handle::tell`], but a full inbox refuses.
    ///
    /// # Errors
    /// [`AskError::Overloaded`] before anything happened, or [`AskError::NotRunning`].
    pub fn try_tell(&self, message: P::Message) -> Result<(), AskError<P::Rejection>> {
        self.try_send(Work::Message {
            id: drawn(),
            message,
            reply: None,
        })
    }

    /// Sends `message` and waits until its step is durable, without its answer.
    ///
    /// # Errors
    /// As [`Handle::ask`].
    pub async fn tell_durable(&self, message: P::Message) -> Result<(), AskError<P::Rejection>> {
        self.ask(message).await.map(|_| ())
    }

    /// Looks at the state, after all that was sent before, and gives what was seen once that is
    /// durable.
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
            let seen = look(state, position);
            // Whoever asked may be gone.
            Box::new(move || _ = reply.send(seen))
        });
        if self.shared.work.send(Work::Look(look)).await.is_err() {
            return Err(self.query_not_running());
        }
        seen.await.map_err(|_| match self.shared.ended.get() {
            Some(_) => self.query_not_running(),
            None => QueryError::NotDurable,
        })
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

    /// How each channel stands.
    ///
    /// # Errors
    /// [`QueryError::NotRunning`].
    pub async fn channels(&self) -> Result<Vec<ChannelStatus>, QueryError> {
        self.control(Control::Channels).await
    }

    /// Activates a channel that stopped or was not activated yet, and releases what was parked on it.
    /// Does nothing for a channel that delivers.
    ///
    /// # Errors
    /// [`QueryError`]; a repeat is safe.
    pub async fn deliver(&self, channel: &str) -> Result<(), QueryError> {
        self.command(channel, Command::Deliver).await
    }

    /// Lets a channel deliver to another of its destinations from now on. What certainly was not
    /// sent goes there. What may have been sent waits, unless the channel has no side effects or
    /// `in_doubt` says to move it: then a destination that does not share its memory of idempotency
    /// keys with the one before may do it twice.
    ///
    /// # Errors
    /// [`QueryError`]; a repeat is safe.
    pub async fn redirect(
        &self,
        channel: &str,
        destination: Name,
        in_doubt: InDoubt,
    ) -> Result<(), QueryError> {
        self.command(
            channel,
            Command::Redirect {
                destination,
                in_doubt,
            },
        )
        .await
    }

    /// Takes a snapshot now and gives its position.
    ///
    /// # Errors
    /// [`QueryError::Snapshot`] when it could not be stored.
    pub async fn snapshot(&self) -> Result<Position, QueryError> {
        let taken = self.control(Control::Snapshot).await?;
        taken.map_err(|reason| QueryError::Snapshot { reason })
    }

    /// How far the recovery is, or how it went.
    #[must_use]
    pub fn recovery(&self) -> RecoveryStatus {
        self.shared.progress.status()
    }

    async fn command(&self, channel: &str, command: Command) -> Result<(), QueryError> {
        let known = P::CHANNELS.iter().find(|route| route.name() == channel);
        let Some(channel) = known.and_then(|route| Name::new(route.name()).ok()) else {
            let processor = self.shared.name.clone();
            return Err(QueryError::NoSuchChannel {
                processor,
                channel: channel.to_owned(),
            });
        };
        let by = Actor::Application;
        self.control(|done| Control::Command {
            channel,
            by,
            command,
            done,
        })
        .await
    }

    pub(crate) async fn drain(&self) {
        // A driver that is gone is drained.
        let _ = self.shared.control.send(Control::Drain).await;
    }

    async fn control<R>(
        &self,
        control: impl FnOnce(oneshot::Sender<R>) -> Control<P>,
    ) -> Result<R, QueryError> {
        let (reply, answer) = oneshot::channel();
        if self.shared.control.send(control(reply)).await.is_err() {
            return Err(self.query_not_running());
        }
        answer.await.map_err(|_| self.query_not_running())
    }

    async fn send(&self, work: Work<P>) -> Result<(), AskError<P::Rejection>> {
        self.shared
            .work
            .send(work)
            .await
            .map_err(|_| self.not_running())
    }

    fn try_send(&self, work: Work<P>) -> Result<(), AskError<P::Rejection>> {
        self.shared
            .work
            .try_send(work)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => AskError::Overloaded {
                    processor: self.shared.name.clone(),
                },
                mpsc::error::TrySendError::Closed(_) => self.not_running(),
            })
    }

    async fn answer(&self, id: MessageId, answer: oneshot::Receiver<Told<P>>) -> Told<P> {
        // A driver tells everybody before it ends, unless it was torn down in the middle.
        answer.await.unwrap_or_else(|_| {
            tracing::debug!(%id, "the driver ended before it answered");
            Err(self.not_running())
        })
    }

    fn reason(&self) -> String {
        self.shared
            .ended
            .get()
            .cloned()
            .unwrap_or_else(|| "it was stopped".to_owned())
    }

    fn not_running(&self) -> AskError<P::Rejection> {
        AskError::NotRunning {
            processor: self.shared.name.clone(),
            reason: self.reason(),
        }
    }

    fn query_not_running(&self) -> QueryError {
        QueryError::NotRunning {
            processor: self.shared.name.clone(),
            reason: self.reason(),
        }
    }
}

impl<P: Processor> Asks<P> for Handle<P> {
    /// A full inbox refuses: an ingress says so to its client rather than holding it.
    fn ask(&self, id: MessageId, message: P::Message) -> BoxFuture<'_, Told<P>> {
        Box::pin(self.try_ask_as(id, message))
    }
}

/// 128 random bits, as identity for a message that has none.
fn drawn() -> MessageId {
    MessageId::Drawn(rand::random())
}
