//! Format 1 is frozen: every later version opens the files in `fixtures/v1` and reads exactly what was
//! recorded there.
//!
//! `closed` is a journal that was closed, `killed` one whose process ended without that, `snapshots`
//! holds a snapshot. With `REFRAIN_MAKE_FIXTURES` set, the first test writes them anew, which is right
//! only before the format is frozen.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use refrain_core::port::journal::Journal;
use refrain_core::port::snapshots::Snapshots;
use refrain_journal::inspect::{FindingKind, Inspector};
use refrain_journal::{FileJournal, FileSnapshots, JournalOptions, JournalReader, OpenError};
use support::{FaultDisk, batch, contents, name, position, small_segments};

const DIR: &str = "/journal";

const MAKE: &str = "REFRAIN_MAKE_FIXTURES";

/// Streams with their first kept position and their last one. Nothing is kept of the last.
const STREAMS: [(&str, u64, u64); 3] = [("orders", 9, 60), ("cards", 1, 25), ("old", 4, 3)];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
}

fn options() -> JournalOptions {
    small_segments().identity(20_240_229)
}

fn open(disk: &FaultDisk) -> Result<FileJournal, OpenError> {
    FileJournal::open_on(Arc::new(disk.clone()), DIR, options())
}

/// Short ones and long ones, some of which compress.
fn entry(stream: &str, at: u64) -> String {
    let length = (at * 131 % 700) as usize;
    let letters = (0..length as u64).map(|place| {
        let noise = (place + at).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 59;
        char::from(
            b'a' + if at.is_multiple_of(2) {
                0
            } else {
                noise as u8 % 26
            },
        )
    });
    format!("{stream} {at} {}", letters.collect::<String>())
}

async fn append(journal: &FileJournal, stream: &str, from: u64, to: u64) {
    for at in from..=to {
        let appended = journal.append(&name(stream), position(at), batch(&[&entry(stream, at)]));
        appended.await.unwrap();
    }
}

/// Two stream segments, log segments with and without an index, forgotten entries.
async fn make() {
    let disk = FaultDisk::default();
    let journal = open(&disk).unwrap();
    append(&journal, "old", 1, 3).await;
    append(&journal, "orders", 1, 20).await;
    journal.forget(&name("old"), position(4)).await.unwrap();
    journal.forget(&name("orders"), position(9)).await.unwrap();
    append(&journal, "cards", 1, 12).await;
    append(&journal, "orders", 21, 40).await;
    journal.compact().await.unwrap();
    append(&journal, "cards", 13, 25).await;
    append(&journal, "orders", 41, 60).await;
    let killed = disk.after_kill();
    drop(journal);
    write("closed", &disk);
    write("killed", &killed);
    let dir = fixtures().join("snapshots");
    let snapshots = FileSnapshots::open(dir).unwrap();
    let kept = snapshots.put(&name("orders"), position(40), "state at 40".into());
    kept.await.unwrap();
}

fn write(what: &str, disk: &FaultDisk) {
    let dir = fixtures().join(what);
    std::fs::create_dir_all(&dir).unwrap();
    for path in disk.paths() {
        std::fs::write(dir.join(path.file_name().unwrap()), disk.get(&path)).unwrap();
    }
}

/// The files of a fixture, on a disk in memory.
fn read(what: &str) -> FaultDisk {
    let disk = FaultDisk::default();
    for file in std::fs::read_dir(fixtures().join(what)).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        disk.put(&Path::new(DIR).join(path.file_name().unwrap()), bytes);
    }
    disk
}

async fn check(journal: &FileJournal) {
    for (stream, first, last) in STREAMS {
        let stream_name = name(stream);
        let head = journal.head(&stream_name).await.unwrap();
        assert_eq!(head, Some(position(last)), "{stream}");
        let kept = journal.first(&stream_name).await.unwrap();
        assert_eq!(kept, (first <= last).then(|| position(first)), "{stream}");
        let expected: Vec<_> = (first..=last)
            .map(|at| entry(stream, at).into_bytes())
            .collect();
        assert_eq!(contents(journal, &stream_name).await, expected, "{stream}");
    }
    assert_eq!(
        journal.streams("", None, 9).await.unwrap().len(),
        STREAMS.len()
    );
}

#[tokio::test]
async fn journals_of_format_1_are_opened_read_and_written_on() {
    if std::env::var_os(MAKE).is_some() {
        make().await;
    }
    for what in ["closed", "killed"] {
        let disk = read(what);
        let reader = JournalReader::open_on(Arc::new(disk.clone()), DIR, options()).unwrap();
        assert_eq!(reader.head(&name("orders")), Some(position(60)), "{what}");
        let inspection = Inspector::on(Arc::new(disk.clone()), DIR).run(&mut ());
        assert!(inspection.unwrap().is_sound(), "{what}");
        let journal = open(&disk).unwrap();
        check(&journal).await;
        append(&journal, "new", 1, 1).await;
        journal.compact().await.unwrap();
        let appended = journal.append(&name("old"), position(4), batch(&["goes on"]));
        appended.await.unwrap();
    }
}

#[tokio::test]
async fn every_kind_of_file_is_among_the_journals_of_format_1() {
    let endings = [".log", ".idx", ".seg", "mark", "directory"];
    for what in ["closed", "killed"] {
        let paths = read(what).paths();
        for ending in endings {
            let has_one = paths
                .iter()
                .any(|path| path.to_string_lossy().ends_with(ending));
            assert!(has_one, "{what} has no {ending}: {paths:?}");
        }
    }
}

#[tokio::test]
async fn snapshot_of_format_1_is_read() {
    let dir = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(fixtures().join("snapshots")).unwrap() {
        let path = file.unwrap().path();
        std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    let snapshots = FileSnapshots::open(dir.path()).unwrap();
    let content = snapshots.get(&name("orders"), position(40)).await.unwrap();
    assert_eq!(content, "state at 40");
}

/// Changes the file and makes it whole again: its checksum lies at `checksum_at`, as seen from `at`,
/// and covers what is before.
fn resealed(bytes: &mut [u8], at: usize, checksum_at: usize, change: impl Fn(&mut [u8])) {
    change(&mut bytes[at..]);
    let checksum = crc32c::crc32c(&bytes[at..at + checksum_at]);
    bytes[at + checksum_at..][..4].copy_from_slice(&checksum.to_le_bytes());
}

/// The name of the first file of the closed journal with this ending.
fn first_with(ending: &str) -> String {
    let paths = read("closed").paths();
    let has_ending = |path: &&PathBuf| path.extension().is_some_and(|found| found == ending);
    let path = paths.iter().find(has_ending).unwrap();
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// What opening says when the headers of a file are changed, for each kind of file. Without the
/// directory, so that every file is looked at.
fn refusals(change: impl Fn(&mut [u8], usize)) -> Vec<(String, OpenError)> {
    let (log, seg) = (first_with("log"), first_with("seg"));
    let headers = [
        ("mark".to_owned(), vec![0, 2048], 76),
        (log, vec![0], 44),
        (seg, vec![0], 60),
    ];
    let refused = headers.map(|(file, places, checksum_at)| {
        let disk = read("closed");
        disk.delete(&Path::new(DIR).join("directory"));
        let path = Path::new(DIR).join(&file);
        let mut bytes = disk.get(&path);
        for at in places {
            resealed(&mut bytes, at, checksum_at, |header| {
                change(header, checksum_at)
            });
        }
        disk.put(&path, bytes);
        (file, open(&disk).unwrap_err())
    });
    refused.into()
}

#[tokio::test]
async fn files_of_a_later_format_are_refused_with_their_version() {
    let of_version_2 = |header: &mut [u8], _| header[8..12].copy_from_slice(&2_u32.to_le_bytes());
    for (file, error) in refusals(of_version_2) {
        assert!(
            matches!(error, OpenError::Version { version: 2, .. }),
            "{file}: {error}"
        );
        assert!(error.to_string().contains(&file), "{error}");
    }
}

#[tokio::test]
async fn reserved_bytes_that_are_used_are_refused_as_of_a_newer_version() {
    // The last reserved byte lies before the checksum.
    let reserved = |header: &mut [u8], checksum_at| header[checksum_at - 1] = 1;
    for (file, error) in refusals(reserved) {
        assert!(matches!(error, OpenError::Newer { .. }), "{file}: {error}");
        assert_eq!(error.code(), "R0103");
        assert!(error.to_string().contains(&file), "{error}");
    }
}

/// The directory is a convenience: one that nobody understands is made again.
#[tokio::test]
async fn a_directory_of_a_newer_version_is_not_used_and_nothing_is_lost() {
    let disk = read("closed");
    let path = Path::new(DIR).join("directory");
    let mut bytes = disk.get(&path);
    resealed(&mut bytes, 0, 76, |header| header[75] = 1);
    disk.put(&path, bytes);
    let found = Inspector::on(Arc::new(disk.clone()), DIR).run(&mut ());
    let kinds: Vec<_> = found.unwrap().findings.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [FindingKind::Version]);
    check(&open(&disk).unwrap()).await;
}
