//! The operating system's files keep what is written to them, also while they begin to be synced.

#![allow(clippy::unwrap_used, reason = "this is test code")]

use std::fs::File;
use std::num::NonZeroU64;
use std::path::Path;

use refrain_journal::{Access, Disk, DiskFile, FileSystem};
use rustix::fs::{Advice, fadvise};

/// Pages of the operating system, more than one.
const BYTES: usize = 1024 * 1024;

/// Ranges that begin and end in pages, at their borders, behind the end of the file, and all of it.
const RANGES: [(u64, u64); 6] = [
    (0, BYTES as u64),
    (0, 1),
    (4095, 2),
    (4096, 4096),
    (70_000, 300_001),
    (BYTES as u64 - 1, 1 << 40),
];

/// Bytes of which no two pages are alike.
fn bytes(salt: u64) -> Vec<u8> {
    let number = |at: u64| at.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(salt);
    let numbers = 0..BYTES as u64 / 8;
    numbers.flat_map(|at| number(at).to_le_bytes()).collect()
}

fn write(file: &dyn DiskFile, bytes: &[u8], offset: usize) {
    let mut written = 0;
    while written < bytes.len() {
        written += file
            .write_at(&bytes[written..], (offset + written) as u64)
            .unwrap();
    }
}

fn begin_all(file: &dyn DiskFile) {
    for (offset, bytes) in RANGES {
        file.begin_sync(offset, NonZeroU64::new(bytes).unwrap());
    }
}

/// What the file says, and what the medium says: clean pages are let go of, so they are read again.
fn check(path: &Path, file: &dyn DiskFile, wanted: &[u8]) {
    let read = || std::fs::read(path).unwrap();
    assert!(read() == wanted, "from the cache");
    assert_eq!(file.size().unwrap(), wanted.len() as u64);
    file.sync_data().unwrap();
    fadvise(File::open(path).unwrap(), 0, None, Advice::DontNeed).unwrap();
    assert!(read() == wanted, "from the medium");
}

#[test]
fn bytes_that_begin_to_be_synced_stay_as_they_were_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let file = FileSystem.open(&path, Access::Create).unwrap();
    let mut wanted = bytes(1);
    write(file.as_ref(), &wanted, 0);
    begin_all(file.as_ref());
    check(&path, file.as_ref(), &wanted);
    // What is overwritten and not synced is on the medium as it was before: it is not read from there.
    for (round, at) in [(2, 0), (3, 4000), (4, 500_001)] {
        let new = bytes(round);
        write(file.as_ref(), &new[..200_000], at);
        wanted[at..at + 200_000].copy_from_slice(&new[..200_000]);
        begin_all(file.as_ref());
        write(file.as_ref(), &[7; 3], at + 5000);
        wanted[at + 5000..at + 5003].fill(7);
        begin_all(file.as_ref());
        check(&path, file.as_ref(), &wanted);
    }
}

#[test]
fn space_that_is_reserved_reads_as_zeros_while_it_begins_to_be_synced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let file = FileSystem.open(&path, Access::Create).unwrap();
    file.allocate(BYTES as u64).unwrap();
    // A file system that cannot reserve has the size by this.
    write(file.as_ref(), &[0], BYTES - 1);
    let mut wanted = vec![0; BYTES];
    begin_all(file.as_ref());
    write(file.as_ref(), &bytes(5)[..10_000], 4096);
    wanted[4096..14_096].copy_from_slice(&bytes(5)[..10_000]);
    begin_all(file.as_ref());
    check(&path, file.as_ref(), &wanted);
}
