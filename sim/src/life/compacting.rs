//! Compaction that a program asks for, and what it may fail with.

use refrain_core::port::BoxFuture;
use refrain_journal::CompactError;

use super::Life;
use crate::model::Violation;
use crate::sometimes::{Sometimes, note};
use crate::wait::{look, wait};

const COMPACTS: &str = "compaction gives up with a reason only";
const WAITS: &str = "nobody is left waiting";

/// A compaction that was asked for and is not waited for.
pub(super) struct Compacting(BoxFuture<'static, Result<(), CompactError>>);

impl Compacting {
    /// The journal is closed: whoever waits has an answer.
    pub(super) fn end(mut self) -> Result<(), Violation> {
        match look(&mut self.0) {
            Some(_) => Ok(()),
            None => Err(Violation::new(WAITS, "compaction")),
        }
    }
}

impl Life<'_, '_> {
    /// Asks for everything to be compacted.
    pub(super) fn compact(&mut self) -> Result<(), Violation> {
        let mut asked = self.journal.compact();
        if self.run.chance.one_in(2) {
            self.compacting = Some(Compacting(asked));
            return Ok(());
        }
        let done = wait(self.run.baton, &mut asked);
        self.look_at_flights()?;
        if done.is_ok() && self.journal.compaction().files_written > 0 {
            note(Sometimes::Compacted);
        }
        done.or_else(|error| self.not_compacted(&error.to_string()))
    }

    /// Compaction did not give up of itself, neither when it was asked for nor in the background.
    pub(super) fn check_compaction(&mut self) -> Result<(), Violation> {
        if self.compacting.is_some() && self.run.disk.ended().is_some() {
            note(Sometimes::CutWhileCompacting);
        }
        match self.journal.compaction().failures {
            0 => Ok(()),
            failures => self.not_compacted(&format!("{failures} times")),
        }
    }

    fn not_compacted(&self, detail: &str) -> Result<(), Violation> {
        if self.is_excused() || self.was_filled {
            return Ok(());
        }
        Err(Violation::new(COMPACTS, detail))
    }
}
