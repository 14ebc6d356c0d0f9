//! The directory with all files of a drill.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The directory with all files of a drill: journal, snapshots, ledger and logs. A temporary one is
/// removed with this value, unless it is [kept](Place::keep).
#[derive(Debug)]
pub struct Place {
    dir: PathBuf,
    temporary: Option<TempDir>,
}

impl Place {
    /// Makes the directory that was given, which must not be there, or a temporary one.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(given: Option<&Path>) -> io::Result<Place> {
        match given {
            Some(dir) => {
                std::fs::create_dir(dir)?;
                Ok(Place {
                    dir: dir.to_owned(),
                    temporary: None,
                })
            }
            None => {
                let temporary = tempfile::Builder::new().prefix("orders-").tempdir()?;
                Ok(Place {
                    dir: temporary.path().to_owned(),
                    temporary: Some(temporary),
                })
            }
        }
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the processor keeps its data.
    pub fn data(&self) -> PathBuf {
        self.dir.join("orders")
    }

    /// Where the validator keeps its ledger.
    pub fn ledger(&self) -> PathBuf {
        self.dir.join("ledger.jsonl")
    }

    /// Leaves the directory where it is, for people to look at.
    pub fn keep(self) {
        if let Some(temporary) = self.temporary {
            let _ = temporary.keep();
        }
    }
}
