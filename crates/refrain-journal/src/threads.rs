//! Threads with a name and an owner.

use std::io;

use crate::sync::{JoinHandle, is_current, join, spawn};

/// Threads that are joined when this is dropped. Whoever drops it has told them to end.
///
/// One of them may be the one that drops it: it wakes somebody, who was the last to hold what the
/// threads are of. It cannot wait for its own end, nor for that of the others, which may need what it
/// holds. Then they end by themselves.
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

    /// Whether the calling thread is one of them.
    pub(crate) fn has_current(&self) -> bool {
        self.0.iter().any(is_current)
    }

    /// Waits for all of them to end, unless the calling thread is one of them.
    pub(crate) fn join(&mut self) {
        if self.has_current() {
            self.0.clear();
        }
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
