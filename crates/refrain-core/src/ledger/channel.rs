//! What the entries of a stream say of one of its channels.
//!
//! A channel keeps the first open deliveries in memory, up to a bound; those behind them are its
//! backlog and wait in the journal. Everything here follows from entries alone, so a replay and a
//! snapshot give the same channel.
//!
//! *Possibly sent*: no entry is written for a first attempt. A writer never sends a delivery whose
//! number lies more than `run_ahead` beyond the highest number that the entries mention, so whatever
//! lies beyond that was certainly never sent, and everything open below it may have been.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::cause::{Cause, OutcomeCause};
use crate::codec::Encoding;
use crate::entry::{Envelope, FormatError, InDoubt, Step, StopReason};
use crate::id::{Key, Name, Position};
use crate::limit::{CHANNEL_LOADED_BYTES_MAX, CHANNEL_LOADED_MAX};
use crate::outcome::Settlement;
use crate::time::Timestamp;

/// The run-ahead of a writer that keeps strict order: nothing but the first open delivery may have
/// been sent.
pub(crate) const STRICT: u32 = 0;

#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) name: Name,
    /// How far beyond `highest` the latest writer may have sent.
    pub(crate) run_ahead: u32,
    /// The number that the next envelope gets.
    pub(crate) next_number: u64,
    /// The highest number with a recorded outcome or redelivery; 0 before the first.
    pub(crate) highest: u64,
    /// Deliveries without a settlement, in memory or not.
    pub(crate) open_count: u64,
    /// Those in memory.
    pub(crate) open: BTreeMap<u64, Open>,
    pub(crate) open_bytes: usize,
    /// Those behind them.
    pub(crate) backlog: Option<Backlog>,
    /// Activations that were used up since the last success.
    pub(crate) restarts: u32,
    pub(crate) status: Status,
    /// The destination that the channel was redirected to, if it was.
    pub(crate) destination: Option<Name>,
}

/// A delivery without a settlement.
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

/// What was recorded of a delivery's attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Progress {
    /// The highest attempt that is recorded; 0 when none is, which is not to say that none was made.
    pub(crate) attempt: u32,
    /// When that attempt failed, if that is recorded.
    pub(crate) failed_at: Option<Timestamp>,
    /// Failure outcomes recorded since the delivery was sent.
    pub(crate) failure_count: u32,
    /// Failures in the channel's present activation.
    pub(crate) tries: u32,
    pub(crate) set_aside: Option<SetAside>,
}

/// Why a delivery is not attempted although its channel delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetAside {
    /// For an operator, with its reason in the journal.
    Parked,
    /// It may have reached the destination before a switch to another one.
    InDoubt,
}

/// Deliveries that wait in the journal alone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Backlog {
    /// The first entry that may hold one.
    pub(crate) from: Option<Position>,
    /// The number of the first one.
    pub(crate) next: u64,
    /// Those that are settled although they were not loaded again since a recovery.
    pub(crate) settled: BTreeSet<u64>,
    /// What is recorded of attempts of others.
    pub(crate) progress: BTreeMap<u64, Progress>,
}

/// What a channel does, as recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Active,
    /// An activation was used up then.
    Restarting(Timestamp),
    /// The last activation was used up then.
    Stopped(StopReason, Timestamp),
}

/// Whether a redelivery is due to a failure outcome, or to a reply that was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counts {
    AsFailure,
    AsReply,
}

/// Whether a settlement found its delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Open,
    Settled,
}

impl Channel {
    pub(crate) fn new(name: Name, run_ahead: u32) -> Channel {
        Channel {
            name,
            run_ahead,
            next_number: 1,
            highest: 0,
            open_count: 0,
            open: BTreeMap::new(),
            open_bytes: 0,
            backlog: None,
            restarts: 0,
            status: Status::Active,
            destination: None,
        }
    }

    /// Every delivery below this number is settled.
    pub(crate) fn settled_below(&self) -> u64 {
        let first_open = self.open.first_key_value().map(|(number, _)| *number);
        let first_waiting = self.backlog.as_ref().map(|backlog| backlog.next);
        first_open.or(first_waiting).unwrap_or(self.next_number)
    }

    /// No delivery beyond this number was ever sent by the latest writer or one before.
    pub(crate) fn possibly_sent_up_to(&self) -> u64 {
        match self.run_ahead {
            STRICT => self.settled_below(),
            run_ahead => self.highest + u64::from(run_ahead),
        }
    }

    fn has_room(&self) -> bool {
        self.open.len() < CHANNEL_LOADED_MAX && self.open_bytes < CHANNEL_LOADED_BYTES_MAX
    }

    pub(crate) fn wants_loading(&self) -> Option<Position> {
        let backlog = self.backlog.as_ref()?;
        let is_low = self.open.len() <= CHANNEL_LOADED_MAX / 2
            && self.open_bytes <= CHANNEL_LOADED_BYTES_MAX / 2;
        backlog.from.filter(|_| is_low)
    }

    /// An envelope was recorded at `position`. Timers all stay in memory: they come due in an order
    /// of their own.
    pub(crate) fn enqueue(
        &mut self,
        position: Position,
        envelope: &Envelope<'_>,
        encoding: Encoding,
    ) {
        let number = envelope.delivery.number;
        assert_eq!(
            number, self.next_number,
            "deliveries of a channel have no gaps"
        );
        self.next_number += 1;
        self.open_count += 1;
        if envelope.due.is_some() || (self.backlog.is_none() && self.has_room()) {
            self.keep(envelope, encoding, Progress::default());
        } else if self.backlog.is_none() {
            let from = Some(position);
            self.backlog = Some(Backlog {
                from,
                next: number,
                ..Backlog::default()
            });
        }
    }

    fn keep(&mut self, envelope: &Envelope<'_>, encoding: Encoding, progress: Progress) {
        self.open_bytes += envelope.payload.len();
        let open = Open {
            key: envelope.key,
            correlation: envelope.correlation,
            causation: envelope.causation,
            order_key: envelope.order_key,
            due: envelope.due,
            encoding,
            payload: Bytes::copy_from_slice(envelope.payload),
            progress,
        };
        self.open.insert(envelope.delivery.number, open);
    }

    /// Takes what it has room for of the backlog's deliveries in the step at `position`, which is
    /// the next one to look at. Returns the numbers that are in memory now.
    pub(crate) fn load(
        &mut self,
        position: Position,
        step: &Step<'_>,
        channel: u16,
    ) -> Result<Vec<u64>, FormatError> {
        let mut loaded = Vec::new();
        for envelope in step.envelopes.iter() {
            let envelope = envelope?;
            let number = envelope.delivery.number;
            let is_full = !self.has_room();
            let Some(backlog) = &mut self.backlog else {
                return Ok(loaded);
            };
            if envelope.delivery.channel != channel || number < backlog.next {
                continue;
            }
            if is_full {
                backlog.from = Some(position);
                return Ok(loaded);
            }
            assert_eq!(number, backlog.next, "the backlog is read in order");
            backlog.next += 1;
            let progress = backlog.progress.remove(&number).unwrap_or_default();
            let is_settled = backlog.settled.remove(&number);
            if !is_settled {
                self.keep(&envelope, step.encoding, progress);
                loaded.push(number);
            }
            self.close_backlog();
        }
        if let Some(backlog) = &mut self.backlog {
            backlog.from = Some(position.next());
        }
        Ok(loaded)
    }

    /// Passes over settled deliveries at the backlog's start, and drops it once it is used up.
    fn close_backlog(&mut self) {
        let Some(backlog) = &mut self.backlog else {
            return;
        };
        while backlog.settled.remove(&backlog.next) {
            backlog.next += 1;
        }
        if backlog.next == self.next_number {
            self.backlog = None;
        }
    }

    pub(crate) fn is_open(&self, number: u64) -> bool {
        self.open.contains_key(&number)
            || self.backlog.as_ref().is_some_and(|backlog| {
                (backlog.next..self.next_number).contains(&number)
                    && !backlog.settled.contains(&number)
            })
    }

    /// The delivery's outcome is complete.
    pub(crate) fn settle(&mut self, number: u64) -> Found {
        if !self.is_open(number) {
            return Found::Settled;
        }
        if let Some(open) = self.open.remove(&number) {
            self.open_bytes -= open.payload.len();
        } else if let Some(backlog) = &mut self.backlog {
            backlog.progress.remove(&number);
            backlog.settled.insert(number);
            self.close_backlog();
        }
        self.open_count -= 1;
        self.mention(number);
        self.restarts = 0;
        Found::Open
    }

    /// An entry mentions the delivery, so it may have been sent.
    fn mention(&mut self, number: u64) {
        if number < self.next_number {
            self.highest = self.highest.max(number);
        }
    }

    /// What is recorded of an open delivery's attempts.
    fn progress(&mut self, number: u64) -> Option<&mut Progress> {
        if !self.is_open(number) {
            return None;
        }
        match self.open.get_mut(&number) {
            Some(open) => Some(&mut open.progress),
            None => Some(self.backlog.as_mut()?.progress.entry(number).or_default()),
        }
    }

    /// An attempt failed, or its reply was not accepted.
    pub(crate) fn fail(&mut self, number: u64, attempt: u32, counts: Counts, time: Timestamp) {
        self.mention(number);
        if let Some(progress) = self.progress(number) {
            progress.attempt = progress.attempt.max(attempt);
            progress.failed_at = Some(time);
            progress.failure_count += u32::from(counts == Counts::AsFailure);
            progress.tries += 1;
        }
    }

    pub(crate) fn redelivering(&mut self, number: u64, attempt: u32) {
        self.mention(number);
        if let Some(progress) = self.progress(number) {
            progress.attempt = attempt;
            progress.failed_at = None;
        }
    }

    pub(crate) fn park(&mut self, number: u64) {
        self.mention(number);
        if let Some(progress) = self.progress(number) {
            progress.set_aside = Some(SetAside::Parked);
        }
    }

    pub(crate) fn release(&mut self, number: u64) {
        if let Some(progress) = self.progress(number) {
            progress.set_aside = None;
            progress.tries = 0;
        }
    }

    pub(crate) fn restarting(&mut self, time: Timestamp) {
        self.restarts += 1;
        self.status = Status::Restarting(time);
        self.forget_tries();
    }

    pub(crate) fn stopped(&mut self, reason: StopReason, time: Timestamp) {
        self.status = Status::Stopped(reason, time);
    }

    pub(crate) fn delivering(&mut self) {
        self.status = Status::Active;
        self.restarts = 0;
        self.forget_tries();
    }

    fn forget_tries(&mut self) {
        let loaded = self.open.values_mut().map(|open| &mut open.progress);
        let waiting = self
            .backlog
            .iter_mut()
            .flat_map(|backlog| backlog.progress.values_mut());
        for progress in loaded.chain(waiting) {
            progress.tries = 0;
        }
    }

    pub(crate) fn redirect(&mut self, destination: Name, in_doubt: InDoubt) {
        let up_to = self.possibly_sent_up_to();
        let waiting = self.backlog.as_ref().map_or(0..0, |backlog| {
            backlog.next..self.next_number.min(up_to.saturating_add(1))
        });
        let loaded: Vec<u64> = self
            .open
            .range(..=up_to)
            .map(|(number, _)| *number)
            .collect();
        for number in loaded.into_iter().chain(waiting) {
            let Some(progress) = self.progress(number) else {
                continue;
            };
            match (in_doubt, progress.set_aside) {
                (InDoubt::Wait, None) => progress.set_aside = Some(SetAside::InDoubt),
                (InDoubt::Move, Some(SetAside::InDoubt)) => progress.set_aside = None,
                (InDoubt::Wait, Some(_)) | (InDoubt::Move, None | Some(SetAside::Parked)) => {}
            }
        }
        self.destination = Some(destination);
    }

    /// What a step says of the delivery that it settles.
    pub(crate) fn settle_by(&mut self, number: u64, settlement: Settlement, step: &Step<'_>) {
        match settlement {
            Settlement::Confirm => _ = self.settle(number),
            Settlement::Redeliver => {
                if let Cause::Outcome { attempt, what, .. } = step.cause {
                    self.fail(number, attempt, Counts::of(what), step.time);
                }
            }
        }
    }
}

impl Counts {
    fn of(what: OutcomeCause) -> Counts {
        match what {
            OutcomeCause::Reply => Counts::AsReply,
            OutcomeCause::Failure(_) | OutcomeCause::NotResponding(_) => Counts::AsFailure,
        }
    }
}
