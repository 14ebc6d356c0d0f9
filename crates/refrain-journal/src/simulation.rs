//! What a simulator needs to run the journal's threads one at a time, in an order it chooses.
//!
//! A thread that [`enter`]s a simulation, and every thread that it starts, tells its [`Scheduler`]
//! where it waits and whom it wakes. All other threads behave as without the feature `simulation`.
//! Together with a [`Disk`](crate::Disk) whose calls ask the same scheduler, a run is a function of
//! the scheduler's choices alone.
//!
//! Invariant: a thread reports that it waits only when it holds no lock that it waits with, and no
//! other thread runs in between, so that no wake-up is lost.

use std::cell::RefCell;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LockResult, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Runs threads one at a time.
pub trait Scheduler: Send + Sync + std::fmt::Debug {
    /// Starts a thread that does `work` when its turn comes.
    ///
    /// # Errors
    /// When it cannot be started.
    fn spawn(&self, name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>>;

    /// Waits for the end of a thread that [`Scheduler::spawn`] gave.
    ///
    /// # Errors
    /// What the thread panicked with.
    fn join(&self, thread: JoinHandle<()>) -> std::thread::Result<()>;

    /// The calling thread is about to take a lock: others may run before it does.
    fn before_lock(&self) {}

    /// Lets others run until somebody wakes `place`, or `patience` is over by the simulated time.
    fn wait(&self, place: Place, patience: Option<Duration>) -> Woken;

    /// Lets threads that wait at `place` run again when their turn comes.
    fn wake(&self, place: Place, whom: Whom);
}

/// Where threads wait: each lock and each bell is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(usize);

impl Place {
    /// The place of `owner`, which stays where it is while somebody waits.
    pub fn of<T: ?Sized>(owner: &T) -> Place {
        Place(std::ptr::from_ref(owner).cast::<()>() as usize)
    }
}

/// Which of those who wait are woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// One of them.
    One,
    /// All of them.
    All,
}

/// Why waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Somebody woke the place.
    Rung,
    /// The patience was over.
    TimedOut,
}

thread_local! {
    static SCHEDULER: RefCell<Option<Arc<dyn Scheduler>>> = const { RefCell::new(None) };
}

/// Puts the calling thread under `scheduler` until the answer is dropped.
#[must_use]
pub fn enter(scheduler: Arc<dyn Scheduler>) -> Entered {
    SCHEDULER.with(|current| *current.borrow_mut() = Some(scheduler));
    Entered(())
}

/// While this lives, its thread is in the simulation.
#[derive(Debug)]
pub struct Entered(());

impl Drop for Entered {
    fn drop(&mut self) {
        SCHEDULER.with(|current| *current.borrow_mut() = None);
    }
}

fn current() -> Option<Arc<dyn Scheduler>> {
    SCHEDULER.with(|current| current.borrow().clone())
}

pub(crate) fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    match current() {
        Some(scheduler) => scheduler.spawn(name, Box::new(work)),
        None => std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(work),
    }
}

pub(crate) fn join(thread: JoinHandle<()>) -> std::thread::Result<()> {
    match current() {
        Some(scheduler) => scheduler.join(thread),
        None => thread.join(),
    }
}

/// A lock whose waiting the scheduler knows of.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Mutex<T> {
        Mutex(std::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let Some(scheduler) = current() else {
            return self.guard(self.0.lock());
        };
        scheduler.before_lock();
        loop {
            match self.0.try_lock() {
                Ok(guard) => return self.guard(Ok(guard)),
                Err(TryLockError::Poisoned(error)) => return self.guard(Err(error)),
                Err(TryLockError::WouldBlock) => {
                    scheduler.wait(Place::of(self), None);
                }
            }
        }
    }

    fn guard<'a>(
        &'a self,
        locked: LockResult<std::sync::MutexGuard<'a, T>>,
    ) -> LockResult<MutexGuard<'a, T>> {
        let guard = |guard| MutexGuard {
            mutex: self,
            guard: Some(guard),
        };
        match locked {
            Ok(locked) => Ok(guard(locked)),
            Err(error) => Err(PoisonError::new(guard(error.into_inner()))),
        }
    }
}

/// Holds a [`Mutex`].
#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// Taken by the drop alone.
    guard: Option<std::sync::MutexGuard<'a, T>>,
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.guard.as_ref().expect("held until the drop")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.guard.as_mut().expect("held until the drop")
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.guard = None;
        if let Some(scheduler) = current() {
            scheduler.wake(Place::of(self.mutex), Whom::All);
        }
    }
}

/// A bell whose waiting the scheduler knows of.
#[derive(Debug, Default)]
pub(crate) struct Condvar(std::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Condvar {
        Condvar::default()
    }

    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        let mutex = guard.mutex;
        match current() {
            Some(scheduler) => {
                drop(guard);
                scheduler.wait(self.place(), None);
                mutex.lock()
            }
            None => mutex.guard(self.0.wait(inner(guard))),
        }
    }

    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        patience: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, Waited)> {
        let mutex = guard.mutex;
        let (locked, woken) = match current() {
            Some(scheduler) => {
                drop(guard);
                let woken = scheduler.wait(self.place(), Some(patience));
                (mutex.lock(), woken)
            }
            None => {
                let waited = self.0.wait_timeout(inner(guard), patience);
                let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                let woken = if timeout.timed_out() {
                    Woken::TimedOut
                } else {
                    Woken::Rung
                };
                (mutex.guard(Ok(guard)), woken)
            }
        };
        match locked {
            Ok(guard) => Ok((guard, Waited(woken))),
            Err(error) => Err(PoisonError::new((error.into_inner(), Waited(woken)))),
        }
    }

    pub(crate) fn notify_one(&self) {
        match current() {
            Some(scheduler) => scheduler.wake(self.place(), Whom::One),
            None => self.0.notify_one(),
        }
    }

    pub(crate) fn notify_all(&self) {
        match current() {
            Some(scheduler) => scheduler.wake(self.place(), Whom::All),
            None => self.0.notify_all(),
        }
    }

    fn place(&self) -> Place {
        Place::of(self)
    }
}

fn inner<'a, T>(mut guard: MutexGuard<'a, T>) -> std::sync::MutexGuard<'a, T> {
    guard.guard.take().expect("held until the drop")
}

/// Whether waiting ended by the clock.
#[derive(Debug)]
pub(crate) struct Waited(Woken);

impl Waited {
    pub(crate) fn timed_out(&self) -> bool {
        self.0 == Woken::TimedOut
    }
}
