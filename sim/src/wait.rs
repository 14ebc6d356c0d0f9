//! Waiting for a future on the driver's thread, while the journal's threads have the baton.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use refrain_journal::simulation::{Place, Scheduler, Whom};

use crate::baton::Baton;

struct Bell {
    baton: Arc<Baton>,
    is_rung: AtomicBool,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.is_rung.store(true, Ordering::Release);
        self.baton.wake(Place::of(&self.is_rung), Whom::All);
    }
}

/// Waits until `future` is ready.
pub(crate) fn wait<F: Future + Unpin>(baton: &Arc<Baton>, mut future: F) -> F::Output {
    let bell = Arc::new(Bell {
        baton: Arc::clone(baton),
        is_rung: AtomicBool::new(false),
    });
    let waker = Waker::from(Arc::clone(&bell));
    loop {
        let polled = Pin::new(&mut future).poll(&mut Context::from_waker(&waker));
        if let Poll::Ready(answer) = polled {
            return answer;
        }
        while !bell.is_rung.swap(false, Ordering::AcqRel) {
            baton.wait(Place::of(&bell.is_rung), None);
        }
    }
}

/// What `future` gives, if it is ready.
pub(crate) fn look<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    match Pin::new(future).poll(&mut context) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}
