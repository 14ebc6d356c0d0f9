//! Compaction: what was read before is read after, whatever happens in between.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod damage;
mod life;
#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use refrain_core::port::journal::Journal;
use refrain_journal::{CompactError, FileJournal, JournalReader, OpenError};
use support::{FaultDisk, batch, contents, name, position, small_segments};

const DIR: &str = "/journal";

const STREAMS: [&str; 3] = ["orders", "cards", "carts"];

fn open(disk: &FaultDisk) -> Result<FileJournal, OpenError> {
    FileJournal::open_on(Arc::new(disk.clone()), DIR, small_segments())
}

fn entry(stream: &str, at: u64) -> String {
    // Some compress well, and some do not.
    let mut noise = at.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ stream.len() as u64;
    let mut text = format!("{stream} {at} ");
    let length = 20 + (at * 37 % 900) as usize;
    while text.len() < length {
        noise = noise
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let byte = if at.is_multiple_of(3) {
            b'x'
        } else {
            b'!' + (noise >> 58) as u8
        };
        text.push(char::from(byte));
    }
    text
}

async fn append(journal: &FileJournal, stream: &str, from: u64, to: u64) {
    for at in from..=to {
        let appended = journal.append(&name(stream), position(at), batch(&[&entry(stream, at)]));
        assert_eq!(appended.await.unwrap(), position(at));
    }
}

async fn append_to_all(journal: &FileJournal, from: u64, to: u64) {
    for at in from..=to {
        for stream in STREAMS {
            append(journal, stream, at, at).await;
        }
    }
}

/// Checks that each stream has its entries from `first` to `last`, from every position on.
async fn check(journal: &FileJournal, first: [u64; 3], last: u64, context: &str) {
    for (stream, first) in STREAMS.into_iter().zip(first) {
        let stream_name = name(stream);
        let head = journal.head(&stream_name).await.unwrap();
        assert_eq!(head, Some(position(last)), "{context}: {stream}");
        let kept = journal.first(&stream_name).await.unwrap();
        assert_eq!(
            kept,
            (first <= last).then(|| position(first)),
            "{context}: {stream}"
        );
        let expected: Vec<_> = (first..=last)
            .map(|at| entry(stream, at).into_bytes())
            .collect();
        let found = contents(journal, &stream_name).await;
        assert!(
            found == expected,
            "{context}: {stream} has {} entries",
            found.len()
        );
        for from in first..=last {
            let mut cursor = journal.read(&stream_name, position(from)).await.unwrap();
            let chunk = cursor.next().await.unwrap().unwrap();
            let found = chunk.entry(position(from)).unwrap();
            assert_eq!(found, entry(stream, from), "{context}: {stream} at {from}");
        }
    }
}

fn names(disk: &FaultDisk, ending: &str) -> Vec<String> {
    let paths = disk.paths().into_iter();
    let names = paths.map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(ending)).collect()
}

fn path(file: &str) -> PathBuf {
    Path::new(DIR).join(file)
}

/// A segment of 32 MiB: more of one stream than compaction holds in memory at once, and two more.
#[tokio::test]
async fn what_exceeds_the_memory_of_compaction_is_gathered_in_passes_and_reads_the_same() {
    const ENTRY_BYTES: usize = 64 * 1024;
    let dir = tempfile::tempdir().unwrap();
    let options = small_segments().segment_bytes(32 * 1024 * 1024);
    let journal = FileJournal::open_with(dir.path(), options).unwrap();
    let large = |stream: usize, at: u64| {
        let word = (at << 8 | stream as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        format!("{word:016x}").repeat(ENTRY_BYTES / 16)
    };
    let heads = [300, 100, 100];
    for at in 1..=300 {
        for (stream, head) in heads.into_iter().enumerate() {
            if at <= head {
                let entry = large(stream, at);
                let appended =
                    journal.append(&name(STREAMS[stream]), position(at), batch(&[&entry]));
                appended.await.unwrap();
            }
        }
    }
    let filler = journal.append(
        &name("filler"),
        position(1),
        batch(&[&"x".repeat(5 * 1024 * 1024)]),
    );
    filler.await.unwrap();
    journal.compact().await.unwrap();
    assert_eq!(journal.compaction().stream_segments, 1);
    for (stream, head) in heads.into_iter().enumerate() {
        let found = contents(&journal, &name(STREAMS[stream])).await;
        assert_eq!(found.len() as u64, head);
        let is_same = (1..)
            .zip(&found)
            .all(|(at, entry)| *entry == large(stream, at).as_bytes());
        assert!(is_same, "stream {stream}");
    }
}

#[tokio::test]
async fn compacted_history_reads_the_same_from_every_position_and_after_reopening() {
    let disk = FaultDisk::default();
    let journal = open(&disk).unwrap();
    append_to_all(&journal, 1, 40).await;
    check(&journal, [1; 3], 40, "before").await;
    journal.compact().await.unwrap();
    check(&journal, [1; 3], 40, "compacted").await;
    append_to_all(&journal, 41, 80).await;
    journal.compact().await.unwrap();
    check(&journal, [1; 3], 80, "merged").await;
    assert_eq!(names(&disk, ".seg").len(), 1, "{:?}", disk.paths());
    drop(journal);
    for (what, disk) in [
        ("killed", disk.after_kill()),
        ("cut", disk.after_power_loss()),
    ] {
        let journal = open(&disk).unwrap();
        check(&journal, [1; 3], 80, what).await;
        append_to_all(&journal, 81, 82).await;
        check(&journal, [1; 3], 82, what).await;
        drop(journal);
        disk.delete(&path("directory"));
        let journal = open(&disk).unwrap();
        check(
            &journal,
            [1; 3],
            82,
            &format!("{what}, without the directory"),
        )
        .await;
    }
}

/// B1.7
#[tokio::test]
async fn forgotten_entries_disappear_when_their_range_is_compacted_or_merged() {
    let disk = FaultDisk::default();
    let journal = open(&disk).unwrap();
    append_to_all(&journal, 1, 40).await;
    journal.forget(&name("orders"), position(31)).await.unwrap();
    journal.compact().await.unwrap();
    check(&journal, [31, 1, 1], 40, "compacted").await;
    let stored = |disk: &FaultDisk| -> usize {
        let files = names(disk, ".seg").into_iter();
        files.map(|file| disk.get(&path(&file)).len()).sum()
    };
    let before = stored(&disk);
    for stream in ["cards", "carts"] {
        journal.forget(&name(stream), position(41)).await.unwrap();
    }
    append_to_all(&journal, 41, 60).await;
    journal.compact().await.unwrap();
    check(&journal, [31, 41, 41], 60, "merged").await;
    journal
        .forget(&name("orders"), position(100))
        .await
        .unwrap();
    journal.forget(&name("cards"), position(60)).await.unwrap();
    journal.forget(&name("carts"), position(60)).await.unwrap();
    append_to_all(&journal, 61, 80).await;
    journal.compact().await.unwrap();
    check(&journal, [61, 60, 60], 80, "merged again").await;
    assert!(
        stored(&disk) < before,
        "{} of {before} bytes",
        stored(&disk)
    );
    drop(journal);
    disk.delete(&path("directory"));
    let journal = open(&disk.after_power_loss()).unwrap();
    check(&journal, [61, 60, 60], 80, "reopened").await;
}

#[tokio::test]
async fn a_stream_of_which_nothing_is_kept_keeps_its_head_through_compaction() {
    let disk = FaultDisk::default();
    let journal = open(&disk).unwrap();
    append(&journal, "cards", 1, 5).await;
    journal.forget(&name("cards"), position(6)).await.unwrap();
    append(&journal, "orders", 1, 60).await;
    journal.compact().await.unwrap();
    append(&journal, "orders", 61, 120).await;
    journal.compact().await.unwrap();
    drop(journal);
    disk.delete(&path("directory"));
    let journal = open(&disk).unwrap();
    assert_eq!(
        journal.head(&name("cards")).await.unwrap(),
        Some(position(5))
    );
    assert_eq!(journal.first(&name("cards")).await.unwrap(), None);
    append(&journal, "cards", 6, 6).await;
}

#[tokio::test]
async fn in_the_background_old_segments_become_stream_segments_by_themselves() {
    let disk = FaultDisk::default();
    let options = small_segments().compaction_bytes_per_second(u64::MAX);
    let journal = FileJournal::open_on(Arc::new(disk.clone()), DIR, options).unwrap();
    append_to_all(&journal, 1, 100).await;
    disk.until_removed(&path("0000000003.log"));
    check(&journal, [1; 3], 100, "compacted").await;
    drop(journal);
    check(&open(&disk).unwrap(), [1; 3], 100, "reopened").await;
}

#[tokio::test]
async fn a_cursor_goes_on_while_its_files_are_rewritten() {
    let disk = FaultDisk::default();
    let journal = open(&disk).unwrap();
    append_to_all(&journal, 1, 60).await;
    let mut cursors = Vec::new();
    for stream in STREAMS {
        let mut cursor = journal.read(&name(stream), position(1)).await.unwrap();
        let chunk = cursor.next().await.unwrap().unwrap();
        cursors.push((stream, cursor, chunk.last().get() + 1));
    }
    journal.compact().await.unwrap();
    append_to_all(&journal, 61, 120).await;
    let mut followers = Vec::new();
    for (stream, _, next) in &cursors {
        let follower = journal
            .follow(&name(stream), position(*next))
            .await
            .unwrap();
        followers.push((*stream, follower, *next));
    }
    journal.compact().await.unwrap();
    for (stream, mut cursor, mut next) in cursors {
        while let Some(chunk) = cursor.next().await.unwrap() {
            for (at, found) in chunk.entries() {
                assert_eq!((at.get(), found), (next, entry(stream, next).as_bytes()));
                next += 1;
            }
        }
        assert_eq!(next, 61);
    }
    for (stream, mut follower, mut next) in followers {
        while next <= 120 {
            let chunk = follower.next().await.unwrap().unwrap();
            for (at, found) in chunk.entries() {
                assert_eq!((at.get(), found), (next, entry(stream, next).as_bytes()));
                next += 1;
            }
        }
    }
}

#[tokio::test]
async fn a_reader_elsewhere_reads_on_while_files_are_rewritten() {
    let disk = FaultDisk::default();
    let journal = open(&disk).unwrap();
    append_to_all(&journal, 1, 60).await;
    let reader = JournalReader::open_on(Arc::new(disk.clone()), DIR, small_segments()).unwrap();
    let orders = name("orders");
    let read = async |from: u64, to: u64| {
        let mut cursor = reader.read(&orders, position(from)).unwrap();
        let mut next = from;
        while let Some(chunk) = cursor.next().await.unwrap() {
            for (at, found) in chunk.entries() {
                assert_eq!((at.get(), found), (next, entry("orders", next).as_bytes()));
                next += 1;
            }
        }
        assert_eq!(next, to + 1);
    };
    read(1, 60).await;
    journal.compact().await.unwrap();
    disk.until_removed(&path("0000000001.log"));
    // Its log segments are gone, and it was not told.
    read(1, 60).await;
    append_to_all(&journal, 61, 120).await;
    journal.compact().await.unwrap();
    read(7, 60).await;
    reader.refresh().unwrap();
    read(1, 120).await;
    let late = JournalReader::open_on(Arc::new(disk.clone()), DIR, small_segments()).unwrap();
    assert_eq!(late.head(&orders), Some(position(120)));
    drop(journal);
    disk.delete(&path("directory"));
    let late = JournalReader::open_on(Arc::new(disk), DIR, small_segments()).unwrap();
    assert_eq!(late.head(&orders), Some(position(120)));
}

#[tokio::test]
async fn without_room_compaction_gives_up_and_appends_go_on() {
    let disk = FaultDisk::default();
    let journal = open(&disk).unwrap();
    append_to_all(&journal, 1, 40).await;
    disk.set_space(Some(3 * 8192));
    assert_eq!(journal.compact().await, Err(CompactError::Full));
    assert_eq!(names(&disk, ".seg.new"), [""; 0]);
    append_to_all(&journal, 41, 43).await;
    disk.set_space(None);
    journal.compact().await.unwrap();
    check(&journal, [1; 3], 43, "later").await;
}
