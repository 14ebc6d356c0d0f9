//! A message is handled: decided on the pending state, and recorded as one step.

use std::panic::{AssertUnwindSafe, catch_unwind};

use sha2::{Digest, Sha256};

use super::commit::{CommitError, Draft};
use super::outcome::message_of;
use super::release::Release;
use super::{Engine, Moment, Ticket, panic_text};
use crate::cause::{Cause, DeliveryId, MessageId, OutcomeCause};
use crate::entry::{RecordedMessage, StepVerdict};
use crate::ledger::Seen;
use crate::limit::{PANICS_MAX, SOURCES_MAX};
use crate::port::destination::Attempted;
use crate::processor::{Processor, Recording};
use crate::refusal::AskError;

/// Why an engine's state is not what its entries say: `apply` panicked on a fresh event, which was
/// not recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoiled {
    /// The panic's message.
    pub text: String,
    by: SpoiledBy,
}

/// What was being handled. What comes from a durable source must be recorded as parked by the
/// rebuilt engine, else it would be met for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SpoiledBy {
    Outside,
    Message {
        id: MessageId,
        bytes: Vec<u8>,
        ticket: Option<Ticket>,
    },
    Outcome {
        delivery: DeliveryId,
        attempt: u32,
        what: OutcomeCause,
        ended: Attempted,
    },
    Timer {
        delivery: DeliveryId,
    },
}

/// How a message was decided.
enum Decided<P: Processor> {
    Answered(P::Answer),
    Rejected(P::Rejection),
    Panicked(String),
}

/// A message's identity, its fingerprint, and who waits for the answer.
struct Asked {
    id: MessageId,
    fingerprint: u128,
    ticket: Option<Ticket>,
}

impl<P: Processor> Engine<P> {
    pub(super) fn on_message(
        &mut self,
        moment: Moment,
        id: MessageId,
        message: &P::Message,
        ticket: Option<Ticket>,
    ) {
        let cause = id.as_cause();
        let fingerprint = self.ledger.fingerprint(&cause);
        if let Seen::Handled(position) = self.ledger.inbox.seen(&cause, fingerprint) {
            if let Some(ticket) = ticket {
                self.gate(Release::Recall {
                    ticket,
                    id,
                    position,
                });
            }
            return;
        }
        if !self.ledger.inbox.has_room_for(&cause) {
            let text =
                format!("{SOURCES_MAX} sources are remembered, there is no room for another");
            return self.tell(ticket, Err(AskError::Invalid(text)));
        }
        let tries = if id.is_durable() { PANICS_MAX } else { 1 };
        let decided = self.decide(moment, message, tries);
        let asked = Asked {
            id,
            fingerprint,
            ticket,
        };
        match decided {
            Decided::Answered(answer) => self.handled(moment, asked, message, answer),
            Decided::Rejected(rejection) => self.rejected(moment, &asked, message, rejection),
            Decided::Panicked(text) => {
                self.park_if_durable(moment, &asked, message);
                self.tell(ticket, Err(AskError::Panicked(text)));
            }
        }
    }

    fn decide(&mut self, moment: Moment, message: &P::Message, tries: u32) -> Decided<P> {
        let mut text = String::new();
        for _ in 0..tries {
            self.outbox.open(moment.now, moment.seed);
            let called = catch_unwind(AssertUnwindSafe(|| {
                self.state.decide(message, &mut self.outbox)
            }));
            match called {
                Ok(Ok(answer)) => return Decided::Answered(answer),
                Ok(Err(rejection)) => return Decided::Rejected(rejection),
                Err(panic) => text = panic_text(&*panic),
            }
        }
        Decided::Panicked(text)
    }

    fn handled(&mut self, moment: Moment, asked: Asked, message: &P::Message, answer: P::Answer) {
        let ticket = asked.ticket;
        match self.commit_message(moment, StepVerdict::Handled, &asked, message, &answer) {
            Ok(()) => self.tell(ticket, Ok(answer)),
            Err(CommitError::Invalid(text)) => {
                self.park_if_durable(moment, &asked, message);
                self.tell(ticket, Err(AskError::Invalid(text)));
            }
            Err(CommitError::Spoiled(text)) if asked.id.is_durable() => {
                let (id, bytes) = (asked.id, encoded::<P>(message));
                self.spoil(SpoiledBy::Message { id, bytes, ticket }, text);
            }
            Err(CommitError::Spoiled(text)) => {
                self.tell(ticket, Err(AskError::Panicked(text.clone())));
                self.spoil(SpoiledBy::Outside, text);
            }
        }
    }

    /// From outside a rejection leaves nothing; a durable source must see that it was handled.
    fn rejected(
        &mut self,
        moment: Moment,
        asked: &Asked,
        message: &P::Message,
        rejection: P::Rejection,
    ) {
        if asked.id.is_durable() {
            self.outbox.open(moment.now, moment.seed);
            let verdict = StepVerdict::Refused;
            let refused = self.commit_message(moment, verdict, asked, message, &rejection);
            if refused.is_err() {
                self.park_if_durable(moment, asked, message);
            }
        }
        self.tell(asked.ticket, Err(AskError::Rejected(rejection)));
    }

    fn commit_message<A: serde::Serialize>(
        &mut self,
        moment: Moment,
        verdict: StepVerdict,
        asked: &Asked,
        message: &P::Message,
        answer: &A,
    ) -> Result<(), CommitError> {
        let mut bytes = std::mem::take(&mut self.buffers.message);
        bytes.clear();
        let encoded = match P::RECORDING {
            Recording::Identity => Ok(()),
            Recording::Message | Recording::Digest => P::ENCODING.encode(message, &mut bytes),
        };
        let digest = digest::<P>(&bytes);
        let draft = Draft {
            verdict,
            cause: asked.id.as_cause(),
            fingerprint: asked.fingerprint,
            settled: None,
            message: recorded_message::<P>(&bytes, digest.as_ref()),
            lineage: None,
        };
        let committed = match encoded {
            Ok(()) => self.commit(moment, &draft, Some(answer)).map(|_| ()),
            Err(error) => Err(error.into()),
        };
        self.buffers.message = bytes;
        committed
    }

    fn park_if_durable(&mut self, moment: Moment, asked: &Asked, message: &P::Message) {
        if asked.id.is_durable() {
            self.park_message(moment, &asked.id, &encoded::<P>(message));
        }
    }

    /// Records that a message of a durable source was set aside, with its bytes if they fit and may
    /// be kept.
    fn park_message(&mut self, moment: Moment, id: &MessageId, bytes: &[u8]) {
        self.outbox.open(moment.now, moment.seed);
        let digest = digest::<P>(bytes);
        let cause = id.as_cause();
        let mut draft = Draft {
            verdict: StepVerdict::Parked,
            cause,
            fingerprint: self.ledger.fingerprint(&cause),
            settled: None,
            message: recorded_message::<P>(bytes, digest.as_ref()),
            lineage: None,
        };
        if self.commit::<P::Answer>(moment, &draft, None).is_err() {
            draft.message = RecordedMessage::Nothing;
            self.commit::<P::Answer>(moment, &draft, None)
                .expect("a step without contents fits every journal");
        }
    }

    fn tell(&mut self, ticket: Option<Ticket>, result: Result<P::Answer, AskError<P::Rejection>>) {
        if let Some(ticket) = ticket {
            self.gate(Release::Answer { ticket, result });
        }
    }

    pub(super) fn spoil(&mut self, by: SpoiledBy, text: String) {
        self.spoiled = Some(Spoiled { text, by });
    }

    /// Takes note, in an engine that was rebuilt, of what spoiled the one before: a message of a
    /// durable source is recorded as parked, with whoever waited for it told so.
    pub fn after_spoiled(&mut self, moment: Moment, spoiled: Spoiled) {
        let moment = Moment {
            now: moment.now.max(self.ledger.time),
            ..moment
        };
        match spoiled.by {
            SpoiledBy::Outside => {}
            SpoiledBy::Message { id, bytes, ticket } => {
                let cause = id.as_cause();
                let fingerprint = self.ledger.fingerprint(&cause);
                if self.ledger.inbox.seen(&cause, fingerprint) == Seen::New {
                    self.park_message(moment, &id, &bytes);
                }
                self.tell(ticket, Err(AskError::Panicked(spoiled.text)));
            }
            SpoiledBy::Outcome {
                delivery,
                attempt,
                what,
                ended,
            } => {
                let cause = Cause::Outcome {
                    delivery,
                    attempt,
                    what,
                };
                self.park_if_open(moment, delivery, cause, message_of(&ended), &spoiled.text);
            }
            SpoiledBy::Timer { delivery } => {
                let cause = Cause::Timer(delivery);
                let message = RecordedMessage::Nothing;
                self.park_if_open(moment, delivery, cause, message, &spoiled.text);
            }
        }
    }

    fn park_if_open(
        &mut self,
        moment: Moment,
        delivery: DeliveryId,
        cause: Cause<'_>,
        message: RecordedMessage<'_>,
        text: &str,
    ) {
        let recorded = &self.ledger.channels[usize::from(delivery.channel)];
        if recorded.is_open(delivery.number) {
            self.lanes[usize::from(delivery.channel)].remove(delivery.number);
            self.park_outcome(moment, cause, message, text);
        }
    }
}

/// The digest of an encoded message, where that is what is recorded of it.
fn digest<P: Processor>(bytes: &[u8]) -> Option<[u8; 32]> {
    (P::RECORDING == Recording::Digest).then(|| Sha256::digest(bytes).into())
}

/// As much of an encoded message as may be recorded.
fn recorded_message<'a, P: Processor>(
    bytes: &'a [u8],
    digest: Option<&'a [u8; 32]>,
) -> RecordedMessage<'a> {
    match (P::RECORDING, digest) {
        (Recording::Message, _) => RecordedMessage::Bytes(bytes),
        (Recording::Digest, Some(digest)) => RecordedMessage::Digest(digest),
        (Recording::Digest, None) | (Recording::Identity, _) => RecordedMessage::Nothing,
    }
}

/// The message's bytes for the record of its parking; nothing when it cannot even be encoded.
fn encoded<P: Processor>(message: &P::Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    match P::ENCODING.encode(message, &mut bytes) {
        Ok(()) => bytes,
        Err(_) => Vec::new(),
    }
}
