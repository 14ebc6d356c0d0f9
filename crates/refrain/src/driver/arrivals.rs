//! Waiting for whatever comes first, and taking in all that has come.
//!
//! One look at every source in each round: so none can starve another, and whatever came together is
//! handled together.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use refrain_core::limit::{BATCH_BYTES_MAX, BATCH_ENTRIES_MAX};
use refrain_core::port::journal::AppendError;
use refrain_core::{Input, Position, Processor, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::Driver;
use super::inbox::Control;
use crate::planted;

/// Reports that are taken in at once.
const REPORTS_MAX: usize = 1024;

/// Callers that wait to be told something. More messages are taken in when fewer do: also a message
/// that leaves no entry costs memory until it is told.
const CALLERS_MAX: usize = 8 * BATCH_ENTRIES_MAX;

/// What has come and was not handled yet, with buffers that are used again.
pub(super) struct Arrivals<P: Processor> {
    reports: Vec<Control<P>>,
    /// Reports in the order in which they came.
    pub(super) unhandled: VecDeque<Control<P>>,
    alarm: Option<Alarm>,
    drain: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// One timer for whatever is due next, set anew only when that changes.
struct Alarm {
    due: Timestamp,
    sleep: Pin<Box<Sleep>>,
}

/// What is known after one look at every source.
#[derive(Default)]
struct Looked {
    durable: Option<Position>,
    failed: Option<AppendError>,
    is_due: bool,
    is_drained: bool,
    is_anything: bool,
}

impl<P: Processor> Arrivals<P> {
    pub(super) fn new(drain: CancellationToken) -> Arrivals<P> {
        Arrivals {
            reports: Vec::new(),
            unhandled: VecDeque::new(),
            alarm: None,
            drain: Box::pin(drain.cancelled_owned()),
        }
    }

    pub(super) fn are_handled(&self) -> bool {
        self.unhandled.is_empty()
    }
}

impl<P> Driver<P>
where
    P: Processor + Clone + Serialize + DeserializeOwned + Sync,
{
    /// Waits until there is something to do, and takes in all that has come. What became durable is
    /// passed on at once.
    ///
    /// # Errors
    /// When the oldest append failed. Nothing that came with it is lost.
    pub(super) async fn arrive(&mut self) -> Result<(), AppendError> {
        self.set_alarm();
        let looked = poll_fn(|context| self.look_around(context)).await;
        self.now = self.parts.clock.now();
        if let Some(position) = looked.durable {
            self.input(Input::Durable(position));
            // Before anything that came is handled: meanwhile others may run that were told.
            self.perform_effects();
        }
        if looked.is_drained {
            self.is_draining = true;
            self.parts.inlets.work.close();
        }
        let Arrivals {
            reports, unhandled, ..
        } = &mut self.arrivals;
        unhandled.extend(reports.drain(..));
        match looked.failed {
            Some(error) => Err(error),
            None => {
                // What became durable may have led to a step that spoiled the state.
                if looked.is_due && self.engine.spoiled().is_none() {
                    self.input(Input::Tick);
                }
                Ok(())
            }
        }
    }

    fn look_around(&mut self, context: &mut Context<'_>) -> Poll<Looked> {
        let mut looked = Looked {
            is_anything: self.has_more(),
            ..Looked::default()
        };
        self.look_at_appends(context, &mut looked);
        self.look_at_queues(context, &mut looked);
        if let Some(alarm) = &mut self.arrivals.alarm
            && alarm.sleep.as_mut().poll(context).is_ready()
        {
            self.arrivals.alarm = None;
            looked.is_due = true;
            looked.is_anything = true;
        }
        if !self.is_draining && self.arrivals.drain.as_mut().poll(context).is_ready() {
            looked.is_drained = true;
            looked.is_anything = true;
        }
        match looked.is_anything {
            true => Poll::Ready(looked),
            false => Poll::Pending,
        }
    }

    fn look_at_appends(&mut self, context: &mut Context<'_>, looked: &mut Looked) {
        while let Poll::Ready(appended) = self.appender.poll_next(context) {
            looked.is_anything = true;
            match appended {
                Ok(position) => looked.durable = Some(position),
                Err(_) if planted::is("failed-append-passed-over") => {
                    looked.durable = Some(self.engine.head());
                }
                Err(error) => {
                    looked.failed = Some(error);
                    return;
                }
            }
        }
    }

    fn look_at_queues(&mut self, context: &mut Context<'_>, looked: &mut Looked) {
        let inlets = &mut self.parts.inlets;
        let reports = &mut self.arrivals.reports;
        if let Poll::Ready(count) = inlets.control.poll_recv_many(context, reports, REPORTS_MAX) {
            looked.is_anything |= count > 0;
        }
        if self.has_handled_all() && self.has_room() {
            let work = &mut self.parts.inlets.work;
            looked.is_anything |= work.poll_take(context, &mut self.taken).is_ready();
        }
    }

    /// Whether the engine may collect more: what is pending fits the next append, and those who wait
    /// fit memory.
    pub(super) fn has_room(&self) -> bool {
        let (entries, bytes) = self.engine.pending();
        entries < BATCH_ENTRIES_MAX
            && bytes < BATCH_BYTES_MAX / 2
            && self.callers.len() + self.recalls.len() < CALLERS_MAX
    }

    /// Whether there is something to handle without waiting for anything.
    pub(super) fn has_more(&self) -> bool {
        let has_work = !self.has_handled_all() && self.has_room();
        has_work || !self.arrivals.are_handled()
    }

    fn set_alarm(&mut self) {
        let due = match self.is_draining {
            true => None,
            false => [self.engine.next_due(), self.next_snapshot_due()]
                .into_iter()
                .flatten()
                .min(),
        };
        let Some(due) = due else {
            self.arrivals.alarm = None;
            return;
        };
        match &mut self.arrivals.alarm {
            Some(alarm) if alarm.due == due => {}
            Some(alarm) => {
                alarm.due = due;
                alarm.sleep.as_mut().reset(self.parts.clock.instant(due));
            }
            None => {
                let sleep = Box::pin(self.parts.clock.until(due));
                self.arrivals.alarm = Some(Alarm { due, sleep });
            }
        }
    }
}
