//! What the journal's tests share: short ways to say batches and positions, and a disk in memory
//! that fails, freezes and loses power on command.

#![allow(dead_code, unused_imports, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "this is test code")]

mod disk;
mod gate;

use refrain_core::port::journal::{Batch, Journal};
use refrain_core::{Name, Position};
use refrain_journal::JournalOptions;

pub(crate) use disk::{Fault, FaultDisk, Kind};
pub(crate) use gate::Gate;

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn position(number: u64) -> Position {
    Position::new(number).unwrap()
}

/// Small segments, the same identity each time, one thread that reads. Nothing is rewritten unless it is
/// asked for.
pub(crate) fn small_segments() -> JournalOptions {
    JournalOptions::default()
        .segment_bytes(8192)
        .identity(7)
        .reader_threads(1)
        .compaction_bytes_per_second(0)
}

pub(crate) fn batch(entries: &[&str]) -> Batch {
    let mut batch = Batch::default();
    for entry in entries {
        batch.push(entry.as_bytes());
    }
    batch
}

/// All kept entries of a stream.
pub(crate) async fn contents(journal: &dyn Journal, stream: &Name) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let Some(first) = journal.first(stream).await.unwrap() else {
        return all;
    };
    let mut cursor = journal.read(stream, first).await.unwrap();
    let mut next = first;
    while let Some(chunk) = cursor.next().await.unwrap() {
        for (position, entry) in chunk.entries() {
            assert_eq!(position, next, "positions have no gaps");
            next = position.next();
            all.push(entry.to_vec());
        }
    }
    all
}
