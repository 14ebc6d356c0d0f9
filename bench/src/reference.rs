//! The references of everything durable, as sides of a comparison.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::bare::{BareFile, BareWriter};
use crate::callers::{self, Caller, Run};
use crate::clock::Stopwatch;
use crate::effort::Assignment;
use crate::stats::Latencies;
use crate::turns::Side;

/// What the callers of a reference do.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    /// Callers that wait at the same time.
    pub(crate) callers: usize,
    /// What one call writes, one record after the other, each synced before the next.
    pub(crate) records: Vec<Vec<u8>>,
    /// For how many operations one call stands.
    pub(crate) operations: u64,
}

impl Load {
    /// One record of `bytes` for each call.
    pub(crate) fn of_records(callers: usize, bytes: &[f64]) -> Load {
        let record = |bytes: &f64| vec![0x5a; bytes.round() as usize];
        Load {
            callers,
            records: bytes.iter().map(record).collect(),
            operations: 1,
        }
    }

    fn bytes(&self) -> usize {
        self.records.iter().map(Vec::len).sum()
    }
}

/// The **bare writer**: `load` goes through one thread that writes and syncs all that waits at once.
///
/// # Errors
/// When its file or its thread cannot be made.
pub(crate) fn bare_writer<'a>(
    assignment: &'a Assignment,
    dir: &Path,
    load: &Load,
) -> io::Result<(&'static str, Side<'a>)> {
    let writer = Arc::new(BareWriter::start(&dir.join("bare-writer"))?);
    let bytes_per_operation = load.bytes() as f64 / load.operations as f64;
    let caller = Writes {
        writer,
        records: load.records.clone().into(),
        operations: load.operations,
    };
    let count = load.callers;
    let side = move |span| {
        let callers = vec![caller.clone(); count];
        let run = assignment.runtime.block_on(callers::run(callers, span));
        assignment.wrote(run.operations as f64 * bytes_per_operation);
        run
    };
    Ok(("bare writer", Box::new(side)))
}

/// The **bare leader**: a lone caller that writes and syncs by itself.
///
/// # Errors
/// When its file cannot be made.
pub(crate) fn bare_leader<'a>(
    assignment: &'a Assignment,
    dir: &Path,
    load: &Load,
) -> io::Result<(&'static str, Side<'a>)> {
    let mut file = BareFile::create(&dir.join("bare-leader"))?;
    let load = load.clone();
    let side = move |span| {
        let run = lead(&mut file, &load, span);
        assignment.wrote((run.operations * load.bytes() as u64) as f64);
        run
    };
    Ok(("bare leader", Box::new(side)))
}

fn lead(file: &mut BareFile, load: &Load, span: Duration) -> Run {
    let (mut operations, mut latencies) = (0, Latencies::new());
    let whole = Stopwatch::start();
    while whole.elapsed() < span {
        let stopwatch = Stopwatch::start();
        for record in &load.records {
            file.append(record).expect("the disk works");
        }
        latencies.record(stopwatch.elapsed());
        operations += load.operations;
    }
    Run {
        operations,
        per_second: operations as f64 / whole.elapsed().as_secs_f64(),
        latencies: Some(latencies),
        processor_ns: None,
    }
}

/// A caller of a bare writer.
#[derive(Debug, Clone)]
struct Writes {
    writer: Arc<BareWriter>,
    records: Arc<[Vec<u8>]>,
    operations: u64,
}

impl Caller for Writes {
    async fn call(&mut self) -> u64 {
        for record in &*self.records {
            let written = self.writer.append(record).await;
            written.expect("the disk works");
        }
        self.operations
    }
}
