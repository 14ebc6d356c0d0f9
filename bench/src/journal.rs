//! Appends per second at the journal itself: no processor, no engine.
//!
//! Callers append one entry at a time to one of 64 streams and wait until it is durable.

use std::sync::{Arc, Mutex, PoisonError};

use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{AppendError, Batch, Journal};
use refrain_core::{Name, Position};
use refrain_journal::{CompactionProgress, FileJournal, JournalOptions};

use crate::callers::{Caller, run};
use crate::effort::{Assignment, Failure};
use crate::reference::{Load, bare_leader, bare_writer};
use crate::report::{Row, Table};
use crate::turns::{Side, row};
use crate::verdict::{Bound, Verdict};

/// Streams of each row.
const STREAMS: usize = 64;

/// Bytes of an entry.
const PAYLOADS: [usize; 3] = [128, 256, 1024];

/// Appends in flight.
const LEVELS: [usize; 4] = [1, 16, 256, 4096];

/// Where appends go: several callers share a stream, so each takes its position as it submits.
#[derive(Debug)]
pub(crate) struct Streams {
    journal: FileJournal,
    streams: Vec<(Name, Mutex<Position>)>,
}

impl Streams {
    /// Streams that have no entry yet.
    pub(crate) fn new(journal: FileJournal, count: usize) -> Arc<Streams> {
        let stream = |number| {
            let name = Name::new(&format!("stream-{number}"));
            let name = name.expect("letters and digits make a name");
            (name, Mutex::new(Position::FIRST))
        };
        Arc::new(Streams {
            journal,
            streams: (0..count).map(stream).collect(),
        })
    }

    /// How far compaction has come.
    pub(crate) fn compaction(&self) -> CompactionProgress {
        self.journal.compaction()
    }

    /// Submits one entry.
    pub(crate) fn append(
        &self,
        stream: usize,
        payload: &[u8],
    ) -> BoxFuture<'static, Result<Position, AppendError>> {
        let mut batch = Batch::default();
        batch.push(payload);
        let (name, next) = &self.streams[stream];
        let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
        let appending = self.journal.append(name, *next, batch);
        *next = next.next();
        appending
    }
}

/// Appends to its streams in turn. Streams are divided among callers, as far as there are enough.
#[derive(Debug)]
struct Appends {
    streams: Arc<Streams>,
    payload: Arc<[u8]>,
    at: usize,
    stride: usize,
}

impl Caller for Appends {
    async fn call(&mut self) -> u64 {
        let stream = self.at % self.streams.streams.len();
        let appending = self.streams.append(stream, &self.payload);
        self.at += self.stride;
        appending.await.expect("the journal works");
        1
    }
}

/// Measures every payload at every number of appends in flight.
///
/// # Errors
/// When the journal or the references cannot be made.
pub(crate) fn measure(assignment: &Assignment) -> Result<Table, Failure> {
    let mut rows = Vec::new();
    for payload in PAYLOADS {
        for level in assignment.effort.levels(&LEVELS) {
            rows.push(measure_level(assignment, payload, level)?);
        }
    }
    Ok(Table {
        name: "journal",
        title: "Appends to the embedded journal",
        notes: NOTES.map(str::to_owned).to_vec(),
        verdicts: rows.iter().flat_map(verdicts).collect(),
        rows,
    })
}

const NOTES: [&str; 4] = [
    "One entry an append, 64 streams; at n in flight there are n callers, who wait until their entry survives a loss of power.",
    "bare writer: the same callers, wake-ups and bytes, one thread, one write and one sync for all that wait.",
    "bare leader: a lone caller that writes and syncs by itself. Latencies are those of the first 16 callers.",
    "Compaction rests: it would go on in the runs of the references. The table compaction has what it costs.",
];

fn measure_level(assignment: &Assignment, payload: usize, level: usize) -> Result<Row, Failure> {
    let scratch = assignment.scratch()?;
    let options = JournalOptions::default().compaction_bytes_per_second(0);
    let journal = FileJournal::open_with(scratch.path().join("journal"), options)?;
    let streams = Streams::new(journal, STREAMS);
    let bytes: Arc<[u8]> = vec![0x5a; payload].into();
    let appends = appends(assignment, streams, bytes, level);
    let load = Load::of_records(level, &[payload as f64]);
    let mut references = vec![bare_writer(assignment, scratch.path(), &load)?];
    if level == 1 {
        references.push(bare_leader(assignment, scratch.path(), &load)?);
    }
    let name = format!("append of {payload} B");
    let measured = row(&assignment.effort, (&name, "entries"), appends, references);
    Ok(measured.in_flight(level))
}

/// So many callers that append to the streams in turn.
pub(crate) fn appends(
    assignment: &Assignment,
    streams: Arc<Streams>,
    payload: Arc<[u8]>,
    in_flight: usize,
) -> Side<'_> {
    Box::new(move |span| {
        let caller = |at| Appends {
            streams: Arc::clone(&streams),
            payload: Arc::clone(&payload),
            at,
            stride: in_flight,
        };
        let callers = (0..in_flight).map(caller).collect();
        let run = assignment.runtime.block_on(run(callers, span));
        assignment.wrote((run.operations * payload.len() as u64) as f64);
        run
    })
}

/// The share of a reference's rate that a row is to reach, by appends in flight.
const RATES: [(usize, &str, f64); 4] = [
    (1, "bare leader", 0.95),
    (16, "bare writer", 1.0),
    (256, "bare writer", 0.8),
    (4096, "bare writer", 0.6),
];

/// How much longer the slowest hundredth may take.
const P99_RATIO_MAX: f64 = 1.3;

/// Microseconds that a lone append may take beyond a sync.
const LONE_US_MAX: f64 = 20.0;

fn verdicts(row: &Row) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let targets = RATES
        .iter()
        .filter(|(level, ..)| row.in_flight == Some(*level));
    for (level, name, rate) in targets {
        let Some(reference) = row.references.iter().find(|one| one.name == *name) else {
            continue;
        };
        let what = format!("{}, {level} in flight: ratio to the {name}", row.name);
        verdicts.push(Verdict::new(
            what,
            Bound::AtLeast(*rate),
            reference.ratio.median,
        ));
        if let Some(ratio) = reference.p99_ratio {
            let what = format!(
                "{}, {level} in flight: p99 over that of the {name}",
                row.name
            );
            verdicts.push(Verdict::new(what, Bound::AtMost(P99_RATIO_MAX), ratio));
        }
        let both = row.measured.latency.zip(reference.measured.latency);
        if let (1, Some((own, sync))) = (*level, both) {
            let what = format!("{}, alone: microseconds beyond a sync", row.name);
            let beyond = own.p50_us - sync.p50_us;
            verdicts.push(Verdict::new(what, Bound::AtMost(LONE_US_MAX), beyond));
        }
    }
    verdicts
}
