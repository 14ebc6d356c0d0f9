//! Cuts and flipped bits: what was acknowledged is there whole, or opening or reading refuses. It is
//! never changed, shortened or invented in silence.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use refrain_core::Position;
use refrain_core::port::journal::{Journal, ReadError};
use refrain_journal::{FileJournal, JournalOptions, OpenError};
use support::{FaultDisk, batch, name, position};

const DIR: &str = "/journal";

fn open(disk: &FaultDisk) -> Result<FileJournal, OpenError> {
    let options = JournalOptions::default()
        .segment_bytes(8192)
        .identity(7)
        .reader_threads(1);
    FileJournal::open_on(Arc::new(disk.clone()), DIR, options)
}

fn path(file: &str) -> PathBuf {
    Path::new(DIR).join(file)
}

/// All entries of `orders` with their positions, or why they cannot be read.
async fn entries(journal: &FileJournal) -> Result<Vec<(u64, Vec<u8>)>, ReadError> {
    let orders = name("orders");
    let mut all = Vec::new();
    let Some(first) = journal.first(&orders).await? else {
        return Ok(all);
    };
    let mut cursor = journal.read(&orders, first).await?;
    while let Some(chunk) = cursor.next().await? {
        all.extend(
            chunk
                .entries()
                .map(|(at, entry)| (at.get(), entry.to_vec())),
        );
    }
    Ok(all)
}

fn entry(at: u64) -> String {
    format!("entry number {at}")
}

fn expected(count: u64) -> Vec<(u64, Vec<u8>)> {
    (1..=count).map(|at| (at, entry(at).into_bytes())).collect()
}

/// A history of appends that were acknowledged one after the other.
struct History {
    /// The files at the end.
    disk: FaultDisk,
    /// The mark after so many appends, and where the frames ended then.
    marks: Vec<Vec<u8>>,
    ends: Vec<usize>,
}

async fn history(count: u64) -> History {
    let disk = FaultDisk::default();
    let journal = open(&disk).unwrap();
    let log = path("0000000001.log");
    let mut marks = vec![disk.get(&path("mark"))];
    let mut ends = vec![4096];
    for at in 1..=count {
        let appended = journal.append(&name("orders"), position(at), batch(&[&entry(at)]));
        assert_eq!(appended.await.unwrap(), position(at));
        marks.push(disk.get(&path("mark")));
        let bytes = disk.get(&log);
        ends.push(bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1);
    }
    // Not closed: the tail of a journal that was closed is not read when it is opened.
    let disk = disk.after_kill();
    drop(journal);
    History { disk, marks, ends }
}

/// What is left of the bytes behind a cut.
#[derive(Debug, Clone, Copy)]
enum Rest {
    Zeros,
    Nothing,
    Rubbish,
}

/// B2.7
#[tokio::test]
async fn a_cut_beyond_the_mark_leaves_the_frames_before_it_and_one_below_is_refused() {
    const COUNT: usize = 4;
    let history = history(COUNT as u64).await;
    let log = path("0000000001.log");
    let whole = history.disk.get(&log);
    for (marked, mark) in history.marks.iter().enumerate() {
        for cut in history.ends[0]..=history.ends[COUNT] {
            // A cut at the end of a frame may leave anything behind it; one inside a frame takes
            // its turn with what it leaves.
            let rest = [Rest::Zeros, Rest::Nothing, Rest::Rubbish][(cut + marked) % 3];
            let disk = history.disk.after_kill();
            let mut bytes = whole.clone();
            match rest {
                Rest::Zeros => bytes[cut..].fill(0),
                Rest::Nothing => bytes.truncate(cut),
                Rest::Rubbish => bytes[cut..history.ends[COUNT]].fill(b'R'),
            }
            disk.put(&log, bytes);
            disk.put(&path("mark"), mark.clone());
            let left = history.ends.iter().rposition(|end| *end <= cut).unwrap();
            let context = format!("mark {marked}, cut {cut}, {rest:?}");
            if left < marked {
                let error = open(&disk).unwrap_err();
                let OpenError::Corrupt { place, .. } = &error else {
                    panic!("{context}: {error}");
                };
                let offset = history.ends[left];
                assert!(
                    place.ends_with(&format!("0000000001.log at offset {offset}")),
                    "{place}"
                );
                continue;
            }
            check_prefix(&disk, left as u64, history.ends[left], &context).await;
        }
    }
}

/// Opens and goes on: `left` entries are there, the next one gets the next position, and all of
/// them are there when it is opened again.
async fn check_prefix(disk: &FaultDisk, left: u64, end: usize, context: &str) {
    let journal = open(disk).unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!(
        entries(&journal).await.unwrap(),
        expected(left),
        "{context}"
    );
    let log = disk.get(&path("0000000001.log"));
    assert!(
        log[end..].iter().all(|byte| *byte == 0),
        "{context}: the rest is wiped"
    );
    let next = Position::new(left + 1).unwrap();
    let appended = journal.append(&name("orders"), next, batch(&[&entry(left + 1)]));
    assert_eq!(appended.await.unwrap(), next, "{context}");
    drop(journal);
    let again = open(&disk.after_power_loss()).unwrap();
    assert_eq!(
        entries(&again).await.unwrap(),
        expected(left + 1),
        "{context}"
    );
}

#[tokio::test]
async fn damage_before_a_later_frame_is_refused_even_beyond_the_mark() {
    let history = history(3).await;
    let log = path("0000000001.log");
    for frame in 0..2 {
        for at in history.ends[frame]..history.ends[frame + 1] {
            let disk = history.disk.after_kill();
            let mut bytes = history.disk.get(&log);
            bytes[at] ^= 1;
            disk.put(&log, bytes);
            disk.put(&path("mark"), history.marks[0].clone());
            let error = open(&disk).unwrap_err();
            assert!(
                matches!(error, OpenError::Corrupt { .. }),
                "byte {at}: {error}"
            );
        }
    }
}

/// What became of a flipped bit.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Refused,
    NotServed,
    Unchanged,
}

async fn flip(disk: &FaultDisk, file: &Path, byte: usize, bit: usize, count: u64) -> Seen {
    let disk = disk.after_kill();
    let mut bytes = disk.get(file);
    bytes[byte] ^= 1 << bit;
    disk.put(file, bytes);
    let journal = match open(&disk) {
        Ok(journal) => journal,
        Err(OpenError::Corrupt { .. } | OpenError::Version { .. }) => return Seen::Refused,
        Err(error) => panic!("{} byte {byte} bit {bit}: {error}", file.display()),
    };
    match entries(&journal).await {
        Ok(entries) => {
            assert_eq!(
                entries,
                expected(count),
                "{} byte {byte} bit {bit}",
                file.display()
            );
            Seen::Unchanged
        }
        Err(ReadError::Corrupt { .. }) => Seen::NotServed,
        Err(error) => panic!("{} byte {byte} bit {bit}: {error}", file.display()),
    }
}

/// The bits of a journal of one segment, by what they are for.
#[tokio::test]
async fn every_flipped_bit_is_refused_or_lies_outside_all_meaning() {
    const COUNT: u64 = 3;
    let history = history(COUNT).await;
    let log = path("0000000001.log");
    let disk = &history.disk;
    let header_bytes = 48;
    let frames = history.ends[0]..history.ends[COUNT as usize];
    for byte in (0..header_bytes).chain(frames.clone()) {
        for bit in 0..8 {
            assert_eq!(
                flip(disk, &log, byte, bit, COUNT).await,
                Seen::Refused,
                "byte {byte}"
            );
        }
    }
    // The rest of the header's block, and what lies behind the end, means nothing.
    for byte in (header_bytes..frames.start)
        .chain(frames.end..8192)
        .step_by(61)
    {
        assert_eq!(
            flip(disk, &log, byte, byte % 8, COUNT).await,
            Seen::Unchanged
        );
    }
    // A damaged slot of the mark leaves the other one, which lags at most.
    let mark = path("mark");
    for byte in (0..80).chain(2048..2128).chain((80..2048).step_by(61)) {
        assert_eq!(
            flip(disk, &mark, byte, byte % 8, COUNT).await,
            Seen::Unchanged
        );
    }
}

/// A journal of several segments: sealed ones are read by their index files.
#[tokio::test]
async fn no_flipped_bit_in_sealed_segments_or_their_indexes_changes_an_entry() {
    const COUNT: u64 = 120;
    let disk = FaultDisk::default();
    let journal = open(&disk).unwrap();
    for at in 1..=COUNT {
        let appended = journal.append(&name("orders"), position(at), batch(&[&entry(at)]));
        appended.await.unwrap();
    }
    drop(journal);
    // Opening once more lets every index file be written before the journal is closed.
    let is_index = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "idx");
    let mut not_served = 0;
    for file in disk.paths() {
        let is_log = file.extension().is_some_and(|ending| ending == "log");
        if !is_log && !is_index(&file) {
            continue;
        }
        let size = disk.get(&file).len();
        for byte in (0..size).step_by(if is_log { 7 } else { 3 }) {
            let seen = flip(&disk, &file, byte, byte % 8, COUNT).await;
            not_served += usize::from(seen != Seen::Unchanged);
        }
    }
    assert!(
        not_served > 100,
        "most of these bits mean something: {not_served}"
    );
}

#[tokio::test]
async fn a_missing_segment_or_mark_is_refused() {
    for missing in ["mark", "0000000001.log"] {
        let history = history(3).await;
        history.disk.delete(&path(missing));
        let error = open(&history.disk).unwrap_err();
        assert!(matches!(&error, OpenError::Corrupt { place, .. } if place.contains(missing)));
    }
}

/// A spare segment, as the one that made `log` would make it.
fn spare_after(log: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; log.len()];
    bytes[..44].copy_from_slice(&log[..44]);
    bytes[20..28].copy_from_slice(&2_u64.to_le_bytes());
    sealed(&mut bytes);
    bytes
}

/// Makes the checksum of a segment's header right.
fn sealed(bytes: &mut [u8]) {
    let checksum = crc32c::crc32c(&bytes[..44]);
    bytes[44..48].copy_from_slice(&checksum.to_le_bytes());
}

/// B2.7
#[tokio::test]
async fn a_damaged_spare_that_holds_nothing_is_made_again_and_one_that_holds_something_is_refused()
{
    let spare = path("0000000002.log");
    for byte in [0, 9, 21, 41, 47] {
        let history = history(3).await;
        let mut bytes = spare_after(&history.disk.get(&path("0000000001.log")));
        bytes[byte] ^= 4;
        // Anything may be in the rest of the first block: it means nothing.
        bytes[4095] = 1;
        history.disk.put(&spare, bytes.clone());
        check_prefix(&history.disk, 3, history.ends[3], "a damaged spare").await;
        let made = history
            .disk
            .paths()
            .contains(&spare)
            .then(|| history.disk.get(&spare));
        assert_ne!(made.as_ref(), Some(&bytes), "it is removed, and made again");
        bytes[8191] = 1;
        history.disk.put(&spare, bytes);
        let error = open(&history.disk).unwrap_err();
        let names_it = |place: &String| place.ends_with("0000000002.log at offset 0");
        assert!(
            matches!(&error, OpenError::Corrupt { place, .. } if names_it(place)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_spare_of_another_journal_or_a_later_version_is_not_made_again() {
    let spare = path("0000000002.log");
    for (at, with) in [(8, 2_u32), (12, 99), (40, 1)] {
        let history = history(3).await;
        let mut bytes = spare_after(&history.disk.get(&path("0000000001.log")));
        bytes[at..at + 4].copy_from_slice(&with.to_le_bytes());
        sealed(&mut bytes);
        history.disk.put(&spare, bytes.clone());
        assert!(open(&history.disk).is_err(), "{at}");
        assert_eq!(history.disk.get(&spare), bytes);
    }
}

#[tokio::test]
async fn a_segment_of_another_journal_is_refused() {
    let history = history(3).await;
    let other = FaultDisk::default();
    let options = JournalOptions::default().segment_bytes(8192).identity(8);
    drop(FileJournal::open_on(Arc::new(other.clone()), DIR, options).unwrap());
    let log = path("0000000001.log");
    history.disk.put(&log, other.get(&log));
    assert!(matches!(
        open(&history.disk),
        Err(OpenError::Corrupt { .. })
    ));
}
