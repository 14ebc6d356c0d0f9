//! How much is measured: checked settings, and the progress that is shown meanwhile.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

/// Why nothing could be measured.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// How long and how often each row is measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Effort {
    /// Runs of each row; those of rows that are compared take turns.
    pub(crate) runs: usize,
    /// The length of one run, in milliseconds.
    pub(crate) run_ms: u64,
    /// Messages of the history that is replayed, and a quarter of the entries of filled journals.
    pub(crate) history: u64,
    /// The numbers of operations in flight that are measured; all when there is none.
    pub(crate) in_flight: Vec<usize>,
}

impl Effort {
    /// For figures to write down.
    pub(crate) const FULL: Effort = Effort {
        runs: 5,
        run_ms: 1000,
        history: 1_000_000,
        in_flight: Vec::new(),
    };

    /// For a look, and to see that everything still works.
    pub(crate) const QUICK: Effort = Effort {
        runs: 3,
        run_ms: 100,
        history: 50_000,
        in_flight: Vec::new(),
    };

    /// The length of one run.
    pub(crate) fn run(&self) -> Duration {
        Duration::from_millis(self.run_ms)
    }

    /// The numbers of operations in flight among `levels` that are measured.
    pub(crate) fn levels(&self, levels: &[usize]) -> Vec<usize> {
        let wanted = |level: &usize| self.in_flight.is_empty() || self.in_flight.contains(level);
        levels.iter().copied().filter(wanted).collect()
    }
}

/// What every workload is given.
#[derive(Debug)]
pub(crate) struct Assignment {
    pub(crate) effort: Effort,
    /// An empty directory on the disk that is measured.
    pub(crate) dir: PathBuf,
    pub(crate) runtime: tokio::runtime::Runtime,
    /// Bytes that were given to the disk.
    pub(crate) written: Cell<u64>,
}

impl Assignment {
    /// Notes that `bytes` were given to the disk.
    pub(crate) fn wrote(&self, bytes: f64) {
        self.written.set(self.written.get() + bytes as u64);
    }

    /// A new directory below the assignment's, removed when the value is dropped.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn scratch(&self) -> std::io::Result<Scratch> {
        let dir = tempfile::Builder::new()
            .prefix("row-")
            .tempdir_in(&self.dir)?;
        Ok(Scratch(dir))
    }
}

/// A directory for one row.
#[derive(Debug)]
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}
