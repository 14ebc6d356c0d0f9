//! Opening a whole directory and reading all that it holds, on the calling thread.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use refrain_core::port::journal::{Cursor, ReadError};
use refrain_core::{Name, Position};

use crate::error::OpenError;
use crate::log_index;
use crate::options::JournalOptions;
use crate::read_side::ReadSide;
use crate::recovery::recover;
use crate::storage::Disk;
use crate::tracker::Tracker;

/// Why bytes were not served.
#[derive(Debug)]
pub enum Refusal {
    /// The journal did not open.
    Open(OpenError),
    /// A stream could not be read.
    Read(ReadError),
}

/// What is kept of one stream.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kept {
    /// Its name.
    pub name: Name,
    /// The first kept position.
    pub first: u64,
    /// The position after the last entry.
    pub next: u64,
    /// The entries from `first` on.
    pub entries: Vec<Vec<u8>>,
}

/// Opens the journal in `dir` as its writer does, without its threads, and reads all of it.
///
/// # Errors
/// [`Refusal`], typed as users see it.
pub fn open(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    options: JournalOptions,
) -> Result<Vec<Kept>, Refusal> {
    let settings = options
        .check()
        .map_err(|error| Refusal::Open(error.into()))?;
    let mut recovered = recover(disk.as_ref(), dir, &settings).map_err(Refusal::Open)?;
    // What the keeper's thread would do next.
    for sealed in &recovered.unindexed {
        let written = log_index::write(disk.as_ref(), dir, sealed);
        let span = written.map_err(OpenError::io(dir)).map_err(Refusal::Open)?;
        if let Some(span) = span {
            recovered.index.use_index_file(sealed.header, span);
        }
    }
    let names = recovered.index.list("", None, usize::MAX);
    let side = ReadSide::new(Arc::clone(disk), dir.to_path_buf(), recovered.index);
    all(&Arc::new(side), names)
}

/// Opens the journal in `dir` as a reader beside its writer does, and reads all of it.
///
/// # Errors
/// [`Refusal`], typed as users see it.
pub fn read(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Vec<Kept>, Refusal> {
    let tracker = Tracker::open(Arc::clone(disk), dir.to_path_buf()).map_err(Refusal::Open)?;
    tracker.refresh().map_err(Refusal::Read)?;
    let names = tracker.side.index().list("", None, usize::MAX);
    all(&tracker.side, names)
}

fn all(side: &Arc<ReadSide>, names: Vec<Name>) -> Result<Vec<Kept>, Refusal> {
    let kept = names.into_iter().map(|name| kept(side, name));
    kept.collect::<Result<_, _>>().map_err(Refusal::Read)
}

fn kept(side: &Arc<ReadSide>, name: Name) -> Result<Kept, ReadError> {
    let (first, next) = side.bounds(&name);
    let from = Position::new(first).expect("positions start at 1");
    let mut cursor = side.read(&name, from)?;
    let mut entries = Vec::new();
    while let Some(chunk) = until_ready(side, cursor.as_mut())? {
        for (position, entry) in chunk.entries() {
            let wanted = first + entries.len() as u64;
            assert_eq!(position.get(), wanted, "positions have no gaps");
            entries.push(entry.to_vec());
        }
    }
    assert_eq!(first + entries.len() as u64, next, "read to the head");
    Ok(Kept {
        name,
        first,
        next,
        entries,
    })
}

fn until_ready(
    side: &ReadSide,
    cursor: &mut dyn Cursor,
) -> Result<Option<refrain_core::port::journal::Chunk>, ReadError> {
    let mut next = pin!(cursor.next());
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match next.as_mut().poll(&mut context) {
            Poll::Ready(chunk) => return chunk,
            Poll::Pending => side.readers.work_once(),
        }
    }
}
