//! The work beside the log: a spare segment always ready, index files for sealed segments, removal
//! of segments that nobody needs. Done by one thread, so that the writer never waits for it unless
//! segments fill faster than the disk makes them.
//!
//! A spare is ready as soon as it is there, and is filled with zeros piece by piece while nobody needs
//! it, a little ahead of the place that the log has reached in its own segment: so the zeros share the
//! disk with the log evenly, and a log that stands still costs nothing. Large frames of the log do not
//! count, for they gain nothing. If the log is faster than the zeros, it takes the spare as it is and
//! waits for one piece at most.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use crate::format::segment_header::{SEGMENT_HEADER_BYTES, SegmentHeader};
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
    /// Where the log is in its segment, at least.
    log_offset: u32,
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

/// How far the zeros of the spare are ahead of the log in its segment.
const FILL_AHEAD_BYTES: u32 = 4 * 1024 * 1024;

/// The largest frames that zeros are written for. A sync of larger ones gains less from zeros than it
/// loses by sharing the disk with them.
const FILL_FRAME_BYTES: u32 = 128 * 1024;

/// After how many bytes the log says how far it is.
const LOG_STEP_BYTES: u32 = 1024 * 1024;

/// One thing to do.
#[derive(Debug)]
enum Task {
    MakeSpare(u64),
    /// Fill the spare from here on.
    Fill(Segment, u32),
    WriteIndex(Arc<SealedSegment>),
    Remove(u64, u64),
    LookForRetirable,
    End,
}

impl State {
    /// What there is to do, the most urgent first.
    fn next_task(&mut self) -> Option<Task> {
        if self.is_ending {
            return Some(Task::End);
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
        if std::mem::take(&mut self.look_for_retirable) {
            return Some(Task::LookForRetirable);
        }
        self.next_piece()
    }

    fn next_piece(&mut self) -> Option<Task> {
        let Spare::Ready(segment, filling @ Filling::To(_)) = &mut self.spare else {
            return None;
        };
        let Filling::To(offset) = *filling else {
            return None;
        };
        let wanted = self.log_offset.saturating_add(FILL_AHEAD_BYTES);
        if offset >= wanted.min(segment.header.segment_bytes) {
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
    ) -> Keeper {
        Keeper {
            state: Mutex::new(State {
                // How far one that was found is filled nobody knows.
                spare: spare.map_or(Spare::Wanted(next), |spare| {
                    Spare::Ready(spare, Filling::To(SEGMENT_HEADER_BYTES))
                }),
                log_offset: SEGMENT_HEADER_BYTES,
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
                Spare::Ready(segment, Filling::To(_)) => {
                    let segment = segment.clone();
                    state.spare = Spare::Wanted(segment.header.number + 1);
                    state.log_offset = SEGMENT_HEADER_BYTES;
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

    /// Says that a frame of the log lies from offset `from` of its segment to `to`.
    pub(crate) fn log_went_on(&self, from: u32, to: u32) {
        let is_worth_zeros = to - from <= FILL_FRAME_BYTES;
        if is_worth_zeros && from / LOG_STEP_BYTES != to / LOG_STEP_BYTES {
            self.lock().log_offset = to;
            self.work.notify_one();
        }
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
                Task::Fill(segment, offset) => {
                    self.fill(&segment, offset);
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
            Ok((segment, filled)) => {
                let spare = Spare::Ready(segment, Filling::To(filled));
                self.keeper.set_spare(spare);
                self.queue.resume();
            }
            Err(error) if is_full(&error) => {
                self.queue.set_full();
                self.keeper.set_spare(Spare::Full(number));
            }
            Err(error) => {
                self.spare_failed(format!("segment {number} could not be made: {error}"));
            }
        }
    }

    fn fill(&self, segment: &Segment, offset: u32) {
        let number = segment.header.number;
        match segment.fill(offset) {
            Ok(end) => self.keeper.filled(end),
            // Its space is allocated: the log may do what the zeros may not.
            Err(error) if is_full(&error) => self.keeper.filled(segment.header.segment_bytes),
            Err(error) => {
                self.spare_failed(format!("segment {number} could not be filled: {error}"));
            }
        }
    }

    fn spare_failed(&self, reason: String) {
        self.queue.stop(None, &reason);
        self.keeper.set_spare(Spare::Failed(reason));
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
        if let Spare::Wanted(_) | Spare::Ready(_, Filling::Busy) = state.spare {
            state.spare = Spare::Failed("the keeper's thread has ended".into());
        }
        drop(state);
        self.0.spare.notify_all();
    }
}
