//! Attempts that are under way at one destination: polled when they are woken, ended when their time
//! is over.
//!
//! Places are used again, with their wakers, and one timer serves the attempt that is due first: an
//! attempt costs nothing here but the future that the destination makes of it.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use refrain_core::Timestamp;
use refrain_core::port::BoxFuture;
use refrain_core::port::destination::{Attempted, Failure};
use tokio::time::Sleep;

use super::inbox::Ended;
use crate::clock::Clock;

/// An attempt's future, and what is reported of it once it has ended.
pub(super) struct Attempt<'a> {
    pub(super) delivering: BoxFuture<'a, Attempted>,
    /// With the outcome that it has when its time is over.
    pub(super) report: Ended,
    /// When its time is over; `None` when it sees to that by itself.
    pub(super) deadline: Option<Timestamp>,
}

pub(super) struct Attempts<'a> {
    clock: Clock,
    places: Vec<Place<'a>>,
    free: Vec<usize>,
    woken: Arc<Woken>,
    /// Places that are polled now; a buffer that is used again.
    polled: Vec<usize>,
    deadlines: BTreeSet<(Timestamp, usize)>,
    alarm: Option<Alarm>,
}

struct Place<'a> {
    attempt: Option<Attempt<'a>>,
    waker: Waker,
}

/// One timer for the attempt that is due first, set anew only when that changes.
struct Alarm {
    due: Timestamp,
    sleep: Pin<Box<Sleep>>,
}

/// The places that were woken since they were polled.
#[derive(Default)]
struct Woken(Mutex<WokenPlaces>);

#[derive(Default)]
struct WokenPlaces {
    /// Each once.
    places: Vec<usize>,
    /// By place, whether it is among them.
    are_listed: Vec<bool>,
    /// Whoever polls them, while that is pending.
    courier: Option<Waker>,
}

struct PlaceWaker {
    place: usize,
    woken: Arc<Woken>,
}

impl Wake for PlaceWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut woken = self.woken.lock();
        if !std::mem::replace(&mut woken.are_listed[self.place], true) {
            woken.places.push(self.place);
        }
        let courier = woken.courier.take();
        drop(woken);
        if let Some(courier) = courier {
            courier.wake();
        }
    }
}

impl Woken {
    fn lock(&self) -> MutexGuard<'_, WokenPlaces> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Attempts<'a> {
    pub(super) fn new(clock: Clock) -> Attempts<'a> {
        Attempts {
            clock,
            places: Vec::new(),
            free: Vec::new(),
            woken: Arc::default(),
            polled: Vec::new(),
            deadlines: BTreeSet::new(),
            alarm: None,
        }
    }

    /// Begins an attempt; one that ends at once is added to `ended`.
    pub(super) fn begin(&mut self, attempt: Attempt<'a>, ended: &mut Vec<Ended>) {
        let place = self.free.pop().unwrap_or_else(|| self.add_place());
        let deadline = attempt.deadline;
        self.places[place].attempt = Some(attempt);
        if self.poll_place(place, ended).is_pending()
            && let Some(deadline) = deadline
        {
            self.deadlines.insert((deadline, place));
        }
    }

    fn add_place(&mut self) -> usize {
        let place = self.places.len();
        let woken = self.woken.clone();
        woken.lock().are_listed.push(false);
        self.places.push(Place {
            attempt: None,
            waker: Arc::new(PlaceWaker { place, woken }).into(),
        });
        place
    }

    /// Adds those that have ended to `ended`, and has `context` woken when others may have.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, ended: &mut Vec<Ended>) {
        let mut polled = std::mem::take(&mut self.polled);
        // A waker is neither cloned nor dropped under the lock: it may be the last to hold something.
        let courier = context.waker().clone();
        let mut woken = self.woken.lock();
        std::mem::swap(&mut woken.places, &mut polled);
        for place in &polled {
            woken.are_listed[*place] = false;
        }
        let before = woken.courier.replace(courier);
        drop(woken);
        drop(before);
        for place in polled.drain(..) {
            // Whether it has ended is in `ended`.
            let _ = self.poll_place(place, ended);
        }
        self.polled = polled;
        while self.poll_alarm(context).is_ready() {
            self.end_overdue(ended);
        }
    }

    /// Polls the attempt at `place`, if there is one.
    fn poll_place(&mut self, place: usize, ended: &mut Vec<Ended>) -> Poll<()> {
        let Place { attempt, waker } = &mut self.places[place];
        let Some(under_way) = attempt else {
            return Poll::Ready(());
        };
        let mut context = Context::from_waker(waker);
        let delivering = under_way.delivering.as_mut();
        let polled = catch_unwind(AssertUnwindSafe(|| delivering.poll(&mut context)));
        let attempted = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(attempted)) => attempted,
            Err(_) => panicked(),
        };
        self.end(place, Some(attempted), ended);
        Poll::Ready(())
    }

    /// Frees `place` and reports how its attempt ended; without an outcome its time was over.
    fn end(&mut self, place: usize, attempted: Option<Attempted>, ended: &mut Vec<Ended>) {
        let Some(attempt) = self.places[place].attempt.take() else {
            return;
        };
        if let Some(deadline) = attempt.deadline {
            self.deadlines.remove(&(deadline, place));
        }
        self.free.push(place);
        let mut report = attempt.report;
        if let Some(attempted) = attempted {
            report.attempted = attempted;
        }
        ended.push(report);
        // The destination's code, which may panic here as well.
        let delivering = attempt.delivering;
        let _ = catch_unwind(AssertUnwindSafe(|| drop(delivering)));
    }

    fn end_overdue(&mut self, ended: &mut Vec<Ended>) {
        let now = self.clock.now();
        while let Some((deadline, place)) = self.deadlines.first().copied()
            && deadline <= now
        {
            self.end(place, None, ended);
        }
    }

    /// Ready when the time of the first attempt is over.
    fn poll_alarm(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some((due, _)) = self.deadlines.first().copied() else {
            self.alarm = None;
            return Poll::Pending;
        };
        let alarm = self.alarm.get_or_insert_with(|| Alarm {
            due,
            sleep: Box::pin(self.clock.until(due)),
        });
        // Set for one that has ended since, it rings early, and is set anew then.
        if due < alarm.due {
            alarm.due = due;
            alarm.sleep.as_mut().reset(self.clock.instant(due));
        }
        if alarm.sleep.as_mut().poll(context).is_ready() {
            self.alarm = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

/// What an attempt came to whose destination panicked.
pub(super) fn panicked() -> Attempted {
    Attempted::Failed(Failure {
        error: "the destination's code panicked".to_owned(),
        retry_after: None,
    })
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn, ready};
    use std::time::Duration;

    use refrain_core::Epoch;
    use refrain_core::port::destination::Reply;
    use tokio::sync::oneshot;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn report(number: u64) -> Ended {
        Ended {
            epoch: Epoch::FIRST,
            channel: 0,
            number,
            attempt: 1,
            attempted: Attempted::NotResponding,
        }
    }

    /// Begins an attempt that may take `seconds`.
    fn begin<'a>(
        attempts: &mut Attempts<'a>,
        number: u64,
        seconds: u32,
        delivering: BoxFuture<'a, Attempted>,
    ) -> Vec<Ended> {
        let mut ended = Vec::new();
        let attempt = Attempt {
            delivering,
            report: report(number),
            deadline: Some(attempts.clock.now() + SECOND * seconds),
        };
        attempts.begin(attempt, &mut ended);
        ended
    }

    /// Waits until some have ended, and gives what they came to.
    async fn next(attempts: &mut Attempts<'_>) -> Vec<(u64, Attempted)> {
        let ended = poll_fn(|context| {
            let mut ended = Vec::new();
            attempts.poll(context, &mut ended);
            match ended.is_empty() {
                true => Poll::Pending,
                false => Poll::Ready(ended),
            }
        });
        let ended = ended.await.into_iter();
        ended.map(|ended| (ended.number, ended.attempted)).collect()
    }

    fn replied() -> Attempted {
        Attempted::Replied(Reply::nothing())
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_end_at_their_deadlines_whichever_began_first() {
        let mut attempts = Attempts::new(Clock::start());
        let began = attempts.clock.now();
        for (number, seconds) in [(1, 3), (2, 1), (3, 2)] {
            let ended = begin(&mut attempts, number, seconds, Box::pin(pending()));
            assert!(ended.is_empty());
        }
        for (number, seconds) in [(2, 1), (3, 2), (1, 3)] {
            let ended = next(&mut attempts).await;
            assert_eq!(ended, [(number, Attempted::NotResponding)]);
            let passed = attempts.clock.now().since(began);
            assert!(passed >= SECOND * seconds && passed < SECOND * (seconds + 1));
        }
        assert!(attempts.deadlines.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn attempt_that_was_woken_ends_and_leaves_its_place_and_no_deadline() {
        let mut attempts = Attempts::new(Clock::start());
        for number in 1..=100 {
            let (reply, comes) = oneshot::channel();
            let delivering = Box::pin(async { comes.await.expect("it is sent") });
            assert!(begin(&mut attempts, number, 1, delivering).is_empty());
            let (ended, ()) = tokio::join!(next(&mut attempts), async {
                tokio::task::yield_now().await;
                reply.send(replied()).expect("it is waited for");
            });
            assert_eq!(ended, [(number, replied())]);
        }
        assert_eq!((attempts.places.len(), attempts.deadlines.len()), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn attempt_that_ends_at_once_is_reported_at_once() {
        let mut attempts = Attempts::new(Clock::start());
        let ended = begin(&mut attempts, 1, 1, Box::pin(ready(replied())));
        assert_eq!(ended.len(), 1);
        assert!(attempts.deadlines.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn attempt_that_panics_ends_alone() {
        let mut attempts = Attempts::new(Clock::start());
        assert!(begin(&mut attempts, 1, 1, Box::pin(pending())).is_empty());
        let mut ended = begin(&mut attempts, 2, 1, Box::pin(async { panic!("planned") }));
        assert_eq!(ended.pop().map(|ended| ended.attempted), Some(panicked()));
        let ended = next(&mut attempts).await;
        assert_eq!(ended, [(1, Attempted::NotResponding)]);
    }
}
