//! Waiting in tests, without sleeping.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use refrain::{Signal, Subscription};

/// Long enough for everything that could happen by itself, on a clock that jumps.
const LONG: Duration = Duration::from_secs(120);

/// Fails if `work` ends although nothing that it waits for has happened.
pub(crate) async fn still_waits<F: Future>(work: &mut Pin<Box<F>>) {
    let ended = tokio::time::timeout(LONG, work.as_mut()).await.is_ok();
    assert!(!ended, "it was told too early");
}

/// Lets everything happen that can happen while the clock stands still.
pub(crate) async fn at_this_moment() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Lets everything happen that can happen within `span`.
pub(crate) async fn pass(span: Duration) {
    // A timer is a signal like any other; under the paused clock it costs no time.
    let never = std::future::pending::<()>();
    let _ = tokio::time::timeout(span, never).await;
}

/// The next signal that `wanted` says is the one.
pub(crate) async fn signal(events: &mut Subscription, wanted: impl Fn(&Signal) -> bool) -> Signal {
    let found = async {
        loop {
            let signal = events.next().await.expect("the runtime is there");
            if wanted(&signal) {
                return signal;
            }
        }
    };
    tokio::time::timeout(LONG, found)
        .await
        .expect("the signal is told")
}
