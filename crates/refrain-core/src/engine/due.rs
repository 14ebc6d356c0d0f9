//! Numbers by the time at which something is due for them.

use std::collections::{BTreeMap, BTreeSet};

use crate::time::Timestamp;

/// Each number at most once; found by time and by number.
#[derive(Debug, Default)]
pub(super) struct Due {
    by_time: BTreeSet<(Timestamp, u64)>,
    by_number: BTreeMap<u64, Timestamp>,
}

impl Due {
    /// `number` is due at `time`, and at no other any more.
    pub(super) fn set(&mut self, number: u64, time: Timestamp) {
        self.remove(number);
        self.by_number.insert(number, time);
        self.by_time.insert((time, number));
    }

    pub(super) fn remove(&mut self, number: u64) {
        if let Some(time) = self.by_number.remove(&number) {
            self.by_time.remove(&(time, number));
        }
    }

    /// What is due first, and when.
    pub(super) fn first(&self) -> Option<(Timestamp, u64)> {
        self.by_time.first().copied()
    }

    /// When `number` is due, if it is.
    pub(super) fn time_of(&self, number: u64) -> Option<Timestamp> {
        self.by_number.get(&number).copied()
    }

    /// Whatever is due later is due at `time`.
    pub(super) fn hasten(&mut self, time: Timestamp) {
        let later = self.by_time.split_off(&(time, 0));
        for (_, number) in later {
            self.by_number.insert(number, time);
            self.by_time.insert((time, number));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_time.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.by_time.clear();
        self.by_number.clear();
    }
}
