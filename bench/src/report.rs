//! What was measured, as plain data: the JSON is this, and so is the printed table.

use serde::Serialize;

use crate::effort::Effort;
use crate::machine::Machine;
use crate::stats::{Percentiles, Spread};
use crate::verdict::Verdict;

/// Everything that one call of the benchmarks measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) effort: Effort,
    pub(crate) seconds: f64,
    /// Bytes that were given to the disk, without what file systems and journals add.
    pub(crate) bytes_written: u64,
    pub(crate) tables: Vec<Table>,
}

/// The rows of one workload.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    /// As in `--only`.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// What is counted, and what the reference is.
    pub(crate) notes: Vec<String>,
    pub(crate) rows: Vec<Row>,
    /// Targets of these rows; none where there is no target.
    pub(crate) verdicts: Vec<Verdict>,
}

/// One thing that was measured, beside what it is compared with.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// Operations that wait at the same time; `None` where nothing waits.
    pub(crate) in_flight: Option<usize>,
    /// What is counted per second.
    pub(crate) unit: &'static str,
    pub(crate) measured: Measured,
    pub(crate) references: Vec<Reference>,
    pub(crate) bytes: Option<Bytes>,
}

/// Operations per second, and how long one took.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) per_second: Spread,
    /// Each run, in the order they were made.
    pub(crate) runs: Vec<f64>,
    /// What one operation took of a processor, where one thread did it all.
    pub(crate) processor_ns: Option<Spread>,
    /// Of all runs together; `None` where single operations are too short to be timed.
    pub(crate) latency: Option<Percentiles>,
}

/// What a row is compared with, measured between its runs.
#[derive(Debug, Serialize)]
pub(crate) struct Reference {
    pub(crate) name: &'static str,
    pub(crate) measured: Measured,
    /// The row's rate over this one's, run by run.
    pub(crate) ratio: Spread,
    /// The row's 99th percentile over this one's.
    pub(crate) p99_ratio: Option<f64>,
}

/// What one message costs in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Bytes {
    /// The encoded message.
    pub(crate) message: f64,
    /// All entries that it led to.
    pub(crate) stored: f64,
    /// Stored over message.
    pub(crate) amplification: f64,
}

impl Bytes {
    pub(crate) fn new(message: f64, stored: f64) -> Bytes {
        Bytes {
            message,
            stored,
            amplification: stored / message,
        }
    }
}

impl Row {
    /// A row without anything to compare it with.
    pub(crate) fn new(name: impl Into<String>, unit: &'static str, measured: Measured) -> Row {
        Row {
            name: name.into(),
            in_flight: None,
            unit,
            measured,
            references: Vec::new(),
            bytes: None,
        }
    }

    pub(crate) fn in_flight(mut self, count: usize) -> Row {
        self.in_flight = Some(count);
        self
    }

    pub(crate) fn bytes(mut self, bytes: impl Into<Option<Bytes>>) -> Row {
        self.bytes = bytes.into();
        self
    }

    /// Compares the row with `measured`, whose runs took turns with the row's.
    pub(crate) fn against(mut self, name: &'static str, measured: Measured) -> Row {
        let pairs = self.measured.runs.iter().zip(&measured.runs);
        let ratios: Vec<f64> = pairs.map(|(run, reference)| run / reference).collect();
        let both = self.measured.latency.zip(measured.latency);
        self.references.push(Reference {
            name,
            measured,
            ratio: Spread::of(&ratios),
            p99_ratio: both.map(|(row, reference)| row.p99_us / reference.p99_us),
        });
        self
    }
}
