//! A journal that was made with some options is opened with any others.

#![cfg(not(shuttle))]
#![allow(clippy::unwrap_used, reason = "this is test code")]

mod support;

use std::sync::Arc;

use refrain_core::port::journal::{AppendError, Batch, Journal, RejectReason};
use refrain_journal::inspect::Inspector;
use refrain_journal::{FileJournal, JournalOptions, JournalReader};
use support::{FaultDisk, contents, name, position};

const DIR: &str = "/journal";

/// Sizes of segments; an entry is as large as its segment at most.
const SIZES: [u64; 3] = [8192, 16_384, 32_768];

fn options(segment_bytes: u64) -> JournalOptions {
    JournalOptions::default()
        .segment_bytes(segment_bytes)
        .identity(7)
        .compaction_bytes_per_second(0)
}

/// All entries that a reader beside the journal finds.
async fn read_all(reader: &JournalReader) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    if reader.first(&name("orders")).is_none() {
        return all;
    }
    let mut cursor = reader.read(&name("orders"), position(1)).unwrap();
    while let Some(chunk) = cursor.next().await.unwrap() {
        all.extend(chunk.entries().map(|(_, entry)| entry.to_vec()));
    }
    all
}

/// A journal on a disk, and what it was told.
struct Journals {
    disk: FaultDisk,
    orders: Vec<Vec<u8>>,
}

impl Journals {
    fn open(&self, options: JournalOptions) -> FileJournal {
        FileJournal::open_on(Arc::new(self.disk.clone()), DIR, options).unwrap()
    }

    /// Appends an entry of so many bytes, if the journal takes it.
    async fn append(&mut self, journal: &FileJournal, bytes: usize) -> Result<(), AppendError> {
        let at = self.orders.len() as u64 + 1;
        // What can be compressed well, and what cannot.
        let entry: Vec<u8> = (0..bytes as u64)
            .map(|byte| ((byte * byte * at * 40_503) >> 11) as u8 * (at % 2) as u8)
            .collect();
        let mut batch = Batch::default();
        batch.push(&entry);
        journal.append(&name("orders"), position(at), batch).await?;
        self.orders.push(entry);
        Ok(())
    }

    /// Small entries, and the largest one that a segment of `segment_bytes` has room for.
    async fn go_on(&mut self, journal: &FileJournal, segment_bytes: u64) {
        for bytes in [0, 1, 1000, 3000] {
            self.append(journal, bytes).await.unwrap();
        }
        let refused = self.append(journal, segment_bytes as usize).await;
        let Err(AppendError::Rejected {
            reason: RejectReason::TooLarge { bytes_max, .. },
            ..
        }) = refused
        else {
            panic!("{refused:?}")
        };
        self.append(journal, bytes_max).await.unwrap();
        for bytes in [3000, 1000, 1, 0] {
            self.append(journal, bytes).await.unwrap();
        }
    }

    async fn check(&self, journal: &FileJournal, context: &str) {
        let orders = name("orders");
        assert!(contents(journal, &orders).await == self.orders, "{context}");
        let disk = Arc::new(self.disk.clone());
        let reader = JournalReader::open_on(disk.clone(), DIR, options(8192)).unwrap();
        let read = read_all(&reader).await;
        assert!(read == self.orders, "{context}, by a reader");
        let inspection = Inspector::on(disk, DIR).run(&mut ()).unwrap();
        let damages: Vec<_> = inspection.damages().collect();
        assert!(damages.is_empty(), "{context}: {damages:?}");
        assert_eq!(inspection.entries, self.orders.len() as u64, "{context}");
    }
}

/// B2.7
#[tokio::test]
async fn journal_is_read_and_goes_on_with_segments_of_any_other_size() {
    for made_with in SIZES {
        for opened_with in SIZES {
            for is_compacted in [false, true] {
                let context = format!("{made_with}, then {opened_with}, {is_compacted}");
                let mut journals = Journals {
                    disk: FaultDisk::default(),
                    orders: Vec::new(),
                };
                let lives = [made_with, opened_with, made_with, opened_with];
                for (life, segment_bytes) in lives.into_iter().enumerate() {
                    let context = format!("{context}, life {life}");
                    let journal = journals.open(options(segment_bytes));
                    journals.check(&journal, &context).await;
                    journals.go_on(&journal, segment_bytes).await;
                    if is_compacted {
                        journal.compact().await.unwrap();
                    }
                    journals.check(&journal, &context).await;
                    drop(journal);
                    if life == 1 {
                        journals.disk = journals.disk.after_power_loss();
                    }
                }
                let journal = journals.open(options(opened_with));
                journals.check(&journal, &context).await;
            }
        }
    }
}

/// B2.7
#[tokio::test]
async fn journal_whose_queue_became_small_reads_rewrites_and_takes_what_fits_it_alone() {
    let mut journals = Journals {
        disk: FaultDisk::default(),
        orders: Vec::new(),
    };
    let journal = journals.open(options(16_384));
    journals.go_on(&journal, 16_384).await;
    drop(journal);
    let small = options(16_384).queue_bytes_max(1).queue_appends_max(1);
    let journal = journals.open(small.reader_threads(1));
    journals.go_on(&journal, 16_384).await;
    journal.compact().await.unwrap();
    journals.check(&journal, "with a queue of one byte").await;
}
