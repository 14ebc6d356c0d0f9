//! What the queue's lock protects.

use std::sync::Arc;

use refrain_core::NameTable;
use refrain_core::port::journal::RejectReason;

use crate::names::Names;
use crate::pending::{Gathered, Pending, Work};

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) status: Status,
    /// The position that the next append to each stream must name.
    pub(super) next: Vec<u64>,
    pub(super) gathered: Gathered,
    /// As in [`Names`].
    pub(super) table: NameTable,
    /// The segment below which nothing is needed any more, until the writer took notice.
    pub(super) retire: Option<u64>,
    pub(super) writer: WriterState,
}

/// Whether appends are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Status {
    Open,
    Full,
    Stopped(String),
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriterState {
    Busy,
    /// Does not wait yet, but looks whether it is called.
    LooksOut,
    Waits,
}

impl Waiting {
    /// Nothing waits, for streams with these names and next positions.
    pub(super) fn new(names: Arc<Names>, next: Vec<u64>) -> Waiting {
        Waiting {
            status: Status::Open,
            next,
            table: names.table(),
            gathered: Gathered::new(names),
            retire: None,
            writer: WriterState::Busy,
        }
    }

    /// Whether anything is taken at all.
    pub(super) fn check_open(&self) -> Result<(), RejectReason> {
        match &self.status {
            Status::Open => Ok(()),
            Status::Full => Err(RejectReason::Full),
            Status::Stopped(reason) => Err(RejectReason::Stopped(reason.clone())),
            Status::Closed => Err(RejectReason::Closed),
        }
    }

    /// Takes out all that waits. Nobody is told.
    pub(super) fn empty(&mut self, names: &Arc<Names>) -> Gathered {
        std::mem::replace(&mut self.gathered, Gathered::new(Arc::clone(names)))
    }

    /// Undoes what a submission changed, the latest first.
    pub(super) fn take_back(&mut self, names: &Names, pending: &Pending) {
        let stream = pending.stream as usize;
        let entries = match &pending.work {
            Work::Append(entries) | Work::Found(entries, _) => u64::from(*entries),
            Work::Forget(_) => return,
        };
        let before = self.next[stream] - entries;
        assert_eq!(before, pending.at.get(), "appends are taken back in order");
        self.next[stream] = before;
        if let Work::Found(_, name) = &pending.work {
            assert_eq!(
                stream + 1,
                self.next.len(),
                "streams are taken back in order"
            );
            self.next.pop();
            self.table = names.remove(name);
        }
    }
}
