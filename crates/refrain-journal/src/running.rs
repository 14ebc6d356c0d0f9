//! The threads of a journal that is open, and how they end.

use std::sync::{Arc, PoisonError};

use crate::compaction::Compaction;
use crate::keeper::{Housekeeping, Keeper};
use crate::queue::Queue;
use crate::read_side::ReadSide;
use crate::storage::DiskLock;
use crate::sync::{Mutex, spawn};
use crate::threads::Threads;
use crate::writer::Writer;

/// What the threads do, besides reading.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) writer: Writer,
    pub(crate) compaction: Compaction,
    pub(crate) housekeeping: Housekeeping,
}

/// The threads, and the lock that they write under.
#[derive(Debug)]
pub(crate) struct Running {
    queue: Arc<Queue>,
    keeper: Arc<Keeper>,
    read_side: Arc<ReadSide>,
    writer: Threads,
    compaction: Threads,
    housekeeping: Threads,
    readers: Threads,
    /// Given back last, when nothing writes any more.
    _lock: Box<dyn DiskLock>,
}

impl Running {
    /// Starts the threads. Those that were started before one cannot be end again.
    pub(crate) fn start(
        work: Work,
        reader_threads: usize,
        lock: Box<dyn DiskLock>,
    ) -> std::io::Result<Running> {
        let Work {
            writer,
            compaction,
            housekeeping,
        } = work;
        let mut running = Running {
            queue: Arc::clone(&housekeeping.queue),
            keeper: Arc::clone(&housekeeping.keeper),
            read_side: Arc::clone(&housekeeping.read_side),
            writer: Threads::default(),
            compaction: Threads::default(),
            housekeeping: Threads::default(),
            readers: Threads::default(),
            _lock: lock,
        };
        let started = running.start_all(writer, compaction, housekeeping, reader_threads);
        match started {
            Ok(()) => Ok(running),
            Err(error) => {
                running.end();
                Err(error)
            }
        }
    }

    fn start_all(
        &mut self,
        writer: Writer,
        compaction: Compaction,
        housekeeping: Housekeeping,
        reader_threads: usize,
    ) -> std::io::Result<()> {
        let readers = &self.read_side.readers;
        readers.start(reader_threads, &mut self.readers)?;
        self.housekeeping
            .start("refrain-keep", move || housekeeping.run())?;
        self.compaction
            .start("refrain-compact", move || compaction.run())?;
        self.writer.start("refrain-write", move || writer.run())
    }

    /// Writes what was submitted, then ends the threads in the order in which they need each other,
    /// and gives the lock back.
    fn end(mut self) {
        self.queue.close();
        self.writer.join();
        self.keeper.compactor.end();
        self.compaction.join();
        self.keeper.end();
        self.housekeeping.join();
        self.read_side.readers.end();
        self.readers.join();
    }

    /// As [`Running::end`], before this returns; but not on one of the threads themselves, for which
    /// another one does it.
    pub(crate) fn end_anywhere(self) {
        let threads = [
            &self.writer,
            &self.compaction,
            &self.housekeeping,
            &self.readers,
        ];
        if !threads.into_iter().any(Threads::has_current) {
            return self.end();
        }
        self.queue.close();
        let running = Arc::new(Mutex::new(Some(self)));
        let taken = Arc::clone(&running);
        let started = spawn("refrain-close", move || {
            let running = take(&taken);
            running.expect("nobody else takes it").end();
        });
        if let Err(error) = started {
            tracing::error!(%error, "journal: it stays locked until the program ends");
            // What was submitted is written all the same; nobody else may write as long as it can be.
            std::mem::forget(take(&running));
        }
    }
}

fn take(running: &Mutex<Option<Running>>) -> Option<Running> {
    let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
    running.take()
}
