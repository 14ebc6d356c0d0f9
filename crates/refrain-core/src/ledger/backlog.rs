//! Deliveries that wait in the journal alone, behind those in memory.

use std::collections::{BTreeMap, VecDeque};

use super::numbers::Numbers;
use super::open::{Progress, SetAside};
use crate::id::Position;

/// How many deliveries lie between two places that a backlog remembers.
const MARK_EVERY: u64 = 1024;

/// The deliveries from `next` on, up to the channel's last one, besides those that are settled.
#[derive(Debug, Clone)]
pub(crate) struct Backlog {
    /// The first entry that may hold one.
    pub(crate) from: Position,
    /// The number of the first one. It is not settled.
    pub(crate) next: u64,
    /// Those that were settled although they are not in memory: a writer before had loaded them.
    pub(crate) settled: Numbers,
    /// What is recorded of attempts of others.
    pub(crate) progress: BTreeMap<u64, Progress>,
    /// Some of the deliveries and where they were recorded, so that loading never begins far
    /// before `next`.
    pub(crate) marks: VecDeque<(u64, Position)>,
}

impl Backlog {
    pub(super) fn new(number: u64, position: Position) -> Backlog {
        Backlog {
            from: position,
            next: number,
            settled: Numbers::default(),
            progress: BTreeMap::new(),
            marks: VecDeque::from([(number, position)]),
        }
    }

    /// A further delivery was recorded.
    pub(super) fn extend(&mut self, number: u64, position: Position) {
        let marked = self.marks.back().map_or(self.next, |(number, _)| *number);
        if number >= marked + MARK_EVERY {
            self.marks.push_back((number, position));
        }
    }

    /// The delivery at `next` is in memory or settled: what is the next one now?
    pub(super) fn advance(&mut self) {
        self.next += 1;
        if let Some(last) = self.settled.take_range_from(self.next) {
            self.next = last + 1;
        }
        while let Some((number, position)) = self.marks.front().copied()
            && number <= self.next
        {
            self.from = self.from.max(position);
            self.marks.pop_front();
        }
    }

    pub(super) fn settle(&mut self, number: u64) {
        self.progress.remove(&number);
        if number == self.next {
            self.advance();
        } else {
            self.settled.insert(number);
        }
    }

    pub(super) fn is_in_doubt(&self, number: u64) -> bool {
        self.progress
            .get(&number)
            .is_some_and(|progress| progress.set_aside == Some(SetAside::InDoubt))
    }
}
