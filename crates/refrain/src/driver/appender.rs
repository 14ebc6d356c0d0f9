//! Appends in flight. Completions come in the order of the appends, so only the oldest is polled.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{AppendError, Batch, Journal};
use refrain_core::{Name, Position};

/// Appends of one stream under way at once: one is written while others collect, so that the
/// journal never waits for this task.
const IN_FLIGHT_MAX: usize = 4;

/// Entries that are submitted at once when nothing is in flight: handling so many takes a part of the
/// time that a disk needs to sync them.
const PIECE_ENTRIES: usize = 32;

type Appending = BoxFuture<'static, Result<Position, AppendError>>;

pub(super) struct Appender {
    journal: Arc<dyn Journal>,
    stream: Name,
    in_flight: VecDeque<Appending>,
}

impl Appender {
    pub(super) fn new(journal: Arc<dyn Journal>, stream: Name) -> Appender {
        Appender {
            journal,
            stream,
            in_flight: VecDeque::with_capacity(IN_FLIGHT_MAX),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.in_flight.len() < IN_FLIGHT_MAX
    }

    /// How many entries are worth an append of their own now, while more could be collected: few when
    /// the journal has nothing to do, the more the more it has.
    pub(super) fn piece(&self) -> usize {
        match self.has_room() {
            true => PIECE_ENTRIES << (2 * self.in_flight.len()),
            false => usize::MAX,
        }
    }

    pub(super) fn submit(&mut self, at: Position, batch: Batch) {
        assert!(self.has_room(), "appends in flight are bounded");
        self.in_flight
            .push_back(self.journal.append(&self.stream, at, batch));
    }

    /// Gives up waiting for what is in flight; it may still happen.
    pub(super) fn forget(&mut self) {
        self.in_flight.clear();
    }

    /// The result of the oldest append, if it is there; pending when there is none.
    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Position, AppendError>> {
        let Some(oldest) = self.in_flight.front_mut() else {
            return Poll::Pending;
        };
        let result = ready!(oldest.as_mut().poll(context));
        self.in_flight.pop_front();
        Poll::Ready(result)
    }

    /// The result of the oldest append. Safe to cancel.
    pub(super) async fn next(&mut self) -> Result<Position, AppendError> {
        poll_fn(|context| self.poll_next(context)).await
    }
}
