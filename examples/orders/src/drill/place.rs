//! The directory with all files of a drill.

use std::io;
use std::path::{Path, PathBuf};

/// The directory with all files of a drill: journal, snapshots, ledger and logs.
#[derive(Debug)]
pub struct Place {
    dir: PathBuf,
    /// Whether the drill made the directory for itself.
    temporary: bool,
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
                    temporary: false,
                })
            }
            None => Ok(Place {
                dir: tempfile::Builder::new().prefix("orders-").tempdir()?.keep(),
                temporary: true,
            }),
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

    /// Removes the directory if it is a temporary one. Not done on drop: when something went wrong,
    /// people want to look at the files.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(self) -> io::Result<()> {
        if self.temporary {
            std::fs::remove_dir_all(&self.dir)?;
        }
        Ok(())
    }
}
