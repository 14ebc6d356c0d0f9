//! The name of a journal's directory comes to mean something else while the journal is open: somebody
//! moves the directory, removes it, puts another one in its place, or the program goes elsewhere.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use refrain_core::port::journal::{AppendError, Journal};
use refrain_core::port::snapshots::Snapshots;
use refrain_journal::{
    FileJournal, FileSnapshots, FileSystem, JournalOptions, JournalReader, OpenError,
};
use support::{batch, name, position};

/// Set in the other process: the directory that it goes to.
const ELSEWHERE: &str = "REFRAIN_TEST_ELSEWHERE";

fn open(dir: impl AsRef<Path>) -> FileJournal {
    let options = JournalOptions::default().segment_bytes(8192);
    FileJournal::open_with(dir, options).unwrap()
}

/// Appends entries that fill several segments.
async fn append(journal: &FileJournal, from: u64, to: u64) -> Result<(), AppendError> {
    for at in from..=to {
        let entry = format!("entry {at} {}", "x".repeat(900));
        let appended = journal.append(&name("orders"), position(at), batch(&[&entry]));
        appended.await?;
    }
    Ok(())
}

async fn head(dir: &Path) -> Option<u64> {
    let head = open(dir).head(&name("orders")).await.unwrap();
    head.map(|head| head.get())
}

fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = std::fs::read_dir(dir).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    paths
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect()
}

/// B2.7
#[tokio::test]
async fn another_journal_in_the_place_of_a_moved_one_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let (dir, moved) = (root.path().join("data"), root.path().join("moved"));
    let journal = open(&dir);
    append(&journal, 1, 20).await.unwrap();
    std::fs::rename(&dir, &moved).unwrap();
    let other = open(&dir);
    append(&other, 1, 40).await.unwrap();
    drop(other);
    let before = contents(&dir);
    append(&journal, 21, 60).await.unwrap();
    journal.forget(&name("orders"), position(50)).await.unwrap();
    journal.compact().await.unwrap();
    drop(journal);
    assert!(contents(&dir) == before, "another journal's files");
    assert_eq!(head(&dir).await, Some(40));
    assert_eq!(head(&moved).await, Some(60));
}

/// B2.7
#[tokio::test]
async fn journal_whose_directory_was_removed_stops_and_makes_nothing_in_its_place() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("data");
    let journal = open(&dir);
    append(&journal, 1, 20).await.unwrap();
    // The journal may be making a file.
    while std::fs::remove_dir_all(&dir).is_err() {}
    std::fs::create_dir(&dir).unwrap();
    append(&journal, 21, 60).await.unwrap_err();
    drop(journal);
    assert!(contents(&dir).is_empty());
}

/// B2.7
#[tokio::test]
async fn program_that_goes_to_another_directory_keeps_its_journal() {
    let Some(elsewhere) = std::env::var_os(ELSEWHERE) else {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("elsewhere")).unwrap();
        let ended = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg("program_that_goes_to_another_directory_keeps_its_journal")
            .env(ELSEWHERE, "elsewhere")
            .current_dir(root.path())
            .status();
        assert!(ended.unwrap().success());
        assert_eq!(head(&root.path().join("data")).await, Some(60));
        return;
    };
    let journal = open("data");
    append(&journal, 1, 20).await.unwrap();
    std::env::set_current_dir(elsewhere).unwrap();
    append(&journal, 21, 60).await.unwrap();
}

/// B2.7
#[tokio::test]
async fn reader_stays_with_the_journal_that_it_was_opened_on() {
    let root = tempfile::tempdir().unwrap();
    let (dir, moved) = (root.path().join("data"), root.path().join("moved"));
    let journal = open(&dir);
    append(&journal, 1, 20).await.unwrap();
    let reader = JournalReader::open(&dir).unwrap();
    let (disk, options) = (Arc::new(FileSystem), JournalOptions::default());
    let by_name = JournalReader::open_on(disk, &dir, options).unwrap();
    std::fs::rename(&dir, &moved).unwrap();
    let other = open(&dir);
    append(&other, 1, 90).await.unwrap();
    drop(other);
    append(&journal, 21, 60).await.unwrap();
    reader.refresh().unwrap();
    assert_eq!(reader.head(&name("orders")), Some(position(60)));
    by_name.refresh().unwrap_err();
    assert_eq!(by_name.head(&name("orders")), Some(position(20)));
    let mut cursor = reader.read(&name("orders"), position(1)).unwrap();
    let mut next = 1;
    while let Some(chunk) = cursor.next().await.unwrap() {
        next = chunk.last().get() + 1;
    }
    assert_eq!(next, 61);
}

/// B3.3
#[tokio::test]
async fn other_snapshots_in_the_place_of_moved_ones_are_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let (dir, moved) = (root.path().join("data"), root.path().join("moved"));
    let snapshots = FileSnapshots::open(&dir).unwrap();
    let (orders, state) = (name("orders"), Bytes::from_static(b"state"));
    let put = async |snapshots: &FileSnapshots, at| {
        let stored = snapshots.put(&orders, position(at), state.clone());
        stored.await.unwrap();
    };
    put(&snapshots, 1).await;
    std::fs::rename(&dir, &moved).unwrap();
    let other = FileSnapshots::open(&dir).unwrap();
    put(&other, 1).await;
    put(&snapshots, 9).await;
    snapshots.delete(&orders, position(1)).await.unwrap();
    assert_eq!(other.list(&orders).await.unwrap(), [position(1)]);
    assert_eq!(snapshots.list(&orders).await.unwrap(), [position(9)]);
}

/// B2.7
#[tokio::test]
async fn nobody_else_opens_a_journal_whose_lock_file_was_removed() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    append(&journal, 1, 1).await.unwrap();
    std::fs::remove_file(dir.path().join("lock")).unwrap();
    let second = FileJournal::open(dir.path());
    assert!(matches!(second, Err(OpenError::Locked { .. })));
    append(&journal, 2, 20).await.unwrap();
    drop(journal);
    assert_eq!(head(dir.path()).await, Some(20));
}
