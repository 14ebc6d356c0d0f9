//! The locks, bells and threads of this crate: the standard library's, unless the feature
//! `simulation` lets a simulator decide which thread runs when.

#[cfg(not(feature = "simulation"))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};

#[cfg(feature = "simulation")]
pub(crate) use crate::simulation::{Condvar, Mutex, MutexGuard, join, spawn};

/// Starts a thread.
#[cfg(not(feature = "simulation"))]
pub(crate) fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
}

/// Waits for the end of a thread.
#[cfg(not(feature = "simulation"))]
pub(crate) fn join(thread: std::thread::JoinHandle<()>) -> std::thread::Result<()> {
    thread.join()
}

/// Lets other threads run until `is_so`, `turns` times at most. Under a simulation not at all: there,
/// other threads run only where this one waits.
#[cfg(not(feature = "simulation"))]
pub(crate) fn give_way_until(turns: u32, is_so: impl Fn() -> bool) {
    for _ in 0..turns {
        if is_so() {
            return;
        }
        std::thread::yield_now();
    }
}

#[cfg(feature = "simulation")]
pub(crate) fn give_way_until(_turns: u32, _is_so: impl Fn() -> bool) {}
