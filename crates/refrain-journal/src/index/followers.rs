//! Who waits for entries of a stream.

use std::collections::HashMap;
use std::task::Waker;

use refrain_core::Name;

/// A cursor that may wait, among all of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Follower(pub(crate) u64);

/// The wakers of those who wait, each at most once. By name, because a stream may be waited for before
/// it exists.
#[derive(Debug, Default)]
pub(super) struct Followers(HashMap<Name, Vec<(Follower, Waker)>>);

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
        match waiting.iter_mut().find(|(other, _)| *other == follower) {
            Some((_, before)) if before.will_wake(waker) => None,
            Some((_, before)) => Some(std::mem::replace(before, waker.clone())),
            None => {
                waiting.push((follower, waker.clone()));
                None
            }
        }
    }

    /// `follower` does not wait any more. Gives the waker that it left, as [`Followers::add`] does.
    #[must_use]
    pub(super) fn remove(&mut self, stream: &Name, follower: Follower) -> Option<Waker> {
        let waiting = self.0.get_mut(stream)?;
        let place = waiting.iter().position(|(other, _)| *other == follower)?;
        let (_, waker) = waiting.swap_remove(place);
        if waiting.is_empty() {
            self.0.remove(stream);
        }
        Some(waker)
    }

    /// Who waits for entries of `stream`; they no longer do.
    pub(super) fn take(&mut self, stream: &Name) -> Vec<Waker> {
        let waiting = self.0.remove(stream).unwrap_or_default();
        waiting.into_iter().map(|(_, waker)| waker).collect()
    }

    /// Who waits for anything; they no longer do.
    pub(super) fn take_all(&mut self) -> Vec<Waker> {
        let all = std::mem::take(&mut self.0).into_values().flatten();
        all.map(|(_, waker)| waker).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
