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
        let mut woken = self.woken.lock();
        std::mem::swap(&mut woken.places, &mut polled);
        for place in &polled {
            woken.are_listed[*place] = false;
        }
        woken.courier = Some(context.waker().clone());
        drop(woken);
        for place in polled.drain(..) {
            // What the answer is to, if it has ended already, is for the next one to find out.
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
