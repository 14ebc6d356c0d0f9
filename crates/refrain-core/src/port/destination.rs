//! The outside service at a channel's end.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use super::BoxFuture;
use crate::codec::{CodecError, Encoding};
use crate::id::{Epoch, Key};
use crate::name::Name;
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
    /// The destination took it; for a request, this is its reply.
    Replied(Reply),
    /// The destination said that it failed.
    Failed(Failure),
    /// Nothing was heard: it may or may not have reached the destination.
    NotResponding,
}

/// What a destination replied, as it came: it is recorded with its own encoding, whatever the request's
/// was, and decoded by its type.
///
/// ```
/// use refrain_core::Encoding;
/// use refrain_core::port::destination::Reply;
///
/// let verdict = Reply::encode(Encoding::Cbor, &true)?;
/// assert!(verdict.encoding.decode::<bool>(&verdict.bytes)?);
/// // JSON from elsewhere needs no translation, so nothing of it is lost.
/// let quote = Reply::new(Encoding::Json, "1");
/// assert_eq!(quote.encoding.decode::<f64>(&quote.bytes)?, 1.0);
/// # Ok::<(), refrain_core::CodecError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// How it is encoded.
    pub encoding: Encoding,
    /// The encoded reply.
    pub bytes: Bytes,
}

impl Reply {
    /// A reply that is encoded already.
    pub fn new(encoding: Encoding, bytes: impl Into<Bytes>) -> Reply {
        Reply {
            encoding,
            bytes: bytes.into(),
        }
    }

    /// A value as a reply.
    ///
    /// # Errors
    /// When the encoding has no form for the value.
    pub fn encode<T: Serialize + ?Sized>(
        encoding: Encoding,
        value: &T,
    ) -> Result<Reply, CodecError> {
        let mut bytes = Vec::new();
        encoding.encode(value, &mut bytes)?;
        Ok(Reply::new(encoding, bytes))
    }

    /// What confirms a delivery that is one way, and the reply where `()` is awaited.
    #[must_use]
    pub const fn nothing() -> Reply {
        Reply {
            encoding: Encoding::Json,
            bytes: Bytes::from_static(b"null"),
        }
    }
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
/// use refrain_core::port::BoxFuture;
/// use refrain_core::port::destination::{Attempted, Delivery, Destination, Reply};
///
/// /// Takes everything and keeps nothing.
/// struct Sink;
///
/// impl Destination for Sink {
///     fn deliver(&self, _: Delivery) -> BoxFuture<'_, Attempted> {
///         Box::pin(async { Attempted::Replied(Reply::nothing()) })
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
