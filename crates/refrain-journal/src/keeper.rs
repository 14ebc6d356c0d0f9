//! The work beside the log: a spare segment always ready, index files for sealed segments, the
//! directory, removal of log segments that were rewritten. Done by one thread, so that the writer
//! never waits for it unless segments fill faster than the disk makes them.
//!
//! A spare is ready as soon as it is there, and is filled with zeros piece by piece while nobody needs
//! it, a piece for every so many bytes of log: so the zeros share the disk with the log evenly, and a
//! log that stands still costs nothing. If the log is faster than the zeros, it takes the spare as it
//! is and waits for one piece at most.

mod housekeeping;

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use crate::compaction::Compactor;
use crate::format::mark::End;
use crate::format::segment_header::SEGMENT_HEADER_BYTES;
use crate::sealed::SealedSegment;
use crate::segment::Segment;
use crate::sync::{Condvar, Mutex, MutexGuard};
pub(crate) use housekeeping::Housekeeping;

/// What the writer and the keeper's thread share.
#[derive(Debug)]
pub(crate) struct Keeper {
    state: Mutex<State>,
    /// Rung when there is something to do.
    work: Condvar,
    /// Rung when the spare's state changed.
    spare: Condvar,
    pub(crate) compactor: Arc<Compactor>,
}

#[derive(Debug)]
struct State {
    spare: Spare,
    /// Up to where the spare is to be filled. Grows with the log.
    fill_to: u32,
    sealed: VecDeque<Arc<SealedSegment>>,
    /// Segments from the first of these numbers to before the second are to be removed.
    remove: VecDeque<(u64, u64)>,
    wants_directory: bool,
    /// The end of the log, after which nothing comes.
    closed: Option<End>,
    is_ending: bool,
}

/// The segment after the one that is written.
#[derive(Debug)]
enum Spare {
    /// To be made next.
    Wanted(u64),
    Ready(Segment, Filling),
    /// There was no room for it; to be tried again when somebody asks.
    Full(u64),
    Failed(String),
}

/// How far a spare is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filling {
    /// Up to this offset.
    To(u32),
    /// A piece is being written: nobody else may write to the segment.
    Busy,
}

/// Why there is no next segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoSpare {
    Full,
    Failed(String),
}

/// Up to where a spare is filled before the log has gone on.
const FILL_AHEAD_BYTES: u32 = 1024 * 1024;

/// One thing to do.
#[derive(Debug)]
enum Task {
    MakeSpare(u64),
    /// Fill the spare from here on.
    Fill(Segment, u32),
    WriteIndex(Arc<SealedSegment>),
    Remove(u64, u64),
    WriteDirectory,
    Close(End),
    End,
}

impl State {
    /// What there is to do, the most urgent first.
    fn next_task(&mut self) -> Option<Task> {
        if self.is_ending {
            return Some(self.last_task());
        }
        if let Spare::Wanted(number) = self.spare {
            return Some(Task::MakeSpare(number));
        }
        if let Some(segment) = self.sealed.pop_front() {
            return Some(Task::WriteIndex(segment));
        }
        if let Some((from, to)) = self.remove.pop_front() {
            return Some(Task::Remove(from, to));
        }
        if std::mem::take(&mut self.wants_directory) {
            return Some(Task::WriteDirectory);
        }
        self.next_piece()
    }

    /// What is done before the end: what a quick opening needs, if the log ended well. The next
    /// opening makes what is missing, which takes longer.
    fn last_task(&mut self) -> Task {
        let Some(end) = self.closed else {
            return Task::End;
        };
        if let Some(segment) = self.sealed.pop_front() {
            return Task::WriteIndex(segment);
        }
        self.closed = None;
        Task::Close(end)
    }

    fn next_piece(&mut self) -> Option<Task> {
        let Spare::Ready(segment, filling @ Filling::To(_)) = &mut self.spare else {
            return None;
        };
        let Filling::To(offset) = *filling else {
            return None;
        };
        if offset >= self.fill_to.min(segment.header.segment_bytes) {
            return None;
        }
        *filling = Filling::Busy;
        Some(Task::Fill(segment.clone(), offset))
    }
}

impl Keeper {
    /// `next` is the number of the segment after the one that is written, `spare` that segment if
    /// it is there, and `unindexed` are segments whose index file is missing.
    pub(crate) fn new(
        next: u64,
        spare: Option<Segment>,
        unindexed: Vec<Arc<SealedSegment>>,
        compactor: Arc<Compactor>,
    ) -> Keeper {
        Keeper {
            state: Mutex::new(State {
                // How far one that was found is filled nobody knows.
                spare: spare.map_or(Spare::Wanted(next), |spare| {
                    Spare::Ready(spare, Filling::To(SEGMENT_HEADER_BYTES))
                }),
                fill_to: FILL_AHEAD_BYTES,
                sealed: unindexed.into(),
                remove: VecDeque::new(),
                wants_directory: false,
                closed: None,
                is_ending: false,
            }),
            work: Condvar::new(),
            spare: Condvar::new(),
            compactor,
        }
    }

    /// The segment that is ready; waits while it is being made. Orders the one after it.
    pub(crate) fn take_spare(&self) -> Result<Segment, NoSpare> {
        let mut state = self.lock();
        loop {
            match &state.spare {
                Spare::Ready(segment, Filling::To(_)) => {
                    let segment = segment.clone();
                    state.spare = Spare::Wanted(segment.header.number + 1);
                    state.fill_to = FILL_AHEAD_BYTES;
                    self.work.notify_one();
                    return Ok(segment);
                }
                Spare::Wanted(_) | Spare::Ready(_, Filling::Busy) => {
                    state = self
                        .spare
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                Spare::Full(_) => return Err(NoSpare::Full),
                Spare::Failed(reason) => return Err(NoSpare::Failed(reason.clone())),
            }
        }
    }

    /// Somebody wants to append although there was no room: says whether there is again, and
    /// orders a new try if not.
    pub(crate) fn has_spare(&self) -> bool {
        let mut state = self.lock();
        match state.spare {
            Spare::Ready(..) => return true,
            Spare::Full(number) => {
                state.spare = Spare::Wanted(number);
                self.work.notify_one();
            }
            Spare::Wanted(_) | Spare::Failed(_) => {}
        }
        false
    }

    /// Orders the index file of a segment.
    pub(crate) fn sealed(&self, segment: Arc<SealedSegment>) {
        let mut state = self.lock();
        state.sealed.push_back(segment);
        self.work.notify_one();
    }

    /// Orders the directory.
    pub(crate) fn want_directory(&self) {
        self.lock().wants_directory = true;
        self.work.notify_one();
    }

    /// The log ended at `end`, and the mark says so for good.
    pub(crate) fn closed(&self, end: End) {
        self.lock().closed = Some(end);
    }

    /// Orders the removal of the segments from `from` to before `to`; nobody looks for them.
    pub(crate) fn remove(&self, from: u64, to: u64) {
        self.lock().remove.push_back((from, to));
        self.work.notify_one();
    }

    /// Ends the keeper's thread after what it is doing.
    pub(crate) fn end(&self) {
        self.lock().is_ending = true;
        self.work.notify_one();
    }

    /// Orders so many bytes of zeros more in the spare.
    pub(crate) fn fill_more(&self, bytes: u32) {
        let mut state = self.lock();
        state.fill_to = state.fill_to.saturating_add(bytes);
        self.work.notify_one();
    }

    fn next_task(&self) -> Task {
        let mut state = self.lock();
        loop {
            if let Some(task) = state.next_task() {
                return task;
            }
            state = self
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The spare is filled to `offset`: it may be taken again.
    fn filled(&self, offset: u32) {
        let mut state = self.lock();
        let Spare::Ready(_, filling @ Filling::Busy) = &mut state.spare else {
            unreachable!("nobody takes a spare while it is being filled")
        };
        *filling = Filling::To(offset);
        drop(state);
        self.spare.notify_all();
    }

    fn set_spare(&self, spare: Spare) {
        self.lock().spare = spare;
        self.spare.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
