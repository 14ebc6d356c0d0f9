//! A file that is written from front to back, in large pieces.

use std::io;
use std::sync::Arc;

use crate::planted;
use crate::storage::{DiskFile, write_all_at};

/// Bytes that are written and synced at once: few enough that a sync of the log does not wait long
/// behind them.
const PIECE_BYTES: usize = 1024 * 1024;

/// Bytes that are worked on before the pace is asked: a pause for a few of them would be shorter than
/// the time that it takes to wake up.
const WORKED_BYTES: usize = 256 * 1024;

/// Decides how fast work in the background goes on.
pub(crate) trait Pace {
    /// Some bytes were written.
    ///
    /// # Errors
    /// `Interrupted` when the work is to end.
    fn written(&self, bytes: usize) -> io::Result<()>;

    /// Some bytes were worked on, which may be many more than were written of them. Returns when the
    /// work may go on.
    ///
    /// # Errors
    /// `Interrupted` when the work is to end.
    fn worked(&self, bytes: usize) -> io::Result<()>;
}

/// As fast as it goes.
#[derive(Debug)]
pub(crate) struct AtOnce;

impl Pace for AtOnce {
    fn written(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn worked(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
}

/// The file as it grows.
pub(crate) struct Output<'a> {
    file: Arc<dyn DiskFile>,
    pace: &'a dyn Pace,
    buffer: Vec<u8>,
    flushed: u64,
    /// Bytes that were worked on since it was said how many.
    worked: usize,
}

impl<'a> Output<'a> {
    /// Writes to `file`, which is empty.
    pub(crate) fn new(file: Arc<dyn DiskFile>, pace: &'a dyn Pace) -> Output<'a> {
        Output {
            file,
            pace,
            buffer: Vec::new(),
            flushed: 0,
            worked: 0,
        }
    }

    /// Where in the file the next byte goes.
    pub(crate) fn at(&self) -> u64 {
        self.flushed + self.buffer.len() as u64
    }

    /// Adds what `add` appends to the buffer it is given.
    pub(crate) fn add<T>(&mut self, add: impl FnOnce(&mut Vec<u8>) -> T) -> io::Result<T> {
        let added = add(&mut self.buffer);
        if self.buffer.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(added)
    }

    /// Says that `bytes` were worked on. Returns when the work may go on.
    pub(crate) fn worked(&mut self, bytes: usize) -> io::Result<()> {
        self.worked += bytes;
        if self.worked < WORKED_BYTES {
            return Ok(());
        }
        self.pace.worked(std::mem::take(&mut self.worked))
    }

    /// Writes and syncs all; the file is whole.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        self.flush()?;
        Ok(self.flushed)
    }

    fn flush(&mut self) -> io::Result<()> {
        write_all_at(self.file.as_ref(), &self.buffer, self.flushed)?;
        if !planted::is("rewritten-not-synced") {
            self.file.sync_data()?;
        }
        self.flushed += self.buffer.len() as u64;
        let bytes = self.buffer.len();
        self.buffer.clear();
        self.pace.written(bytes)
    }
}
