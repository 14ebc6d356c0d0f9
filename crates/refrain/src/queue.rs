//! A bounded queue from many senders to one receiver, which takes all that waits at once.
//!
//! Made for many small messages: sending takes one short lock, receiving swaps two buffers, and the
//! receiver is woken once for all that came since it looked. What is sent arrives in the order sent.
//!
//! It is bounded by places and by room. A place is free again when its message is taken; room is what
//! a message weighs, and free when the receiver gives it back.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A queue with so many places, and so much room.
pub(crate) fn queue<T>(places_max: usize, room_max: u32) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        places_max,
        room_max,
        turn: tokio::sync::Mutex::new(()),
        waiting: Mutex::new(Waiting {
            messages: VecDeque::new(),
            room_taken: 0,
            receiver: None,
            in_line: 0,
            first: None,
            status: Status::Open,
        }),
    });
    (Sender(shared.clone()), Receiver(shared))
}

pub(crate) struct Sender<T>(Arc<Shared<T>>);

pub(crate) struct Receiver<T>(Arc<Shared<T>>);

/// Why a message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SendError {
    /// It does not fit now.
    Full,
    /// The receiver takes no more.
    Closed,
}

struct Shared<T> {
    places_max: usize,
    room_max: u32,
    /// Held by the sender whose turn it is, of those that wait because the queue was full.
    turn: tokio::sync::Mutex<()>,
    waiting: Mutex<Waiting<T>>,
}

struct Waiting<T> {
    messages: VecDeque<T>,
    /// The room of messages that were sent and not given back.
    room_taken: u64,
    /// The receiver, while it waits for a message.
    receiver: Option<Waker>,
    /// Senders that wait. Nobody passes them.
    in_line: usize,
    /// The sender whose turn it is, while its message does not fit.
    first: Option<Waker>,
    status: Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Open,
    Closed,
}

impl<T> Sender<T> {
    /// Sends `message`, which takes `room`, as soon as it fits and those that waited before are sent.
    /// It is sent or, when this future is dropped, not.
    ///
    /// # Errors
    /// [`SendError::Closed`]
    pub(crate) async fn send(&self, room: u32, message: T) -> Result<(), SendError> {
        let mut message = Some(message);
        match self.0.try_push(room, &mut message) {
            Err(SendError::Full) => {}
            sent => return sent,
        }
        let _in_line = InLine::enter(&self.0);
        let _turn = self.0.turn.lock().await;
        poll_fn(|context| self.0.poll_push(context, room, &mut message)).await
    }

    /// Sends `message` if it fits now and nobody waits.
    ///
    /// # Errors
    /// [`SendError`]
    pub(crate) fn try_send(&self, room: u32, message: T) -> Result<(), SendError> {
        self.0.try_push(room, &mut Some(message))
    }
}

/// A sender that waits, until it has sent or gives up.
struct InLine<'a, T>(&'a Shared<T>);

impl<T> InLine<'_, T> {
    fn enter(shared: &Shared<T>) -> InLine<'_, T> {
        shared.lock().in_line += 1;
        InLine(shared)
    }
}

impl<T> Drop for InLine<'_, T> {
    fn drop(&mut self) {
        self.0.lock().in_line -= 1;
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
        // A waker is neither cloned nor dropped under the lock: it may be the last to hold something.
        let waker = context.waker().clone();
        let mut waiting = self.0.lock();
        if waiting.messages.is_empty() {
            let before = waiting.receiver.replace(waker);
            drop(waiting);
            drop(before);
            return Poll::Pending;
        }
        std::mem::swap(&mut waiting.messages, into);
        let before = waiting.receiver.take();
        call_first(waiting);
        drop(before);
        Poll::Ready(())
    }

    /// Gives back the room of messages that were taken.
    pub(crate) fn give_back(&mut self, room: u64) {
        let mut waiting = self.0.lock();
        assert!(
            room <= waiting.room_taken,
            "room is given back once at most"
        );
        waiting.room_taken -= room;
        call_first(waiting);
    }

    /// Whether nothing waits to be taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().messages.is_empty()
    }

    /// Lets nobody send any more. What was sent can still be taken.
    pub(crate) fn close(&mut self) {
        let mut waiting = self.0.lock();
        waiting.status = Status::Closed;
        call_first(waiting);
    }
}

impl<T> Drop for Receiver<T> {
    /// What was sent and not taken is dropped, so that its senders hear of it.
    fn drop(&mut self) {
        self.close();
        let left = std::mem::take(&mut self.0.lock().messages);
        drop(left);
    }
}

/// Has the sender whose turn it is look again, after letting go of the lock it needs.
fn call_first<T>(mut waiting: MutexGuard<'_, Waiting<T>>) {
    let first = waiting.first.take();
    drop(waiting);
    if let Some(first) = first {
        first.wake();
    }
}

impl<T> Shared<T> {
    /// Sends the message if it fits now and nobody waits; else it stays where it is.
    fn try_push(&self, room: u32, message: &mut Option<T>) -> Result<(), SendError> {
        let waiting = self.lock();
        match waiting.in_line {
            0 => self.push(waiting, room, message),
            _ if waiting.status == Status::Closed => Err(SendError::Closed),
            _ => Err(SendError::Full),
        }
    }

    /// As [`Shared::try_push`], for the sender whose turn it is; it is woken when it should try again.
    fn poll_push(
        &self,
        context: &mut Context<'_>,
        room: u32,
        message: &mut Option<T>,
    ) -> Poll<Result<(), SendError>> {
        // As in `poll_take`.
        let waker = context.waker().clone();
        let mut waiting = self.lock();
        // Set before the attempt, for the lock is gone after it.
        let before = waiting.first.replace(waker);
        let sent = self.push(waiting, room, message);
        drop(before);
        match sent {
            Err(SendError::Full) => Poll::Pending,
            sent => Poll::Ready(sent),
        }
    }

    fn push(
        &self,
        mut waiting: MutexGuard<'_, Waiting<T>>,
        room: u32,
        message: &mut Option<T>,
    ) -> Result<(), SendError> {
        if waiting.status == Status::Closed {
            return Err(SendError::Closed);
        }
        let room_taken = waiting.room_taken + u64::from(room);
        if waiting.messages.len() >= self.places_max || room_taken > u64::from(self.room_max) {
            return Err(SendError::Full);
        }
        waiting.room_taken = room_taken;
        waiting.messages.extend(message.take());
        let receiver = waiting.receiver.take();
        drop(waiting);
        if let Some(receiver) = receiver {
            receiver.wake();
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
