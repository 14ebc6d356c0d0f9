//! The threads that read files for cursors, so that no caller's thread waits for a disk.
//!
//! A cursor has at most one job here, so what waits is bounded by the number of cursors.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::threads::Threads;

type Job = Box<dyn FnOnce() + Send>;

/// Where jobs wait.
#[derive(Default)]
pub(crate) struct Readers {
    jobs: Mutex<Jobs>,
    bell: Condvar,
}

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readers").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    is_ending: bool,
}

impl Readers {
    /// Starts `count` threads that end after [`Readers::end`].
    pub(crate) fn start(
        self: &Arc<Readers>,
        count: usize,
        threads: &mut Threads,
    ) -> std::io::Result<()> {
        for index in 0..count {
            let readers = Arc::clone(self);
            threads.start(&format!("refrain-read-{index}"), move || readers.work())?;
        }
        Ok(())
    }

    /// Has `job` done by one of the threads.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Answer<T> {
        let (promise, answer) = answer();
        let mut jobs = self.lock();
        if !jobs.is_ending {
            jobs.waiting
                .push_back(Box::new(move || promise.keep(job())));
            drop(jobs);
            self.bell.notify_one();
        }
        answer
    }

    /// Ends the threads after the jobs that wait.
    pub(crate) fn end(&self) {
        self.lock().is_ending = true;
        self.bell.notify_all();
    }

    /// Does a job that waits, if there is one, on the calling thread.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn work_once(&self) {
        let job = self.lock().waiting.pop_front();
        if let Some(job) = job {
            job();
        }
    }

    fn work(&self) {
        loop {
            let mut jobs = self.lock();
            let job = loop {
                if let Some(job) = jobs.waiting.pop_front() {
                    break job;
                }
                if jobs.is_ending {
                    return;
                }
                jobs = self.bell.wait(jobs).unwrap_or_else(PoisonError::into_inner);
            };
            drop(jobs);
            job();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Slot<T> {
    Empty(Option<Waker>),
    Filled(T),
    /// The job was never done: the threads ended, or it panicked.
    Broken,
}

/// Completes with what a job gave, or with `None` when it was never done.
pub(crate) struct Answer<T>(Arc<Mutex<Slot<T>>>);

impl<T> std::fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answer")
    }
}

impl<T> Future for Answer<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        // A waker is neither cloned nor dropped under the lock: it may be the last to hold something.
        let waker = context.waker().clone();
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *slot, Slot::Broken) {
            Slot::Empty(before) => {
                *slot = Slot::Empty(Some(waker));
                drop(slot);
                drop(before);
                Poll::Pending
            }
            Slot::Filled(value) => Poll::Ready(Some(value)),
            Slot::Broken => Poll::Ready(None),
        }
    }
}

/// A promise, and the answer that it completes.
pub(crate) fn answer<T>() -> (Promise<T>, Answer<T>) {
    let slot = Arc::new(Mutex::new(Slot::Empty(None)));
    (Promise(Arc::clone(&slot)), Answer(slot))
}

/// Completes an [`Answer`]; with nothing when it is dropped.
pub(crate) struct Promise<T>(Arc<Mutex<Slot<T>>>);

impl<T> std::fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Promise")
    }
}

impl<T> Promise<T> {
    pub(crate) fn keep(self, value: T) {
        self.settle(Slot::Filled(value));
    }

    fn settle(&self, with: Slot<T>) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Slot::Empty(waker) = &mut *slot {
            let waker = waker.take();
            *slot = with;
            drop(slot);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.settle(Slot::Broken);
    }
}
