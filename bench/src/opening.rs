//! How long opening a journal takes: after a clean close whatever its size, and after a crash.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use refrain_journal::FileJournal;

use crate::callers::Run;
use crate::clock::Stopwatch;
use crate::cold;
use crate::effort::{Assignment, Failure, Scratch};
use crate::report::{Row, Table};
use crate::stats::Latencies;
use crate::stored::{self, Stored};
use crate::turns::{Side, row};
use crate::verdict::{Bound, Verdict};

const STREAMS: usize = 64;

const MANY_STREAMS: usize = 100_000;

/// What a segment of the usual size has room for, almost.
const TAIL_ENTRIES: u64 = 230_000;

/// Milliseconds that opening after a clean close may take.
const CLEAN_MS_MAX: f64 = 100.0;

/// Openings in one run.
const OPENINGS: usize = 4;

/// Measures opening after a clean close and after a crash.
///
/// # Errors
/// When a journal cannot be made.
pub(crate) fn measure(assignment: &Assignment) -> Result<Table, Failure> {
    let (mut rows, mut verdicts) = (Vec::new(), Vec::new());
    let history = assignment.effort.history;
    let each = |entries: u64, streams: usize| (entries / streams as u64).max(1);
    let (large, journal) = Stored::fill_open(assignment, STREAMS, each(4 * history, STREAMS))?;
    let running = Picture::of(assignment, &large.path())?;
    drop(journal);
    let small = Stored::fill(assignment, STREAMS, each(history / 4, STREAMS))?;
    let many = Stored::fill(assignment, MANY_STREAMS, each(4 * history, MANY_STREAMS))?;
    let shown = |stored: &Stored| format!("{} MiB", stored.bytes() / (1024 * 1024));
    let cases = [
        (shown(&small), &small, false),
        (shown(&large), &large, false),
        (format!("{}, cold", shown(&large)), &large, true),
        (
            format!("{}, {MANY_STREAMS} streams, cold", shown(&many)),
            &many,
            true,
        ),
    ];
    for (what, stored, is_cold) in cases {
        let name = format!("after a clean close, {what}");
        let side = clean(stored.path(), is_cold);
        rows.push(row(
            &assignment.effort,
            (&name, "openings"),
            side,
            Vec::new(),
        ));
        verdicts.push(milliseconds(&name, &rows));
    }
    let name = format!("after a crash, {}", shown(&large));
    let side = crashed(assignment, running);
    rows.push(row(
        &assignment.effort,
        (&name, "openings"),
        side,
        Vec::new(),
    ));
    rows.push(scanned(assignment, each(TAIL_ENTRIES, STREAMS))?);
    let rate = rows[rows.len() - 1].measured.per_second.median / 1e6;
    let what = "unsealed tail after a crash: million entries a second";
    verdicts.push(Verdict::new(what, Bound::AtLeast(10.0), rate));
    Ok(Table {
        name: "opening",
        title: "Opening a journal",
        notes: NOTES.map(str::to_owned).to_vec(),
        rows,
        verdicts,
    })
}

const NOTES: [&str; 3] = [
    "Entries of 256 B in 64 streams, in segments of 64 MiB, all of it log. cold: all files dropped from the page cache before each opening.",
    "After a crash: a picture of the files of a journal that was being written, the durable mark as the system had it.",
    "Unsealed tail: entries of an almost full segment over the whole time of opening, in which all its frames are checked and the spare is looked at.",
];

/// A verdict over the last of `rows`.
fn milliseconds(name: &str, rows: &[Row]) -> Verdict {
    let reached = 1000.0 / rows[rows.len() - 1].measured.per_second.median;
    Verdict::new(
        format!("{name}: milliseconds"),
        Bound::AtMost(CLEAN_MS_MAX),
        reached,
    )
}

/// Opens the journal in `path` and closes it again, several times; only opening counts.
fn clean<'a>(path: PathBuf, is_cold: bool) -> Side<'a> {
    Box::new(move |_| {
        let mut openings = Openings::default();
        for _ in 0..OPENINGS {
            if is_cold {
                cold::drop_cached(&path).expect("files can be dropped from the page cache");
            }
            drop(openings.open(&path));
        }
        openings.run()
    })
}

/// Opens a journal that was `running`, a new copy of it in each run.
fn crashed(assignment: &Assignment, running: Picture) -> Side<'_> {
    Box::new(move |_| {
        let mut openings = Openings::default();
        let copy = Picture::of(assignment, &running.path()).expect("files can be copied");
        drop(openings.open(&copy.path()));
        openings.run()
    })
}

/// The rate at which the frames of the segment that was being written are taken in.
fn scanned(assignment: &Assignment, each: u64) -> Result<Row, Failure> {
    let (tail, journal) = Stored::fill_open(assignment, STREAMS, each)?;
    let running = Picture::of(assignment, &tail.path())?;
    drop(journal);
    let entries = tail.entries();
    let mut side = crashed(assignment, running);
    let side: Side<'_> = Box::new(move |span| {
        let run = side(span);
        Run {
            operations: run.operations * entries,
            per_second: run.per_second * entries as f64,
            latencies: None,
            processor_ns: None,
        }
    });
    let name = format!("after a crash, {entries} entries in the unsealed tail");
    Ok(row(
        &assignment.effort,
        (&name, "entries"),
        side,
        Vec::new(),
    ))
}

/// Openings of one run.
struct Openings {
    count: u64,
    took: Duration,
    latencies: Latencies,
}

impl Default for Openings {
    fn default() -> Openings {
        Openings {
            count: 0,
            took: Duration::ZERO,
            latencies: Latencies::new(),
        }
    }
}

impl Openings {
    fn open(&mut self, path: &Path) -> FileJournal {
        let stopwatch = Stopwatch::start();
        let journal = stored::open(path).expect("the journal is whole");
        let took = stopwatch.elapsed();
        self.count += 1;
        self.took += took;
        self.latencies.record(took);
        journal
    }

    fn run(self) -> Run {
        Run {
            operations: self.count,
            per_second: self.count as f64 / self.took.as_secs_f64(),
            latencies: Some(self.latencies),
            processor_ns: None,
        }
    }
}

/// The files of a journal, as a crash of whoever wrote it would have left them.
struct Picture(Scratch);

impl Picture {
    fn path(&self) -> PathBuf {
        self.0.path().join("journal")
    }

    /// The files in `from`, of a journal that may be open. Those that nobody writes to any more are
    /// shared with it.
    fn of(assignment: &Assignment, from: &Path) -> Result<Picture, Failure> {
        let picture = Picture(assignment.scratch()?);
        std::fs::create_dir(picture.path())?;
        let entries = std::fs::read_dir(from)?;
        let mut names: Vec<OsString> = entries
            .map(|entry| Ok(entry?.file_name()))
            .collect::<std::io::Result<_>>()?;
        // What is unfinished may go away at any time.
        names.retain(|name| Path::new(name).extension().is_none_or(|of| of != "new"));
        names.sort();
        let is_log = |name: &&OsString| Path::new(name).extension().is_some_and(|of| of == "log");
        // The segment that is written, and the spare.
        let written: Vec<OsString> = names.iter().filter(is_log).rev().take(2).cloned().collect();
        for name in names {
            let (from, to) = (from.join(&name), picture.path().join(&name));
            let is_sealed = Path::new(&name).extension().is_some() && !written.contains(&name);
            if is_sealed {
                std::fs::hard_link(from, to)?;
            } else {
                std::fs::copy(from, &to)?;
                // Or opening, which syncs, would wait for the copy.
                File::open(to)?.sync_all()?;
            }
        }
        Ok(picture)
    }
}
