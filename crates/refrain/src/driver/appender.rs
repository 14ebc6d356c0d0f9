//! Appends in flight. Completions come in the order of the appends, so only the oldest is polled.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;

use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{AppendError, Batch, Journal};
use refrain_core::{Name, Position};

/// Appends of one stream under way at once: one is written while the next collects, and a third so
/// that the journal never waits for this task.
const IN_FLIGHT_MAX: usize = 4;

type Appending = BoxFuture<'static, Result<Position, AppendError>>;

pub(crate) struct Appender {
    journal: Arc<dyn Journal>,
    stream: Name,
    in_flight: VecDeque<Appending>,
}

impl Appender {
    pub(crate) fn new(journal: Arc<dyn Journal>, stream: Name) -> Appender {
        Appender {
            journal,
            stream,
            in_flight: VecDeque::with_capacity(IN_FLIGHT_MAX),
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.in_flight.len() < IN_FLIGHT_MAX
    }

    pub(crate) fn submit(&mut self, at: Position, batch: Batch) {
        assert!(self.has_room(), "appends in flight are bounded");
        self.in_flight
            .push_back(self.journal.append(&self.stream, at, batch));
    }

    /// The result of the oldest append; waits for ever when there is none. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Result<Position, AppendError> {
        let result = poll_fn(|context| match self.in_flight.front_mut() {
            Some(oldest) => oldest.as_mut().poll(context),
            None => std::task::Poll::Pending,
        })
        .await;
        self.in_flight.pop_front();
        result
    }
}
