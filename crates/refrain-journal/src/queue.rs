//! What waits to be written: bounded, checked against each stream's next position, in order.
//!
//! Invariants: what waits is contiguous per stream, starting at the position after what is durable
//! or being written. What is rejected here has left nothing behind. Whoever was taken by the writer
//! is told by the writer.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use refrain_core::port::journal::{AppendError, Batch, RejectReason};
use refrain_core::{Name, Noted, Position};

use crate::completion::{Failure, Flush, Submitted, TakenBack};
use crate::format::record::Declaration;
use crate::names::{Names, STREAMS_MAX};
use crate::options::Settings;
use crate::pending::{Gathered, Pending, Records, Work, founded};
use crate::planted;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard, give_way_until};

mod limits;
mod waiting;

use limits::Limits;
use waiting::{Status, Waiting, WriterState};

/// How often a writer that has nothing to do gives way to other threads before it goes to sleep:
/// some 15 microseconds, about as long as a lone caller takes from its answer to its next append.
const LOOK_OUT_TURNS: u32 = 30;

/// The way from callers to the writer.
#[derive(Debug)]
pub(crate) struct Queue {
    names: Arc<Names>,
    limits: Limits,
    waiting: Mutex<Waiting>,
    /// Rung when the writer waits and there is something to do.
    bell: Condvar,
    /// Set while the writer looks out and there is something to do.
    called: AtomicBool,
}

/// What the writer does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// Write what was taken.
    Write,
    /// Let go of the segments below this one.
    Retire(u64),
    /// Nothing came for the given time.
    Idle,
    /// Nothing waits and nothing will come.
    End,
}

/// What a caller did before it took the lock.
#[derive(Debug)]
struct Prepared {
    noted: Option<Noted>,
    records: Records,
}

impl Queue {
    /// A queue for streams whose next positions are `next`.
    pub(crate) fn new(settings: &Settings, names: Arc<Names>, next: Vec<u64>) -> Queue {
        Queue {
            limits: Limits::new(settings),
            waiting: Mutex::new(Waiting::new(Arc::clone(&names), next)),
            bell: Condvar::new(),
            called: AtomicBool::new(false),
            names,
        }
    }

    pub(crate) fn entry_bytes_max(&self) -> usize {
        self.limits.entry_bytes_max
    }

    /// Submits an append, or says why it certainly does not happen.
    pub(crate) fn append(
        &self,
        name: &Name,
        at: Position,
        batch: &Batch,
    ) -> Result<Submitted, AppendError> {
        if let Err(reason) = self.limits.check_size(batch) {
            return Err(rejected(name, at, reason));
        }
        let prepared = self.prepare(name, at, batch);
        self.submit(name, at, batch, prepared)
    }

    /// Encodes the batch, if the stream has a number already. Needs no lock.
    fn prepare(&self, name: &Name, at: Position, batch: &Batch) -> Prepared {
        let mut records = Records::new();
        // That the note is of this journal, as it mostly is, shows under the lock.
        let noted = name.noted().or_else(|| self.names.look(name));
        if let Some(noted) = noted {
            records.add_entries(noted.number, at, batch);
        }
        Prepared { noted, records }
    }

    fn submit(
        &self,
        name: &Name,
        at: Position,
        batch: &Batch,
        prepared: Prepared,
    ) -> Result<Submitted, AppendError> {
        let Prepared { noted, mut records } = prepared;
        let mut waiting = self.lock();
        // In another table the number stands for another stream: it was noted by another journal, or
        // it was taken back since.
        let is_known =
            |noted: &Noted| noted.table == waiting.table || planted::is("any-note-believed");
        let known = noted.filter(is_known);
        let found = match known {
            Some(known) => Some(known.number),
            None => self.names.find(name),
        };
        let next = found.map_or(1, |stream| waiting.next[stream as usize]);
        if let Err(reason) = self.check_room(&waiting, batch.byte_len()) {
            return Err(rejected(name, at, reason));
        }
        if at.get() != next && !planted::is("fence-not-checked") {
            return Err(AppendError::Fenced {
                stream: name.clone(),
                at,
                next: Position::new(next).expect("next positions start at 1"),
            });
        }
        let entries = u32::try_from(batch.len()).expect("sizes are checked");
        let (stream, work) = match found {
            Some(stream) => (stream, Work::Append(entries)),
            None => {
                let stream = self.add_stream(&mut waiting, name, at)?;
                (stream, Work::Found(entries, name.clone()))
            }
        };
        if known.is_none() {
            records.clear();
            if let Work::Found(_, name) = &work {
                records.add_declaration(&founded(stream, at, name));
            }
            records.add_entries(stream, at, batch);
        }
        let after = next + u64::from(entries);
        waiting.next[stream as usize] = after;
        let last = Position::new(after - 1).expect("the batch has an entry");
        let place = waiting.gathered.push(stream, at, work, records.bytes());
        let flush = Arc::clone(waiting.gathered.flush());
        self.ring(waiting);
        Ok(Submitted {
            stream,
            at,
            last,
            flush,
            place,
        })
    }

    /// Submits that `name` starts at `below` or, if that is beyond it, after its head. `None` when
    /// there is nothing to forget. `first` is where it starts now.
    pub(crate) fn forget(
        &self,
        name: &Name,
        below: Position,
        first: u64,
    ) -> Result<Option<Submitted>, AppendError> {
        let mut waiting = self.lock();
        let Some(stream) = self.names.find(name) else {
            return Ok(None);
        };
        let next = waiting.next[stream as usize];
        let wanted = below.get().min(next);
        if wanted <= first {
            return Ok(None);
        }
        if let Err(reason) = self.check_room(&waiting, 0) {
            return Err(rejected(name, below, reason));
        }
        let declaration = Declaration {
            stream,
            name: name.clone(),
            first: wanted,
            next,
        };
        let mut records = Records::new();
        records.add_declaration(&declaration);
        let work = Work::Forget(Box::new(declaration));
        let place = waiting.gathered.push(stream, below, work, records.bytes());
        let flush = Arc::clone(waiting.gathered.flush());
        self.ring(waiting);
        Ok(Some(Submitted {
            stream,
            at: below,
            last: below,
            flush,
            place,
        }))
    }

    fn check_room(&self, waiting: &Waiting, bytes: usize) -> Result<(), RejectReason> {
        waiting.check_open()?;
        self.limits.check_room(&waiting.gathered, bytes)
    }

    fn add_stream(
        &self,
        waiting: &mut Waiting,
        name: &Name,
        at: Position,
    ) -> Result<u32, AppendError> {
        let stream = u32::try_from(waiting.next.len())
            .ok()
            .filter(|id| *id < STREAMS_MAX);
        let Some(stream) = stream else {
            return Err(rejected(name, at, RejectReason::Full));
        };
        waiting.next.push(1);
        self.names.add(name, stream);
        Ok(stream)
    }

    /// Calls the writer if it waits, after letting go of the lock it needs.
    fn ring(&self, mut waiting: MutexGuard<'_, Waiting>) {
        let state = std::mem::replace(&mut waiting.writer, WriterState::Busy);
        drop(waiting);
        match state {
            WriterState::Busy => {}
            WriterState::LooksOut => self.called.store(true, Ordering::Release),
            WriterState::Waits if planted::is("writer-not-rung") => {}
            WriterState::Waits => self.bell.notify_one(),
        }
    }

    /// Takes everything that waits into `taken`, which is empty. Waits for something to come, but
    /// no longer than `patience`.
    pub(crate) fn take(&self, taken: &mut Gathered, patience: Option<Duration>) -> Call {
        assert!(taken.is_empty(), "the batch before is done");
        let mut waiting = self.lock();
        let mut has_looked = false;
        loop {
            if let Some(segment) = waiting.retire.take() {
                waiting.writer = WriterState::Busy;
                return Call::Retire(segment);
            }
            if !waiting.gathered.is_empty() {
                std::mem::swap(taken, &mut waiting.gathered);
                assert!(
                    taken.pendings().len() <= self.limits.appends_max,
                    "what waits is bounded"
                );
                waiting.writer = WriterState::Busy;
                return Call::Write;
            }
            match waiting.status {
                Status::Closed | Status::Stopped(_) => return Call::End,
                Status::Open | Status::Full => {}
            }
            if !has_looked {
                has_looked = true;
                waiting.writer = WriterState::LooksOut;
                drop(waiting);
                self.look_out();
                waiting = self.lock();
                if !planted::is("call-overlooked") {
                    continue;
                }
            }
            waiting.writer = WriterState::Waits;
            let Some(patience) = patience else {
                waiting = self
                    .bell
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let (guard, timeout) = self
                .bell
                .wait_timeout(waiting, patience)
                .unwrap_or_else(PoisonError::into_inner);
            waiting = guard;
            if timeout.timed_out() && waiting.writer == WriterState::Waits {
                return Call::Idle;
            }
        }
    }

    /// Waits a moment for a call without going to sleep: waking a thread that sleeps costs the caller
    /// a system call and the writer the time to wake up. A call that comes too late to be seen here
    /// only ends the next look-out early.
    fn look_out(&self) {
        give_way_until(LOOK_OUT_TURNS, || self.called.load(Ordering::Acquire));
        self.called.store(false, Ordering::Relaxed);
    }

    /// Asks the writer to let go of the segments below `segment`.
    pub(crate) fn retire(&self, segment: u64) {
        let mut waiting = self.lock();
        waiting.retire = Some(segment);
        self.ring(waiting);
    }

    /// Takes no more; what waits is still written.
    pub(crate) fn close(&self) {
        let mut waiting = self.lock();
        if !matches!(waiting.status, Status::Stopped(_)) {
            waiting.status = Status::Closed;
        }
        self.ring(waiting);
    }

    /// Takes no more until opened again: what is left of `taken` and everything that waits have an
    /// unknown outcome.
    pub(crate) fn stop(&self, taken: Option<&Flush>, reason: &str) {
        let mut waiting = self.lock();
        if !matches!(waiting.status, Status::Stopped(_)) {
            tracing::error!(
                reason,
                "journal: stopped, nothing is accepted until it is reopened"
            );
            waiting.status = Status::Stopped(reason.to_owned());
        }
        let rest = waiting.empty(&self.names);
        self.ring(waiting);
        if planted::is("stopped-without-telling") {
            return;
        }
        for flush in taken.into_iter().chain([rest.flush().as_ref()]) {
            flush.fail(Failure::Unknown(reason.to_owned()));
        }
    }

    /// Takes no more until [`Queue::resume`]: there is no room for `taken` from place `from` on, nor
    /// for what waits.
    pub(crate) fn reject_full(&self, taken: &Gathered, from: usize) {
        let mut waiting = self.lock();
        if waiting.status == Status::Open {
            waiting.status = Status::Full;
        }
        let rest = waiting.empty(&self.names);
        let submitted = || taken.pendings()[from..].iter().chain(rest.pendings());
        for pending in submitted().rev() {
            if !planted::is("rejected-keeps-its-position") {
                waiting.take_back(&self.names, pending);
            }
        }
        drop(waiting);
        // Streams get their numbers in order, so these are in the order of the numbers.
        let taken_back: TakenBack = submitted().filter_map(Pending::founds).collect();
        for flush in [taken.flush(), rest.flush()] {
            let taken_back = Arc::clone(&taken_back);
            flush.fail(Failure::Rejected(RejectReason::Full, taken_back));
        }
    }

    /// Takes no new appends, because there will be no room for them. What waits still fits.
    pub(crate) fn set_full(&self, error: &std::io::Error) {
        let mut waiting = self.lock();
        if waiting.status == Status::Open {
            tracing::warn!(%error, "journal: no room for the next segment, appends are rejected");
            waiting.status = Status::Full;
        }
    }

    /// There is room again.
    pub(crate) fn resume(&self) {
        let mut waiting = self.lock();
        if waiting.status == Status::Full && !planted::is("full-for-ever") {
            tracing::info!("journal: there is room again, appends are taken");
            waiting.status = Status::Open;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rejected(stream: &Name, at: Position, reason: RejectReason) -> AppendError {
    AppendError::Rejected {
        stream: stream.clone(),
        at,
        reason,
    }
}

#[cfg(test)]
mod tests;
