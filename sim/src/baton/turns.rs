//! Whose turn it is: the threads of a run, what each waits for, and who is next by the seed.

use std::sync::{Arc, Condvar};
use std::thread::ThreadId;

use refrain_journal::simulation::{Place, Woken};

use super::{DRIVER, Pace};
use crate::chance::Chance;
use crate::sometimes::{Sometimes, note};

/// Who runs, who waits, and what decides who gets the baton next.
#[derive(Debug)]
pub(super) struct State {
    pub(super) chance: Chance,
    pub(super) pace: Pace,
    pub(super) runners: Vec<Runner>,
    pub(super) holder: usize,
    pub(super) steps: u64,
    pub(super) stuck: bool,
    pub(super) panics: Vec<String>,
}

/// A thread of the run.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) name: String,
    pub(super) status: Status,
    pub(super) thread: Option<ThreadId>,
    pub(super) woken: Woken,
    pub(super) turn: Arc<Condvar>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Ready,
    Waits { place: Place, patience: Patience },
    Joins(usize),
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    Endless,
    Ends,
}

impl State {
    /// Who is next; `None` when nobody can go on.
    pub(super) fn choose(&mut self) -> Option<usize> {
        let pace = self.pace.timeout_one_in;
        let is_ready = |runner: &Runner| runner.status == Status::Ready;
        let has_patient = self.runners.iter().any(Runner::is_patient);
        if has_patient && self.chance.one_in(pace) {
            return self.time_out();
        }
        match self.any(is_ready) {
            Some(next) => Some(next),
            None if has_patient => self.time_out(),
            None => None,
        }
    }

    fn time_out(&mut self) -> Option<usize> {
        let next = self.any(Runner::is_patient)?;
        self.runners[next].status = Status::Ready;
        self.runners[next].woken = Woken::TimedOut;
        if self.runners[next].name == "refrain-write" {
            note(Sometimes::WriterIdle);
        }
        Some(next)
    }

    pub(super) fn any(&mut self, is_wanted: impl Fn(&Runner) -> bool) -> Option<usize> {
        let count = self
            .runners
            .iter()
            .filter(|runner| is_wanted(runner))
            .count();
        if count == 0 {
            return None;
        }
        let chosen = self.chance.index(count);
        let wanted = self
            .runners
            .iter()
            .enumerate()
            .filter(|(_, runner)| is_wanted(runner));
        wanted.map(|(number, _)| number).nth(chosen)
    }

    /// Nobody can go on, or nothing ends: the driver finds out.
    pub(super) fn give_up(&mut self) {
        self.stuck = true;
        self.runners[DRIVER].status = Status::Ready;
        self.give(DRIVER);
    }

    pub(super) fn give(&mut self, next: usize) {
        if self.holder != next {
            self.holder = next;
            self.runners[next].turn.notify_one();
        }
    }
}

impl Runner {
    pub(super) fn new(name: &str) -> Runner {
        Runner {
            name: name.to_owned(),
            status: Status::Ready,
            thread: None,
            woken: Woken::Rung,
            turn: Arc::default(),
        }
    }

    /// Whether it goes on some day although nobody wakes it.
    fn is_patient(&self) -> bool {
        matches!(
            self.status,
            Status::Waits {
                patience: Patience::Ends,
                ..
            }
        )
    }
}
