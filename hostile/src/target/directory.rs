//! A whole directory, opened and read: a specimen with its files changed as the fuzzer says, with
//! or without their checksums made right afterwards.

use std::sync::LazyLock;

use refrain_journal::OpenError;
use refrain_journal::fuzzing::{self, Kept, Refusal};

use crate::disk::Files;
use crate::script::Script;
use crate::specimen::{self, Specimen};

/// Changes in one run.
const CHANGES_MAX: usize = 16;

/// Bytes that are read at most, however the files contradict each other: so many times their size.
const READS_PER_BYTE_MAX: u64 = 64;

/// The least that reading may cost: windows reach beyond small files.
const READS_FLOOR: u64 = 16 * 1024 * 1024;

static SPECIMENS: LazyLock<Vec<Specimen>> = LazyLock::new(specimen::all);

pub(super) fn run(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let choice = script.u8();
    let specimen = &SPECIMENS[usize::from(choice >> 1) % SPECIMENS.len()];
    let mut files = specimen.files.clone();
    for _ in 0..CHANGES_MAX {
        if script.is_over() {
            break;
        }
        change(&mut files, specimen, &mut script);
    }
    match choice & 1 {
        0 => check(files, Checksums::AsTheyAre),
        _ => check(files.resealed(), Checksums::MadeRight),
    }
}

/// Makes one change.
fn change(files: &mut Files, specimen: &Specimen, script: &mut Script<'_>) {
    let kind = script.u8() % 11;
    let name = named(files, script.u8());
    match kind {
        0 => {
            let (at, byte) = (script.u16(), script.u8());
            overwrite(files, &name, at, &[byte]);
        }
        1 | 2 => {
            let (at, value) = (script.u16(), script.u32());
            overwrite(files, &name, at, &value.to_le_bytes());
        }
        3 | 4 => {
            let (at, value) = (script.u16(), script.u64());
            overwrite(files, &name, at, &value.to_le_bytes());
        }
        5 => {
            let length = usize::from(script.u16());
            if let Some(bytes) = files.bytes_mut(&name) {
                bytes.truncate(length);
            }
        }
        6 => _ = files.0.remove(&name),
        7 => {
            let onto = named(files, script.u8());
            let (one, other) = (files.0.get(&name).cloned(), files.0.get(&onto).cloned());
            if let (Some(one), Some(other)) = (one, other) {
                files.0.insert(onto, one);
                if script.u8() % 2 == 1 {
                    files.0.insert(name, other);
                }
            }
        }
        8 => {
            let from = [&specimen.earlier, &specimen.other][usize::from(script.u8() % 2)];
            match from.0.get(&name) {
                Some(file) => _ = files.0.insert(name, file.clone()),
                None => _ = files.0.remove(&name),
            }
        }
        9 => {
            let [log, index] = fuzzing::segment_files(u64::from(script.u8()));
            if let Some(file) = files.0.get(&name).cloned() {
                files
                    .0
                    .insert([log, index][usize::from(script.u8() % 2)].clone(), file);
            }
        }
        _ => {
            // Up to 16 MiB of zeros behind what is there.
            let size = u64::from(script.u32() % (1 << 24));
            if let Some(file) = files.0.get_mut(&name) {
                file.size = size;
            }
        }
    }
}

fn named(files: &Files, choice: u8) -> String {
    let names: Vec<&String> = files.0.keys().collect();
    match names.len() {
        0 => String::new(),
        count => names[usize::from(choice) % count].clone(),
    }
}

fn overwrite(files: &mut Files, name: &str, at: u16, with: &[u8]) {
    if let Some(bytes) = files.bytes_mut(name)
        && let Some(field) = bytes.get_mut(usize::from(at)..usize::from(at) + with.len())
    {
        field.copy_from_slice(with);
    }
}

/// What became of the checksums of changed files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checksums {
    AsTheyAre,
    /// So a file may say anything. One that the first opening had no use for, as an index of a segment
    /// that was the last one, may still be refused by the next.
    MadeRight,
}

/// What holds whatever the files are: a typed refusal or a journal that stays as it is, and a
/// reader beside the writer sees nothing that the writer does not have.
pub(super) fn check(files: Files, checksums: Checksums) {
    let size: u64 = files.apparent_size();
    let read = specimen::read(files.clone());
    let (opened, disk) = specimen::open(files);
    assert!(
        disk.bytes_read() <= READS_FLOOR + READS_PER_BYTE_MAX * size,
        "{} bytes were read of files with {size}",
        disk.bytes_read()
    );
    for refusal in [read.as_ref().err(), opened.as_ref().err()] {
        refusal.map(is_typed);
    }
    let Ok(kept) = opened else {
        return;
    };
    if let Ok(read) = read {
        for stream in &read {
            has(&kept, stream);
        }
    }
    match (specimen::open(disk.files()).0, checksums) {
        (Ok(again), _) => assert_eq!(again, kept, "it stays"),
        (Err(refusal), Checksums::MadeRight) => is_typed(&refusal),
        (Err(refusal), Checksums::AsTheyAre) => panic!("it was opened once: {refusal:?}"),
    }
}

/// What a reader saw up to the mark, the writer has too, as far as it is not forgotten.
fn has(kept: &[Kept], read: &Kept) {
    let found = kept.iter().find(|stream| stream.name == read.name);
    let stream = found.expect("the writer has every stream");
    assert!(stream.first >= read.first && stream.next >= read.next);
    let skip = usize::try_from(stream.first - read.first).unwrap_or(usize::MAX);
    let seen = read.entries.get(skip..).unwrap_or_default();
    assert_eq!(seen, &stream.entries[..seen.len()]);
}

/// Refusals name what is wrong; nothing is told as an error of the operating system, for here
/// there are none.
fn is_typed(refusal: &Refusal) {
    let is_io = matches!(refusal, Refusal::Open(OpenError::Io { source, .. })
        if source.kind() != std::io::ErrorKind::UnexpectedEof
            && source.kind() != std::io::ErrorKind::InvalidData);
    assert!(!is_io, "{refusal:?}");
}
