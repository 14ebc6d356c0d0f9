//! How a caller learns what became of what it submitted.
//!
//! The writer acknowledges a whole batch with one atomic store: everything up to a ticket is
//! durable. Each submission has one cell besides, for its waker, so that a waker registered at any
//! moment reaches the flush that is under way. A failure is put into the cell instead, before any
//! later ticket is acknowledged.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use refrain_core::port::journal::{AppendError, RejectReason};
use refrain_core::{Name, Position};

/// The last ticket that is durable, with all before it that did not fail.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged(AtomicU64);

impl Acknowledged {
    /// Says that everything up to `ticket` is durable or has failed.
    pub(crate) fn advance(&self, ticket: u64) {
        self.0.store(ticket, Ordering::Release);
    }

    fn covers(&self, ticket: u64) -> bool {
        self.0.load(Ordering::Acquire) >= ticket
    }
}

/// Where the caller's waker or a failure waits for the other side.
#[derive(Debug, Default)]
pub(crate) struct Cell(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Waiting,
    Polled(Waker),
    Failed(Failure),
}

/// Why something submitted did not become durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It certainly did not happen.
    Rejected(RejectReason),
    /// It may have happened.
    Unknown(String),
}

impl Cell {
    /// Wakes the caller, if it waits already. Called after [`Acknowledged::advance`].
    pub(crate) fn wake(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Polled(waker) = std::mem::take(&mut *state) {
            drop(state);
            waker.wake();
        }
    }

    /// Tells the caller that it failed.
    pub(crate) fn fail(&self, failure: Failure) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *state, State::Failed(failure));
        drop(state);
        if let State::Polled(waker) = before {
            waker.wake();
        }
    }
}

/// The caller's side: completes when the ticket is durable or failed. It alone knows the stream's
/// name, so that the writer never touches what all callers share.
#[derive(Debug)]
pub(crate) struct Submitted {
    pub(crate) stream: Name,
    /// The position that was named.
    pub(crate) at: Position,
    /// The position that an acknowledgement answers.
    pub(crate) last: Position,
    pub(crate) cell: Arc<Cell>,
    pub(crate) acknowledged: Arc<Acknowledged>,
    pub(crate) ticket: u64,
}

impl Future for Submitted {
    type Output = Result<Position, AppendError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.cell.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Failed(failure) = &*state {
            return Poll::Ready(Err(self.error(failure.clone())));
        }
        // Asked under the lock: the writer advances first and takes the waker then, so either this
        // sees the ticket or the writer sees the waker.
        if self.acknowledged.covers(self.ticket) {
            return Poll::Ready(Ok(self.last));
        }
        *state = State::Polled(context.waker().clone());
        Poll::Pending
    }
}

impl Submitted {
    fn error(&self, failure: Failure) -> AppendError {
        let (stream, at) = (self.stream.clone(), self.at);
        match failure {
            Failure::Rejected(reason) => AppendError::Rejected { stream, at, reason },
            Failure::Unknown(reason) => AppendError::Unknown { stream, at, reason },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Debug, Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn submitted(ticket: u64) -> Submitted {
        Submitted {
            stream: Name::new("orders").unwrap(),
            at: Position::FIRST,
            last: Position::FIRST,
            cell: Arc::default(),
            acknowledged: Arc::default(),
            ticket,
        }
    }

    #[test]
    fn a_waker_registered_before_or_after_the_flush_began_is_woken_once() {
        let wakes = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut context = Context::from_waker(&waker);
        let mut append = submitted(1);
        assert!(Pin::new(&mut append).poll(&mut context).is_pending());
        append.acknowledged.advance(1);
        append.cell.wake();
        append.cell.wake();
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        assert!(Pin::new(&mut append).poll(&mut context).is_ready());
    }

    #[test]
    fn a_failure_is_told_even_when_later_tickets_are_durable() {
        let mut context = Context::from_waker(Waker::noop());
        let mut append = submitted(1);
        append.cell.fail(Failure::Unknown("a test".into()));
        append.acknowledged.advance(2);
        let answer = Pin::new(&mut append).poll(&mut context);
        assert!(matches!(
            answer,
            Poll::Ready(Err(AppendError::Unknown { .. }))
        ));
    }
}
