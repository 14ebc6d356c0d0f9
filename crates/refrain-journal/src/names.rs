//! The numbers that stand for streams' names in the log.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use refrain_core::Name;

use crate::index::{Contradiction, Index};

/// Streams that one journal may have: numbers index tables, so damaged or hostile bytes must not
/// make those large.
pub(crate) const STREAMS_MAX: u32 = 1 << 24;

/// Which number stands for which name. A name is here from the submission of its first append, so
/// whether the stream has durable entries only the index knows.
#[derive(Debug, Default)]
pub(crate) struct Names(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    streams: HashMap<Name, u32>,
    /// How often a name was taken away: its number may stand for another one since.
    removals: u64,
}

/// A number, and until when it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Looked {
    pub(crate) stream: u32,
    pub(crate) removals: u64,
}

impl Names {
    /// The names that a log declared.
    pub(crate) fn of(index: &Index) -> Result<Names, Contradiction> {
        let names = Names::default();
        names.learn(index.names())?;
        Ok(names)
    }

    pub(crate) fn find(&self, name: &Name) -> Option<u32> {
        self.look(name).map(|looked| looked.stream)
    }

    /// As [`Names::find`], with the number of removals until then: as long as there are no more, the
    /// answer holds.
    pub(crate) fn look(&self, name: &Name) -> Option<Looked> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let stream = *known.streams.get(name)?;
        Some(Looked {
            stream,
            removals: known.removals,
        })
    }

    pub(crate) fn add(&self, name: Name, stream: u32) {
        let learnt = self.learn([(name, stream)].into_iter());
        assert_eq!(learnt, Ok(()), "names keep their numbers");
    }

    /// Adds names that a log declared, of which each stands for one number.
    pub(crate) fn learn(
        &self,
        declared: impl Iterator<Item = (Name, u32)>,
    ) -> Result<(), Contradiction> {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (name, stream) in declared {
            let before = known.streams.insert(name, stream);
            if before.is_some_and(|before| before != stream) {
                return Err(Contradiction::new(stream, "another stream has its name"));
            }
        }
        Ok(())
    }

    pub(crate) fn remove(&self, name: &Name) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.streams.remove(name);
        known.removals += 1;
    }
}
