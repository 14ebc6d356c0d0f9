//! What the entries of a stream say of one of its channels.
//!
//! A channel keeps the first open deliveries in memory, up to a bound; those behind them are its
//! backlog and wait in the journal. Everything here follows from entries alone, so that a replay and
//! a snapshot give a channel that owes the same; only how much of it is in memory may differ.
//!
//! *Possibly sent*: no entry is written for a first attempt. A writer never sends a delivery whose
//! number lies more than `run_ahead` beyond the highest number that durable entries mention, so
//! whatever lies beyond that was certainly never sent, and everything open below it may have been.

use std::collections::BTreeMap;

use super::backlog::Backlog;
use super::open::{Failure, Open, Progress, SetAside};
use crate::cause::Cause;
use crate::codec::Encoding;
use crate::entry::{Envelope, FormatError, InDoubt, Step, StopReason};
use crate::id::Position;
use crate::limit::{CHANNEL_LOADED_BYTES_MAX, CHANNEL_LOADED_MAX};
use crate::name::Name;
use crate::outcome::Settlement;
use crate::time::Timestamp;

/// The run-ahead of a writer that keeps strict order: nothing but the first delivery that is
/// neither settled nor in doubt may have been sent.
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
    /// Up to this number a writer before the latest, or to a destination before the present one,
    /// may have sent.
    pub(crate) doubtful_up_to: u64,
    /// Deliveries without a settlement that are in memory, besides those in doubt.
    pub(crate) open: BTreeMap<u64, Open>,
    pub(crate) open_bytes: usize,
    /// Those that wait because they may have reached another destination. They do not count as
    /// loaded: else they could keep all others out.
    pub(crate) in_doubt: BTreeMap<u64, Open>,
    /// Those behind the ones in memory.
    pub(crate) backlog: Option<Backlog>,
    /// Activations that were used up since the last success.
    pub(crate) restarts: u32,
    pub(crate) status: Status,
    /// Why the last failure was one.
    pub(crate) last_failure: StopReason,
    /// The destination that the channel was redirected to, if it was.
    pub(crate) destination: Option<Name>,
}

/// What a channel does, as recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Active,
    /// An activation was used up then.
    Restarting(Timestamp),
    /// It stopped then.
    Stopped(StopReason, Timestamp),
}

impl Channel {
    pub(crate) fn new(name: Name, run_ahead: u32) -> Channel {
        Channel {
            name,
            run_ahead,
            next_number: 1,
            highest: 0,
            doubtful_up_to: 0,
            open: BTreeMap::new(),
            open_bytes: 0,
            in_doubt: BTreeMap::new(),
            backlog: None,
            restarts: 0,
            status: Status::Active,
            last_failure: StopReason::NotResponding,
            destination: None,
        }
    }

    /// Deliveries without a settlement, in memory or not.
    pub(crate) fn open_count(&self) -> u64 {
        let waiting = self.backlog.as_ref().map_or(0, |backlog| {
            self.next_number - backlog.next - backlog.settled.len()
        });
        (self.open.len() + self.in_doubt.len()) as u64 + waiting
    }

    pub(crate) fn count_set_aside(&self, why: SetAside) -> usize {
        let waiting = self.backlog.iter().flat_map(|b| b.progress.values());
        let loaded = self.open.values().chain(self.in_doubt.values());
        loaded
            .map(|open| &open.progress)
            .chain(waiting)
            .filter(|progress| progress.set_aside == Some(why))
            .count()
    }

    /// Every delivery below this number is settled.
    pub(crate) fn settled_below(&self) -> u64 {
        let first_in_doubt = self.in_doubt.first_key_value().map(|(number, _)| *number);
        let first_waiting = self.backlog.as_ref().map(|backlog| backlog.next);
        [self.first_open(), first_in_doubt, first_waiting]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(self.next_number)
    }

    /// The first delivery in memory that is not in doubt.
    pub(crate) fn first_open(&self) -> Option<u64> {
        self.open.first_key_value().map(|(number, _)| *number)
    }

    /// No delivery beyond this number was ever sent by the latest writer or one before.
    fn possibly_sent_up_to(&self) -> u64 {
        let by_latest = match self.run_ahead {
            STRICT => self
                .first_open()
                .or_else(|| self.first_waiting())
                .unwrap_or(0),
            run_ahead => self.highest + u64::from(run_ahead),
        };
        by_latest.max(self.doubtful_up_to).min(self.next_number - 1)
    }

    /// The first delivery of the backlog that is not in doubt.
    fn first_waiting(&self) -> Option<u64> {
        let backlog = self.backlog.as_ref()?;
        (backlog.next..self.next_number)
            .find(|number| !backlog.settled.contains(*number) && !backlog.is_in_doubt(*number))
    }

    /// A new writer begins: whatever the one before may have sent is doubtful from now on, however
    /// far this one runs ahead.
    pub(crate) fn begin(&mut self, run_ahead: u32) {
        self.doubtful_up_to = self.possibly_sent_up_to();
        self.run_ahead = run_ahead;
    }

    fn has_room(&self) -> bool {
        self.open.len() < CHANNEL_LOADED_MAX && self.open_bytes < CHANNEL_LOADED_BYTES_MAX
    }

    /// Where to read on, when the backlog's next deliveries have room in memory.
    pub(crate) fn wants_loading(&self) -> Option<Position> {
        let backlog = self.backlog.as_ref()?;
        let is_low = self.open.len() <= CHANNEL_LOADED_MAX / 2
            && self.open_bytes <= CHANNEL_LOADED_BYTES_MAX / 2;
        is_low.then_some(backlog.from)
    }

    /// Whether parked deliveries leave the others no room in memory.
    pub(crate) fn is_clogged(&self) -> bool {
        self.backlog.is_some()
            && self.wants_loading().is_none()
            && self.open.values().any(Open::is_parked)
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
        if let Some(backlog) = &mut self.backlog {
            backlog.extend(number, position);
        } else if envelope.due.is_some() || self.has_room() {
            self.keep(number, Open::new(envelope, encoding, Progress::default()));
        } else {
            self.backlog = Some(Backlog::new(number, position));
        }
    }

    pub(super) fn keep(&mut self, number: u64, open: Open) {
        if open.progress.set_aside == Some(SetAside::InDoubt) {
            self.in_doubt.insert(number, open);
        } else {
            self.open_bytes += open.payload.len();
            self.open.insert(number, open);
        }
    }

    /// Takes a delivery out of memory.
    fn drop_loaded(&mut self, number: u64) -> Option<Open> {
        let Some(open) = self.open.remove(&number) else {
            return self.in_doubt.remove(&number);
        };
        self.open_bytes -= open.payload.len();
        Some(open)
    }

    /// Takes what it has room for of the backlog's deliveries in the step at `position`, which is
    /// the next one to look at. Adds the numbers that are in memory now to `loaded`.
    pub(crate) fn load(
        &mut self,
        position: Position,
        step: &Step<'_>,
        channel: u16,
        loaded: &mut Vec<u64>,
    ) -> Result<Room, FormatError> {
        for envelope in step.envelopes.iter() {
            let envelope = envelope?;
            let number = envelope.delivery.number;
            let has_room = self.has_room();
            let Some(backlog) = &mut self.backlog else {
                return Ok(Room::NoneWanted);
            };
            if envelope.delivery.channel != channel || number < backlog.next {
                continue;
            }
            if !has_room {
                return Ok(Room::Full);
            }
            assert_eq!(number, backlog.next, "the backlog is read in order");
            let progress = backlog.progress.remove(&number).unwrap_or_default();
            backlog.advance();
            self.close_backlog();
            self.keep(number, Open::new(&envelope, step.encoding, progress));
            loaded.push(number);
        }
        self.passed(position);
        Ok(Room::Left)
    }

    /// The entry at `position` holds nothing of the backlog any more.
    pub(crate) fn passed(&mut self, position: Position) {
        if let Some(backlog) = &mut self.backlog {
            backlog.from = backlog.from.max(position.next());
        }
    }

    /// Drops the backlog once it is used up.
    fn close_backlog(&mut self) {
        self.backlog
            .take_if(|backlog| backlog.next == self.next_number);
    }

    /// The delivery, if it is open and in memory.
    pub(crate) fn get(&self, number: u64) -> Option<&Open> {
        self.open
            .get(&number)
            .or_else(|| self.in_doubt.get(&number))
    }

    pub(crate) fn is_open(&self, number: u64) -> bool {
        self.get(number).is_some() || self.is_waiting(number)
    }

    fn is_waiting(&self, number: u64) -> bool {
        self.backlog.as_ref().is_some_and(|backlog| {
            (backlog.next..self.next_number).contains(&number) && !backlog.settled.contains(number)
        })
    }

    /// The delivery's outcome is complete.
    pub(crate) fn settle(&mut self, number: u64) {
        if !self.is_open(number) {
            return;
        }
        if self.drop_loaded(number).is_none()
            && let Some(backlog) = &mut self.backlog
        {
            backlog.settle(number);
            self.close_backlog();
        }
        self.mention(number);
        self.restarts = 0;
    }

    /// An entry mentions the delivery, so it may have been sent.
    fn mention(&mut self, number: u64) {
        if number < self.next_number {
            self.highest = self.highest.max(number);
        }
    }

    /// What is recorded of an open delivery's attempts, which an entry mentions now.
    pub(crate) fn progress(&mut self, number: u64) -> Option<&mut Progress> {
        self.mention(number);
        if self.is_waiting(number) {
            let backlog = self.backlog.as_mut()?;
            return Some(backlog.progress.entry(number).or_default());
        }
        let loaded = match self.open.get_mut(&number) {
            Some(open) => open,
            None => self.in_doubt.get_mut(&number)?,
        };
        Some(&mut loaded.progress)
    }

    pub(crate) fn restarting(&mut self, time: Timestamp) {
        self.restarts += 1;
        self.status = Status::Restarting(time);
        self.for_all_progress(|progress| progress.tries = 0);
    }

    pub(crate) fn stopped(&mut self, reason: StopReason, time: Timestamp) {
        self.status = Status::Stopped(reason, time);
    }

    /// The channel was activated again; what was parked is released.
    pub(crate) fn delivering(&mut self) {
        self.status = Status::Active;
        self.restarts = 0;
        self.for_all_progress(|progress| {
            progress.release();
            progress.tries = 0;
        });
    }

    fn for_all_progress(&mut self, change: impl FnMut(&mut Progress)) {
        let loaded = self.open.values_mut().chain(self.in_doubt.values_mut());
        let waiting = self
            .backlog
            .iter_mut()
            .flat_map(|backlog| backlog.progress.values_mut());
        loaded
            .map(|open| &mut open.progress)
            .chain(waiting)
            .for_each(change);
    }

    /// The channel has another destination from now on. Deliveries that may have reached the one
    /// before wait, or go to the new one.
    pub(crate) fn redirect(&mut self, destination: Name, in_doubt: InDoubt) {
        self.doubtful_up_to = self.possibly_sent_up_to();
        self.destination = Some(destination);
        match in_doubt {
            InDoubt::Wait => self.doubt(self.doubtful_up_to),
            InDoubt::Move => {
                self.for_all_progress(|progress| {
                    if progress.set_aside == Some(SetAside::InDoubt) {
                        progress.set_aside = None;
                    }
                });
                for (number, open) in std::mem::take(&mut self.in_doubt) {
                    self.keep(number, open);
                }
            }
        }
    }

    /// Every open delivery up to this number may have been sent.
    fn doubt(&mut self, up_to: u64) {
        let beyond = self.open.split_off(&(up_to + 1));
        for (number, mut open) in std::mem::replace(&mut self.open, beyond) {
            self.open_bytes -= open.payload.len();
            open.progress.set_aside = Some(SetAside::InDoubt);
            self.in_doubt.insert(number, open);
        }
        if let Some(backlog) = &mut self.backlog {
            for number in backlog.next..=up_to {
                if !backlog.settled.contains(number) {
                    let progress = backlog.progress.entry(number).or_default();
                    progress.set_aside = Some(SetAside::InDoubt);
                }
            }
        }
    }

    /// An attempt failed, or its reply was not accepted.
    pub(crate) fn fail(&mut self, number: u64, attempt: u32, failure: Failure, time: Timestamp) {
        if let Some(progress) = self.progress(number) {
            progress.fail(attempt, failure, time);
            self.last_failure = match failure {
                Failure::Silence => StopReason::NotResponding,
                Failure::Said | Failure::Reply => StopReason::Failing,
            };
        }
    }

    /// What a step says of the delivery that it settles.
    pub(crate) fn settle_by(&mut self, number: u64, settlement: Settlement, step: &Step<'_>) {
        match settlement {
            Settlement::Confirm => self.settle(number),
            Settlement::Redeliver => {
                if let Cause::Outcome { attempt, what, .. } = step.cause {
                    self.fail(number, attempt, Failure::of(what), step.time);
                }
            }
        }
    }
}

/// Whether a channel takes more of its backlog into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    Left,
    Full,
    NoneWanted,
}
