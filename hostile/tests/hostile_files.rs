//! Files that somebody made to do harm: a typed refusal, within the allowance of memory, and
//! without reading more than there is.

#![allow(clippy::unwrap_used, reason = "this is test code")]

use std::sync::LazyLock;

use hostile::allowance::{Time, within};
use hostile::disk::Files;
use hostile::specimen::{self, Specimen};
use refrain_core::port::journal::ReadError;
use refrain_journal::OpenError;
use refrain_journal::fuzzing::{Draft, Kept, Refusal};

const LOG: &str = "0000000001.log";
const SEGMENT_BYTES: u32 = 8192;

/// Made once: a file that is altered in a thousand ways is always the same one before.
static SPECIMENS: LazyLock<Vec<Specimen>> = LazyLock::new(specimen::all);

fn sealed_segments() -> Specimen {
    SPECIMENS[1].clone()
}

/// Opens as the writer and as a reader, within the allowance.
fn open(files: &Files) -> (Result<Vec<Kept>, Refusal>, Result<Vec<Kept>, Refusal>) {
    within(Time::Passes, || {
        let read = specimen::read(files.clone());
        let (opened, disk) = specimen::open(files.clone());
        assert!(disk.bytes_read() < 64 * 1024 * 1024, "it reads on and on");
        (opened, read)
    })
}

fn is_refused(files: &Files, place: &str) {
    let (opened, read) = open(files);
    for found in [opened, read] {
        match found {
            Err(
                Refusal::Open(OpenError::Corrupt { place: at, .. })
                | Refusal::Read(ReadError::Corrupt { place: at, .. }),
            ) => assert!(at.contains(place), "{at}"),
            other => panic!("{other:?}"),
        }
    }
}

/// A specimen with the bytes at `at` of a file overwritten, and right checksums.
fn overwritten(file: &str, at: usize, with: &[u8]) -> Files {
    let mut files = sealed_segments().files;
    files.bytes_mut(file).unwrap()[at..at + with.len()].copy_from_slice(with);
    files.resealed()
}

fn declared(stream: u32, name: &str) -> Draft {
    Draft {
        kind: 2,
        stream,
        position: 1,
        body: [&1_u64.to_le_bytes(), name.as_bytes()].concat(),
    }
}

fn entry(stream: u32, position: u64) -> Draft {
    Draft {
        kind: 1,
        stream,
        position,
        body: b"any".to_vec(),
    }
}

fn log(records: Vec<Draft>) -> Files {
    Files::of(refrain_journal::fuzzing::log(
        &[vec![records]],
        SEGMENT_BYTES,
        1,
    ))
}

/// B2.7
#[test]
fn a_sealed_segment_that_was_cut_short_is_refused_where_it_is_read() {
    let mut files = sealed_segments().files;
    files.bytes_mut(LOG).unwrap().truncate(5000);
    is_refused(&files, LOG);
}

/// Found by exchanging files: it was told as something that may pass.
#[test]
fn a_sealed_segment_with_neither_header_nor_index_is_damage_where_it_is_read() {
    let mut files = SPECIMENS[3].files.clone();
    let index = files.0.keys().find(|name| name.ends_with(".idx")).unwrap();
    let log = index.replace(".idx", ".log");
    let (index, header) = (index.clone(), 0..48);
    files.bytes_mut(&log).unwrap()[header].fill(b'?');
    files.bytes_mut(&index).unwrap()[0] ^= 1;
    is_refused(&files, &log);
}

#[test]
fn an_index_that_was_cut_short_is_made_again_and_its_segment_is_read_meanwhile() {
    let specimen = sealed_segments();
    let mut files = specimen.files;
    let index = files.bytes_mut("0000000001.idx").unwrap();
    index.truncate(index.len() - 4);
    let (opened, read) = open(&files);
    assert_eq!(opened.unwrap(), specimen.kept);
    assert_eq!(read.unwrap(), specimen.kept);
}

#[test]
fn a_mark_that_is_too_large_is_damage_and_no_error_of_the_disk() {
    let mut files = sealed_segments().files;
    files.bytes_mut("mark").unwrap().push(0);
    is_refused(&files, "mark");
}

#[test]
fn a_number_of_two_to_the_24_streams_makes_no_large_table() {
    is_refused(&log(vec![declared((1 << 24) - 1, "far")]), LOG);
    is_refused(&log(vec![entry((1 << 24) - 1, 1)]), LOG);
    is_refused(&log(vec![declared(u32::MAX, "far")]), LOG);
}

#[test]
fn two_streams_with_one_name_are_refused() {
    let files = log(vec![declared(0, "twin"), declared(1, "twin")]);
    is_refused(&files, LOG);
}

#[test]
fn numbers_that_nothing_could_follow_are_damage() {
    is_refused(&log(vec![declared(0, "late"), entry(0, u64::MAX)]), LOG);
    for at in [20, 28] {
        is_refused(&overwritten(LOG, at, &u64::MAX.to_le_bytes()), LOG);
    }
}

#[test]
fn a_segment_that_says_it_has_four_gigabytes_is_refused() {
    for bytes in [0, 4096, 8193, 1 << 31, u32::MAX] {
        is_refused(&overwritten(LOG, 36, &bytes.to_le_bytes()), LOG);
    }
}

#[test]
fn a_segment_of_a_gigabyte_that_is_not_there_costs_no_memory() {
    let bytes = 1_u32 << 30;
    let (opened, _) = open(&overwritten(LOG, 36, &bytes.to_le_bytes()));
    assert!(opened.is_ok(), "{opened:?}");
}

#[test]
fn lengths_and_counts_beyond_the_file_cost_no_memory() {
    // The first frame's bytes and records, the first record's bytes.
    for at in [4096 + 32, 4096 + 36, 4096 + 40 + 4] {
        let (opened, _) = open(&overwritten(LOG, at, &u32::MAX.to_le_bytes()));
        drop(opened);
    }
    // All numbers in the header and the table of an index.
    let size = sealed_segments().files.bytes("0000000001.idx").len();
    for at in (8..size - 8).step_by(4) {
        for value in [u64::MAX, u64::from(u32::MAX), 1 << 62, 0] {
            drop(open(&overwritten(
                "0000000001.idx",
                at,
                &value.to_le_bytes(),
            )));
        }
    }
}

#[test]
fn a_mark_that_points_anywhere_is_refused_or_seen_through() {
    let size = 80;
    for at in (12..size - 8).step_by(4) {
        for value in [u64::MAX, u64::from(u32::MAX), (1 << 62) - 1, 4095, 1, 0] {
            let mut files = sealed_segments().files;
            let mark = files.bytes_mut("mark").unwrap();
            for slot in [0, 2048] {
                mark[slot + at..slot + at + 8].copy_from_slice(&value.to_le_bytes());
            }
            drop(open(&files.resealed()));
        }
    }
}

#[test]
fn names_of_files_with_any_number_are_seen_through() {
    for name in [
        "18446744073709551615.log",
        "4611686018427387904.log",
        "9999999999.log",
        "0000000000.log",
        "0000000000-0000000001.seg",
        "0000000001-18446744073709551615.seg",
        "99999999999999999999999999.log",
        "0000000001.log.new",
    ] {
        for specimen in SPECIMENS.iter() {
            let mut files = specimen.files.clone();
            let log = files.0.keys().find(|name| name.ends_with(".log"));
            let log = log.expect("every journal has a log").clone();
            let copy = files.bytes(&log).to_vec();
            files.put(name, copy);
            drop(open(&files));
        }
    }
}

#[test]
fn files_of_four_gigabytes_of_nothing_cost_what_a_segment_may_cost() {
    for name in ["mark", "0000000001.idx", LOG] {
        let mut files = sealed_segments().files;
        files.0.get_mut(name).unwrap().size = 1 << 32;
        drop(open(&files));
    }
}
