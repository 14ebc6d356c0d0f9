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
