//! The outbox: what one step leads to, in buffers that are used again.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::channel::{OneWay, RequestReply, Timer};
use crate::codec::CodecError;
use crate::limit::ENVELOPES_PER_STEP_MAX;
use crate::processor::Processor;
use crate::time::Timestamp;

/// Lent to `decide` and to handlers: takes events, requests, one-way sends and timers, and has the
/// step's time and random numbers.
///
/// Everything is encoded at once. A rejection or a panic discards it all; whatever cannot be encoded
/// makes the step invalid, and the sender is told.
pub struct Outbox<P: Processor> {
    pub(crate) now: Timestamp,
    pub(crate) chance: Chance,
    pub(crate) events: Vec<P::Event>,
    pub(crate) event_bytes: Vec<u8>,
    pub(crate) drafts: Vec<Draft>,
    pub(crate) draft_bytes: Vec<u8>,
    pub(crate) trouble: Option<Trouble>,
}

/// An output that has no number and no key yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draft {
    pub(crate) channel: u16,
    pub(crate) order_key: Option<u64>,
    pub(crate) due: Option<Timestamp>,
    pub(crate) end: usize,
}

/// Why what was put into an outbox cannot become a step.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error("channel {0} is not among the processor's CHANNELS")]
    UnknownChannel(&'static str),
    #[error("one step sends at most 4096 envelopes")]
    TooMany,
}

impl<P: Processor> Outbox<P> {
    /// An empty outbox; the engine opens it for each step.
    pub(crate) fn new() -> Outbox<P> {
        Outbox {
            now: Timestamp::EPOCH,
            chance: Chance::new(0),
            events: Vec::new(),
            event_bytes: Vec::new(),
            drafts: Vec::new(),
            draft_bytes: Vec::new(),
            trouble: None,
        }
    }

    /// Empties the outbox for a step at `now`, with the random numbers that follow from `seed`.
    pub(crate) fn open(&mut self, now: Timestamp, seed: u64) {
        self.now = now;
        self.chance = Chance::new(seed);
        self.events.clear();
        self.event_bytes.clear();
        self.drafts.clear();
        self.draft_bytes.clear();
        self.trouble = None;
    }

    /// The step's time: never earlier than the step before it, and the same in a replay check.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// A random number; the sequence is recorded with the step, as its seed. Not for secrets.
    pub fn random(&mut self) -> u64 {
        self.chance.next()
    }

    /// Decides `event`. Events are applied in the order given, once the step is accepted.
    pub fn event(&mut self, event: P::Event) -> &mut Self {
        let start = self.event_bytes.len();
        self.event_bytes.extend_from_slice(&[0; 4]);
        match P::ENCODING.encode(&event, &mut self.event_bytes) {
            Ok(()) => {
                let length = self.event_bytes.len() - start - 4;
                let length = u32::try_from(length).expect("an event stays below 4 GiB");
                self.event_bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
                self.events.push(event);
            }
            Err(error) => self.fail(Trouble::Codec(error)),
        }
        self
    }

    /// Sends `request` through `channel`; its outcome comes back to the channel's handler.
    pub fn request<Q: Serialize, R>(
        &mut self,
        channel: &RequestReply<P, Q, R>,
        request: &Q,
    ) -> &mut Self {
        self.put(channel.name(), request, None, None)
    }

    /// As [`Outbox::request`]; on a channel ordered [per key](crate::Order::PerKey), requests with
    /// the same `order_key` reach the destination in the order sent.
    pub fn request_in_order_of<Q: Serialize, R>(
        &mut self,
        channel: &RequestReply<P, Q, R>,
        order_key: u64,
        request: &Q,
    ) -> &mut Self {
        self.put(channel.name(), request, Some(order_key), None)
    }

    /// Sends `message` through `channel`, one way.
    pub fn send<M: Serialize>(&mut self, channel: &OneWay<P, M>, message: &M) -> &mut Self {
        self.put(channel.name(), message, None, None)
    }

    /// As [`Outbox::send`]; on a channel ordered [per key](crate::Order::PerKey), messages with the
    /// same `order_key` reach the destination in the order sent.
    pub fn send_in_order_of<M: Serialize>(
        &mut self,
        channel: &OneWay<P, M>,
        order_key: u64,
        message: &M,
    ) -> &mut Self {
        self.put(channel.name(), message, Some(order_key), None)
    }

    /// Gives `what` to the timer's handler once `delay` has passed, also over restarts; never
    /// earlier, and later by as long as the processor does not run.
    pub fn after<T: Serialize>(
        &mut self,
        delay: Duration,
        timer: &Timer<P, T>,
        what: &T,
    ) -> &mut Self {
        let due = self.now + delay;
        self.put(timer.name(), what, None, Some(due))
    }

    fn put<T: Serialize>(
        &mut self,
        channel: &'static str,
        payload: &T,
        order_key: Option<u64>,
        due: Option<Timestamp>,
    ) -> &mut Self {
        if let Err(trouble) = self.draft(channel, payload, order_key, due) {
            self.fail(trouble);
        }
        self
    }

    fn draft<T: Serialize>(
        &mut self,
        channel: &'static str,
        payload: &T,
        order_key: Option<u64>,
        due: Option<Timestamp>,
    ) -> Result<(), Trouble> {
        if self.drafts.len() == ENVELOPES_PER_STEP_MAX {
            return Err(Trouble::TooMany);
        }
        let channel = route_number::<P>(channel).ok_or(Trouble::UnknownChannel(channel))?;
        P::ENCODING.encode(payload, &mut self.draft_bytes)?;
        self.drafts.push(Draft {
            channel,
            order_key,
            due,
            end: self.draft_bytes.len(),
        });
        Ok(())
    }

    /// The first trouble is the one that is told.
    fn fail(&mut self, trouble: Trouble) {
        self.trouble.get_or_insert(trouble);
    }
}

/// The place of a channel in the processor's `CHANNELS`.
fn route_number<P: Processor>(name: &str) -> Option<u16> {
    let place = P::CHANNELS.iter().position(|route| route.name() == name)?;
    u16::try_from(place).ok()
}

impl<P: Processor> fmt::Debug for Outbox<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("now", &self.now)
            .field("events", &self.events.len())
            .field("envelopes", &self.drafts.len())
            .finish_non_exhaustive()
    }
}

/// Random numbers from a recorded seed: SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::Chance;

    /// The first numbers of the reference implementation for seed 1234567.
    #[test]
    fn chance_gives_the_published_sequence() {
        let mut chance = Chance::new(1_234_567);
        let three = [chance.next(), chance.next(), chance.next()];
        assert_eq!(
            three,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }
}
