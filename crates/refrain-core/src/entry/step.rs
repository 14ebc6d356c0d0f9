//! The entry of one handled message: everything that it led to, all or nothing.

use super::wire::{FormatError, Reader, length, put_u8, put_u16, put_u64};
use crate::cause::{Cause, DeliveryId};
use crate::codec::Encoding;
use crate::id::Key;
use crate::outcome::Settlement;
use crate::processor::Encoded;
use crate::time::Timestamp;

/// One handled message. Borrowed from stored bytes, or from the buffers of the step being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<'a> {
    /// How the message was handled.
    pub verdict: StepVerdict,
    /// How payloads are encoded.
    pub encoding: Encoding,
    /// The version of the events.
    pub event_version: u16,
    /// When; never earlier than the step before.
    pub time: Timestamp,
    /// What the step's random numbers follow from.
    pub seed: u64,
    /// What made it happen.
    pub cause: Cause<'a>,
    /// The delivery that it settles or asks to deliver again.
    pub settled: Option<(DeliveryId, Settlement)>,
    /// The message as it was received.
    pub message: RecordedMessage<'a>,
    /// The answer, or the rejection of a refused message; empty when there is none.
    pub answer: &'a [u8],
    /// The decided events.
    pub events: Events<'a>,
    /// What is to be sent.
    pub envelopes: Envelopes<'a>,
}

/// How a message was handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepVerdict {
    /// As decided.
    Handled,
    /// The processor rejected it; recorded because its source would offer it for ever.
    Refused,
    /// The processor's code panicked on it, again and again; set aside with its bytes.
    Parked,
}

/// What was kept of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordedMessage<'a> {
    /// Nothing besides the identity.
    Nothing,
    /// The bytes as received, encoded as the step's payloads are; of an outcome that is a failure, the
    /// words of the destination.
    Bytes(&'a [u8]),
    /// A reply as it came, whose encoding is the destination's choice.
    Reply(Encoded<'a>),
    /// The SHA-256 digest of the bytes.
    Digest(&'a [u8; 32]),
}

/// The encoded events of a step, each behind its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Events<'a>(pub(crate) &'a [u8]);

/// The envelopes of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelopes<'a>(pub(crate) &'a [u8]);

/// One output with its address and its delivery identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The channel and the number in it.
    pub delivery: DeliveryId,
    /// The idempotency key.
    pub key: Key,
    /// What all that follows from one message from outside has in common.
    pub correlation: Key,
    /// What led to this envelope.
    pub causation: Key,
    /// Envelopes of one order key keep their order on a channel that is ordered per key.
    pub order_key: Option<u64>,
    /// When a timer is due.
    pub due: Option<Timestamp>,
    /// The encoded request, message or timer.
    pub payload: &'a [u8],
}

pub(super) const TAG: u8 = 2;
const VERSION: u8 = 1;
/// Tag, version, verdict, encoding, event version, settlement, message form, time, seed, and the
/// lengths of the six sections that follow.
const HEADER_BYTES: usize = 48;

const SETTLES_NOTHING: u8 = 0;
const SETTLES_CONFIRM: u8 = 1;
const SETTLES_REDELIVER: u8 = 2;

const MESSAGE_NOTHING: u8 = 0;
const MESSAGE_BYTES: u8 = 1;
const MESSAGE_DIGEST: u8 = 2;
const MESSAGE_REPLY: u8 = 3;

const ENVELOPE_ORDER_KEY: u8 = 1;
const ENVELOPE_DUE: u8 = 2;

impl<'a> Step<'a> {
    /// Appends the stored form.
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        let start = into.len();
        into.extend_from_slice(&[0; HEADER_BYTES]);
        self.cause.encode(into);
        let cause = into.len() - start - HEADER_BYTES;
        if let Some((delivery, _)) = self.settled {
            put_u16(into, delivery.channel);
            put_u64(into, delivery.number);
        }
        let settled = into.len() - start - HEADER_BYTES - cause;
        let message = match self.message {
            RecordedMessage::Nothing => &[][..],
            RecordedMessage::Bytes(bytes) => bytes,
            RecordedMessage::Digest(digest) => digest,
            RecordedMessage::Reply(reply) => {
                put_u8(into, reply.encoding.tag());
                reply.bytes
            }
        };
        let before = into.len() - start - HEADER_BYTES - cause - settled;
        let sections = [message, self.answer, self.events.0, self.envelopes.0];
        for section in sections {
            into.extend_from_slice(section);
        }
        let [message, answer, events, envelopes] = sections.map(<[u8]>::len);
        let message = before + message;
        let header = self.header([cause, settled, message, answer, events, envelopes]);
        into[start..start + HEADER_BYTES].copy_from_slice(&header);
    }

    fn header(&self, lengths: [usize; 6]) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[0] = TAG;
        header[1] = VERSION;
        header[2] = verdict_tag(self.verdict);
        header[3] = self.encoding.tag();
        header[4..6].copy_from_slice(&self.event_version.to_le_bytes());
        header[6] = settlement_tag(self.settled.map(|(_, settlement)| settlement));
        header[7] = message_tag(self.message);
        header[8..16].copy_from_slice(&self.time.as_micros().to_le_bytes());
        header[16..24].copy_from_slice(&self.seed.to_le_bytes());
        let (places, _) = header[24..].as_chunks_mut::<4>();
        for (place, bytes) in places.iter_mut().zip(lengths) {
            *place = length(bytes).to_le_bytes();
        }
        header
    }

    pub(super) fn decode(bytes: &'a [u8]) -> Result<Step<'a>, FormatError> {
        let mut reader = Reader::new(bytes, "step");
        let tag = reader.u8()?;
        assert_eq!(tag, TAG, "whoever calls this has looked at the tag");
        let version = reader.u8()?;
        if version != VERSION {
            return Err(reader.unknown(version.into()));
        }
        let verdict = verdict(reader.u8()?, &reader)?;
        let encoding = encoding(&mut reader)?;
        let event_version = reader.u16()?;
        let (settlement, message_form) = (reader.u8()?, reader.u8()?);
        let (time, seed) = (Timestamp::from_micros(reader.u64()?), reader.u64()?);
        let mut lengths = [0_usize; 6];
        for length in &mut lengths {
            *length = reader.u32()? as usize;
        }
        let [cause, settled, message, answer, events, envelopes] = lengths;
        let cause = Cause::decode(reader.take(cause)?)?;
        let settled = settled_part(settlement, reader.take(settled)?)?;
        let message = message_part(message_form, reader.take(message)?)?;
        let answer = reader.take(answer)?;
        let events = Events(reader.take(events)?);
        let envelopes = Envelopes(reader.take(envelopes)?);
        reader.end()?;
        Ok(Step {
            verdict,
            encoding,
            event_version,
            time,
            seed,
            cause,
            settled,
            message,
            answer,
            events,
            envelopes,
        })
    }
}

fn verdict_tag(verdict: StepVerdict) -> u8 {
    match verdict {
        StepVerdict::Handled => 1,
        StepVerdict::Refused => 2,
        StepVerdict::Parked => 3,
    }
}

fn verdict(tag: u8, reader: &Reader<'_>) -> Result<StepVerdict, FormatError> {
    match tag {
        1 => Ok(StepVerdict::Handled),
        2 => Ok(StepVerdict::Refused),
        3 => Ok(StepVerdict::Parked),
        tag => Err(reader.unknown(tag.into())),
    }
}

fn settlement_tag(settlement: Option<Settlement>) -> u8 {
    match settlement {
        None => SETTLES_NOTHING,
        Some(Settlement::Confirm) => SETTLES_CONFIRM,
        Some(Settlement::Redeliver) => SETTLES_REDELIVER,
    }
}

fn settled_part(tag: u8, bytes: &[u8]) -> Result<Option<(DeliveryId, Settlement)>, FormatError> {
    let mut reader = Reader::new(bytes, "settlement");
    let settlement = match tag {
        SETTLES_NOTHING => return reader.end().map(|()| None),
        SETTLES_CONFIRM => Settlement::Confirm,
        SETTLES_REDELIVER => Settlement::Redeliver,
        tag => return Err(reader.unknown(tag.into())),
    };
    let delivery = DeliveryId {
        channel: reader.u16()?,
        number: reader.u64()?,
    };
    reader.end()?;
    Ok(Some((delivery, settlement)))
}

fn encoding(reader: &mut Reader<'_>) -> Result<Encoding, FormatError> {
    let tag = reader.u8()?;
    Encoding::from_tag(tag).ok_or_else(|| reader.unknown(tag.into()))
}

fn message_tag(message: RecordedMessage<'_>) -> u8 {
    match message {
        RecordedMessage::Nothing => MESSAGE_NOTHING,
        RecordedMessage::Bytes(_) => MESSAGE_BYTES,
        RecordedMessage::Digest(_) => MESSAGE_DIGEST,
        RecordedMessage::Reply(_) => MESSAGE_REPLY,
    }
}

fn message_part(tag: u8, bytes: &[u8]) -> Result<RecordedMessage<'_>, FormatError> {
    let mut reader = Reader::new(bytes, "message");
    match tag {
        MESSAGE_NOTHING => reader.end().map(|()| RecordedMessage::Nothing),
        MESSAGE_BYTES => Ok(RecordedMessage::Bytes(bytes)),
        MESSAGE_DIGEST => {
            let digest = bytes
                .try_into()
                .map_err(|_| FormatError::Length { what: "message" })?;
            Ok(RecordedMessage::Digest(digest))
        }
        MESSAGE_REPLY => Ok(RecordedMessage::Reply(Encoded {
            encoding: encoding(&mut reader)?,
            bytes: &bytes[1..],
        })),
        tag => Err(reader.unknown(tag.into())),
    }
}

impl<'a> Events<'a> {
    /// The bytes of each event, in order.
    pub fn iter(&self) -> impl Iterator<Item = Result<&'a [u8], FormatError>> {
        let mut reader = Reader::new(self.0, "events");
        std::iter::from_fn(move || (!reader.is_empty()).then(|| reader.bytes()))
            .scan((), stop_after_error())
    }
}

impl<'a> Envelopes<'a> {
    /// Each envelope, in order.
    pub fn iter(&self) -> impl Iterator<Item = Result<Envelope<'a>, FormatError>> {
        let mut reader = Reader::new(self.0, "envelopes");
        std::iter::from_fn(move || (!reader.is_empty()).then(|| Envelope::decode(&mut reader)))
            .scan((), stop_after_error())
    }
}

/// Lets items through up to and including the first error, so that damaged bytes end the loop.
fn stop_after_error<T>()
-> impl FnMut(&mut (), Result<T, FormatError>) -> Option<Result<T, FormatError>> {
    let mut failed = false;
    move |(), item| {
        if failed {
            return None;
        }
        failed = item.is_err();
        Some(item)
    }
}

impl<'a> Envelope<'a> {
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        put_u16(into, self.delivery.channel);
        let flags = if self.order_key.is_some() {
            ENVELOPE_ORDER_KEY
        } else {
            0
        } | if self.due.is_some() { ENVELOPE_DUE } else { 0 };
        put_u8(into, flags);
        put_u64(into, self.delivery.number);
        into.extend_from_slice(self.key.bytes());
        into.extend_from_slice(self.correlation.bytes());
        into.extend_from_slice(self.causation.bytes());
        if let Some(order_key) = self.order_key {
            put_u64(into, order_key);
        }
        if let Some(due) = self.due {
            put_u64(into, due.as_micros());
        }
        super::wire::put_bytes(into, self.payload);
    }

    pub(crate) fn decode(reader: &mut Reader<'a>) -> Result<Envelope<'a>, FormatError> {
        let channel = reader.u16()?;
        let flags = reader.u8()?;
        if flags & !(ENVELOPE_ORDER_KEY | ENVELOPE_DUE) != 0 {
            return Err(reader.unknown(flags.into()));
        }
        let delivery = DeliveryId {
            channel,
            number: reader.u64()?,
        };
        let (key, correlation, causation) = (reader.key()?, reader.key()?, reader.key()?);
        let order_key = if flags & ENVELOPE_ORDER_KEY == 0 {
            None
        } else {
            Some(reader.u64()?)
        };
        let due = match flags & ENVELOPE_DUE {
            0 => None,
            _ => Some(Timestamp::from_micros(reader.u64()?)),
        };
        let payload = reader.bytes()?;
        Ok(Envelope {
            delivery,
            key,
            correlation,
            causation,
            order_key,
            due,
            payload,
        })
    }
}

const _: () = assert!(
    HEADER_BYTES == 8 + 8 + 8 + 6 * 4,
    "the header is what encode writes"
);
