//! What the number of streams costs: appends to many of them, and the memory of those that are idle.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use refrain_core::port::journal::{Batch, Journal};
use refrain_core::{Name, Position};
use refrain_journal::{FileJournal, JournalOptions};

use crate::effort::{Assignment, Failure, Scratch};
use crate::journal::{Streams, appends};
use crate::report::{Row, Table};
use crate::stats::Spread;
use crate::stored::settle;
use crate::turns::{Side, row};
use crate::verdict::{Bound, Verdict};

/// Few enough to cost nothing.
const FEW: usize = 64;

const MANY: [usize; 2] = [1_000, 100_000];

const IN_FLIGHT: usize = 256;

const PAYLOAD_BYTES: usize = 256;

/// Segments of the journals whose memory is measured: small, so that the streams soon are idle.
const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

/// Measures appends to many streams beside appends to few, and the memory of idle streams.
///
/// # Errors
/// When a journal cannot be made, or another process not be started.
pub(crate) fn measure(assignment: &Assignment) -> Result<Table, Failure> {
    let (mut rows, mut verdicts) = (Vec::new(), Vec::new());
    if !assignment.effort.levels(&[IN_FLIGHT]).is_empty() {
        for count in MANY {
            let row = measure_count(assignment, count)?;
            let what = format!("appends to {count} streams over {FEW}");
            let reached = row.references[0].ratio.median;
            verdicts.push(Verdict::new(what, Bound::AtLeast(0.85), reached));
            rows.push(row);
        }
    }
    let bytes = idle_bytes(assignment)?;
    let what = "bytes of memory per idle stream besides its name";
    verdicts.push(Verdict::new(what, Bound::AtMost(100.0), bytes.median));
    let mut notes = NOTES.map(str::to_owned).to_vec();
    notes.push(format!(
        "An idle stream takes {:.0} B besides its name ({:.0} .. {:.0}).",
        bytes.median, bytes.min, bytes.max
    ));
    Ok(Table {
        name: "streams",
        title: "The number of streams",
        notes,
        rows,
        verdicts,
    })
}

const NOTES: [&str; 2] = [
    "One entry of 256 B an append, to each stream in turn, all streams made before.",
    "Memory: what opening 100,000 streams adds to a process over opening 64, all idle and in sealed segments.",
];

fn measure_count(assignment: &Assignment, count: usize) -> Result<Row, Failure> {
    let (_few_dir, few) = side(assignment, FEW)?;
    let (_many_dir, many) = side(assignment, count)?;
    let name = format!("append to {count} streams");
    let row = row(
        &assignment.effort,
        (&name, "entries"),
        many,
        vec![("64 streams", few)],
    );
    Ok(row.in_flight(IN_FLIGHT))
}

fn side(assignment: &Assignment, count: usize) -> Result<(Scratch, Side<'_>), Failure> {
    let scratch = assignment.scratch()?;
    let journal = FileJournal::open(scratch.path().join("journal"))?;
    let streams = Streams::new(journal, count);
    let place = |stream| streams.append(stream, b"first");
    assignment.runtime.block_on(settle((0..count).map(place)))?;
    let payload: Arc<[u8]> = vec![0x5a; PAYLOAD_BYTES].into();
    Ok((scratch, appends(assignment, streams, payload, IN_FLIGHT)))
}

/// Memory of an idle stream, in bytes, without its name.
fn idle_bytes(assignment: &Assignment) -> Result<Spread, Failure> {
    let count = MANY[MANY.len() - 1];
    let (few, many) = (idle(assignment, FEW)?, idle(assignment, count)?);
    let mut runs = Vec::new();
    for _ in 0..assignment.effort.runs {
        let added = opened_bytes(many.path())? - opened_bytes(few.path())?;
        runs.push(added / (count - FEW) as f64 - IDLE_NAME.len() as f64);
    }
    Ok(Spread::of(&runs))
}

/// The form of an idle stream's name.
const IDLE_NAME: &str = "idle-stream-000000";

/// Makes a journal of so many idle streams.
fn idle(assignment: &Assignment, count: usize) -> Result<Scratch, Failure> {
    let scratch = assignment.scratch()?;
    let made = make_idle(scratch.path(), count);
    assignment.runtime.block_on(made)?;
    Ok(scratch)
}

/// What opening the journal in `dir` adds to the memory of a process of its own.
fn opened_bytes(dir: &Path) -> Result<f64, Failure> {
    let output = Command::new(std::env::current_exe()?)
        .arg("memory-of")
        .arg(dir)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

async fn make_idle(dir: &Path, count: usize) -> Result<(), Failure> {
    let options = JournalOptions::default().segment_bytes(SEGMENT_BYTES);
    let journal = FileJournal::open_with(dir, options)?;
    let append = |number: usize| {
        let name = Name::new(&format!("idle-stream-{number:06}"));
        let name = name.expect("letters and digits make a name");
        journal.append(&name, Position::FIRST, entry(16))
    };
    settle((0..count).map(append)).await?;
    let busy = Name::new("busy")?;
    let mut at = Position::FIRST;
    // Enough to leave the segments that the idle streams are in.
    for _ in 0..2 * SEGMENT_BYTES / 65_536 {
        at = journal.append(&busy, at, entry(65_536)).await?.next();
    }
    Ok(())
}

fn entry(bytes: usize) -> Batch {
    let mut batch = Batch::default();
    batch.push(&vec![0x5a; bytes]);
    batch
}

/// Prints what opening the journal in `dir` adds to the memory of this process.
///
/// # Errors
/// When it cannot be opened, or the system does not say.
pub(crate) fn memory_of(dir: &Path) -> Result<String, Failure> {
    let before = resident_bytes()?;
    let options = JournalOptions::default().segment_bytes(SEGMENT_BYTES);
    let journal = FileJournal::open_with(dir, options)?;
    let after = resident_bytes()?;
    drop(journal);
    Ok((after - before).to_string())
}

fn resident_bytes() -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    let kilobytes: f64 = kilobytes.ok_or("no resident size")?.parse()?;
    Ok(kilobytes * 1024.0)
}
