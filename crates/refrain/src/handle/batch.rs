//! Several messages at once: they share queue places, appends and wake-ups.

use refrain_core::{AskError, MessageId, Processor};
use tokio::sync::oneshot;

use super::{Handle, drawn};
use crate::driver::{Told, Work};

/// Messages that are sent together at most; more are sent as several batches, one after the other.
pub(crate) const BATCH_MAX: usize = 1024;

/// Bytes of messages that are sent together, beyond which a batch takes no further one.
const ROOM_ENOUGH: u32 = 4 * 1024 * 1024;

type Batch<P> = Vec<(MessageId, <P as Processor>::Message)>;

impl<P: Processor> Handle<P> {
    /// Sends several messages, any number of them, and waits until all are durable; answers come in
    /// the same order. They share appends and wake-ups, so this is the fastest way to send many.
    ///
    /// # Errors
    /// [`AskError::NotRunning`] when none of them was handled; else each has a result of its own.
    pub async fn ask_all(
        &self,
        messages: Vec<P::Message>,
    ) -> Result<Vec<Result<P::Answer, AskError<P::Rejection>>>, AskError<P::Rejection>> {
        self.ask_each(messages.into_iter().map(|message| (drawn(), message)))
            .await
    }

    /// As [`Handle::ask_all`], each message under an identity that its sender gave.
    ///
    /// # Errors
    /// As [`Handle::ask_all`].
    pub async fn ask_all_as(
        &self,
        messages: Vec<(MessageId, P::Message)>,
    ) -> Result<Vec<Result<P::Answer, AskError<P::Rejection>>>, AskError<P::Rejection>> {
        self.ask_each(messages.into_iter()).await
    }

    /// As [`Handle::tell`], for any number of messages.
    ///
    /// # Errors
    /// [`AskError::NotRunning`]; those that were sent before may have been handled.
    pub async fn tell_all(&self, messages: Vec<P::Message>) -> Result<(), AskError<P::Rejection>> {
        let mut messages = messages.into_iter().map(|message| (drawn(), message));
        while let Some(batch) = self.next_batch(&mut messages) {
            self.send_batch(batch, None).await?;
        }
        Ok(())
    }

    async fn ask_each(
        &self,
        mut messages: impl ExactSizeIterator<Item = (MessageId, P::Message)>,
    ) -> Result<Vec<Told<P>>, AskError<P::Rejection>> {
        let mut told = Vec::with_capacity(messages.len());
        let mut asked = Vec::with_capacity(messages.len() / self.shared.batch_max + 1);
        while let Some(batch) = self.next_batch(&mut messages) {
            let (reply, answers) = oneshot::channel();
            let count = batch.0.len();
            if self.send_batch(batch, Some(reply)).await.is_err() {
                break;
            }
            asked.push((count, answers));
        }
        let mut is_handled = false;
        for (count, answers) in asked {
            match answers.await {
                Ok(answers) => {
                    is_handled = true;
                    told.extend(answers);
                }
                // Not even taken from the inbox.
                Err(_) => told.extend((0..count).map(|_| Err(self.not_running()))),
            }
        }
        if !is_handled && told.len() + messages.len() > 0 {
            return Err(self.not_running());
        }
        told.extend(messages.map(|_| Err(self.not_running())));
        Ok(told)
    }

    /// As many messages as fit a batch, and the room that they take.
    fn next_batch(
        &self,
        messages: &mut impl ExactSizeIterator<Item = (MessageId, P::Message)>,
    ) -> Option<(Batch<P>, u32)> {
        let mut batch = Batch::<P>::with_capacity(messages.len().min(self.shared.batch_max));
        let mut room: u32 = 0;
        while batch.len() < self.shared.batch_max && room < ROOM_ENOUGH {
            let Some((id, message)) = messages.next() else {
                break;
            };
            room = room.saturating_add(self.weigh(&message));
            batch.push((id, message));
        }
        (!batch.is_empty()).then_some((batch, room.min(self.shared.room_max)))
    }

    /// Waits until the whole batch has its places and its room, and sends it.
    async fn send_batch(
        &self,
        (messages, room): (Batch<P>, u32),
        reply: Option<oneshot::Sender<Vec<Told<P>>>>,
    ) -> Result<(), AskError<P::Rejection>> {
        let count = u32::try_from(messages.len()).expect("a batch holds at most BATCH_MAX");
        let batches = self.shared.batches.clone();
        let places = batches.acquire_many_owned(count).await;
        let places = places.expect("places are never closed");
        let batch = Work::Batch {
            messages,
            reply,
            place: places,
            room,
        };
        let sent = self.shared.work.send(room, batch).await;
        sent.map_err(|_| self.not_running())
    }
}
