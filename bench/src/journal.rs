//! Appends per second at the journal itself: no processor, no engine.
//!
//! Callers append one entry at a time to one of 64 streams and wait until it is durable.

use std::sync::{Arc, Mutex, PoisonError};

use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{AppendError, Batch, Journal};
use refrain_core::{Name, Position};
use refrain_journal::FileJournal;

use crate::callers::{Caller, run};
use crate::effort::{Assignment, Failure};
use crate::reference::{Load, bare_leader, bare_writer};
use crate::report::{Row, Table};
use crate::turns::{Side, row};

const STREAMS: usize = 64;

/// Bytes of an entry.
const PAYLOADS: [usize; 3] = [128, 256, 1024];

/// Appends in flight.
const LEVELS: [usize; 4] = [1, 16, 256, 4096];

/// Where appends go: several callers share a stream, so each takes its position as it submits.
#[derive(Debug)]
struct Streams {
    journal: FileJournal,
    streams: Vec<(Name, Mutex<Position>)>,
}

impl Streams {
    fn new(journal: FileJournal) -> Arc<Streams> {
        let stream = |number| {
            let name = Name::new(&format!("stream-{number}"));
            let name = name.expect("letters and digits make a name");
            (name, Mutex::new(Position::FIRST))
        };
        Arc::new(Streams {
            journal,
            streams: (0..STREAMS).map(stream).collect(),
        })
    }

    fn append(
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
        let appending = self.streams.append(self.at % STREAMS, &self.payload);
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
        rows,
    })
}

const NOTES: [&str; 3] = [
    "One entry an append, 64 streams; at n in flight there are n callers, who wait until their entry survives a loss of power.",
    "bare writer: the same callers, wake-ups and bytes, one thread, one write and one sync for all that wait.",
    "bare leader: a lone caller that writes and syncs by itself. Latencies are those of the first 16 callers.",
];

fn measure_level(assignment: &Assignment, payload: usize, level: usize) -> Result<Row, Failure> {
    let scratch = assignment.scratch()?;
    let streams = Streams::new(FileJournal::open(scratch.path().join("journal"))?);
    let bytes: Arc<[u8]> = vec![0x5a; payload].into();
    let appends: Side<'_> = Box::new(|span| {
        let caller = |at| Appends {
            streams: Arc::clone(&streams),
            payload: Arc::clone(&bytes),
            at,
            stride: level,
        };
        let callers = (0..level).map(caller).collect();
        let run = assignment.runtime.block_on(run(callers, span));
        assignment.wrote((run.operations * payload as u64) as f64);
        run
    });
    let load = Load::of_records(level, &[payload as f64]);
    let mut references = vec![bare_writer(assignment, scratch.path(), &load)?];
    if level == 1 {
        references.push(bare_leader(assignment, scratch.path(), &load)?);
    }
    let name = format!("append of {payload} B");
    let measured = row(&assignment.effort, (&name, "entries"), appends, references);
    Ok(measured.in_flight(level))
}
