//! Waiting for a future on the driver's thread, while the journal's threads have the baton.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use refrain_journal::simulation::{Place, Scheduler, Whom};

use crate::baton::Baton;

/// Rung by a waker; whoever waits for it lets the journal's threads have the baton.
pub(crate) struct Bell {
    baton: Arc<Baton>,
    is_rung: AtomicBool,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.is_rung.store(true, Ordering::Release);
        self.baton.wake(Place::of(&self.is_rung), Whom::All);
    }
}

impl Bell {
    pub(crate) fn new(baton: &Arc<Baton>) -> Arc<Bell> {
        Arc::new(Bell {
            baton: Arc::clone(baton),
            is_rung: AtomicBool::new(false),
        })
    }

    /// What `future` gives, if it is ready; else it rings this bell when it is worth another look.
    pub(crate) fn look<F: Future + Unpin>(self: &Arc<Bell>, future: &mut F) -> Option<F::Output> {
        let waker = Waker::from(Arc::clone(self));
        match Pin::new(future).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }
    }

    /// Waits until somebody rings, or time passes for whoever else waits for that, and says whether
    /// somebody rang.
    pub(crate) fn wait_a_while(&self) -> bool {
        if !self.is_rung.load(Ordering::Acquire) {
            let place = Place::of(&self.is_rung);
            self.baton.wait(place, Some(Duration::from_secs(1)));
        }
        self.is_rung.swap(false, Ordering::AcqRel)
    }

    /// Waits until somebody rings.
    pub(crate) fn wait(&self) {
        while !self.is_rung.swap(false, Ordering::AcqRel) {
            self.baton.wait(Place::of(&self.is_rung), None);
        }
    }
}

/// Waits until `future` is ready.
pub(crate) fn wait<F: Future + Unpin>(baton: &Arc<Baton>, mut future: F) -> F::Output {
    let bell = Bell::new(baton);
    loop {
        if let Some(answer) = bell.look(&mut future) {
            return answer;
        }
        bell.wait();
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
