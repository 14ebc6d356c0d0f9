//! The outside service at a channel's end.

use std::time::Duration;

use bytes::Bytes;

use super::BoxFuture;
use crate::codec::Encoding;
use crate::id::{Epoch, Key, Name};
use crate::time::Timestamp;

/// One attempt to hand an envelope over.
///
/// The same delivery is offered again, with the same key and the same bytes, until its outcome is
/// settled: a destination that honours the key has its effect once.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The processor that sends.
    pub sender: Name,
    /// The channel it goes through.
    pub channel: &'static str,
    /// The number of the delivery in its channel, from 1.
    pub number: u64,
    /// Every delivery of this channel below this number is settled.
    pub settled_below: u64,
    /// The idempotency key: constant for ever.
    pub key: Key,
    /// Which try of this delivery this is, from 1. Anything above 1 is a redelivery.
    pub attempt: u32,
    /// The epoch of the writer that makes the attempt.
    pub epoch: Epoch,
    /// When the outcome counts as "not responding".
    pub deadline: Timestamp,
    /// How long that is from the start of the attempt.
    pub timeout: Duration,
    /// What all that follows from one message from outside has in common; constant, as the key is,
    /// and the W3C trace id towards destinations that know traces.
    pub correlation: Key,
    /// What led to this delivery: the key of the request whose outcome it was, else an id of the
    /// message.
    pub causation: Key,
    /// How the request is encoded.
    pub encoding: Encoding,
    /// The request.
    pub request: Bytes,
}

/// How one attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempted {
    /// The destination took it; for a request, this is its reply, encoded as the request was.
    Replied(Bytes),
    /// The destination said that it failed.
    Failed(Failure),
    /// Nothing was heard: it may or may not have reached the destination.
    NotResponding,
}

/// What a destination said when it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The destination's own words, at most [`ERROR_TEXT_BYTES_MAX`](crate::limit::ERROR_TEXT_BYTES_MAX)
    /// bytes of them are recorded.
    pub error: String,
    /// The earliest time for another attempt, if the destination asked for one.
    pub retry_after: Option<Duration>,
}

/// The outside service at a channel's end.
///
/// ```
/// use bytes::Bytes;
/// use refrain_core::port::BoxFuture;
/// use refrain_core::port::destination::{Attempted, Delivery, Destination};
///
/// /// Takes everything and keeps nothing.
/// struct Sink;
///
/// impl Destination for Sink {
///     fn deliver(&self, _: Delivery) -> BoxFuture<'_, Attempted> {
///         Box::pin(async { Attempted::Replied(Bytes::new()) })
///     }
/// }
/// ```
pub trait Destination: Send + Sync + 'static {
    /// Hands the delivery over and says how that ended.
    ///
    /// Called at most as often at once as the channel's window allows. The future is dropped at the
    /// delivery's deadline, which counts as [`Attempted::NotResponding`]; it must be safe to drop
    /// anywhere.
    fn deliver(&self, delivery: Delivery) -> BoxFuture<'_, Attempted>;
}
