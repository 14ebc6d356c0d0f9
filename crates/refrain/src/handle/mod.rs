//! The handle of a processor: tell it something, ask it, look at it.

mod batch;
mod past;
mod query;

use std::sync::{Arc, Weak};

use refrain_core::port::BoxFuture;
use refrain_core::port::asks::Asks;
use refrain_core::{AskError, MessageId, Name, Processor};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::driver::{Control, Told, Work};
use crate::progress::{Progress, RecoveryStatus};
use crate::queue::{SendError, Sender};
use crate::stage::Stage;
use crate::weight::weight;

pub(crate) use batch::BATCH_MAX;
pub(crate) use past::Past;

/// A processor of a running [`Refrain`](crate::Refrain). Cheap to clone.
///
/// Messages of one handle are handled in the order sent; queries keep their place among them.
/// Messages that are sent during recovery wait for its end. So do those that are sent while the
/// journal is full or away: they wait in a bounded inbox, and beyond that their senders do.
///
/// ```
/// # use refrain::{Outbox, Processor};
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
/// use refrain::{MemoryJournal, MessageId, Refrain};
///
/// let refrain = Refrain::builder()
///     .journal(MemoryJournal::new())
///     .processor("counter", Counter::default())
///     .start()
///     .await?;
/// let counter = refrain.processor::<Counter>("counter");
///
/// // Answered when the step is durable; asked twice with one identity, handled once.
/// let id = MessageId::given("till-4", "receipt-17")?;
/// assert_eq!(counter.ask_as(id.clone(), 5).await?, 5);
/// assert_eq!(counter.ask_as(id, 5).await?, 5);
/// // Not waited for; the query has its place behind it.
/// counter.tell(2).await?;
/// assert_eq!(counter.query(|counter| counter.count).await?, 7);
/// # Ok(()) }
/// ```
pub struct Handle<P: Processor> {
    shared: Arc<Shared<P>>,
}

pub(crate) struct Shared<P: Processor> {
    pub(crate) name: Name,
    pub(crate) work: Sender<Work<P>>,
    /// The places that messages of batches have in the inbox.
    pub(crate) batches: Arc<Semaphore>,
    /// The most messages that are sent together; never more than there are places.
    pub(crate) batch_max: usize,
    /// The bytes that messages may take in the inbox.
    pub(crate) room_max: u32,
    pub(crate) control: mpsc::Sender<Control<P>>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) past: Weak<dyn Past<P>>,
    pub(crate) stage: watch::Receiver<Stage>,
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

impl<P: Processor> Handle<P> {
    pub(crate) fn new(shared: Shared<P>) -> Handle<P> {
        Handle {
            shared: Arc::new(shared),
        }
    }

    /// The processor's name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.shared.name
    }

    /// How far the recovery is, or how it went.
    #[must_use]
    pub fn recovery(&self) -> RecoveryStatus {
        self.shared.progress.status()
    }

    /// Sends `message` and waits until its step is durable. Waits while the inbox is full.
    ///
    /// Dropping the future takes back a message that waits for a place in the inbox, and no other.
    ///
    /// # Errors
    /// [`AskError`] says whether the message certainly was not handled, or may have been; then it
    /// names the identity to ask again with.
    pub async fn ask(&self, message: P::Message) -> Result<P::Answer, AskError<P::Rejection>> {
        self.ask_as(drawn(), message).await
    }

    /// As [`Handle::ask`], under an identity that the sender gave: the same one again changes nothing
    /// and gets the stored answer, for as long as [`Remember`](crate::Remember) says.
    ///
    /// # Errors
    /// [`AskError`], as for [`Handle::ask`].
    pub async fn ask_as(
        &self,
        id: MessageId,
        message: P::Message,
    ) -> Result<P::Answer, AskError<P::Rejection>> {
        let (reply, answer) = oneshot::channel();
        self.send_message(id, message, Some(reply)).await?;
        self.answer(answer).await
    }

    /// As [`Handle::ask_as`], but a full inbox refuses.
    ///
    /// # Errors
    /// [`AskError::Overloaded`] before anything happened, else as [`Handle::ask`].
    pub async fn try_ask_as(
        &self,
        id: MessageId,
        message: P::Message,
    ) -> Result<P::Answer, AskError<P::Rejection>> {
        let (reply, answer) = oneshot::channel();
        self.try_send_message(id, message, Some(reply))?;
        self.answer(answer).await
    }

    /// Sends `message` and does not wait for anything but a place in the inbox. It is handled, unless
    /// the processor or the journal fails before it is durable: nobody is told then. A journal that only
    /// has too much to write does not fail: the message waits.
    ///
    /// # Errors
    /// [`AskError::NotRunning`].
    pub async fn tell(&self, message: P::Message) -> Result<(), AskError<P::Rejection>> {
        self.send_message(drawn(), message, None).await
    }

    /// As [`Handle::tell`], but a full inbox refuses.
    ///
    /// # Errors
    /// [`AskError::Overloaded`] before anything happened, or [`AskError::NotRunning`].
    pub fn try_tell(&self, message: P::Message) -> Result<(), AskError<P::Rejection>> {
        self.try_send_message(drawn(), message, None)
    }

    /// Sends `message` and waits until its step is durable, without its answer.
    ///
    /// # Errors
    /// As [`Handle::ask`].
    pub async fn tell_durable(&self, message: P::Message) -> Result<(), AskError<P::Rejection>> {
        self.ask(message).await.map(|_| ())
    }

    pub(crate) fn stage(&self) -> watch::Receiver<Stage> {
        self.shared.stage.clone()
    }

    /// Sends the message in its turn, once it fits the inbox.
    async fn send_message(
        &self,
        id: MessageId,
        message: P::Message,
        reply: Option<oneshot::Sender<Told<P>>>,
    ) -> Result<(), AskError<P::Rejection>> {
        let (room, work) = self.work(id, message, reply);
        let sent = self.shared.work.send(room, work).await;
        sent.map_err(|_| self.not_running())
    }

    fn try_send_message(
        &self,
        id: MessageId,
        message: P::Message,
        reply: Option<oneshot::Sender<Told<P>>>,
    ) -> Result<(), AskError<P::Rejection>> {
        let (room, work) = self.work(id, message, reply);
        let sent = self.shared.work.try_send(room, work);
        sent.map_err(|error| match error {
            SendError::Full => AskError::Overloaded {
                processor: self.shared.name.clone(),
            },
            SendError::Closed => self.not_running(),
        })
    }

    /// The message as the driver takes it, and the room it takes in the inbox.
    fn work(
        &self,
        id: MessageId,
        message: P::Message,
        reply: Option<oneshot::Sender<Told<P>>>,
    ) -> (u32, Work<P>) {
        let room = self.weigh(&message);
        let work = Work::Message {
            id,
            message,
            reply,
            room,
        };
        (room, work)
    }

    /// The room that `message` takes: never more than there is, so that one that is too large for the
    /// inbox passes alone.
    fn weigh(&self, message: &P::Message) -> u32 {
        let bytes = u32::try_from(weight(message)).unwrap_or(u32::MAX);
        bytes.clamp(1, self.shared.room_max)
    }

    /// A driver tells all whose messages it has taken in. What it has not was not handled.
    async fn answer(&self, answer: oneshot::Receiver<Told<P>>) -> Told<P> {
        answer.await.unwrap_or_else(|_| Err(self.not_running()))
    }

    fn reason(&self) -> String {
        self.shared.stage.borrow().reason()
    }

    fn not_running(&self) -> AskError<P::Rejection> {
        AskError::NotRunning {
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
    // As one number: an array would be drawn byte by byte, from four times as much of the stream.
    MessageId::Drawn(rand::random::<u128>().to_be_bytes())
}
