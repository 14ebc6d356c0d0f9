//! How much may wait, and in which pieces.

use refrain_core::port::journal::{Batch, RejectReason};

use crate::format::record::DECLARATION_BYTES_MAX;
use crate::options::Settings;
use crate::pending::{Gathered, entry_bytes};
use crate::planted;

#[derive(Debug)]
pub(super) struct Limits {
    pub(super) appends_max: usize,
    bytes_max: usize,
    append_bytes_max: usize,
    pub(super) entry_bytes_max: usize,
}

impl Limits {
    pub(super) fn new(settings: &Settings) -> Limits {
        Limits {
            appends_max: settings.queue_appends_max,
            bytes_max: settings.queue_bytes_max,
            append_bytes_max: settings.append_bytes_max(),
            entry_bytes_max: settings.entry_bytes_max(),
        }
    }

    /// Whether `batch` may be one append.
    pub(super) fn check_size(&self, batch: &Batch) -> Result<(), RejectReason> {
        if batch.is_empty() {
            return Err(RejectReason::Empty);
        }
        let too_large = |bytes, bytes_max| RejectReason::TooLarge { bytes, bytes_max };
        if let Some(entry) = batch
            .entries()
            .find(|entry| entry.len() > self.entry_bytes_max)
        {
            return Err(too_large(entry.len(), self.entry_bytes_max));
        }
        let bytes = entry_bytes(batch) + DECLARATION_BYTES_MAX;
        if bytes > self.append_bytes_max {
            return Err(too_large(bytes, self.append_bytes_max));
        }
        Ok(())
    }

    /// Whether so many `bytes` more may wait with what is `gathered`.
    pub(super) fn check_room(&self, gathered: &Gathered, bytes: usize) -> Result<(), RejectReason> {
        let is_first = gathered.is_empty();
        let fits = gathered.pendings().len() < self.appends_max
            && gathered.record_bytes() + bytes <= self.bytes_max;
        if is_first || fits || planted::is("queue-unbounded") {
            return Ok(());
        }
        Err(RejectReason::Overloaded)
    }
}
