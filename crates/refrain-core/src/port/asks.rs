//! What an ingress needs of a processor: to ask it.

use super::BoxFuture;
use crate::cause::MessageId;
use crate::processor::Processor;
use crate::refusal::AskError;

/// Takes messages for one processor and answers when they are durable.
pub trait Asks<P: Processor>: Send + Sync + 'static {
    /// Tells `message` to the processor under the identity `id` and gives its answer.
    ///
    /// The same id again changes nothing and gives the stored answer.
    ///
    /// # Errors
    /// [`AskError`] says whether the message certainly was not handled, or may have been.
    fn ask(
        &self,
        id: MessageId,
        message: P::Message,
    ) -> BoxFuture<'_, Result<P::Answer, AskError<P::Rejection>>>;
}
