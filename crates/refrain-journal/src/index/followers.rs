//! Who waits for entries of a stream.

use std::collections::{BTreeMap, HashMap};
use std::task::Waker;

use refrain_core::Name;

/// A cursor that may wait, among all of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Follower(pub(crate) u64);

/// The wakers of those who wait, each at most once. By name, because a stream may be waited for before
/// it exists.
#[derive(Debug, Default)]
pub(super) struct Followers(HashMap<Name, BTreeMap<Follower, Waker>>);

impl Followers {
    /// Wakes `waker` when `stream` gets an entry. Gives the waker that `follower` left before: it may
    /// be the last to hold something, so it is not dropped under a lock.
    #[must_use]
    pub(super) fn add(
        &mut self,
        stream: &Name,
        follower: Follower,
        waker: &Waker,
    ) -> Option<Waker> {
        let waiting = self.0.entry(stream.clone()).or_default();
        if waiting
            .get(&follower)
            .is_some_and(|left| left.will_wake(waker))
        {
            return None;
        }
        waiting.insert(follower, waker.clone())
    }

    /// `follower` does not wait any more. Gives the waker that it left, as [`Followers::add`] does.
    #[must_use]
    pub(super) fn remove(&mut self, stream: &Name, follower: Follower) -> Option<Waker> {
        let waiting = self.0.get_mut(stream)?;
        let waker = waiting.remove(&follower);
        if waiting.is_empty() {
            self.0.remove(stream);
        }
        waker
    }

    /// Who waits for entries of `stream`; they no longer do.
    pub(super) fn take(&mut self, stream: &Name) -> Vec<Waker> {
        let waiting = self.0.remove(stream).unwrap_or_default();
        waiting.into_values().collect()
    }

    /// Who waits for anything; they no longer do.
    pub(super) fn take_all(&mut self) -> Vec<Waker> {
        let all = std::mem::take(&mut self.0).into_values();
        all.flat_map(BTreeMap::into_values).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
