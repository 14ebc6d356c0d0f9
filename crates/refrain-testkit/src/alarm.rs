//! A bound on waiting that works in any async runtime: a thread that wakes the waiter.
//!
//! Only checks of code that may never answer need it. It costs a thread, and is no clock for
//! anything else.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::{Either, select};

/// What `work` gives, or `None` when it has not ended after `patience`.
pub(crate) async fn within<T>(patience: Duration, work: impl Future<Output = T>) -> Option<T> {
    match select(pin!(work), Alarm::set(patience)).await {
        Either::Left((done, _alarm)) => Some(done),
        Either::Right(((), _work)) => None,
    }
}

/// Completes when its time is up. Dropping it ends its thread.
struct Alarm {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
enum State {
    #[default]
    Set,
    Awaited(Waker),
    Rung,
    Dropped,
}

impl Alarm {
    fn set(after: Duration) -> Alarm {
        let shared = Arc::new(Shared::default());
        let thread = std::thread::Builder::new()
            .name("refrain-alarm".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || shared.ring(after)
            })
            .expect("a test may start a thread");
        Alarm {
            shared,
            thread: Some(thread),
        }
    }
}

impl Shared {
    fn ring(&self, after: Duration) {
        let (mut state, _) = self
            .changed
            .wait_timeout_while(self.lock(), after, |state| !matches!(state, State::Dropped))
            .expect("nothing panics while it holds the lock");
        if let State::Awaited(waker) = std::mem::replace(&mut *state, State::Rung) {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds the lock")
    }
}

impl Future for Alarm {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.shared.lock();
        match *state {
            State::Rung => Poll::Ready(()),
            State::Set | State::Awaited(_) => {
                *state = State::Awaited(cx.waker().clone());
                Poll::Pending
            }
            State::Dropped => Poll::Pending,
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        *self.shared.lock() = State::Dropped;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the alarm's thread does not panic");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_ends_is_not_cut_short() {
        let done = within(Duration::from_secs(60), tokio::task::yield_now()).await;
        assert_eq!(done, Some(()));
    }

    #[tokio::test]
    async fn work_that_never_ends_is_given_up() {
        let done = within(Duration::from_millis(1), std::future::pending::<()>()).await;
        assert_eq!(done, None);
    }
}
