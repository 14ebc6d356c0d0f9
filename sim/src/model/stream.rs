//! One stream of the model: what it must hold, and what it may.

use std::sync::Arc;

use refrain_core::Name;

use super::{INVENTED, KEPT, Violation, WHOLE};

/// One stream.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Its name.
    pub name: Name,
    /// Every entry that was submitted and may be there, the first at position 1.
    pub(super) entries: Vec<Arc<[u8]>>,
    /// The positions at which batches end, among those that are not certain.
    pub(super) ends: Vec<u64>,
    /// Entries up to this position were acknowledged or shown.
    pub(super) certain: u64,
    /// Entries below this position were forgotten, and it was acknowledged or shown.
    pub(super) first: u64,
    /// The furthest that was ever asked to be forgotten.
    pub(super) first_wanted: u64,
}

impl Stream {
    /// The position that the next append names.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.entries.len() as u64 + 1
    }

    /// The last position that is certain; 0 when there is none.
    #[must_use]
    pub fn certain(&self) -> u64 {
        self.certain
    }

    /// The first position that may be read.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The furthest that was asked to be forgotten.
    #[must_use]
    pub fn first_wanted(&self) -> u64 {
        self.first_wanted
    }

    pub(super) fn saw_any_head(&mut self, last: u64) -> Result<(), Violation> {
        if last > self.entries.len() as u64 {
            let detail = format!("{} ends at {last}", self.name);
            return Err(Violation::new(INVENTED, detail));
        }
        self.certain = last;
        Ok(())
    }

    pub(super) fn saw_head(&mut self, last: u64) -> Result<(), Violation> {
        if last < self.certain {
            let detail = format!("{} ends at {last} instead of {}", self.name, self.certain);
            return Err(Violation::new(KEPT, detail));
        }
        if last > self.entries.len() as u64 {
            let detail = format!(
                "{} ends at {last}, {} were submitted",
                self.name,
                self.entries.len()
            );
            return Err(Violation::new(INVENTED, detail));
        }
        if last > self.certain && !self.ends.contains(&last) {
            let detail = format!("{} ends at {last}, inside a batch", self.name);
            return Err(Violation::new(WHOLE, detail));
        }
        self.certain = last;
        Ok(())
    }
}
