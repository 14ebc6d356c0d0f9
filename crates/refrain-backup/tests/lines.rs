//! Lines of one journal: what is restored goes on from an older place than the journal that was lost, and both may
//! meet in one repository.

#![allow(clippy::unwrap_used, reason = "this is test code")]

use std::path::{Path, PathBuf};

use refrain_backup::{BackupError, BackupId, Repository, Source, Target, create, restore, silent};
use refrain_core::port::journal::{Batch, Journal};
use refrain_core::{Name, Position};
use refrain_journal::{FileJournal, JournalOptions};

fn orders() -> Name {
    Name::new("orders").unwrap()
}

fn at(position: u64) -> Position {
    Position::new(position).unwrap()
}

fn open(dir: &Path) -> FileJournal {
    let options = JournalOptions::default()
        .segment_bytes(8192)
        .compaction_bytes_per_second(0);
    FileJournal::open_with(dir, options).unwrap()
}

/// Appends ten entries that say `text` and are so large that they do not fit a segment together.
async fn append(journal: &FileJournal, text: &str) {
    for _ in 0..10 {
        let head = journal.head(&orders()).await.unwrap();
        let mut batch = Batch::default();
        batch.push(text.repeat(500).as_bytes());
        let next = Position::after(head);
        journal.append(&orders(), next, batch).await.unwrap();
    }
}

/// The entries that are kept: where they start, and what they say.
async fn kept(journal: &FileJournal) -> (Option<Position>, Vec<Vec<u8>>) {
    let first = journal.first(&orders()).await.unwrap();
    let Some(from) = first else {
        return (None, Vec::new());
    };
    let mut cursor = journal.read(&orders(), from).await.unwrap();
    let mut all = Vec::new();
    while let Some(chunk) = cursor.next().await.unwrap() {
        all.extend(chunk.entries().map(|(_, entry)| entry.to_vec()));
    }
    (first, all)
}

struct Place {
    place: tempfile::TempDir,
    repository: Repository,
}

impl Place {
    fn new() -> Place {
        Place {
            place: tempfile::tempdir().unwrap(),
            repository: Repository::in_memory(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    async fn back_up(&self, dir: &Path) -> Result<BackupId, BackupError> {
        let created = create(&Source::new(dir, 0), &self.repository, &silent()).await?;
        Ok(created.id)
    }

    async fn restore(&self, id: &BackupId, dir: &Path) {
        let target = Target::new(dir);
        let restored = restore(&self.repository, id, &target, &silent()).await;
        restored.unwrap();
    }
}

/// B2.7, B3.4
#[tokio::test]
async fn restored_journal_starts_where_the_lost_one_started_and_goes_on_through_more_backups() {
    for is_compacted in [false, true] {
        let place = Place::new();
        let mut dir = place.path("journal-0");
        for generation in 1..=4 {
            let journal = open(&dir);
            append(&journal, "b").await;
            if generation < 4 {
                journal.forget(&orders(), at(generation * 7)).await.unwrap();
            } else {
                // Nothing is left of it but where it goes on.
                journal.forget(&orders(), at(41)).await.unwrap();
            }
            if is_compacted {
                journal.compact().await.unwrap();
            }
            let before = kept(&journal).await;
            let head = journal.head(&orders()).await.unwrap();
            let id = place.back_up(&dir).await.unwrap();
            drop(journal);
            dir = place.path(&format!("journal-{generation}"));
            place.restore(&id, &dir).await;
            let journal = open(&dir);
            assert_eq!(kept(&journal).await, before, "{generation}, {is_compacted}");
            assert_eq!(journal.head(&orders()).await.unwrap(), head);
        }
        append(&open(&dir), "after").await;
        let (first, entries) = kept(&open(&dir)).await;
        assert_eq!((first, entries.len()), (Some(at(41)), 10));
    }
}

/// B3.4
#[tokio::test]
async fn journal_that_was_restored_from_an_older_backup_does_not_join_newer_ones_of_the_line_that_was_lost()
 {
    let place = Place::new();
    let (lost, again) = (place.path("lost"), place.path("again"));
    append(&open(&lost), "both").await;
    let older = place.back_up(&lost).await.unwrap();
    for _ in 0..3 {
        append(&open(&lost), "lost").await;
    }
    let newer = place.back_up(&lost).await.unwrap();
    place.restore(&older, &again).await;
    append(&open(&again), "again").await;
    let refused = place.back_up(&again).await;
    let Err(BackupError::Fork { backup }) = refused else {
        panic!("{refused:?}, and {newer} would be restored");
    };
    assert_eq!(backup, newer.to_string());
    assert_eq!(place.repository.newest().await.unwrap(), newer);
    // Nothing changes for the other line.
    assert_eq!(place.back_up(&lost).await.unwrap(), newer);
    append(&open(&lost), "lost").await;
    assert!(place.back_up(&lost).await.is_ok());
}
