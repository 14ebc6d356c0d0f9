//! First inputs for the fuzzer: files and parts of small journals, as they should be.

use std::io;
use std::path::Path;

use refrain_core::{Name, Position};
use refrain_journal::fuzzing::{Part, layout};

use crate::specimen::{self, Specimen};

/// Writes them below `dir`, in a directory per target.
///
/// # Errors
/// When a file cannot be written.
pub fn write(dir: &Path) -> io::Result<()> {
    for target in crate::TARGETS {
        std::fs::create_dir_all(dir.join(target.name))?;
    }
    for (number, specimen) in specimen::all().iter().enumerate() {
        for (target, seed) in seeds(specimen) {
            std::fs::write(dir.join(target).join(format!("seed-{number}")), seed)?;
        }
        // The directory as it is, with and without new checksums.
        for choice in [0, 1] {
            let choice = u8::try_from(number * 2 + choice).expect("there are few specimens");
            let path = dir.join("directory").join(format!("seed-{choice}"));
            std::fs::write(path, [choice])?;
        }
    }
    let ledger = dir.join("ledger").join("seed-0");
    std::fs::write(ledger, crate::target::empty_snapshot())?;
    std::fs::write(
        dir.join("backup").join("seed-0"),
        crate::target::backup_seed(),
    )?;
    let requests = crate::target::request_seeds();
    let responses = crate::target::response_seeds();
    let notes = crate::target::note_seeds().to_vec();
    for (target, seeds) in [
        ("note", notes),
        ("request", requests),
        ("response", responses),
    ] {
        for (number, seed) in seeds.into_iter().enumerate() {
            std::fs::write(dir.join(target).join(format!("seed-{number}")), seed)?;
        }
    }
    // {"id": 7, "at": [-1, 1.5]}
    let payload = b"\xa2\x62id\x07\x62at\x82\x20\xfa\x3f\xc0\x00\x00";
    std::fs::write(dir.join("payload").join("seed-0"), payload)?;
    let stream = Name::new("orders").expect("it is a name");
    let (snapshot, _) = specimen::snapshot(&stream, Position::FIRST);
    std::fs::write(dir.join("snapshot").join("seed-0"), snapshot)
}

/// Parts of one specimen, each for a target.
fn seeds(specimen: &Specimen) -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds = vec![("mark", specimen.files.bytes("mark").to_vec())];
    let logs = specimen
        .files
        .0
        .keys()
        .filter(|name| name.ends_with(".log"));
    for name in logs.clone().take(1) {
        let log = specimen.files.bytes(name);
        seeds.push(("segment-header", log[..48].to_vec()));
        let part = |wanted| layout(log).into_iter().find(|(_, part)| *part == wanted);
        let wanted = [(Part::Frame, "frame"), (Part::Declaration, "record")];
        for (wanted, target) in wanted {
            seeds.extend(part(wanted).map(|(range, _)| (target, log[range].to_vec())));
        }
    }
    for (name, file) in &specimen.files.0 {
        if name.ends_with(".seg") {
            seeds.push(("stream-segment", file.bytes.to_vec()));
        } else if name == "directory" {
            seeds.push(("directory-file", file.bytes.to_vec()));
        }
    }
    seeds.push((
        "block",
        [&[0, 1, 0, 0, 0, 9, 0, 0, 0][..], b"\x90\x05\0\0\0hello"].concat(),
    ));
    for name in logs {
        let index = specimen.files.bytes(&name.replace(".log", ".idx"));
        if !index.is_empty() {
            let header = &specimen.files.bytes(name)[..48];
            seeds.push(("segment-index", [header, index].concat()));
        }
    }
    seeds
}
