//! What an attempt came to: an outcome that calls the channel's handler, in the same kind of step
//! as a message.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::commit::{CommitError, Draft};
use super::message::SpoiledBy;
use super::release::Release;
use super::{Engine, Moment, Signal, bounded, panic_text};
use crate::cause::{Cause, DeliveryId, OutcomeCause};
use crate::channel::{Came, ChannelKind, Unreadable};
use crate::entry::{Actor, Move, RecordedMessage, StepVerdict};
use crate::ledger::{Open, Progress};
use crate::limit::PANICS_MAX;
use crate::outbox::Chance;
use crate::outcome::Settlement;
use crate::planted;
use crate::port::destination::{Attempted, Failure};
use crate::processor::{Encoded, Processor, Recording};

/// The longest time that a destination can put a redelivery off.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

impl<P: Processor> Engine<P> {
    pub(super) fn on_attempted(
        &mut self,
        moment: Moment,
        channel: u16,
        number: u64,
        attempt: u32,
        ended: Attempted,
    ) {
        let place = usize::from(channel);
        let (recorded, lane) = (&self.ledger.channels[place], &mut self.lanes[place]);
        let is_current = lane.in_flight.get(&number) == Some(&attempt);
        if is_current {
            lane.in_flight.remove(&number);
        }
        if !recorded.is_open(number) || lane.confirmed.contains(&number) {
            lane.counts.late += 1;
            let channel = recorded.name.clone();
            return self.gate(Release::Announce(Signal::LateOutcome { channel, number }));
        }
        // A failure of an attempt that is no longer waited for says nothing new; a reply does.
        if !is_current && !matches!(ended, Attempted::Replied(_)) {
            return;
        }
        let delivery = DeliveryId { channel, number };
        match (lane.kind, lane.route) {
            (ChannelKind::Default | ChannelKind::Reliable, Some(_)) => {
                self.one_way(moment, delivery, attempt, ended);
            }
            (ChannelKind::RequestReply, Some(_)) => {
                match recorded.get(number).cloned() {
                    Some(open) => self.outcome_step(moment, delivery, attempt, &open, ended),
                    // Kept until its request is read, within bounds. Beyond them the request is
                    // delivered again, with the same key.
                    None if lane.has_room_for(&ended) => {
                        lane.early.entry(number).or_insert((attempt, ended));
                    }
                    None => {}
                }
            }
            // Without a route nothing was sent by this writer, and nobody can handle what comes.
            (ChannelKind::Timer, _) | (_, None) => {}
        }
    }

    /// Handles replies that came before their requests were in memory, where they are now.
    pub(super) fn handle_early(&mut self, moment: Moment, channel: u16) {
        let place = usize::from(channel);
        let mut next = 0;
        while self.spoiled.is_none() {
            let mut later = self.lanes[place].early.range(next..);
            let Some(number) = later.next().map(|(number, _)| *number) else {
                return;
            };
            next = number + 1;
            let recorded = &self.ledger.channels[place];
            let waits = recorded.is_open(number) && recorded.get(number).is_none();
            if !waits && let Some((attempt, ended)) = self.lanes[place].early.remove(&number) {
                self.on_attempted(moment, channel, number, attempt, ended);
            }
        }
    }

    /// One way: a confirmation is recorded with others of its batch, a failure at once.
    fn one_way(&mut self, moment: Moment, delivery: DeliveryId, attempt: u32, ended: Attempted) {
        let DeliveryId { channel, number } = delivery;
        let failure = match ended {
            Attempted::Replied(_) => {
                let lane = &mut self.lanes[usize::from(channel)];
                lane.remove(number);
                lane.confirmed.insert(number);
                return;
            }
            Attempted::Failed(failure) => Some(failure),
            Attempted::NotResponding => None,
        };
        let error = failure.as_ref().map(|failure| bounded(&failure.error));
        let failed = Move::Failed {
            number,
            attempt,
            error: error.as_deref(),
        };
        self.record(moment.now, channel, Actor::Policy, failed);
        let retry_after = failure.and_then(|failure| failure.retry_after);
        self.after_failure(moment, delivery, retry_after);
    }

    /// Records confirmations of one-way deliveries.
    pub(super) fn record_confirmed(&mut self, now: crate::time::Timestamp) {
        for channel in self.channel_numbers() {
            let place = usize::from(channel);
            let confirmed = std::mem::take(&mut self.lanes[place].confirmed);
            if confirmed.is_empty() {
                continue;
            }
            let keys: Vec<_> = confirmed
                .iter()
                .map(|number| self.ledger.channels[place].get(*number)?.order_key)
                .collect();
            let numbers: Vec<u64> = confirmed.iter().copied().collect();
            self.record(now, channel, Actor::Policy, Move::Settled(numbers));
            for (number, key) in confirmed.into_iter().zip(keys) {
                self.after_settlement(Moment { now, seed: 0 }, channel, number, key);
            }
        }
    }

    fn after_settlement(&mut self, moment: Moment, channel: u16, number: u64, key: Option<u64>) {
        self.recorded(channel, number);
        self.next_of_key(moment, channel, number, key);
    }

    /// An outcome was recorded: what waits for it goes on once it is durable.
    fn recorded(&mut self, channel: u16, number: u64) {
        self.lanes[usize::from(channel)].recording += 1;
        self.gate(Release::Recorded { channel, number });
    }

    /// After a recorded failure: the delivery is due again when the policy says, unless it waits for
    /// the next recovery, was set aside, or is under way once more.
    fn after_failure(
        &mut self,
        moment: Moment,
        delivery: DeliveryId,
        retry_after: Option<Duration>,
    ) {
        let DeliveryId { channel, number } = delivery;
        self.recorded(channel, number);
        let place = usize::from(channel);
        let lane = &mut self.lanes[place];
        lane.remove(number);
        let Some(open) = self.ledger.channels[place].open.get(&number) else {
            // In doubt: it keeps nobody waiting.
            let in_doubt = &self.ledger.channels[place].in_doubt;
            let key = in_doubt.get(&number).and_then(|open| open.order_key);
            return self.next_of_key(moment, channel, number, key);
        };
        if lane.kind == ChannelKind::Default {
            lane.resting.insert(number);
            let key = open.order_key;
            return self.next_of_key(moment, channel, number, key);
        }
        if open.is_parked() || lane.in_flight.contains_key(&number) {
            return;
        }
        let delay = lane.delay(open.progress.tries, moment.seed, number);
        let delay = delay.max(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX));
        lane.due.set(number, moment.now + delay);
    }

    /// Calls the handler with an outcome and records all that it leads to as one step.
    fn outcome_step(
        &mut self,
        moment: Moment,
        delivery: DeliveryId,
        attempt: u32,
        open: &Open,
        ended: Attempted,
    ) {
        let mut ended = ended;
        if let Attempted::Failed(failure) = &mut ended {
            failure.error = bounded(&failure.error);
        }
        let mut handled = self.handle(moment, delivery, open, &ended);
        if let Handled::ReplyUnreadable(error) = handled {
            ended = Attempted::Failed(Failure {
                error: bounded(&error),
                retry_after: None,
            });
            handled = self.handle(moment, delivery, open, &ended);
        }
        let (what, message, retry_after) = recorded_as(&ended, &open.progress);
        let cause = Cause::Outcome {
            delivery,
            attempt,
            what,
        };
        let settlement = match handled {
            Handled::Settled(settlement) => settlement,
            Handled::Impossible(text) => return self.park_outcome(moment, cause, message, &text),
            Handled::ReplyUnreadable(_) => unreachable!("a failure holds no reply"),
        };
        let draft = Draft {
            verdict: StepVerdict::Handled,
            cause,
            fingerprint: 0,
            settled: Some((delivery, settlement))
                .filter(|_| !planted::is("settlement-not-recorded")),
            message: if P::RECORDING == Recording::Message || matches!(what, OutcomeCause::Reply(_))
            {
                message
            } else {
                RecordedMessage::Nothing
            },
            lineage: Some(open.lineage()),
        };
        match self.commit::<P::Answer>(moment, &draft, None) {
            Ok(_) if settlement == Settlement::Confirm => {
                self.lanes[usize::from(delivery.channel)].remove(delivery.number);
                self.after_settlement(moment, delivery.channel, delivery.number, open.order_key);
            }
            Ok(_) => self.after_failure(moment, delivery, retry_after),
            Err(CommitError::Invalid(text)) => self.park_outcome(moment, cause, message, &text),
            Err(CommitError::Spoiled(text)) => {
                let by = SpoiledBy::Outcome {
                    delivery,
                    attempt,
                    what,
                    ended,
                };
                self.spoil(by, text);
            }
        }
    }

    /// Asks the handler, again if it panics: it sees the same each time, so after the third panic
    /// there is no use in asking.
    fn handle(
        &mut self,
        moment: Moment,
        delivery: DeliveryId,
        open: &Open,
        attempted: &Attempted,
    ) -> Handled {
        let route = self.lanes[usize::from(delivery.channel)].route;
        let route = P::CHANNELS[route.expect("whatever is in flight has a route")];
        let is_failure = !matches!(attempted, Attempted::Replied(_));
        let came = Came {
            request: Encoded {
                encoding: open.encoding,
                bytes: &open.payload,
            },
            attempted,
            failure_count: open.progress.failure_count + u32::from(is_failure),
        };
        let mut text = String::new();
        for _ in 0..PANICS_MAX {
            self.outbox.open(moment.now, moment.seed);
            let called = catch_unwind(AssertUnwindSafe(|| {
                route.handle(&self.state, &came, &mut self.outbox)
            }));
            match called {
                Ok(Ok(settlement)) => return Handled::Settled(settlement),
                Ok(Err(Unreadable::Reply(error))) => {
                    return Handled::ReplyUnreadable(error.to_string());
                }
                Ok(Err(Unreadable::Request(error))) => {
                    return Handled::Impossible(error.to_string());
                }
                Err(panic) => text = panic_text(&*panic),
            }
        }
        Handled::Impossible(text)
    }

    /// Sets a delivery aside with the outcome that could not be handled.
    pub(super) fn park_outcome(
        &mut self,
        moment: Moment,
        cause: Cause<'_>,
        message: RecordedMessage<'_>,
        reason: &str,
    ) {
        let delivery = match cause {
            Cause::Outcome { delivery, .. } | Cause::Timer(delivery) => delivery,
            Cause::Given { .. }
            | Cause::Drawn(_)
            | Cause::Sequenced { .. }
            | Cause::Delivered { .. } => unreachable!("only deliveries are parked here"),
        };
        self.outbox.open(moment.now, moment.seed);
        let mut draft = Draft {
            verdict: StepVerdict::Parked,
            cause,
            fingerprint: 0,
            settled: None,
            message,
            lineage: None,
        };
        if self.commit::<P::Answer>(moment, &draft, None).is_err() {
            // Too large even without anything that follows from it.
            draft.message = RecordedMessage::Nothing;
            self.commit::<P::Answer>(moment, &draft, None)
                .expect("an empty step fits");
        }
        let DeliveryId { channel, number } = delivery;
        self.lanes[usize::from(channel)].remove(number);
        self.recorded(channel, number);
        let name = self.ledger.channels[usize::from(channel)].name.clone();
        self.gate(Release::Announce(Signal::DeliveryParked {
            channel: name,
            number,
            reason: bounded(reason),
        }));
    }

    /// Calls a timer's handler; that it was called is what settles it.
    pub(super) fn on_timer(&mut self, moment: Moment, channel: u16, number: u64) {
        let place = usize::from(channel);
        let Some(open) = self.ledger.channels[place].open.get(&number).cloned() else {
            return;
        };
        // Several timers may come due in one step; each has random numbers of its own.
        let seed = Chance::new(moment.seed ^ self.ledger.next.get()).next();
        let moment = Moment { seed, ..moment };
        let delivery = DeliveryId { channel, number };
        let cause = Cause::Timer(delivery);
        let unused = Attempted::NotResponding;
        if let Handled::Impossible(text) = self.handle(moment, delivery, &open, &unused) {
            return self.park_outcome(moment, cause, RecordedMessage::Nothing, &text);
        }
        let draft = Draft {
            verdict: StepVerdict::Handled,
            cause,
            fingerprint: 0,
            settled: Some((delivery, Settlement::Confirm)),
            message: RecordedMessage::Nothing,
            lineage: Some(open.lineage()),
        };
        match self.commit::<P::Answer>(moment, &draft, None) {
            Ok(_) => self.after_settlement(moment, channel, number, None),
            Err(CommitError::Invalid(text)) => {
                self.park_outcome(moment, cause, RecordedMessage::Nothing, &text);
            }
            Err(CommitError::Spoiled(text)) => self.spoil(SpoiledBy::Timer { delivery }, text),
        }
    }
}

/// Which outcome of its request it is, what is recorded of it, and how long the destination wants to
/// be left alone.
fn recorded_as<'a>(
    ended: &'a Attempted,
    before: &Progress,
) -> (OutcomeCause, RecordedMessage<'a>, Option<Duration>) {
    let failures = before.failure_count + 1;
    let what = match ended {
        Attempted::Replied(_) => OutcomeCause::Reply(before.reply_count + 1),
        Attempted::Failed(_) => OutcomeCause::Failure(failures),
        Attempted::NotResponding => OutcomeCause::NotResponding(failures),
    };
    let retry_after = match ended {
        Attempted::Failed(failure) => failure.retry_after,
        Attempted::Replied(_) | Attempted::NotResponding => None,
    };
    (what, message_of(ended), retry_after)
}

/// As what an outcome is recorded.
pub(super) fn message_of(ended: &Attempted) -> RecordedMessage<'_> {
    match ended {
        Attempted::Replied(reply) => RecordedMessage::Reply(Encoded {
            encoding: reply.encoding,
            bytes: &reply.bytes,
        }),
        Attempted::Failed(failure) => RecordedMessage::Bytes(failure.error.as_bytes()),
        Attempted::NotResponding => RecordedMessage::Nothing,
    }
}

/// What a handler said.
enum Handled {
    Settled(Settlement),
    ReplyUnreadable(String),
    Impossible(String),
}
