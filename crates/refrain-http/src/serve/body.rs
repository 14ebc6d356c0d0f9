//! A request's body that must have come by a deadline.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

/// A body that fails when it has not come whole in time.
#[derive(Debug)]
pub(super) struct TimedBody {
    incoming: Incoming,
    time_max: Duration,
    /// Set when the body is first waited for: most bodies come with their heads.
    deadline: Option<Pin<Box<Sleep>>>,
}

/// Why a body is not there whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum TimedBodyError {
    #[error("the body took longer than {0:?}")]
    TooSlow(Duration),
    #[error("the connection broke within the body")]
    Broken(#[source] hyper::Error),
}

impl TimedBody {
    pub(super) fn new(incoming: Incoming, time_max: Duration) -> TimedBody {
        TimedBody {
            incoming,
            time_max,
            deadline: None,
        }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = TimedBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TimedBodyError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(TimedBodyError::Broken)));
        }
        let time_max = self.time_max;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(time_max)));
        match deadline.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err(TimedBodyError::TooSlow(time_max)))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
