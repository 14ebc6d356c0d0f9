//! What everything durable is compared with: writers that do nothing but write and sync bytes.
//!
//! No index, no checksum, no processor. The file is filled with zeros and synced before use, and
//! written from its start again when it is full, which costs the disk the same.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

const MIB: usize = 1024 * 1024;

/// Larger than what 4,096 callers write at once.
const FILE_BYTES: usize = 16 * MIB;

/// A file whose bytes are all on the disk.
#[derive(Debug)]
pub(crate) struct BareFile {
    file: File,
    next: usize,
}

impl BareFile {
    /// Makes the file at `path`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn create(path: &Path) -> io::Result<BareFile> {
        let mut file = File::create(path)?;
        let zeros = vec![0; MIB];
        for _ in 0..FILE_BYTES / MIB {
            file.write_all(&zeros)?;
        }
        file.sync_all()?;
        Ok(BareFile { file, next: 0 })
    }

    /// One write and one sync.
    ///
    /// # Errors
    /// When the disk fails.
    ///
    /// # Panics
    /// When `bytes` do not fit the file.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        assert!(bytes.len() <= FILE_BYTES, "a write fits the file");
        if self.next + bytes.len() > FILE_BYTES {
            self.next = 0;
        }
        self.file.write_all_at(bytes, self.next as u64)?;
        self.next += bytes.len();
        self.file.sync_data()
    }
}

/// The **bare writer**: a thread that takes all that waits, writes it at once, syncs it once, and
/// wakes each caller, as a runtime must.
#[derive(Debug)]
pub(crate) struct BareWriter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    callers: Vec<oneshot::Sender<()>>,
    is_closed: bool,
}

impl BareWriter {
    /// Makes the file at `path` and a thread that writes to it.
    ///
    /// # Errors
    /// When one of them cannot be made.
    pub(crate) fn start(path: &Path) -> io::Result<BareWriter> {
        let file = BareFile::create(path)?;
        let shared = Arc::new(Shared::default());
        let others = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("bare-writer".to_owned())
            .spawn(move || write(file, &others))?;
        Ok(BareWriter {
            shared,
            thread: Some(thread),
        })
    }

    /// Submits `bytes`; the receiver hears when they are on the disk.
    pub(crate) fn append(&self, bytes: &[u8]) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.shared.lock();
        let was_empty = waiting.callers.is_empty();
        waiting.bytes.extend_from_slice(bytes);
        waiting.callers.push(sender);
        drop(waiting);
        if was_empty {
            self.shared.bell.notify_one();
        }
        receiver
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(mut file: BareFile, shared: &Shared) -> io::Result<()> {
    let (mut bytes, mut callers) = (Vec::new(), Vec::new());
    loop {
        let mut waiting = shared.lock();
        while waiting.callers.is_empty() {
            if waiting.is_closed {
                return Ok(());
            }
            let woken = shared.bell.wait(waiting);
            waiting = woken.unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut waiting.bytes, &mut bytes);
        std::mem::swap(&mut waiting.callers, &mut callers);
        drop(waiting);
        file.append(&bytes)?;
        bytes.clear();
        for caller in callers.drain(..) {
            // Whoever does not wait any more is not counted either.
            let _ = caller.send(());
        }
    }
}

impl Drop for BareWriter {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.bell.notify_one();
        if let Some(thread) = self.thread.take() {
            // A writer that failed has dropped its callers, who noticed.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_the_bare_writer_acknowledged_is_in_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let writer = BareWriter::start(&dir.path().join("bare")).unwrap();
        let (first, second) = (writer.append(b"one "), writer.append(b"two"));
        first.await.unwrap();
        second.await.unwrap();
        drop(writer);
        let written = std::fs::read(dir.path().join("bare")).unwrap();
        assert_eq!(&written[..7], b"one two");
    }
}
