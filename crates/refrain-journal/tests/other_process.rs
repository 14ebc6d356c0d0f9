//! Another process reads what this one writes, and may not write itself.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use refrain_core::port::journal::Journal;
use refrain_journal::{FileJournal, JournalOptions, JournalReader, OpenError};
use support::{batch, name, position};

/// Set in the other process: the directory to read.
const DIR: &str = "REFRAIN_TEST_DIR";

const COUNT: u64 = 60;

fn options() -> JournalOptions {
    JournalOptions::default().segment_bytes(8192)
}

fn entry(at: u64) -> String {
    format!("entry {at} {}", "x".repeat(500))
}

/// The other process: says that it may not write, then follows, one line for each entry.
async fn follow(dir: &Path) {
    let refused = FileJournal::open_with(dir, options()).unwrap_err();
    assert!(matches!(refused, OpenError::Locked { .. }), "{refused}");
    let reader = JournalReader::open_with(dir, options()).unwrap();
    let mut cursor = reader.follow(&name("orders"), position(1)).unwrap();
    let mut out = std::io::stdout();
    // On one processor the harness has begun a line with the name of the test.
    writeln!(out).unwrap();
    let mut next = 1;
    while next <= COUNT {
        let chunk = cursor.next().await.unwrap().unwrap();
        for (at, bytes) in chunk.entries() {
            assert_eq!((at.get(), bytes), (next, entry(next).as_bytes()));
            writeln!(out, "got {next}").unwrap();
            next += 1;
        }
    }
    assert_eq!(reader.head(&name("orders")), Some(position(COUNT)));
    assert_eq!(reader.streams("", None, 9), [name("cards"), name("orders")]);
}

#[tokio::test]
async fn another_process_follows_over_many_segments_and_may_not_write() {
    if let Some(dir) = std::env::var_os(DIR) {
        return follow(Path::new(&dir)).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let journal = FileJournal::open_with(dir.path(), options()).unwrap();
    let append = async |stream: &str, at| {
        let appended = journal.append(&name(stream), position(at), batch(&[&entry(at)]));
        appended.await.unwrap();
    };
    append("orders", 1).await;
    let mut other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("another_process_follows_over_many_segments_and_may_not_write")
        .env(DIR, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(other.stdout.take().unwrap()).lines();
    let mut until = |wanted: &str| {
        let found = lines.any(|line| line.unwrap() == wanted);
        assert!(found, "the other process ended before it said {wanted:?}");
    };
    until("got 1");
    append("orders", 2).await;
    until("got 2");
    append("cards", 1).await;
    for at in 3..=COUNT {
        append("orders", at).await;
    }
    until(&format!("got {COUNT}"));
    assert!(other.wait().unwrap().success());
}

#[tokio::test]
async fn a_reader_sees_what_was_durable_when_it_last_looked() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        JournalReader::open_with(dir.path(), options()),
        Err(OpenError::Missing { .. })
    ));
    let journal = FileJournal::open_with(dir.path(), options()).unwrap();
    let orders = name("orders");
    journal
        .append(&orders, position(1), batch(&["first"]))
        .await
        .unwrap();
    let reader = JournalReader::open_with(dir.path(), options()).unwrap();
    assert_eq!(reader.head(&orders), Some(position(1)));
    for at in 2..=40 {
        journal
            .append(&orders, position(at), batch(&[&entry(at)]))
            .await
            .unwrap();
    }
    journal.forget(&orders, position(30)).await.unwrap();
    assert_eq!(reader.head(&orders), Some(position(1)));
    reader.refresh().unwrap();
    assert_eq!(reader.head(&orders), Some(position(40)));
    assert_eq!(reader.first(&orders), Some(position(30)));
    let mut cursor = reader.read(&orders, position(30)).unwrap();
    let chunk = cursor.next().await.unwrap().unwrap();
    assert_eq!(chunk.entry(position(30)).unwrap(), entry(30));
    assert_eq!(chunk.last(), position(40));
}

#[tokio::test]
async fn a_reader_that_fell_behind_removed_segments_starts_again() {
    let dir = tempfile::tempdir().unwrap();
    let journal = FileJournal::open_with(dir.path(), options()).unwrap();
    let orders = name("orders");
    journal
        .append(&orders, position(1), batch(&["first"]))
        .await
        .unwrap();
    let reader = JournalReader::open_with(dir.path(), options()).unwrap();
    for at in 2..=40 {
        journal
            .append(&orders, position(at), batch(&[&entry(at)]))
            .await
            .unwrap();
    }
    journal.forget(&orders, position(40)).await.unwrap();
    drop(journal);
    // Opening removes whatever the journal did not come to before it was closed.
    drop(FileJournal::open_with(dir.path(), options()).unwrap());
    reader.refresh().unwrap();
    assert_eq!(reader.first(&orders), Some(position(40)));
    let mut cursor = reader.read(&orders, position(40)).unwrap();
    let chunk = cursor.next().await.unwrap().unwrap();
    assert_eq!(chunk.entry(position(40)).unwrap(), entry(40));
}
