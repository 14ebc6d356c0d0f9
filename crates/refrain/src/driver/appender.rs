//! Appends in flight. Completions come in the order of the appends, so only the oldest is polled.
//!
//! Invariant: what the journal refused because too much waits to be written stays here, in order, and
//! is appended again until it is taken; nothing passes it. So a message that was accepted is not lost
//! because others write much.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{AppendError, Batch, Journal, RejectReason};
use refrain_core::{Name, Position};
use tokio::time::Sleep;

use crate::clock::Clock;
use crate::planted;

/// Appends of one stream under way at once: one is written while others collect, so that the
/// journal never waits for this task.
const IN_FLIGHT_MAX: usize = 4;

/// How long a journal gets that has too much to write before it is asked again: first, and at most.
const PAUSE_FIRST: Duration = Duration::from_millis(1);
const PAUSE_LONGEST: Duration = Duration::from_millis(100);

/// A batch, and the position of its first entry.
type Placed = (Position, Batch);

pub(super) struct Appender {
    journal: Arc<dyn Journal>,
    stream: Name,
    in_flight: VecDeque<Append>,
    /// What was refused and is to be appended again, in order.
    refused: VecDeque<Placed>,
    pause: Pause,
}

struct Append {
    placed: Placed,
    appending: BoxFuture<'static, Result<Position, AppendError>>,
}

/// The time until what was refused is appended again.
struct Pause {
    clock: Clock,
    next: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Appender {
    pub(super) fn new(journal: Arc<dyn Journal>, stream: Name, clock: Clock) -> Appender {
        Appender {
            journal,
            stream,
            in_flight: VecDeque::with_capacity(IN_FLIGHT_MAX),
            refused: VecDeque::new(),
            pause: Pause {
                clock,
                next: PAUSE_FIRST,
                sleep: None,
            },
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.refused.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.in_flight.len() < IN_FLIGHT_MAX && self.refused.is_empty()
    }

    pub(super) fn submit(&mut self, at: Position, batch: Batch) {
        assert!(self.has_room(), "appends in flight are bounded");
        self.append((at, batch));
    }

    fn append(&mut self, (at, batch): Placed) {
        let appending = self.journal.append(&self.stream, at, batch.clone());
        self.in_flight.push_back(Append {
            placed: (at, batch),
            appending,
        });
    }

    /// Gives up waiting for what is in flight; it may still happen. What was refused does not.
    pub(super) fn forget(&mut self) {
        self.in_flight.clear();
        self.refused.clear();
        self.pause.end();
    }

    /// The result of the oldest append, if it is there; pending when there is none.
    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Position, AppendError>> {
        loop {
            if self.in_flight.is_empty() && !self.refused.is_empty() {
                ready!(self.pause.poll(context));
                for placed in std::mem::take(&mut self.refused) {
                    self.append(placed);
                }
            }
            let Some(oldest) = self.in_flight.front_mut() else {
                return Poll::Pending;
            };
            let result = ready!(oldest.appending.as_mut().poll(context));
            let Append { placed, .. } = self.in_flight.pop_front().expect("it was polled");
            match result {
                Ok(position) => {
                    assert!(
                        self.refused.is_empty(),
                        "a journal takes nothing behind what it refused"
                    );
                    self.pause.end();
                    return Poll::Ready(Ok(position));
                }
                Err(error) if self.is_for_later(&error) => self.refused.push_back(placed),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Whether nothing stands in the way of this append but that too much waits to be written, or an
    /// append before it that was refused for that.
    fn is_for_later(&self, error: &AppendError) -> bool {
        match error {
            AppendError::Rejected {
                reason: RejectReason::Overloaded,
                ..
            } => !planted::is("overload-told-as-failure"),
            AppendError::Fenced { next, .. } => {
                self.refused.front().is_some_and(|(at, _)| at == next)
            }
            AppendError::Rejected { .. } | AppendError::Unknown { .. } | _ => false,
        }
    }

    /// The result of the oldest append. Safe to cancel.
    pub(super) async fn next(&mut self) -> Result<Position, AppendError> {
        poll_fn(|context| self.poll_next(context)).await
    }
}

impl Pause {
    /// Ready when the pause is over, each of which is twice as long as the one before.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| {
            tracing::warn!(wait = ?self.next, "too much waits to be written: appending again");
            Box::pin(self.clock.after(self.next))
        });
        ready!(sleep.as_mut().poll(context));
        self.sleep = None;
        self.next = (self.next * 2).min(PAUSE_LONGEST);
        Poll::Ready(())
    }

    /// The journal takes appends again.
    fn end(&mut self) {
        self.sleep = None;
        self.next = PAUSE_FIRST;
    }
}
