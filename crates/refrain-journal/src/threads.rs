//! Threads with a name and an owner.

use std::io;

use crate::sync::{JoinHandle, join, spawn};

/// Threads that are joined when this is dropped. Whoever drops it has told them to end.
#[derive(Debug, Default)]
pub(crate) struct Threads(Vec<JoinHandle<()>>);

impl Threads {
    /// Starts a thread.
    pub(crate) fn start(
        &mut self,
        name: &str,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let thread = spawn(name, work)?;
        self.0.push(thread);
        Ok(())
    }

    /// Waits for all of them to end.
    pub(crate) fn join(&mut self) {
        for thread in self.0.drain(..) {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            if join(thread).is_err() {
                tracing::error!(name, "journal: a thread panicked");
            }
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.join();
    }
}
