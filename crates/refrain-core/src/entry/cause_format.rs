//! The cause of a step as stored bytes, and the part of it that is its identity.

use super::wire::{FormatError, Reader, put_bytes, put_u8, put_u16, put_u32, put_u64};
use crate::cause::{Cause, DeliveryId, OutcomeCause};
use crate::id::Key;

const GIVEN: u8 = 1;
const DRAWN: u8 = 2;
const SEQUENCED: u8 = 3;
const DELIVERED: u8 = 4;
const OUTCOME: u8 = 5;
const TIMER: u8 = 6;

const REPLY: u8 = 1;
const FAILURE: u8 = 2;
const NOT_RESPONDING: u8 = 3;

/// What [`Cause::encode_identity`] writes for an identity that was drawn.
pub(crate) fn drawn_identity(bits: [u8; 16]) -> [u8; 17] {
    let mut identity = [DRAWN; 17];
    identity[1..].copy_from_slice(&bits);
    identity
}

impl<'a> Cause<'a> {
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        self.encode_identity(into);
        match self {
            Cause::Delivered {
                settled_below,
                correlation,
                ..
            } => {
                put_u64(into, *settled_below);
                into.extend_from_slice(correlation.bytes());
            }
            Cause::Outcome { attempt, .. } => put_u32(into, *attempt),
            Cause::Given { .. } | Cause::Drawn(_) | Cause::Sequenced { .. } | Cause::Timer(_) => {}
        }
    }

    /// What makes this cause the same as another of this stream: an outcome is the same whichever
    /// attempt brought it, a delivery whatever has been settled meanwhile.
    pub(crate) fn encode_identity(&self, into: &mut Vec<u8>) {
        match *self {
            Cause::Given { source, id } => {
                put_u8(into, GIVEN);
                put_bytes(into, source.as_bytes());
                put_bytes(into, id.as_bytes());
            }
            Cause::Drawn(bits) => into.extend_from_slice(&drawn_identity(bits)),
            Cause::Sequenced { source, number } => {
                put_u8(into, SEQUENCED);
                put_bytes(into, source.as_bytes());
                put_u64(into, number);
            }
            Cause::Delivered {
                sender,
                channel,
                number,
                key,
                ..
            } => {
                put_u8(into, DELIVERED);
                put_bytes(into, sender.as_bytes());
                put_bytes(into, channel.as_bytes());
                put_u64(into, number);
                into.extend_from_slice(key.bytes());
            }
            Cause::Outcome { delivery, what, .. } => {
                put_u8(into, OUTCOME);
                put_delivery(into, delivery);
                put_what(into, what);
            }
            Cause::Timer(delivery) => {
                put_u8(into, TIMER);
                put_delivery(into, delivery);
            }
        }
    }

    /// What the keys of all that follows are derived from. `delivery` is the key of the delivery that
    /// an outcome or a timer is of. Numbers of deliveries are left out: a journal that was put back to
    /// an earlier time gives them to others.
    pub(crate) fn encode_origin(&self, delivery: Option<Key>, into: &mut Vec<u8>) {
        let own = || delivery.expect("an outcome or a timer is of a delivery");
        match *self {
            Cause::Given { .. } | Cause::Drawn(_) | Cause::Sequenced { .. } => {
                self.encode_identity(into);
            }
            Cause::Delivered { key, .. } => {
                put_u8(into, DELIVERED);
                into.extend_from_slice(key.bytes());
            }
            Cause::Outcome { what, .. } => {
                put_u8(into, OUTCOME);
                into.extend_from_slice(own().bytes());
                put_what(into, what);
            }
            Cause::Timer(_) => {
                put_u8(into, TIMER);
                into.extend_from_slice(own().bytes());
            }
        }
    }

    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Cause<'a>, FormatError> {
        let mut reader = Reader::new(bytes, "cause");
        let cause = match reader.u8()? {
            GIVEN => Cause::Given {
                source: reader.text()?,
                id: reader.text()?,
            },
            DRAWN => Cause::Drawn(reader.array()?),
            SEQUENCED => Cause::Sequenced {
                source: reader.text()?,
                number: reader.u64()?,
            },
            DELIVERED => {
                let (sender, channel) = (reader.text()?, reader.text()?);
                let (number, key) = (reader.u64()?, reader.key()?);
                let (settled_below, correlation) = (reader.u64()?, reader.key()?);
                Cause::Delivered {
                    sender,
                    channel,
                    number,
                    settled_below,
                    key,
                    correlation,
                }
            }
            OUTCOME => {
                let delivery = delivery(&mut reader)?;
                let what = what(&mut reader)?;
                Cause::Outcome {
                    delivery,
                    attempt: reader.u32()?,
                    what,
                }
            }
            TIMER => Cause::Timer(delivery(&mut reader)?),
            tag => return Err(reader.unknown(tag.into())),
        };
        reader.end()?;
        Ok(cause)
    }
}

fn put_delivery(into: &mut Vec<u8>, delivery: DeliveryId) {
    put_u16(into, delivery.channel);
    put_u64(into, delivery.number);
}

fn delivery(reader: &mut Reader<'_>) -> Result<DeliveryId, FormatError> {
    Ok(DeliveryId {
        channel: reader.u16()?,
        number: reader.u64()?,
    })
}

fn put_what(into: &mut Vec<u8>, what: OutcomeCause) {
    let (tag, count) = match what {
        OutcomeCause::Reply(n) => (REPLY, n),
        OutcomeCause::Failure(n) => (FAILURE, n),
        OutcomeCause::NotResponding(n) => (NOT_RESPONDING, n),
    };
    put_u8(into, tag);
    put_u32(into, count);
}

fn what(reader: &mut Reader<'_>) -> Result<OutcomeCause, FormatError> {
    let (tag, count) = (reader.u8()?, reader.u32()?);
    match tag {
        REPLY => Ok(OutcomeCause::Reply(count)),
        FAILURE => Ok(OutcomeCause::Failure(count)),
        NOT_RESPONDING => Ok(OutcomeCause::NotResponding(count)),
        tag => Err(reader.unknown(tag.into())),
    }
}
