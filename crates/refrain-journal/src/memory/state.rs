//! What a memory journal holds: the durable streams, and the appends that wait to become durable.

use std::collections::{BTreeMap, VecDeque};

use refrain_core::limit::{BATCH_BYTES_MAX, ENTRY_BYTES_MAX};
use refrain_core::port::journal::{AppendError, Batch, ReadError, RejectReason};
use refrain_core::{Name, Position};
use tokio::sync::oneshot;

use super::stream::Stream;

/// Appends that may wait at once; one more is rejected as overloaded.
const HELD_MAX: usize = 65_536;

/// How the next append fails, instead of becoming durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendFault {
    /// Rejected for this reason: it did not happen.
    Rejected(RejectReason),
    /// The caller is told that the outcome is unknown. It did not happen and never will.
    UnknownLost,
    /// The caller is told that the outcome is unknown. It did happen.
    UnknownKept,
    /// The caller is told that the outcome is unknown. It has not happened, but
    /// [`arrive_late`](super::MemoryJournal::arrive_late) makes it happen if its position is then
    /// still free.
    UnknownLate,
}

/// One call of `append`.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) stream: Name,
    pub(super) at: Position,
    pub(super) batch: Batch,
}

/// What the caller of an append gets.
pub(super) type Acknowledged = Result<Position, AppendError>;

/// An append whose caller waits for `done`.
#[derive(Debug)]
struct Held {
    append: Append,
    done: oneshot::Sender<Acknowledged>,
}

/// When a submitted append becomes durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    AtOnce,
    WhenReleased,
}

/// Everything behind the lock. The expected position is compared when an append becomes durable and
/// not when it is submitted, so that an append fails by itself when the one before it did.
#[derive(Debug)]
pub(super) struct State {
    streams: BTreeMap<Name, Stream>,
    entry_bytes_max: usize,
    flow: Flow,
    held: VecDeque<Held>,
    faults: VecDeque<AppendFault>,
    late: Vec<Append>,
    crashed: bool,
}

impl State {
    pub(super) fn new(flow: Flow, entry_bytes_max: usize) -> State {
        State {
            streams: BTreeMap::new(),
            entry_bytes_max,
            flow,
            held: VecDeque::new(),
            faults: VecDeque::new(),
            late: Vec::new(),
            crashed: false,
        }
    }

    /// Takes an append, to be settled now or when it is released; `done` hears how it ended.
    pub(super) fn submit(&mut self, append: Append, done: oneshot::Sender<Acknowledged>) {
        if self.crashed {
            reply(done, Err(append.rejected(stopped())));
        } else if self.held.len() == HELD_MAX {
            reply(done, Err(append.rejected(RejectReason::Overloaded)));
        } else {
            self.held.push_back(Held { append, done });
            if self.flow == Flow::AtOnce {
                self.release(1);
            }
        }
    }

    /// Settles up to `count` held appends, oldest first, and says how many there were.
    pub(super) fn release(&mut self, count: usize) -> usize {
        let count = count.min(self.held.len());
        for Held { append, done } in self.held.drain(..count).collect::<Vec<_>>() {
            // Told under the lock: completions of concurrent releases must not overtake each other.
            reply(done, self.settle(append));
        }
        count
    }

    /// Changes when appends become durable; those already held are not touched.
    pub(super) fn set_flow(&mut self, flow: Flow) {
        self.flow = flow;
    }

    /// The next append to be settled meets `fault`, after the faults that already wait.
    pub(super) fn add_fault(&mut self, fault: AppendFault) {
        self.faults.push_back(fault);
    }

    /// Lets the appends that failed with [`AppendFault::UnknownLate`] happen where they still can,
    /// and says how many did.
    pub(super) fn arrive_late(&mut self) -> usize {
        let late = std::mem::take(&mut self.late);
        late.iter()
            .filter(|append| self.commit(append).is_ok())
            .count()
    }

    /// Ends this journal and gives one that holds only what was durable.
    pub(super) fn crash(&mut self) -> State {
        self.crashed = true;
        for Held { append, done } in self.held.drain(..) {
            reply(done, Err(append.unknown()));
        }
        State {
            streams: self.streams.clone(),
            ..State::new(self.flow, self.entry_bytes_max)
        }
    }

    /// Drops the entries of `name` below `below`.
    pub(super) fn forget(&mut self, name: &Name, below: Position) -> Result<(), AppendError> {
        if self.crashed {
            return Err(AppendError::Rejected {
                stream: name.clone(),
                at: below,
                reason: stopped(),
            });
        }
        if let Some(stream) = self.streams.get_mut(name) {
            stream.forget(below);
        }
        Ok(())
    }

    /// The durable entries of `name`, or `None` when the stream does not exist.
    pub(super) fn stream(&self, name: &Name) -> Result<Option<&Stream>, ReadError> {
        self.readable()?;
        Ok(self.streams.get(name))
    }

    /// The streams whose names come after `after` and start with `prefix`, in order.
    pub(super) fn names<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a Name>,
    ) -> Result<impl Iterator<Item = &'a Name>, ReadError> {
        self.readable()?;
        Ok(self
            .streams
            .keys()
            .filter(move |name| after.is_none_or(|after| *name > after))
            .filter(move |name| name.as_str().starts_with(prefix)))
    }

    /// The largest entry that is taken, in bytes.
    pub(super) fn entry_bytes_max(&self) -> usize {
        self.entry_bytes_max
    }

    /// The number of appends that wait.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// The number of streams.
    pub(super) fn stream_count(&self) -> usize {
        self.streams.len()
    }

    fn settle(&mut self, append: Append) -> Acknowledged {
        match self.faults.pop_front() {
            None => self.commit(&append),
            Some(AppendFault::Rejected(reason)) => Err(append.rejected(reason)),
            Some(AppendFault::UnknownLost) => Err(append.unknown()),
            Some(AppendFault::UnknownKept) => {
                self.commit(&append)?;
                Err(append.unknown())
            }
            Some(AppendFault::UnknownLate) => {
                let told = append.unknown();
                self.late.push(append);
                Err(told)
            }
        }
    }

    /// Makes `append` durable, whole and at its expected position, or says why not.
    fn commit(&mut self, append: &Append) -> Acknowledged {
        if let Some(reason) = self.refusal(&append.batch) {
            return Err(append.rejected(reason));
        }
        let next = self
            .streams
            .get(&append.stream)
            .map_or(Position::FIRST, Stream::next);
        if append.at != next {
            return Err(AppendError::Fenced {
                stream: append.stream.clone(),
                at: append.at,
                next,
            });
        }
        let stream = self.streams.entry(append.stream.clone()).or_default();
        Ok(stream.append(&append.batch))
    }

    fn refusal(&self, batch: &Batch) -> Option<RejectReason> {
        // The last entry of a batch may cross the batch's own bound.
        let batch_bytes_max = BATCH_BYTES_MAX + ENTRY_BYTES_MAX;
        if batch.is_empty() {
            return Some(RejectReason::Empty);
        }
        let largest = batch.entries().map(<[u8]>::len).max().unwrap_or(0);
        if largest > self.entry_bytes_max {
            return Some(RejectReason::TooLarge {
                bytes: largest,
                bytes_max: self.entry_bytes_max,
            });
        }
        (batch.byte_len() > batch_bytes_max).then(|| RejectReason::TooLarge {
            bytes: batch.byte_len(),
            bytes_max: batch_bytes_max,
        })
    }

    fn readable(&self) -> Result<(), ReadError> {
        match self.crashed {
            true => Err(ReadError::Unavailable("the journal crashed".to_owned())),
            false => Ok(()),
        }
    }
}

impl Append {
    fn rejected(&self, reason: RejectReason) -> AppendError {
        AppendError::Rejected {
            stream: self.stream.clone(),
            at: self.at,
            reason,
        }
    }

    pub(super) fn unknown(&self) -> AppendError {
        AppendError::Unknown {
            stream: self.stream.clone(),
            at: self.at,
            reason: "no acknowledgement came".to_owned(),
        }
    }
}

fn stopped() -> RejectReason {
    RejectReason::Stopped("the journal crashed".to_owned())
}

fn reply(done: oneshot::Sender<Acknowledged>, acknowledged: Acknowledged) {
    // Whoever dropped the future does not want to hear of it; the append counts all the same.
    drop(done.send(acknowledged));
}
