//! Entries per second that are read from a filled journal: all streams, and one of many, from the
//! page cache and from the disk.

use std::path::{Path, PathBuf};
use std::time::Duration;

use refrain_core::port::journal::Journal;
use refrain_core::{Name, Position};
use refrain_journal::FileJournal;

use crate::alone::repeat;
use crate::callers::Run;
use crate::cold;
use crate::effort::{Assignment, Failure};
use crate::report::{Row, Table};
use crate::scan::{scan_file, sum};
use crate::stored::Stored;
use crate::turns::{Side, row};
use crate::verdict::{Bound, Verdict};

/// Streams among which one is still a large part of each segment.
const FEW: usize = 100;

/// Streams among which one is hardly anywhere.
const MANY: usize = 10_000;

/// Streams that are read in one cold run, far from each other.
const COLD_STREAMS: usize = 20;

/// The same of a log, where each takes long.
const COLD_LOG_STREAMS: usize = 4;

/// Measures reading all of a journal, and single streams of it.
///
/// # Errors
/// When a journal cannot be made.
pub(crate) fn measure(assignment: &Assignment) -> Result<Table, Failure> {
    let (mut rows, mut verdicts) = (Vec::new(), Vec::new());
    measure_all(assignment, &mut rows, &mut verdicts)?;
    measure_one(assignment, &mut rows, &mut verdicts)?;
    Ok(Table {
        name: "reading",
        title: "Reading a filled journal",
        notes: NOTES.map(str::to_owned).to_vec(),
        rows,
        verdicts,
    })
}

const NOTES: [&str; 4] = [
    "1 GiB of entries of 256 B that do not compress, appended to the streams in turn; all of them in stream segments.",
    "Every record is decoded and checked by the journal, and every byte of every entry is looked at. One caller, one cursor at a time.",
    "scan: a file of the same entries without anything between them, through a buffer of 1 MiB, every byte looked at.",
    "cold: dropped from the page cache before each run, and seen not to be there. From the log: the same journal before compaction.",
];

/// Entries of all filled journals: `history` is that of a quarter of the bytes.
fn each(assignment: &Assignment, streams: usize) -> u64 {
    (4 * assignment.effort.history / streams as u64).max(1)
}

/// Fills a journal and compacts it.
fn compacted(assignment: &Assignment, streams: usize) -> Result<(Stored, FileJournal), Failure> {
    let stored = Stored::fill(assignment, streams, each(assignment, streams))?;
    stored.seal(assignment)?;
    let journal = stored.open()?;
    assignment.runtime.block_on(journal.compact())?;
    assignment.wrote(journal.compaction().bytes_written as f64);
    Ok((stored, journal))
}

fn measure_all(
    assignment: &Assignment,
    rows: &mut Vec<Row>,
    verdicts: &mut Vec<Verdict>,
) -> Result<(), Failure> {
    let (stored, journal) = compacted(assignment, FEW)?;
    let flat = stored.flat()?;
    let reader = Reader {
        assignment,
        journal: &journal,
        each: stored.each,
    };
    cold::warm(&stored.path())?;
    cold::warm(&flat)?;
    let temperatures = [("warm", 0.5), ("cold", 0.8)];
    for (temperature, wanted) in temperatures {
        let is_cold = temperature == "cold";
        let read = reader.all(&stored.streams, is_cold.then(|| stored.path()));
        let scan = scanning(&flat, &stored, is_cold);
        let name = format!("all of {FEW} streams, {temperature}");
        let row = row(
            &assignment.effort,
            (&name, "entries"),
            read,
            vec![("scan", scan)],
        );
        let reached = row.references[0].ratio.median;
        verdicts.push(Verdict::new(
            format!("{name}: ratio to the scan"),
            Bound::AtLeast(wanted),
            reached,
        ));
        rows.push(row);
    }
    cold::warm(&stored.path())?;
    let name = format!("one of {FEW} streams, warm");
    let side = reader.one_by_one(&stored.streams);
    rows.push(row(
        &assignment.effort,
        (&name, "entries"),
        side,
        Vec::new(),
    ));
    verdicts.push(millions(&name, 4.0, rows));
    Ok(())
}

fn measure_one(
    assignment: &Assignment,
    rows: &mut Vec<Row>,
    verdicts: &mut Vec<Verdict>,
) -> Result<(), Failure> {
    let log = Stored::fill(assignment, MANY, each(assignment, MANY))?;
    let log_journal = log.open()?;
    let (stored, journal) = compacted(assignment, MANY)?;
    let side = |stored: &Stored, journal, count| {
        let reader = Reader {
            assignment,
            journal,
            each: stored.each,
        };
        reader.far_apart(stored.streams.clone(), count, stored.path())
    };
    let name = format!("one of {MANY} streams, cold");
    rows.push(row(
        &assignment.effort,
        (&name, "entries"),
        side(&stored, &journal, COLD_STREAMS),
        vec![("from the log", side(&log, &log_journal, COLD_LOG_STREAMS))],
    ));
    verdicts.push(millions(&name, 1.0, rows));
    Ok(())
}

/// A verdict over the last of `rows`.
fn millions(name: &str, wanted: f64, rows: &[Row]) -> Verdict {
    let reached = rows[rows.len() - 1].measured.per_second.median / 1e6;
    let what = format!("{name}: million entries a second");
    Verdict::new(what, Bound::AtLeast(wanted), reached)
}

/// Reads streams that have `each` entries.
#[derive(Clone, Copy)]
struct Reader<'a> {
    assignment: &'a Assignment,
    journal: &'a FileJournal,
    each: u64,
}

impl<'a> Reader<'a> {
    fn read(&self, stream: &Name) -> u64 {
        let reading = read_stream(self.journal, stream);
        let (entries, total) = self
            .assignment
            .runtime
            .block_on(reading)
            .expect("the journal can be read");
        assert_eq!(entries, self.each, "all of it is read");
        std::hint::black_box(total);
        entries
    }

    /// All streams, one after the other; from the disk when `cold` says where they are.
    fn all(self, streams: &'a [Name], cold: Option<PathBuf>) -> Side<'a> {
        Box::new(move |span| {
            at(span, cold.as_deref(), || {
                streams.iter().map(|stream| self.read(stream)).sum()
            })
        })
    }

    /// One stream, and then another one.
    fn one_by_one(self, streams: &'a [Name]) -> Side<'a> {
        let mut next = streams.iter().cycle();
        Box::new(move |span| repeat(span, || self.read(next.next().expect("there are some"))))
    }

    /// `count` streams from the disk, other ones in each run.
    fn far_apart(self, streams: Vec<Name>, count: usize, path: PathBuf) -> Side<'a> {
        let stride = streams.len() / count;
        let mut run = 0;
        Box::new(move |_| {
            let chosen = streams.iter().skip(run % stride).step_by(stride);
            run += 1;
            at(Duration::ZERO, Some(&path), || {
                chosen.clone().map(|stream| self.read(stream)).sum()
            })
        })
    }
}

/// One run: `work` once from the disk when `cold` says where that is, otherwise until `span` is over.
fn at(span: Duration, cold: Option<&Path>, work: impl FnMut() -> u64) -> Run {
    match cold {
        Some(path) => {
            cold::drop_cached(path).expect("files can be dropped from the page cache");
            repeat(Duration::ZERO, work)
        }
        None => repeat(span, work),
    }
}

fn scanning<'a>(flat: &Path, stored: &'a Stored, is_cold: bool) -> Side<'a> {
    let flat = flat.to_path_buf();
    Box::new(move |span| {
        at(span, is_cold.then_some(flat.as_path()), || {
            std::hint::black_box(scan_file(&flat).expect("the file is there"));
            stored.entries()
        })
    })
}

/// Reads a whole stream: how many entries it has, and the sum of their bytes.
async fn read_stream(journal: &FileJournal, stream: &Name) -> Result<(u64, u64), Failure> {
    let mut cursor = journal.read(stream, Position::FIRST).await?;
    let (mut entries, mut total) = (0, 0_u64);
    while let Some(chunk) = cursor.next().await? {
        for (_, entry) in chunk.entries() {
            entries += 1;
            total = total.wrapping_add(sum(entry));
        }
    }
    Ok((entries, total))
}
