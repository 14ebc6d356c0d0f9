//! A delivery without a settlement, and what was recorded of its attempts.

use bytes::Bytes;

use crate::cause::OutcomeCause;
use crate::codec::Encoding;
use crate::entry::Envelope;
use crate::id::Key;
use crate::time::Timestamp;

#[derive(Debug, Clone)]
pub(crate) struct Open {
    pub(crate) key: Key,
    pub(crate) correlation: Key,
    pub(crate) causation: Key,
    pub(crate) order_key: Option<u64>,
    pub(crate) due: Option<Timestamp>,
    pub(crate) encoding: Encoding,
    pub(crate) payload: Bytes,
    pub(crate) progress: Progress,
}

impl Open {
    pub(super) fn new(envelope: &Envelope<'_>, encoding: Encoding, progress: Progress) -> Open {
        Open {
            key: envelope.key,
            correlation: envelope.correlation,
            causation: envelope.causation,
            order_key: envelope.order_key,
            due: envelope.due,
            encoding,
            payload: Bytes::copy_from_slice(envelope.payload),
            progress,
        }
    }

    pub(crate) fn is_parked(&self) -> bool {
        self.progress.set_aside == Some(SetAside::Parked)
    }
}

/// What was recorded of a delivery's attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Progress {
    /// The highest attempt that is recorded; 0 when none is, which is not to say that none was made.
    pub(crate) attempt: u32,
    /// When that attempt failed, if that is recorded.
    pub(crate) failed_at: Option<Timestamp>,
    /// Failure outcomes recorded since the delivery was sent.
    pub(crate) failure_count: u32,
    /// Replies recorded that were not accepted.
    pub(crate) reply_count: u32,
    /// Failures in the channel's present activation, replies that were not accepted included.
    pub(crate) tries: u32,
    pub(crate) set_aside: Option<SetAside>,
}

impl Progress {
    /// An attempt failed, or its reply was not accepted.
    pub(super) fn fail(&mut self, attempt: u32, failure: Failure, time: Timestamp) {
        self.attempt = self.attempt.max(attempt);
        self.failed_at = Some(time);
        self.tries += 1;
        match failure {
            Failure::Said | Failure::Silence => self.failure_count += 1,
            Failure::Reply => self.reply_count += 1,
        }
    }

    pub(super) fn redelivering(&mut self, attempt: u32) {
        self.attempt = attempt;
        self.failed_at = None;
    }

    /// The outcome of an attempt could not be handled. What is in doubt stays in doubt: it belongs
    /// to another destination.
    pub(super) fn park(&mut self, attempt: u32) {
        self.attempt = self.attempt.max(attempt);
        self.set_aside.get_or_insert(SetAside::Parked);
    }

    pub(super) fn release(&mut self) {
        if self.set_aside == Some(SetAside::Parked) {
            self.set_aside = None;
            self.tries = 0;
        }
    }
}

/// Why a delivery is not attempted although its channel delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetAside {
    /// For an operator, with its reason in the journal. It keeps its place in the order.
    Parked,
    /// It may have reached the destination before a switch to another one.
    InDoubt,
}

/// Why a delivery is to be attempted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The destination said that it failed.
    Said,
    /// Nothing was heard of it.
    Silence,
    /// The processor did not accept its reply.
    Reply,
}

impl Failure {
    pub(super) fn of(what: OutcomeCause) -> Failure {
        match what {
            OutcomeCause::Reply(_) => Failure::Reply,
            OutcomeCause::Failure(_) => Failure::Said,
            OutcomeCause::NotResponding(_) => Failure::Silence,
        }
    }
}
