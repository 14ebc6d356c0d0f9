//! What compaction's thread shares with those who give it work, and what it says of itself.

use std::io;
use std::sync::PoisonError;
use std::time::Duration;

use super::failure::CompactionFailure;
use crate::error::CompactError;
use crate::readers::{Answer, Promise, answer};
use crate::sync::{Condvar, Mutex, MutexGuard};

/// How far compaction has come. See [`FileJournal::compaction`](crate::FileJournal::compaction).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CompactionProgress {
    /// Sealed log segments that wait.
    pub log_segments: u64,
    /// Stream segments.
    pub stream_segments: u64,
    /// Files that were written since the journal was opened.
    pub files_written: u64,
    /// Bytes that were written since the journal was opened, also to the file under way.
    pub bytes_written: u64,
    /// Times that it gave up since the journal was opened.
    pub failures: u64,
}

/// What compaction's thread shares with those who give it work.
#[derive(Debug)]
pub(crate) struct Compactor {
    state: Mutex<State>,
    bell: Condvar,
}

type Asked = Promise<Result<(), CompactError>>;

#[derive(Debug, Default)]
struct State {
    /// Something was sealed or forgotten.
    has_news: bool,
    has_forgotten: bool,
    asked: Vec<Asked>,
    /// The oldest log segment that the mark keeps.
    first_segment: u64,
    is_ending: bool,
    progress: CompactionProgress,
}

/// What to do.
pub(super) enum Work {
    Pass {
        asked: Vec<Asked>,
        has_forgotten: bool,
    },
    End,
}

impl Compactor {
    /// `first_segment` is the oldest log segment that the mark keeps.
    pub(crate) fn new(first_segment: u64) -> Compactor {
        Compactor {
            state: Mutex::new(State {
                has_news: true,
                has_forgotten: true,
                first_segment,
                ..State::default()
            }),
            bell: Condvar::new(),
        }
    }

    /// A log segment was sealed.
    pub(crate) fn sealed(&self) {
        self.lock().has_news = true;
        self.bell.notify_all();
    }

    /// Something was forgotten.
    pub(crate) fn forgotten(&self) {
        let mut state = self.lock();
        (state.has_news, state.has_forgotten) = (true, true);
        drop(state);
        self.bell.notify_all();
    }

    /// The mark has let go of the log segments below `segment`.
    pub(crate) fn adopted(&self, segment: u64) {
        self.lock().first_segment = segment;
        self.bell.notify_all();
    }

    /// Asks for all that can be done, now.
    pub(crate) fn ask(&self) -> Answer<Result<(), CompactError>> {
        let (promise, answer) = answer();
        let mut state = self.lock();
        if !state.is_ending {
            state.asked.push(promise);
        }
        drop(state);
        self.bell.notify_all();
        answer
    }

    /// Ends the thread as soon as it can.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.is_ending = true;
        let asked = std::mem::take(&mut state.asked);
        drop(state);
        drop(asked);
        self.bell.notify_all();
    }

    pub(crate) fn progress(&self) -> CompactionProgress {
        self.lock().progress
    }

    pub(super) fn next(&self) -> Work {
        let mut state = self.lock();
        loop {
            if state.is_ending {
                return Work::End;
            }
            if state.has_news || !state.asked.is_empty() {
                state.has_news = false;
                return Work::Pass {
                    asked: std::mem::take(&mut state.asked),
                    has_forgotten: std::mem::take(&mut state.has_forgotten),
                };
            }
            state = self
                .bell
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until the mark has let go of the log segments below `segment`.
    pub(super) fn until_adopted(&self, segment: u64) -> Result<(), CompactionFailure> {
        let mut state = self.lock();
        while state.first_segment < segment {
            if state.is_ending {
                return Err(CompactionFailure::Ending);
            }
            state = self
                .bell
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    /// Waits for `span`, or for the end.
    pub(super) fn pause(&self, span: Duration) -> io::Result<()> {
        let mut state = self.lock();
        loop {
            if state.is_ending {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if span.is_zero() {
                return Ok(());
            }
            let waited = self.bell.wait_timeout(state, span);
            let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = guard;
            if timeout.timed_out() {
                return Ok(());
            }
        }
    }

    pub(super) fn note(&self, change: impl FnOnce(&mut CompactionProgress)) {
        change(&mut self.lock().progress);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
