//! An inspection names the file and the offset of everything that is damaged, and nothing else.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use refrain_core::port::journal::Journal;
use refrain_journal::inspect::{
    FileRole, FindingKind, Inspection, Inspector, RepairAction, SeenEntry, Visitor, repair_plan,
};
use refrain_journal::{FileJournal, JournalOptions};
use support::{FaultDisk, batch, name, position};

const DIR: &str = "/journal";

fn open(disk: &FaultDisk) -> FileJournal {
    let options = JournalOptions::default()
        .segment_bytes(8192)
        .identity(7)
        .compaction_bytes_per_second(0);
    FileJournal::open_on(Arc::new(disk.clone()), DIR, options).unwrap()
}

/// A closed journal of several segments: two streams of forty entries each.
async fn history() -> FaultDisk {
    let disk = FaultDisk::default();
    {
        let journal = open(&disk);
        for number in 1..=40 {
            for stream in ["orders", "payments"] {
                let entry = format!("{stream} {number} {}", "x".repeat(150));
                let appended = journal.append(&name(stream), position(number), batch(&[&entry]));
                appended.await.unwrap();
            }
        }
    }
    index_all(&disk);
    disk
}

/// Opens the journal until every sealed segment has its index: an opening that ends at once may not
/// get to all of them.
fn index_all(disk: &FaultDisk) {
    let is_missing = || {
        let findings = inspect(disk).findings;
        findings
            .iter()
            .any(|one| one.kind == FindingKind::IndexMissing)
    };
    while is_missing() {
        drop(open(disk));
    }
}

fn inspect(disk: &FaultDisk) -> Inspection {
    Inspector::on(Arc::new(disk.clone()), DIR)
        .run(&mut ())
        .unwrap()
}

fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

fn flip(disk: &FaultDisk, path: &Path, offset: usize) {
    let mut bytes = disk.get(path);
    bytes[offset] ^= 1 << (offset % 8);
    disk.put(path, bytes);
}

/// B2.7
#[tokio::test]
async fn a_sound_journal_has_no_finding_and_every_entry_is_counted() {
    let disk = history().await;
    let inspection = inspect(&disk);
    assert_eq!(inspection.findings, []);
    assert_eq!(inspection.entries, 80);
    let streams: Vec<_> = inspection
        .streams
        .iter()
        .map(|one| (one.name.to_string(), one.entries, one.first, one.last))
        .collect();
    let bounds = (position(1).into(), position(40).into());
    assert_eq!(
        streams,
        [
            ("orders".to_owned(), 40, bounds.0, bounds.1),
            ("payments".to_owned(), 40, bounds.0, bounds.1)
        ]
    );
    assert!(!inspection.is_moving);
}

/// B2.7
#[tokio::test]
async fn every_damaged_byte_that_means_something_is_found_in_its_file_at_or_before_its_offset() {
    let disk = history().await;
    let sound = inspect(&disk);
    let mut flips = 0;
    for file in &sound.files {
        let meaningful: Vec<usize> = match file.role {
            FileRole::Mark => (0..80).chain(2048..2128).collect(),
            FileRole::Log(_) => (0..48).chain(4096..file.used as usize).collect(),
            FileRole::Index(_) | FileRole::Directory => (0..file.used as usize).collect(),
            FileRole::Lock
            | FileRole::Spare(_)
            | FileRole::Snapshot
            | FileRole::Unfinished
            | FileRole::Other
            | _ => Vec::new(),
        };
        for offset in meaningful.into_iter().step_by(5) {
            let damaged = disk.after_kill();
            flip(&damaged, &file.path, offset);
            let found = inspect(&damaged);
            let damages: Vec<_> = found.damages().collect();
            let is_named = damages.iter().any(|one| {
                one.file == file.path && one.offset.is_some_and(|at| at <= offset as u64)
            });
            assert!(is_named, "{:?} at {offset}: {damages:?}", file.path);
            flips += 1;
        }
    }
    assert!(flips > 2000, "{flips}");
}

#[tokio::test]
async fn what_lies_behind_damage_is_looked_at_as_well() {
    let disk = history().await;
    let log = path("0000000001.log");
    let frame = 4096 + 40 + 24;
    flip(&disk, &log, frame + 3);
    flip(&disk, &path("0000000003.log"), 5000);
    let found = inspect(&disk);
    let files: Vec<_> = found.damages().map(|one| one.file.clone()).collect();
    assert!(files.contains(&log) && files.contains(&path("0000000003.log")));
    assert!(found.entries >= 78, "{}", found.entries);
    // The gaps of the streams are named with their positions.
    let gaps: Vec<_> = found
        .findings
        .iter()
        .filter(|one| one.kind == FindingKind::Stream)
        .collect();
    assert!(
        gaps.iter().any(|one| one.detail.contains("entry")),
        "{gaps:?}"
    );
}

#[tokio::test]
async fn a_missing_segment_is_named_and_so_are_the_entries_that_went_with_it() {
    let disk = history().await;
    disk.delete(&path("0000000002.log"));
    let found = inspect(&disk);
    let kinds: Vec<_> = found.damages().map(|one| (one.kind, &one.file)).collect();
    assert!(kinds.contains(&(FindingKind::Segment, &path("0000000002.log"))));
    assert!(
        kinds.iter().any(|(kind, _)| *kind == FindingKind::Stream),
        "{kinds:?}"
    );
}

#[tokio::test]
async fn a_missing_mark_is_damage_and_the_log_is_read_all_the_same() {
    let disk = history().await;
    disk.delete(&path("mark"));
    let found = inspect(&disk);
    let kinds: Vec<_> = found.damages().map(|one| one.kind).collect();
    assert_eq!(kinds, [FindingKind::Mark]);
    assert_eq!(found.entries, 80);
}

#[tokio::test]
async fn what_an_opening_clears_up_is_a_notice() {
    let disk = history().await;
    disk.put(&path("0000000009.log.new"), vec![1; 100]);
    disk.delete(&path("0000000001.idx"));
    let files = inspect(&disk).files;
    let mut logs = files.iter();
    let tail = logs.rfind(|file| matches!(file.role, FileRole::Log(_)));
    let tail = tail.unwrap();
    let mut bytes = disk.get(&tail.path);
    bytes[tail.used as usize..][..3].copy_from_slice(b"RFR");
    disk.put(&tail.path, bytes);
    let found = inspect(&disk);
    assert!(found.is_sound(), "{:?}", found.findings);
    let mut kinds: Vec<_> = found.findings.iter().map(|one| one.kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["index-missing", "tail", "unfinished"]);
    drop(open(&disk));
    index_all(&disk);
    assert_eq!(inspect(&disk).findings, []);
}

#[tokio::test]
async fn a_damaged_spare_is_named_and_the_next_opening_makes_it_again() {
    let disk = history().await;
    let files = inspect(&disk).files;
    let number = |role| match role {
        FileRole::Log(number) => number,
        FileRole::Mark
        | FileRole::Lock
        | FileRole::Index(_)
        | FileRole::Spare(_)
        | FileRole::Streams(..)
        | FileRole::Directory
        | FileRole::Snapshot
        | FileRole::Unfinished
        | FileRole::Other
        | _ => 0,
    };
    let numbers = files.iter().map(|file| number(file.role));
    let spare = &path(&format!("{:010}.log", numbers.max().unwrap() + 1));
    // Garbage in its first block, and zeros behind it.
    let mut bytes = vec![0; 8192];
    bytes[..100].fill(b'?');
    disk.put(spare, bytes.clone());
    let found = inspect(&disk);
    let findings: Vec<_> = found
        .findings
        .iter()
        .map(|one| (one.kind, &one.file))
        .collect();
    assert_eq!(findings, [(FindingKind::Spare, spare)]);
    assert!(!found.is_sound());
    assert_eq!(repair_plan(&found)[0].action, RepairAction::SetAside);
    drop(open(&disk));
    assert_eq!(inspect(&disk).findings, []);
    // One with bytes in it is no spare.
    bytes[5000] = 1;
    disk.put(spare, bytes);
    assert_eq!(inspect(&disk).findings[0].kind, FindingKind::Segment);
}

/// Found by fuzzing backups: whoever says where a journal ends may say anything.
#[tokio::test]
async fn a_mark_that_ends_beyond_its_segment_is_damage() {
    let disk = history().await;
    let mut mark = disk.get(&path("mark"));
    for slot in [0, 2048] {
        mark[slot + 64..slot + 68].copy_from_slice(&9000_u32.to_le_bytes());
        let checksum = crc32c::crc32c(&mark[slot..slot + 76]);
        mark[slot + 76..slot + 80].copy_from_slice(&checksum.to_le_bytes());
    }
    disk.put(&path("mark"), mark);
    assert!(!inspect(&disk).is_sound());
}

/// Found by fuzzing backups: the name of a file may say any number.
#[tokio::test]
async fn segments_that_are_missing_before_a_far_one_are_named_up_to_a_bound() {
    for far in ["9999999999.log", "18446744073709551615.log"] {
        let disk = history().await;
        disk.put(&path(far), vec![1; 8192]);
        let findings = inspect(&disk).findings;
        assert!(!findings.is_empty());
        assert!(findings.len() < 100, "{} findings", findings.len());
    }
}

#[tokio::test]
async fn forgotten_entries_are_neither_counted_nor_shown() {
    #[derive(Default)]
    struct Positions(Vec<u64>);
    impl Visitor for Positions {
        fn entry(&mut self, entry: &SeenEntry<'_>) {
            self.0.push(entry.position.get());
        }
        fn restart(&mut self) {
            self.0.clear();
        }
    }
    let disk = FaultDisk::default();
    let journal = open(&disk);
    let orders = name("orders");
    journal
        .append(&orders, position(1), batch(&["a", "b", "c"]))
        .await
        .unwrap();
    journal.forget(&orders, position(3)).await.unwrap();
    let mut seen = Positions::default();
    // The journal is open meanwhile.
    let found = Inspector::on(Arc::new(disk.clone()), DIR)
        .run(&mut seen)
        .unwrap();
    assert_eq!(seen.0, [3]);
    assert_eq!((found.streams[0].entries, found.streams[0].bytes), (1, 1));
    assert_eq!(found.streams[0].first, Some(position(3)));
}
