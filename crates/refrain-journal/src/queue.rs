//! What waits to be written: bounded, checked against each stream's next position, in order.
//!
//! Invariants: what waits is contiguous per stream, starting at the position after what is durable
//! or being written. What is rejected here has left nothing behind. Whoever was taken by the writer
//! is told by the writer.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use refrain_core::port::journal::{AppendError, Batch, RejectReason};
use refrain_core::{Name, Position};

use crate::completion::{Failure, Flush, Submitted};
use crate::format::record::{DECLARATION_BYTES_MAX, Declaration};
use crate::names::{Looked, Names, STREAMS_MAX};
use crate::options::Settings;
use crate::pending::{Gathered, Pending, Records, Work, entry_bytes, founded};
use crate::planted;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard, give_way_until};

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

#[derive(Debug)]
struct Limits {
    appends_max: usize,
    bytes_max: usize,
    append_bytes_max: usize,
    entry_bytes_max: usize,
}

#[derive(Debug)]
struct Waiting {
    status: Status,
    /// The position that the next append to each stream must name.
    next: Vec<u64>,
    gathered: Gathered,
    /// How often a stream was taken back, as in [`Names`].
    removals: u64,
    /// The segment below which nothing is needed any more, until the writer took notice.
    retire: Option<u64>,
    writer: WriterState,
}

/// Whether appends are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Status {
    Open,
    Full,
    Stopped(String),
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WriterState {
    Busy,
    /// Does not wait yet, but looks whether it is called.
    LooksOut,
    Waits,
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
    looked: Option<Looked>,
    records: Records,
}

impl Queue {
    /// A queue for streams whose next positions are `next`.
    pub(crate) fn new(settings: &Settings, names: Arc<Names>, next: Vec<u64>) -> Queue {
        Queue {
            names,
            limits: Limits {
                appends_max: settings.queue_appends_max,
                bytes_max: settings.queue_bytes_max,
                append_bytes_max: settings.append_bytes_max(),
                entry_bytes_max: settings.entry_bytes_max(),
            },
            waiting: Mutex::new(Waiting {
                status: Status::Open,
                next,
                gathered: Gathered::default(),
                removals: 0,
                retire: None,
                writer: WriterState::Busy,
            }),
            bell: Condvar::new(),
            called: AtomicBool::new(false),
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
        if let Err(reason) = self.check_size(batch) {
            return Err(rejected(name, at, reason));
        }
        let prepared = self.prepare(name, at, batch);
        self.submit(name, at, batch, prepared)
    }

    /// Encodes the batch, if the stream has a number already. Needs no lock.
    fn prepare(&self, name: &Name, at: Position, batch: &Batch) -> Prepared {
        let mut records = Records::new();
        let looked = self.names.look(name);
        if let Some(looked) = looked {
            records.add_entries(looked.stream, at, batch);
        }
        Prepared { looked, records }
    }

    fn submit(
        &self,
        name: &Name,
        at: Position,
        batch: &Batch,
        prepared: Prepared,
    ) -> Result<Submitted, AppendError> {
        let Prepared {
            looked,
            mut records,
        } = prepared;
        let mut waiting = self.lock();
        // A number that was taken back may stand for another stream by now.
        let known = looked.filter(|looked| looked.removals == waiting.removals);
        let found = match known {
            Some(known) => Some(known.stream),
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
            stream: name.clone(),
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
            stream: name.clone(),
            at: below,
            last: below,
            flush,
            place,
        }))
    }

    fn check_size(&self, batch: &Batch) -> Result<(), RejectReason> {
        if batch.is_empty() {
            return Err(RejectReason::Empty);
        }
        let too_large = |bytes, bytes_max| RejectReason::TooLarge { bytes, bytes_max };
        let limits = &self.limits;
        if let Some(entry) = batch
            .entries()
            .find(|entry| entry.len() > limits.entry_bytes_max)
        {
            return Err(too_large(entry.len(), limits.entry_bytes_max));
        }
        let bytes = entry_bytes(batch) + DECLARATION_BYTES_MAX;
        if bytes > limits.append_bytes_max {
            return Err(too_large(bytes, limits.append_bytes_max));
        }
        Ok(())
    }

    fn check_room(&self, waiting: &Waiting, bytes: usize) -> Result<(), RejectReason> {
        match &waiting.status {
            Status::Open => {}
            Status::Full => return Err(RejectReason::Full),
            Status::Stopped(reason) => return Err(RejectReason::Stopped(reason.clone())),
            Status::Closed => return Err(RejectReason::Closed),
        }
        let gathered = &waiting.gathered;
        let is_first = gathered.is_empty();
        let fits = gathered.pendings().len() < self.limits.appends_max
            && gathered.record_bytes() + bytes <= self.limits.bytes_max;
        if is_first || fits || planted::is("queue-unbounded") {
            return Ok(());
        }
        Err(RejectReason::Overloaded)
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
        let rest = std::mem::take(&mut waiting.gathered);
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
        let rest = std::mem::take(&mut waiting.gathered);
        let submitted = taken.pendings()[from..].iter().chain(rest.pendings());
        for pending in submitted.rev() {
            if !planted::is("rejected-keeps-its-position") {
                self.take_back(&mut waiting, pending);
            }
        }
        drop(waiting);
        for flush in [taken.flush(), rest.flush()] {
            flush.fail(Failure::Rejected(RejectReason::Full));
        }
    }

    /// Undoes what a submission changed, the latest first.
    fn take_back(&self, waiting: &mut Waiting, pending: &Pending) {
        let stream = pending.stream as usize;
        let entries = match &pending.work {
            Work::Append(entries) | Work::Found(entries, _) => u64::from(*entries),
            Work::Forget(_) => return,
        };
        let before = waiting.next[stream] - entries;
        assert_eq!(before, pending.at.get(), "appends are taken back in order");
        waiting.next[stream] = before;
        if let Work::Found(_, name) = &pending.work {
            assert_eq!(
                stream + 1,
                waiting.next.len(),
                "streams are taken back in order"
            );
            waiting.next.pop();
            self.names.remove(name);
            waiting.removals += 1;
        }
    }

    /// Takes no new appends, because there will be no room for them. What waits still fits.
    pub(crate) fn set_full(&self) {
        let mut waiting = self.lock();
        if waiting.status == Status::Open {
            tracing::warn!("journal: the medium is full, appends are rejected");
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
