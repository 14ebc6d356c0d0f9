//! How much memory it takes to check a journal, measured: as much for a long history as for a short one.
//!
//! `refrain journal verify` is this inspection and a few lines of text. One binary of its own, because
//! the allocator that counts is everybody's.

#![allow(clippy::unwrap_used, reason = "this is test code")]

use std::path::Path;

use peak_alloc::PeakAlloc;
use refrain_core::port::journal::{Batch, Journal};
use refrain_core::{Name, Position};
use refrain_journal::inspect::{Inspector, SeenEntry, Visitor};
use refrain_journal::{FileJournal, JournalOptions};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const MIB: usize = 1024 * 1024;

const STREAMS: u64 = 4;
const APPENDED_AT_ONCE: u64 = 2000;

/// Entries of the two histories: both have full segments, the long one several times as many.
const SHORT: u64 = 72_000;
const LONG: u64 = 4 * SHORT;

/// What a check may take: its window on a file, of 1 MiB, and the index of one segment. Segments are of
/// 1 MiB here; those of a program are of 64 MiB, and an index that is 64 times as large has 8 MiB with
/// entries as short as these. 10 million of them are far below 200 MB.
const PEAK_BYTES_MAX: usize = 2 * MIB;

/// What the longer history may add: the names and sizes of its files. A byte for each entry would be
/// more.
const GROWTH_BYTES_MAX: usize = 128 * 1024;

const _: () = assert!(GROWTH_BYTES_MAX < (LONG - SHORT) as usize);

/// Writes so many short entries in small segments.
async fn write(dir: &Path, entries: u64) {
    let options = JournalOptions::default()
        .segment_bytes(MIB as u64)
        .compaction_bytes_per_second(0);
    let journal = FileJournal::open_with(dir, options).unwrap();
    let each = entries / STREAMS;
    for first in (1..=each).step_by(APPENDED_AT_ONCE as usize) {
        for stream in 0..STREAMS {
            let name = Name::new(&format!("orders-{stream}")).unwrap();
            let mut batch = Batch::default();
            for number in first..first + APPENDED_AT_ONCE {
                batch.push(&number.to_le_bytes());
            }
            let at = Position::new(first).unwrap();
            journal.append(&name, at, batch).await.unwrap();
        }
    }
}

/// Rewrites all of it but the last segment by stream.
async fn compact(dir: &Path) {
    let journal = FileJournal::open(dir).unwrap();
    journal.compact().await.unwrap();
    assert!(journal.compaction().bytes_written > 0);
}

/// The most memory that a check of the journal takes above what was in use before.
fn check(dir: &Path, entries: u64, visitor: &mut dyn Visitor) -> usize {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let inspection = Inspector::new(dir).run(visitor).unwrap();
    let peak = MEMORY.peak_usage().saturating_sub(before);
    assert!(inspection.is_sound(), "{:?}", inspection.findings);
    assert_eq!(inspection.entries, entries);
    peak
}

/// The control: keeps where each entry is.
#[derive(Default)]
struct Keeper(Vec<(u32, Position)>);

impl Visitor for Keeper {
    fn entry(&mut self, entry: &SeenEntry<'_>) {
        self.0.push((entry.stream, entry.position));
    }
}

/// B2.5
#[test]
fn checking_a_long_journal_takes_as_much_memory_as_checking_a_short_one() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let [short, long] = [SHORT, LONG].map(|entries| {
        let directory = tempfile::tempdir().unwrap();
        let dir = directory.path();
        runtime.block_on(write(dir, entries));
        let as_log = check(dir, entries, &mut ());
        // The control: who keeps where each entry is, is seen to do so.
        let kept = check(dir, entries, &mut Keeper::default());
        assert!(kept > as_log + 8 * entries as usize, "{kept} bytes");
        runtime.block_on(compact(dir));
        let compacted = check(dir, entries, &mut ());
        [as_log, compacted]
    });
    for (short, long) in short.into_iter().zip(long) {
        assert!(long < PEAK_BYTES_MAX, "{long} bytes for {LONG} entries");
        assert!(
            long < short + GROWTH_BYTES_MAX,
            "{short} bytes for {SHORT} entries, and {long} for {LONG}"
        );
    }
}
