//! What was submitted and is not yet settled.
//!
//! Callers encode what they submit by themselves, so what waits is already the body of the next
//! frame; the writer adds the salt and the frame's header.

use std::cell::Cell;
use std::sync::Arc;

use refrain_core::port::journal::Batch;
use refrain_core::{Name, Position};

use crate::completion::Flush;
use crate::format::frame::FRAME_HEADER_BYTES;
use crate::format::record::{self, Declaration, RECORD_HEADER_BYTES};
use crate::names::Names;

/// Bytes of buffers that are kept for the next flush. One flush in a burst may need many more.
const KEPT_BYTES: usize = 8 * 1024 * 1024;

/// Submissions whose places are kept for the next flush.
const KEPT_PENDINGS: usize = 64 * 1024;

/// Bytes of encoded records that a thread keeps a buffer for.
const KEPT_RECORD_BYTES: usize = 256 * 1024;

/// Something submitted.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) stream: u32,
    /// The position it names.
    pub(crate) at: Position,
    /// Where its records end in the buffer.
    pub(crate) end: usize,
    pub(crate) work: Work,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Work {
    /// Record so many entries.
    Append(u32),
    /// Record a new stream of this name, and so many entries.
    Found(u32, Name),
    /// Record that a stream starts later.
    Forget(Box<Declaration>),
}

impl Pending {
    /// The declaration that is its first record, if that is one.
    pub(crate) fn declaration(&self) -> Option<Declaration> {
        match &self.work {
            Work::Append(_) => None,
            Work::Found(_, name) => Some(founded(self.stream, self.at, name)),
            Work::Forget(declaration) => Some(declaration.as_ref().clone()),
        }
    }

    /// The stream that is new with it: its number and its name.
    pub(crate) fn founds(&self) -> Option<(u32, Name)> {
        match &self.work {
            Work::Found(_, name) => Some((self.stream, name.clone())),
            Work::Append(_) | Work::Forget(_) => None,
        }
    }

    /// Entries that it records.
    pub(crate) fn entries(&self) -> u32 {
        match &self.work {
            Work::Append(entries) | Work::Found(entries, _) => *entries,
            Work::Forget(_) => 0,
        }
    }
}

/// What is declared of a stream with its first append.
pub(crate) fn founded(stream: u32, at: Position, name: &Name) -> Declaration {
    Declaration {
        stream,
        name: name.clone(),
        first: at.get(),
        next: at.get(),
    }
}

/// What is written as one, unless it does not fit a frame: the records of all who wait, one after
/// the other, behind room for a frame's header.
#[derive(Debug)]
pub(crate) struct Gathered {
    bytes: Vec<u8>,
    pendings: Vec<Pending>,
    flush: Arc<Flush>,
}

impl Gathered {
    /// Nothing yet, of a journal with these names.
    pub(crate) fn new(names: Arc<Names>) -> Gathered {
        Gathered {
            bytes: vec![0; FRAME_HEADER_BYTES],
            pendings: Vec::new(),
            flush: Arc::new(Flush::new(names)),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pendings.is_empty()
    }

    pub(crate) fn pendings(&self) -> &[Pending] {
        &self.pendings
    }

    /// Bytes of all records.
    pub(crate) fn record_bytes(&self) -> usize {
        self.bytes.len() - FRAME_HEADER_BYTES
    }

    /// Bytes of the records of submission `place`.
    pub(crate) fn record_bytes_of(&self, place: usize) -> usize {
        self.pendings[place].end - self.start_of(place)
    }

    /// Those who wait for it.
    pub(crate) fn flush(&self) -> &Arc<Flush> {
        &self.flush
    }

    /// Adds a submission with its unsalted `records`, and says at which place it waits.
    pub(crate) fn push(&mut self, stream: u32, at: Position, work: Work, records: &[u8]) -> u32 {
        let place = u32::try_from(self.pendings.len()).expect("what waits is bounded");
        self.bytes.extend_from_slice(records);
        self.pendings.push(Pending {
            stream,
            at,
            end: self.bytes.len(),
            work,
        });
        place
    }

    /// The records of the submissions from place `from` to before `to`, behind room for a header.
    /// For other places than the first that is the end of records which are durable already.
    pub(crate) fn frame(&mut self, from: usize, to: usize) -> (&[Pending], &mut [u8]) {
        let start = self.start_of(from) - FRAME_HEADER_BYTES;
        let end = self.pendings[to - 1].end;
        (&self.pendings[from..to], &mut self.bytes[start..end])
    }

    /// Makes it empty, for others to wait for. Buffers stay, unless they are unusually large.
    pub(crate) fn clear(&mut self) {
        self.pendings.clear();
        self.pendings.shrink_to(KEPT_PENDINGS);
        self.bytes.truncate(FRAME_HEADER_BYTES);
        self.bytes.shrink_to(KEPT_BYTES);
        self.flush = Arc::new(self.flush.next());
    }

    fn start_of(&self, place: usize) -> usize {
        place
            .checked_sub(1)
            .map_or(FRAME_HEADER_BYTES, |before| self.pendings[before].end)
    }
}

/// Bytes of the records of a batch.
pub(crate) fn entry_bytes(batch: &Batch) -> usize {
    batch.byte_len() + batch.len() * RECORD_HEADER_BYTES
}

/// Records without a salt, in a buffer that belongs to the thread. Encoding and checksums need no
/// lock, so callers do both before they take one.
#[derive(Debug)]
pub(crate) struct Records(Vec<u8>);

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Records {
    /// None yet.
    pub(crate) fn new() -> Records {
        let mut buffer = BUFFER.try_with(Cell::take).unwrap_or_default();
        buffer.clear();
        Records(buffer)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds the entries of `batch`, the first at position `at`.
    pub(crate) fn add_entries(&mut self, stream: u32, at: Position, batch: &Batch) {
        for (position, entry) in (at.get()..).zip(batch.entries()) {
            record::encode_entry(0, stream, position, entry, &mut self.0);
        }
    }

    /// Adds a declaration.
    pub(crate) fn add_declaration(&mut self, declaration: &Declaration) {
        declaration.encode(0, &mut self.0);
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        if self.0.capacity() <= KEPT_RECORD_BYTES {
            // While the thread ends there is no place to keep it any more.
            let _ = BUFFER.try_with(|buffer| buffer.set(std::mem::take(&mut self.0)));
        }
    }
}
