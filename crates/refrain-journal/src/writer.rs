//! The one thread that writes: takes everything that waits, writes and syncs it as one frame, and
//! tells everybody with one store.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crate::completion::Failure;
use crate::keeper::Keeper;
use crate::log::{Log, Rotation, WriteError};
use crate::pending::{Gathered, Pending, Work};
use crate::planted;
use crate::queue::{Call, Queue};
use crate::read_side::ReadSide;
use crate::scan::Item;
use crate::sealed::SealedSegment;

/// The writer and all that it owns.
#[derive(Debug)]
pub(crate) struct Writer {
    log: Log,
    queue: Arc<Queue>,
    read_side: Arc<ReadSide>,
    keeper: Arc<Keeper>,
    mark_sync_idle: Duration,
    /// What was taken from the queue.
    taken: Gathered,
    /// The places of it before this one are settled.
    settled: usize,
    /// Used again for those who are to be woken.
    wakers: Vec<Waker>,
}

impl Writer {
    pub(crate) fn new(
        log: Log,
        queue: Arc<Queue>,
        read_side: Arc<ReadSide>,
        keeper: Arc<Keeper>,
        mark_sync_idle: Duration,
    ) -> Writer {
        let taken = Gathered::new(Arc::clone(&read_side.names));
        Writer {
            log,
            queue,
            read_side,
            keeper,
            mark_sync_idle,
            taken,
            settled: 0,
            wakers: Vec::new(),
        }
    }

    /// Writes until the queue is closed and empty, or something fails.
    pub(crate) fn run(mut self) {
        loop {
            let patience = (!self.log.is_mark_synced()).then_some(self.mark_sync_idle);
            let done = match self.queue.take(&mut self.taken, patience) {
                Call::Write => self.flush(),
                Call::Retire(segment) => self.retire(segment),
                Call::Idle => self.log.sync_mark(),
                Call::End => break,
            };
            match done {
                Ok(()) => {}
                Err(WriteError::Full) => {
                    self.queue.reject_full(&self.taken, self.settled);
                    self.let_go();
                    if self.keeper.has_spare() {
                        self.queue.resume();
                    }
                }
                Err(WriteError::Failed { .. }) if planted::is("goes-on-after-failure") => {
                    self.taken.flush().fail(Failure::Unknown(String::new()));
                    self.let_go();
                }
                Err(error @ (WriteError::Failed { .. } | WriteError::NoSegment(_))) => {
                    self.queue
                        .stop(Some(self.taken.flush()), &error.to_string());
                    return;
                }
            }
        }
        match self.log.sync_mark() {
            Ok(()) => self.keeper.closed(self.log.end()),
            Err(error) => {
                tracing::warn!(%error, "journal: the durable mark could not be synced at the end");
            }
        }
    }

    /// Writes all that was taken, frame by frame.
    fn flush(&mut self) -> Result<(), WriteError> {
        while self.settled < self.taken.pendings().len() {
            let from = self.settled;
            let sealed = self.make_room(self.taken.record_bytes_of(from))?;
            if planted::is("answer-before-sync") {
                self.taken.flush().acknowledge(from + 1, &mut self.wakers);
                self.wakers.drain(..).for_each(Waker::wake);
            }
            let written = self.log.write(&mut self.taken, from);
            if written.is_err() && planted::is("failed-write-shown") {
                self.show();
            }
            let mut to = written?;
            let has_rotated = sealed.is_some();
            self.index(sealed);
            self.show();
            if planted::is("later-frame-answered") {
                to = self.taken.pendings().len();
            }
            self.settle(to);
            // So the mark lags by a segment at most, and recovery has little to write again.
            if has_rotated {
                self.log.sync_mark()?;
            }
        }
        self.let_go();
        Ok(())
    }

    /// Tells those at the places before `to` that they are durable.
    fn settle(&mut self, to: usize) {
        let settled = &self.taken.pendings()[self.settled..to];
        let is_forgetting = |pending: &Pending| matches!(pending.work, Work::Forget(_));
        // First: whoever is told may ask at once for what it has forgotten to be given back.
        if settled.iter().any(is_forgetting) {
            self.keeper.compactor.forgotten();
        }
        self.taken.flush().acknowledge(to, &mut self.wakers);
        self.settled = to;
        self.wakers.drain(..).for_each(Waker::wake);
    }

    /// Ends the batch: everybody in it was told.
    fn let_go(&mut self) {
        self.taken.clear();
        self.settled = 0;
    }

    /// Moves on to the next segment if need be, and gives the one that was left then.
    fn make_room(&mut self, record_bytes: usize) -> Result<Option<Arc<SealedSegment>>, WriteError> {
        let rotation = self.log.make_room(record_bytes)?;
        let seal = |rotation: Rotation| self.read_side.index().seal(rotation.span, rotation.next);
        Ok(rotation.map(seal))
    }

    /// Orders the index of a segment that was left. Not before a frame in the next one is durable:
    /// without it the next opening goes on in the old segment, beyond what the index says of it.
    fn index(&self, sealed: Option<Arc<SealedSegment>>) {
        if let Some(sealed) = sealed {
            self.keeper.sealed(sealed);
        }
    }

    /// Adds the frame that was written to the index, and wakes who follows its streams.
    fn show(&mut self) {
        let mut followers: Vec<Waker> = Vec::new();
        let mut index = self.read_side.index();
        let mut last = None;
        for item in self.log.items() {
            index
                .add(item)
                .expect("appends are checked when they are submitted");
            let stream = match item {
                Item::Entry { stream, .. } => *stream,
                Item::Stream(declaration) => declaration.stream,
            };
            if last != Some(stream) {
                followers.append(&mut index.take_followers(stream));
                last = Some(stream);
            }
        }
        drop(index);
        for waker in followers {
            waker.wake();
        }
    }

    /// Lets go of the log segments below `segment`, which a stream segment stands for now.
    fn retire(&mut self, segment: u64) -> Result<(), WriteError> {
        let oldest = self.log.first_segment();
        if segment <= oldest {
            return Ok(());
        }
        let is_early = planted::is("removed-before-mark");
        if is_early {
            self.keeper.remove(oldest, segment);
        }
        self.log.retire(segment)?;
        self.read_side.index().adopt(segment);
        self.keeper.compactor.adopted(segment);
        if !is_early {
            self.keeper.remove(oldest, segment);
        }
        Ok(())
    }
}

impl Drop for Writer {
    /// However the thread ends, nobody may be left waiting.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.queue
                .stop(Some(self.taken.flush()), "the writer's thread panicked");
        }
        self.keeper.compactor.end();
        self.read_side.end();
    }
}
