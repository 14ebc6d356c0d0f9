//! A bounded queue from many senders to one receiver, which takes all that waits at once.
//!
//! Made for many small messages: sending costs a place and a short lock, receiving swaps two
//! buffers, and the receiver is woken once for all that came since it looked. What is sent arrives
//! in the order sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::{Semaphore, SemaphorePermit, TryAcquireError};

/// A queue of at most `places_max` messages, and as many again that the receiver has taken.
pub(crate) fn queue<T>(places_max: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        places: Semaphore::new(places_max),
        waiting: Mutex::new(Waiting {
            messages: VecDeque::new(),
            receiver: None,
            is_gone: false,
        }),
    });
    (Sender(shared.clone()), Receiver(shared))
}

pub(crate) struct Sender<T>(Arc<Shared<T>>);

pub(crate) struct Receiver<T>(Arc<Shared<T>>);

/// A place in a queue that is kept for a message.
pub(crate) struct Place<'a, T> {
    shared: &'a Shared<T>,
    permit: SemaphorePermit<'a>,
}

/// Why a message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SendError {
    /// Every place is taken.
    Full,
    /// The receiver takes no more.
    Closed,
}

struct Shared<T> {
    places: Semaphore,
    waiting: Mutex<Waiting<T>>,
}

struct Waiting<T> {
    messages: VecDeque<T>,
    /// The receiver, while it waits for a message.
    receiver: Option<Waker>,
    is_gone: bool,
}

impl<T> Sender<T> {
    /// A place for a message, once there is one. Senders get places in the order in which they asked.
    ///
    /// # Errors
    /// [`SendError::Closed`]
    pub(crate) async fn reserve(&self) -> Result<Place<'_, T>, SendError> {
        let permit = self.0.places.acquire().await;
        let permit = permit.map_err(|_| SendError::Closed)?;
        Ok(Place {
            shared: &self.0,
            permit,
        })
    }

    /// A place for a message, if there is one.
    ///
    /// # Errors
    /// [`SendError`]
    pub(crate) fn try_reserve(&self) -> Result<Place<'_, T>, SendError> {
        let permit = self.0.places.try_acquire().map_err(|error| match error {
            TryAcquireError::NoPermits => SendError::Full,
            TryAcquireError::Closed => SendError::Closed,
        })?;
        Ok(Place {
            shared: &self.0,
            permit,
        })
    }

    /// Sends `message` once there is a place for it. It is sent or, when this future is dropped, not.
    ///
    /// # Errors
    /// [`SendError::Closed`]
    pub(crate) async fn send(&self, message: T) -> Result<(), SendError> {
        self.reserve().await?.send(message);
        Ok(())
    }

    /// Sends `message` if there is a place for it.
    ///
    /// # Errors
    /// [`SendError`]
    pub(crate) fn try_send(&self, message: T) -> Result<(), SendError> {
        self.try_reserve()?.send(message);
        Ok(())
    }
}

impl<T> Place<'_, T> {
    /// Sends `message`. It is dropped when the receiver has taken its last.
    pub(crate) fn send(self, message: T) {
        self.permit.forget();
        self.shared.push(message);
    }
}

impl<T> Receiver<T> {
    /// Takes all that waits into `into`, which is empty; pending when nothing does.
    pub(crate) fn poll_take(
        &mut self,
        context: &mut Context<'_>,
        into: &mut VecDeque<T>,
    ) -> Poll<()> {
        assert!(into.is_empty(), "what was taken before is used up");
        let mut waiting = self.0.lock();
        if waiting.messages.is_empty() {
            if !matches!(&waiting.receiver, Some(known) if known.will_wake(context.waker())) {
                waiting.receiver = Some(context.waker().clone());
            }
            return Poll::Pending;
        }
        std::mem::swap(&mut waiting.messages, into);
        waiting.receiver = None;
        drop(waiting);
        self.0.places.add_permits(into.len());
        Poll::Ready(())
    }

    /// Whether nothing waits to be taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().messages.is_empty()
    }

    /// Lets nobody else have a place. What was sent, and is sent to a place that is kept, can still be
    /// taken.
    pub(crate) fn close(&mut self) {
        self.0.places.close();
    }
}

impl<T> Drop for Receiver<T> {
    /// What was sent and not taken is dropped, so that its senders hear of it.
    fn drop(&mut self) {
        self.close();
        let mut waiting = self.0.lock();
        waiting.is_gone = true;
        let left = std::mem::take(&mut waiting.messages);
        drop(waiting);
        drop(left);
    }
}

impl<T> Shared<T> {
    /// Adds a message that has a place.
    fn push(&self, message: T) {
        let mut waiting = self.lock();
        if waiting.is_gone {
            drop(waiting);
            return drop(message);
        }
        waiting.messages.push_back(message);
        let receiver = waiting.receiver.take();
        drop(waiting);
        if let Some(receiver) = receiver {
            receiver.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;

    use futures_util::FutureExt;

    use super::*;

    async fn taken<T>(receiver: &mut Receiver<T>) -> Vec<T> {
        let mut taken = VecDeque::new();
        poll_fn(|context| receiver.poll_take(context, &mut taken)).await;
        taken.into()
    }

    #[tokio::test]
    async fn what_was_sent_is_taken_together_and_in_the_order_sent() {
        let (sender, mut receiver) = queue(3);
        for number in 1..=3 {
            sender.send(number).await.unwrap();
        }
        assert_eq!(sender.try_send(4), Err(SendError::Full));
        assert_eq!(taken(&mut receiver).await, [1, 2, 3]);
        assert_eq!(sender.try_send(4), Ok(()));
        assert_eq!(taken(&mut receiver).await, [4]);
    }

    #[tokio::test]
    async fn receiver_that_waits_is_woken_by_the_first_message() {
        let (sender, mut receiver) = queue(3);
        let mut taking = pin!(taken(&mut receiver));
        assert_eq!((&mut taking).now_or_never(), None);
        let (got, ()) = tokio::join!(taking, async {
            sender.send("first").await.unwrap();
        });
        assert_eq!(got, ["first"]);
    }

    #[tokio::test]
    async fn sender_that_gives_up_while_the_queue_is_full_has_sent_nothing() {
        let (sender, mut receiver) = queue(1);
        sender.send(1).await.unwrap();
        assert_eq!(sender.send(2).now_or_never(), None);
        assert_eq!(taken(&mut receiver).await, [1]);
        sender.send(3).await.unwrap();
        assert_eq!(taken(&mut receiver).await, [3]);
    }

    #[tokio::test]
    async fn senders_that_wait_for_a_place_get_it_in_their_order() {
        let (sender, mut receiver) = queue(1);
        sender.send(1).await.unwrap();
        let mut second = pin!(sender.send(2));
        let mut third = pin!(sender.send(3));
        assert_eq!((&mut second).now_or_never(), None);
        assert_eq!((&mut third).now_or_never(), None);
        assert_eq!(taken(&mut receiver).await, [1]);
        assert_eq!((&mut third).now_or_never(), None);
        assert_eq!(second.await, Ok(()));
        assert_eq!(taken(&mut receiver).await, [2]);
        assert_eq!(third.await, Ok(()));
    }

    #[tokio::test]
    async fn closed_queue_takes_nothing_and_gives_what_it_has() {
        let (sender, mut receiver) = queue(1);
        sender.send(1).await.unwrap();
        let mut waits = pin!(sender.send(2));
        assert_eq!((&mut waits).now_or_never(), None);
        receiver.close();
        assert_eq!(waits.await, Err(SendError::Closed));
        assert_eq!(sender.try_send(3), Err(SendError::Closed));
        assert_eq!(taken(&mut receiver).await, [1]);
        assert!(receiver.is_empty());
    }

    #[tokio::test]
    async fn message_that_nobody_took_is_dropped_with_the_receiver() {
        let (sender, receiver) = queue(1);
        let (told, hears) = tokio::sync::oneshot::channel::<()>();
        assert!(sender.send(told).await.is_ok());
        drop(receiver);
        assert!(hears.await.is_err());
    }
}
