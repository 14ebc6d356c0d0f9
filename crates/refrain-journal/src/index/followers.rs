//! Who waits for entries of a stream.

use std::collections::HashMap;
use std::task::Waker;

use refrain_core::Name;

/// The wakers of those who wait. By name, because a stream may be waited for before it exists.
#[derive(Debug, Default)]
pub(super) struct Followers(HashMap<Name, Vec<Waker>>);

impl Followers {
    /// Wakes `waker` when `stream` gets an entry.
    pub(super) fn add(&mut self, stream: &Name, waker: &Waker) {
        let waiting = self.0.entry(stream.clone()).or_default();
        if !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }

    /// Who waits for entries of `stream`; they no longer do.
    pub(super) fn take(&mut self, stream: &Name) -> Vec<Waker> {
        self.0.remove(stream).unwrap_or_default()
    }

    /// Who waits for anything; they no longer do.
    pub(super) fn take_all(&mut self) -> Vec<Waker> {
        let all = std::mem::take(&mut self.0);
        all.into_values().flatten().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
