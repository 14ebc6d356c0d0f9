//! What a check saw instead of what was promised, and the few ways to look.

use std::fmt::{self, Debug};

use refrain_core::port::journal::{AppendError, ReadError};
use refrain_core::port::snapshots::SnapshotError;

/// One observation that contradicts a promise, in words.
#[derive(Debug)]
pub(crate) struct Failure(String);

/// What looking at a backend gives.
pub(crate) type Verdict<T = ()> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(seen: impl Into<String>) -> Failure {
        Failure(seen.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<AppendError> for Failure {
    fn from(error: AppendError) -> Failure {
        Failure(format!("this should have been done: {error}"))
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Failure {
        Failure(format!("this should have been readable: {error}"))
    }
}

impl From<SnapshotError> for Failure {
    fn from(error: SnapshotError) -> Failure {
        Failure(format!("this should have worked: {error}"))
    }
}

/// Fails with what `seen` says unless the promise `holds`.
pub(crate) fn demand(holds: bool, seen: impl FnOnce() -> String) -> Verdict {
    match holds {
        true => Ok(()),
        false => Err(Failure(seen())),
    }
}

/// Fails unless `what` is as wanted.
pub(crate) fn demand_eq<T: PartialEq + Debug>(what: &str, seen: T, wanted: T) -> Verdict {
    demand(seen == wanted, || {
        format!("{what} is {seen:?} and should be {wanted:?}")
    })
}

/// Fails unless `what` are the wanted entries; says where they differ without printing them whole.
pub(crate) fn demand_entries(what: &str, seen: &[Vec<u8>], wanted: &[Vec<u8>]) -> Verdict {
    demand(seen.len() == wanted.len(), || {
        format!(
            "{what} are {} entries and should be {}",
            seen.len(),
            wanted.len()
        )
    })?;
    match seen.iter().zip(wanted).position(|(s, w)| s != w) {
        None => Ok(()),
        Some(index) => Err(Failure(format!(
            "{what}: entry {} of {} is {} and should be {}",
            index + 1,
            wanted.len(),
            excerpt(&seen[index]),
            excerpt(&wanted[index]),
        ))),
    }
}

/// The start of `bytes` and how many there are.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(24)];
    format!("\"{}\" ({} bytes)", start.escape_ascii(), bytes.len())
}
