//! How a caller learns what became of what it submitted.
//!
//! All who wait for one batch of the writer share one [`Flush`], each at its own place. The writer
//! acknowledges them with one atomic store, everything below a place is durable, and then takes
//! their wakers under the lock under which they were left, so a waker left at any moment is either
//! taken or its owner sees the store. A failure takes all that are not durable by then: nothing at a
//! later place becomes durable afterwards.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use refrain_core::port::journal::{AppendError, RejectReason};
use refrain_core::{Name, Position};

use crate::names::Names;
use crate::planted;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// Wakers whose space is kept for the next batch.
const KEPT_WAKERS: usize = 64 * 1024;

/// Those who wait for one batch.
#[derive(Debug)]
pub(crate) struct Flush {
    /// The places below are durable. Only grows.
    durable: AtomicU32,
    state: Mutex<State>,
    /// What the streams are called, for those who hear of a failure. Each of them keeping the name of
    /// its own would count up and down what all callers share.
    names: Arc<Names>,
}

#[derive(Debug, Default)]
struct State {
    /// By place. Empty where nobody asked yet.
    wakers: Vec<Option<Waker>>,
    /// What became of the places that are not durable.
    failure: Option<Failure>,
}

/// Why something submitted did not become durable.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// It certainly did not happen.
    Rejected(RejectReason, TakenBack),
    /// It may have happened.
    Unknown(String),
}

/// Streams that were taken back with what was submitted to them, so that their numbers may stand for
/// others by now, in the order of the numbers.
pub(crate) type TakenBack = Arc<[(u32, Name)]>;

impl Flush {
    /// For those who wait for the first batch of a journal with these names.
    pub(crate) fn new(names: Arc<Names>) -> Flush {
        Flush {
            durable: AtomicU32::new(0),
            state: Mutex::default(),
            names,
        }
    }

    /// For those who wait for the next batch, now that nobody waits for this one. Takes the space for
    /// wakers over, unless it is large.
    pub(crate) fn next(&self) -> Flush {
        let mut wakers = std::mem::take(&mut self.lock().wakers);
        wakers.clear();
        wakers.shrink_to(KEPT_WAKERS);
        let state = State {
            wakers,
            failure: None,
        };
        Flush {
            durable: AtomicU32::new(0),
            state: Mutex::new(state),
            names: Arc::clone(&self.names),
        }
    }

    /// Says that the places below `place` are durable, and adds the wakers of those of them who
    /// wait to `wakers`.
    pub(crate) fn acknowledge(&self, place: usize, wakers: &mut Vec<Waker>) {
        let durable = u32::try_from(place).expect("places fit 32 bits");
        let is_late = planted::is("wakers-taken-before-store");
        if !is_late {
            self.durable.store(durable, Ordering::Release);
        }
        let mut state = self.lock();
        let count = place.min(state.wakers.len());
        wakers.extend(state.wakers[..count].iter_mut().filter_map(Option::take));
        if is_late {
            drop(state);
            self.durable.store(durable, Ordering::Release);
        }
    }

    /// Tells everybody whose place is not durable that it failed.
    pub(crate) fn fail(&self, failure: Failure) {
        let mut state = self.lock();
        state.failure = Some(failure);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
    }

    /// What the caller at a place that is not durable is told.
    fn error(&self, (stream, at): (u32, Position), failure: &Failure) -> AppendError {
        match failure {
            Failure::Rejected(reason, taken_back) => AppendError::Rejected {
                stream: self.name(stream, taken_back),
                at,
                reason: reason.clone(),
            },
            Failure::Unknown(reason) => AppendError::Unknown {
                stream: self.name(stream, &[]),
                at,
                reason: reason.clone(),
            },
        }
    }

    fn name(&self, stream: u32, taken_back: &[(u32, Name)]) -> Name {
        match taken_back.binary_search_by_key(&stream, |(number, _)| *number) {
            Ok(found) => taken_back[found].1.clone(),
            Err(_) => self.names.name(stream).expect("its stream has a name"),
        }
    }

    fn is_durable(&self, place: u32) -> bool {
        place < self.durable.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The caller's side: completes when its place is durable or failed.
#[derive(Debug)]
pub(crate) struct Submitted {
    pub(crate) stream: u32,
    /// The position that was named.
    pub(crate) at: Position,
    /// The position that an acknowledgement answers.
    pub(crate) last: Position,
    pub(crate) flush: Arc<Flush>,
    pub(crate) place: u32,
}

impl Future for Submitted {
    type Output = Result<Position, AppendError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.flush.is_durable(self.place) {
            return Poll::Ready(Ok(self.last));
        }
        // What a waker does when it is cloned or dropped is its owner's affair, and may end the journal:
        // neither happens under the lock.
        let waker = context.waker().clone();
        let mut state = self.flush.lock();
        // Asked again under the lock: the writer stores first and takes the wakers then, so either
        // this sees the store or the writer sees the waker.
        if self.flush.is_durable(self.place) && !planted::is("waker-left-unseen") {
            return Poll::Ready(Ok(self.last));
        }
        if let Some(failure) = &state.failure {
            let about = (self.stream, self.at);
            return Poll::Ready(Err(self.flush.error(about, failure)));
        }
        let place = self.place as usize;
        if state.wakers.len() <= place {
            state.wakers.resize(place + 1, None);
        }
        let before = state.wakers[place].replace(waker);
        drop(state);
        drop(before);
        Poll::Pending
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

    fn submitted(flush: &Arc<Flush>, place: u32) -> Submitted {
        Submitted {
            stream: 0,
            at: Position::FIRST,
            last: Position::FIRST,
            flush: Arc::clone(flush),
            place,
        }
    }

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    /// Of a journal in which stream 0 is called `orders`.
    fn flush() -> Arc<Flush> {
        let names = Arc::<Names>::default();
        names.add(&name("orders"), 0);
        Arc::new(Flush::new(names))
    }

    fn poll(append: &mut Submitted, waker: &Waker) -> Poll<Result<Position, AppendError>> {
        Pin::new(append).poll(&mut Context::from_waker(waker))
    }

    #[test]
    fn a_waker_is_taken_once_and_only_with_its_own_place() {
        let wakes = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let flush = flush();
        let (mut first, mut second) = (submitted(&flush, 0), submitted(&flush, 1));
        assert!(poll(&mut second, &waker).is_pending());
        let mut wakers = Vec::new();
        flush.acknowledge(1, &mut wakers);
        assert!(
            wakers.is_empty(),
            "nobody at the first place asked, and the second is not durable"
        );
        assert!(poll(&mut first, &waker).is_ready());
        assert!(poll(&mut second, &waker).is_pending());
        flush.acknowledge(2, &mut wakers);
        flush.acknowledge(2, &mut wakers);
        wakers.drain(..).for_each(Waker::wake);
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        assert!(poll(&mut second, &waker).is_ready());
    }

    #[test]
    fn a_failure_is_told_to_whoever_is_not_durable_then_and_to_nobody_else() {
        let wakes = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let flush = flush();
        let mut appends = [0, 1, 2].map(|place| submitted(&flush, place));
        assert!(poll(&mut appends[1], &waker).is_pending());
        flush.acknowledge(1, &mut Vec::new());
        flush.fail(Failure::Unknown("a test".into()));
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        let [first, second, third] = appends.each_mut().map(|append| poll(append, Waker::noop()));
        assert!(matches!(first, Poll::Ready(Ok(_))));
        assert!(matches!(
            second,
            Poll::Ready(Err(AppendError::Unknown { .. }))
        ));
        assert!(matches!(
            third,
            Poll::Ready(Err(AppendError::Unknown { .. }))
        ));
    }

    #[test]
    fn whoever_is_rejected_is_told_its_own_stream_even_if_the_number_stands_for_another_by_now() {
        let flush = flush();
        let mut kept = submitted(&flush, 0);
        let mut taken_back = Submitted {
            stream: 1,
            ..submitted(&flush, 1)
        };
        flush.names.add(&name("bills"), 1);
        let gone = Arc::from([(1, name("first"))]);
        flush.fail(Failure::Rejected(RejectReason::Full, gone));
        let told = |append| {
            let polled = poll(append, Waker::noop());
            let Poll::Ready(Err(AppendError::Rejected { stream, .. })) = polled else {
                panic!("{polled:?}")
            };
            stream
        };
        assert_eq!(told(&mut kept), name("orders"));
        assert_eq!(told(&mut taken_back), name("first"));
    }
}
