//! The numbers that stand for streams' names in the log.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use refrain_core::Name;

/// Streams that one journal may have: numbers index tables, so damaged or hostile bytes must not
/// make those large.
pub(crate) const STREAMS_MAX: u32 = 1 << 24;

/// Which number stands for which name. A name is here from the submission of its first append, so
/// whether the stream has durable entries only the index knows.
#[derive(Debug, Default)]
pub(crate) struct Names(RwLock<HashMap<Name, u32>>);

impl Names {
    pub(crate) fn find(&self, name: &Name) -> Option<u32> {
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner);
        names.get(name).copied()
    }

    pub(crate) fn add(&self, name: Name, stream: u32) {
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = names.insert(name, stream);
        assert!(
            before.is_none_or(|before| before == stream),
            "names keep their numbers"
        );
    }

    pub(crate) fn remove(&self, name: &Name) {
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        names.remove(name);
    }
}
