//! Looking at a future without waiting for it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// What one poll of `future` gives. It is woken like any other poll.
pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}
