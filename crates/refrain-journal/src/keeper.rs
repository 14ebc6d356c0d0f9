//! The work beside the log: a spare segment always ready, index files for sealed segments, removal
//! of segments that nobody needs. Done by one thread, so that the writer never waits for it unless
//! segments fill faster than the disk makes them.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use crate::format::segment_header::SegmentHeader;
use crate::queue::Queue;
use crate::read_side::ReadSide;
use crate::recovery::read_table;
use crate::sealed::SealedSegment;
use crate::segment::{Segment, index_name};
use crate::storage::{Disk, is_full, replace_file};
use crate::sync::{Condvar, Mutex, MutexGuard};

/// What the writer and the keeper's thread share.
#[derive(Debug)]
pub(crate) struct Keeper {
    state: Mutex<State>,
    /// Rung when there is something to do.
    work: Condvar,
    /// Rung when the spare's state changed.
    spare: Condvar,
}

#[derive(Debug)]
struct State {
    spare: Spare,
    sealed: VecDeque<Arc<SealedSegment>>,
    /// Segments from the first of these numbers to before the second are to be removed.
    remove: VecDeque<(u64, u64)>,
    look_for_retirable: bool,
    is_ending: bool,
}

/// The segment after the one that is written.
#[derive(Debug)]
enum Spare {
    /// To be made next.
    Wanted(u64),
    Ready(Segment),
    /// There was no room for it; to be tried again when somebody asks.
    Full(u64),
    Failed(String),
}

/// Why there is no next segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoSpare {
    Full,
    Failed(String),
}

/// One thing to do.
#[derive(Debug)]
enum Task {
    MakeSpare(u64),
    WriteIndex(Arc<SealedSegment>),
    Remove(u64, u64),
    LookForRetirable,
    End,
}

impl Keeper {
    /// `next` is the number of the segment after the one that is written, `spare` that segment if
    /// it is there, and `unindexed` are segments whose index file is missing.
    pub(crate) fn new(
        next: u64,
        spare: Option<Segment>,
        unindexed: Vec<Arc<SealedSegment>>,
    ) -> Keeper {
        Keeper {
            state: Mutex::new(State {
                spare: spare.map_or(Spare::Wanted(next), Spare::Ready),
                sealed: unindexed.into(),
                remove: VecDeque::new(),
                look_for_retirable: true,
                is_ending: false,
            }),
            work: Condvar::new(),
            spare: Condvar::new(),
        }
    }

    /// The segment that is ready; waits while it is being made. Orders the one after it.
    pub(crate) fn take_spare(&self) -> Result<Segment, NoSpare> {
        let mut state = self.lock();
        loop {
            match &state.spare {
                Spare::Ready(segment) => {
                    let segment = segment.clone();
                    state.spare = Spare::Wanted(segment.header.number + 1);
                    self.work.notify_one();
                    return Ok(segment);
                }
                Spare::Wanted(_) => {
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
            Spare::Ready(_) => return true,
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
        state.look_for_retirable = true;
        self.work.notify_one();
    }

    /// Orders a look whether whole segments are forgotten.
    pub(crate) fn forgotten(&self) {
        self.lock().look_for_retirable = true;
        self.work.notify_one();
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

    fn next_task(&self) -> Task {
        let mut state = self.lock();
        loop {
            if state.is_ending {
                return Task::End;
            }
            if let Spare::Wanted(number) = state.spare {
                return Task::MakeSpare(number);
            }
            if let Some(segment) = state.sealed.pop_front() {
                return Task::WriteIndex(segment);
            }
            if let Some((from, to)) = state.remove.pop_front() {
                return Task::Remove(from, to);
            }
            if std::mem::take(&mut state.look_for_retirable) {
                return Task::LookForRetirable;
            }
            state = self
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn set_spare(&self, spare: Spare) {
        self.lock().spare = spare;
        self.spare.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the keeper's thread works on.
#[derive(Debug)]
pub(crate) struct Housekeeping {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) read_side: Arc<ReadSide>,
    pub(crate) identity: u64,
    pub(crate) epoch: u64,
    pub(crate) segment_bytes: u32,
}

impl Housekeeping {
    /// Works until [`Keeper::end`].
    pub(crate) fn run(&self) {
        // A writer that waits for a spare must not wait for a thread that is gone.
        let _guard = Gone(&self.keeper);
        loop {
            let done = match self.keeper.next_task() {
                Task::MakeSpare(number) => {
                    self.make_spare(number);
                    Ok(())
                }
                Task::WriteIndex(segment) => self.write_index(&segment),
                Task::Remove(from, to) => self.remove(from, to),
                Task::LookForRetirable => {
                    self.look_for_retirable();
                    Ok(())
                }
                Task::End => return,
            };
            if let Err(error) = done {
                // Neither is needed for anything but speed and space, and opening repeats both.
                tracing::warn!(%error, dir = %self.dir.display(), "journal: housekeeping failed");
            }
        }
    }

    fn make_spare(&self, number: u64) {
        let header = SegmentHeader {
            identity: self.identity,
            number,
            epoch: self.epoch,
            segment_bytes: self.segment_bytes,
        };
        match Segment::create(self.disk.as_ref(), &self.dir, header) {
            Ok(segment) => {
                self.keeper.set_spare(Spare::Ready(segment));
                self.queue.resume();
            }
            Err(error) if is_full(&error) => {
                self.queue.set_full();
                self.keeper.set_spare(Spare::Full(number));
            }
            Err(error) => {
                let reason = format!("segment {number} could not be made: {error}");
                self.queue.stop(None, &reason);
                self.keeper.set_spare(Spare::Failed(reason));
            }
        }
    }

    fn write_index(&self, segment: &SealedSegment) -> io::Result<()> {
        let number = segment.header.number;
        let Some(bytes) = segment.draft() else {
            return Ok(());
        };
        let name = index_name(number);
        let temporary = format!("{name}.new");
        replace_file(self.disk.as_ref(), &self.dir, &temporary, &name, &bytes)?;
        if let Some(table) = read_table(self.disk.as_ref(), &self.dir, &segment.header) {
            self.read_side.index().use_index_file(number, table);
        }
        Ok(())
    }

    fn look_for_retirable(&self) {
        let (oldest, retirable) = {
            let index = self.read_side.index();
            (index.oldest_segment(), index.retirable())
        };
        if oldest < retirable {
            self.queue.retire(retirable);
        }
    }

    fn remove(&self, from: u64, to: u64) -> io::Result<()> {
        for number in from..to {
            Segment::remove(self.disk.as_ref(), &self.dir, number).map_err(io::Error::other)?;
        }
        self.disk.sync_dir(&self.dir)
    }
}

/// Tells a waiting writer that no spare will come.
struct Gone<'a>(&'a Keeper);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if let Spare::Wanted(_) = state.spare {
            state.spare = Spare::Failed("the keeper's thread has ended".into());
        }
        drop(state);
        self.0.spare.notify_all();
    }
}
