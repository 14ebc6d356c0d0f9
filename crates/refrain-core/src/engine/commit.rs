//! One step becomes one entry: encoded, checked, applied, and only then recorded.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;

use super::{Engine, Moment, panic_text};
use crate::cause::{Cause, DeliveryId};
use crate::channel::ChannelKind;
use crate::codec::CodecError;
use crate::entry::{Entry, Envelope, Envelopes, Events, RecordedMessage, Step, StepVerdict};
use crate::id::{Key, Position};
use crate::ledger::{Open, Secret};
use crate::limit::TIMERS_MAX;
use crate::outcome::Settlement;
use crate::planted;
use crate::processor::{Encoded, Processor};

/// Buffers that every step uses again.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    envelopes: Vec<u8>,
    answer: Vec<u8>,
    identity: Vec<u8>,
    /// The next number of each channel, while the envelopes of one step get theirs.
    numbers: Vec<u64>,
    pub(super) message: Vec<u8>,
}

/// A step before its outputs have numbers and keys.
pub(super) struct Draft<'a> {
    pub(super) verdict: StepVerdict,
    pub(super) cause: Cause<'a>,
    /// The ledger's fingerprint of the cause; 0 where the delivery itself knows what was handled.
    pub(super) fingerprint: u128,
    pub(super) settled: Option<(DeliveryId, Settlement)>,
    pub(super) message: RecordedMessage<'a>,
    /// Where the outputs come from; `None` when the cause itself begins the line.
    pub(super) lineage: Option<Lineage>,
}

/// What the outputs of a step inherit from its cause.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lineage {
    correlation: Key,
    causation: Key,
}

impl Open {
    /// Of what an outcome of this delivery leads to.
    pub(super) fn lineage(&self) -> Lineage {
        Lineage {
            correlation: self.correlation,
            causation: self.key,
        }
    }
}

/// Why a step was not recorded.
#[derive(Debug)]
pub(super) enum CommitError {
    /// It cannot be encoded or is too large. Nothing changed.
    Invalid(String),
    /// `apply` panicked: the state is no longer what the entries say.
    Spoiled(String),
}

impl From<CodecError> for CommitError {
    fn from(error: CodecError) -> CommitError {
        CommitError::Invalid(error.to_string())
    }
}

impl<P: Processor> Engine<P> {
    /// Records the step with all that is in the outbox, and returns its position.
    ///
    /// Events are applied before the entry goes into the batch: an `apply` that panics on a fresh
    /// event never becomes an entry that bricks recovery.
    pub(super) fn commit<A: Serialize>(
        &mut self,
        moment: Moment,
        draft: &Draft<'_>,
        answer: Option<&A>,
    ) -> Result<Position, CommitError> {
        if let Some(trouble) = &self.outbox.trouble {
            return Err(CommitError::Invalid(trouble.to_string()));
        }
        self.check_timers(draft)?;
        self.buffers.answer.clear();
        if let Some(answer) = answer {
            P::ENCODING.encode(answer, &mut self.buffers.answer)?;
        }
        self.encode_envelopes(draft);
        self.append(moment, draft)?;
        self.schedule_new(moment);
        Ok(self.head())
    }

    /// Encodes the step into the batch, applies its events and folds it, or leaves everything as it
    /// was. Only an `apply` that panics leaves a state that is of no use.
    fn append(&mut self, moment: Moment, draft: &Draft<'_>) -> Result<(), CommitError> {
        let step = Step {
            verdict: draft.verdict,
            encoding: P::ENCODING,
            event_version: P::EVENT_VERSION,
            time: moment.now,
            seed: moment.seed,
            cause: draft.cause,
            settled: draft.settled,
            message: draft.message,
            answer: &self.buffers.answer,
            events: Events(&self.outbox.event_bytes),
            envelopes: Envelopes(&self.buffers.envelopes),
        };
        let bytes_max = self.settings.entry_bytes_max;
        self.pending.try_push_with(|entry| {
            let start = entry.len();
            step.encode(entry);
            let bytes = entry.len() - start;
            if bytes > bytes_max {
                let text = format!("an entry of {bytes} bytes, where {bytes_max} fit");
                return Err(CommitError::Invalid(text));
            }
            for event in &self.outbox.events {
                catch_unwind(AssertUnwindSafe(|| self.state.apply(event)))
                    .map_err(|panic| CommitError::Spoiled(panic_text(&*panic)))?;
            }
            Ok(())
        })?;
        self.ledger
            .fold_step(&step, draft.fingerprint)
            .expect("the engine records only what folds");
        Ok(())
    }

    /// Lines up the envelopes of the step that was recorded last.
    fn schedule_new(&mut self, moment: Moment) {
        if self.outbox.drafts.is_empty() {
            return;
        }
        let gate = self.head();
        let envelopes = std::mem::take(&mut self.buffers.envelopes);
        for envelope in Envelopes(&envelopes).iter() {
            let DeliveryId { channel, number } = envelope.expect("just encoded").delivery;
            self.schedule(moment, channel, number, gate);
        }
        self.buffers.envelopes = envelopes;
    }

    /// Timers all wait in memory, so there is an end to them.
    fn check_timers(&self, draft: &Draft<'_>) -> Result<(), CommitError> {
        let timers = self.outbox.drafts.iter();
        let added = timers.filter(|timer| timer.due.is_some()).count() as u64;
        if added == 0 {
            return Ok(());
        }
        let lanes = self.lanes.iter().zip(&self.ledger.channels);
        let open = lanes
            .filter(|(lane, _)| lane.kind == ChannelKind::Timer)
            .map(|(_, recorded)| recorded.open_count());
        let settled = u64::from(matches!(draft.cause, Cause::Timer(_)));
        if open.sum::<u64>() + added - settled > TIMERS_MAX as u64 {
            let text = format!("more than {TIMERS_MAX} timers would wait");
            return Err(CommitError::Invalid(text));
        }
        Ok(())
    }

    /// Gives every draft of the outbox its number and its key.
    fn encode_envelopes(&mut self, draft: &Draft<'_>) {
        let Buffers {
            envelopes,
            identity,
            numbers,
            ..
        } = &mut self.buffers;
        envelopes.clear();
        if self.outbox.drafts.is_empty() {
            return;
        }
        identity.clear();
        let delivery = draft.lineage.map(|lineage| lineage.causation);
        match planted::is("keys-from-numbers") {
            true => draft.cause.encode_identity(identity),
            false => draft.cause.encode_origin(delivery, identity),
        }
        let secret = &self.ledger.secret;
        let lineage = draft
            .lineage
            .unwrap_or_else(|| Lineage::of(&draft.cause, secret, identity));
        numbers.clear();
        numbers.extend(
            self.ledger
                .channels
                .iter()
                .map(|channel| channel.next_number),
        );
        let mut start = 0;
        for (index, output) in self.outbox.drafts.iter().enumerate() {
            let channel = self.route_numbers[usize::from(output.channel)];
            let number = &mut numbers[usize::from(channel)];
            let delivery = DeliveryId {
                channel,
                number: *number,
            };
            *number += 1;
            let name = P::CHANNELS[usize::from(output.channel)].name();
            let key = secret.key(&[
                self.settings.name.as_str().as_bytes(),
                name.as_bytes(),
                identity,
                &(index as u64).to_le_bytes(),
            ]);
            let envelope = Envelope {
                delivery,
                key,
                correlation: lineage.correlation,
                causation: lineage.causation,
                order_key: output.order_key,
                due: output.due,
                payload: &self.outbox.draft_bytes[start..output.end],
            };
            start = output.end;
            envelope.encode(envelopes);
        }
    }
}

impl Lineage {
    fn of(cause: &Cause<'_>, secret: &Secret, identity: &[u8]) -> Lineage {
        if let Cause::Delivered {
            key, correlation, ..
        } = *cause
        {
            return Lineage {
                correlation,
                causation: key,
            };
        }
        let key = secret.correlation(identity);
        Lineage {
            correlation: key,
            causation: key,
        }
    }
}

/// What the step at a position told the sender of its message.
#[derive(Debug)]
pub enum StoredAnswer<P: Processor> {
    /// The answer.
    Answer(P::Answer),
    /// The rejection of a message that was recorded as refused.
    Rejection(P::Rejection),
    /// The message was parked after panics, and had no answer.
    Parked,
    /// There is no answer in the entry.
    None,
}

/// The answer in a stored entry, for a message that comes again.
///
/// # Errors
/// When the entry or the answer in it cannot be read.
pub fn stored_answer<P: Processor>(entry: &[u8]) -> Result<StoredAnswer<P>, String> {
    let step = match Entry::decode(entry).map_err(|error| error.to_string())? {
        Entry::Step(step) => step,
        Entry::Begun(_) | Entry::ChannelMoved(_) | Entry::Watermark(_) => {
            return Ok(StoredAnswer::None);
        }
    };
    let answer = Encoded {
        encoding: step.encoding,
        bytes: step.answer,
    };
    let unreadable = |error: CodecError| error.to_string();
    match step.verdict {
        StepVerdict::Handled if step.answer.is_empty() => Ok(StoredAnswer::None),
        StepVerdict::Handled => answer
            .decode()
            .map(StoredAnswer::Answer)
            .map_err(unreadable),
        StepVerdict::Refused => answer
            .decode()
            .map(StoredAnswer::Rejection)
            .map_err(unreadable),
        StepVerdict::Parked => Ok(StoredAnswer::Parked),
    }
}
