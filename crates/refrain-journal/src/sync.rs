//! The locks, bells, flags and threads of this crate: the standard library's, unless the feature
//! `simulation` lets a simulator decide which thread runs when, or `--cfg shuttle` lets a checker of
//! interleavings do so at every step that two threads can see of each other.

#[cfg(all(shuttle, feature = "simulation"))]
compile_error!("one scheduler at a time: the simulation is built without `--cfg shuttle`");

#[cfg(not(any(shuttle, feature = "simulation")))]
mod locks {
    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
    pub(crate) use std::thread::{Builder, JoinHandle, current, yield_now};
}

#[cfg(shuttle)]
mod locks {
    pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard};
    pub(crate) use shuttle::thread::{Builder, JoinHandle, current, yield_now};
}

#[cfg(not(feature = "simulation"))]
pub(crate) use locks::{Condvar, JoinHandle, Mutex, MutexGuard};

#[cfg(feature = "simulation")]
pub(crate) use crate::simulation::{Condvar, Mutex, MutexGuard, join, spawn};
#[cfg(not(feature = "simulation"))]
use locks::current;
#[cfg(feature = "simulation")]
pub(crate) use std::thread::JoinHandle;
#[cfg(feature = "simulation")]
use std::thread::current;

/// Numbers and flags that threads share without a lock.
pub(crate) mod atomic {
    #[cfg(shuttle)]
    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
    #[cfg(not(shuttle))]
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
}

/// Starts a thread.
#[cfg(not(feature = "simulation"))]
pub(crate) fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    locks::Builder::new().name(name.to_owned()).spawn(work)
}

/// Waits for the end of a thread.
#[cfg(not(feature = "simulation"))]
pub(crate) fn join(thread: JoinHandle<()>) -> std::thread::Result<()> {
    thread.join()
}

/// Whether the calling thread is `thread`.
pub(crate) fn is_current(thread: &JoinHandle<()>) -> bool {
    thread.thread().id() == current().id()
}

/// Lets other threads run until `is_so`, `turns` times at most. Under a simulation not at all: there,
/// other threads run only where this one waits.
#[cfg(not(feature = "simulation"))]
pub(crate) fn give_way_until(turns: u32, is_so: impl Fn() -> bool) {
    // A checker of interleavings needs to see only that others may run in between.
    let turns = if cfg!(shuttle) { turns.min(2) } else { turns };
    for _ in 0..turns {
        if is_so() {
            return;
        }
        locks::yield_now();
    }
}

#[cfg(feature = "simulation")]
pub(crate) fn give_way_until(_turns: u32, _is_so: impl Fn() -> bool) {}
