//! What made a step happen, and by which identity it is recognised when it comes again.

use crate::id::Key;
use crate::limit::MESSAGE_ID_BYTES_MAX;
use crate::name::Name;

/// The identity of a message: the same one again changes nothing and gets the stored answer.
///
/// ```
/// use refrain_core::{MessageId, Name};
///
/// let id = MessageId::given("shop", "order-17")?;
/// assert_eq!(id.to_string(), "shop/order-17");
/// assert!(MessageId::given("shop", &"x".repeat(300)).is_err());
/// # Ok::<(), refrain_core::MessageIdError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MessageId {
    /// As an outside sender gave it (CloudEvents source and id, `Idempotency-Key`). Remembered
    /// within a window by count.
    Given(GivenId),
    /// 128 random bits, drawn before the first try for a sender that gave no identity. Remembered
    /// as given ones are.
    Drawn([u8; 16]),
    /// A number of a source that sends in order and without gaps in meaning: whatever is not above
    /// the last number handled was handled. One number is remembered for the source, for ever.
    Sequenced {
        /// The source.
        source: Name,
        /// The message's number in it.
        number: u64,
    },
    /// A delivery of another processor's channel, both in one journal. Remembered until that channel
    /// has settled it. Boxed, because it is three times as large as the others, which are copied from
    /// queue to queue.
    Delivered(Box<DeliveredId>),
}

/// The identity that an outside sender gave to a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GivenId {
    /// The source, and right behind it the id.
    text: Box<str>,
    source_bytes: u16,
}

impl GivenId {
    /// Who sent it.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.text[..usize::from(self.source_bytes)]
    }

    /// What the sender called it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.text[usize::from(self.source_bytes)..]
    }
}

/// The identity of a delivery that one processor sends to another in the same journal.
///
/// It is recognised by its number. That is enough where both are in one journal: put back to an earlier
/// time, it forgets with the sender's delivery that the receiver handled it. Between two journals the
/// one that is put back would give the number of a delivery that the other has handled to a new one, which
/// would be taken for handled: there the identity is a [given](MessageId::given) one, made of the key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeliveredId {
    /// The processor that sends.
    pub sender: Name,
    /// Its channel.
    pub channel: Name,
    /// The delivery's number in the channel.
    pub number: u64,
    /// Every delivery of the channel below this number is settled and need not be remembered.
    pub settled_below: u64,
    /// The delivery's idempotency key.
    pub key: Key,
    /// The delivery's correlation.
    pub correlation: Key,
}

impl MessageId {
    /// The identity that an outside sender gave: who it is, and what it calls the message.
    ///
    /// # Errors
    /// When the id is empty, or the two together are longer than
    /// [`MESSAGE_ID_BYTES_MAX`].
    pub fn given(source: &str, id: &str) -> Result<MessageId, MessageIdError> {
        if id.is_empty() {
            return Err(MessageIdError::Empty);
        }
        let bytes = source.len() + id.len();
        if bytes > MESSAGE_ID_BYTES_MAX {
            return Err(MessageIdError::TooLong { bytes });
        }
        let mut text = String::with_capacity(bytes);
        text.push_str(source);
        text.push_str(id);
        Ok(MessageId::Given(GivenId {
            text: text.into_boxed_str(),
            source_bytes: u16::try_from(source.len()).expect("MESSAGE_ID_BYTES_MAX fits 16 bits"),
        }))
    }
}

impl std::fmt::Display for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            MessageId::Given(given) => {
                let (source, id) = (given.source(), given.id());
                write!(f, "{}/{}", source.escape_default(), id.escape_default())
            }
            MessageId::Drawn(bits) => write!(f, "{:032x}", u128::from_be_bytes(*bits)),
            MessageId::Sequenced { source, number } => write!(f, "{source}#{number}"),
            MessageId::Delivered(delivered) => {
                let DeliveredId {
                    sender,
                    channel,
                    number,
                    ..
                } = &**delivered;
                write!(f, "{sender}/{channel}#{number}")
            }
        }
    }
}

/// Why a text cannot be the id of a message. The text must change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageIdError {
    /// Nothing was given.
    #[error("a message id needs at least one character")]
    Empty,
    /// Source and id together are too long.
    #[error("source and id have at most 256 bytes together, these have {bytes}")]
    TooLong {
        /// Their length.
        bytes: usize,
    },
}

/// What made a step happen: the borrowed form, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause<'a> {
    /// A message with an identity that its sender gave.
    Given {
        /// Who sent it.
        source: &'a str,
        /// What the sender called it.
        id: &'a str,
    },
    /// A message whose identity was drawn for it.
    Drawn([u8; 16]),
    /// A message of an in-order source.
    Sequenced {
        /// The source.
        source: &'a str,
        /// The message's number in it.
        number: u64,
    },
    /// A delivery of another processor's channel.
    Delivered {
        /// The processor that sends.
        sender: &'a str,
        /// Its channel.
        channel: &'a str,
        /// The delivery's number in the channel.
        number: u64,
        /// Every delivery below this number is settled.
        settled_below: u64,
        /// The delivery's idempotency key.
        key: Key,
        /// The delivery's correlation.
        correlation: Key,
    },
    /// An outcome of a request of this processor.
    Outcome {
        /// The delivery that it is the outcome of.
        delivery: DeliveryId,
        /// The attempt that brought it.
        attempt: u32,
        /// What came.
        what: OutcomeCause,
    },
    /// A timer of this processor that came due.
    Timer(DeliveryId),
}

/// A delivery of this stream: a channel by its number in the stream, and a number in the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId {
    /// The channel's number in its stream, from 0.
    pub channel: u16,
    /// The delivery's number in its channel, from 1.
    pub number: u64,
}

/// What an outcome was, as its identity needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeCause {
    /// The `n`-th recorded reply, whichever attempt brought it; above 1 only when the processor asked
    /// for redelivery of the replies before.
    Reply(u32),
    /// The `n`-th recorded failure outcome: the destination said that it failed.
    Failure(u32),
    /// The `n`-th recorded failure outcome: nothing was heard.
    NotResponding(u32),
}

impl MessageId {
    /// The cause of a step that handles the message with this identity.
    #[inline]
    #[must_use]
    pub fn as_cause(&self) -> Cause<'_> {
        match self {
            MessageId::Given(given) => Cause::Given {
                source: given.source(),
                id: given.id(),
            },
            MessageId::Drawn(bits) => Cause::Drawn(*bits),
            MessageId::Sequenced { source, number } => Cause::Sequenced {
                source: source.as_str(),
                number: *number,
            },
            MessageId::Delivered(delivered) => Cause::Delivered {
                sender: delivered.sender.as_str(),
                channel: delivered.channel.as_str(),
                number: delivered.number,
                settled_below: delivered.settled_below,
                key: delivered.key,
                correlation: delivered.correlation,
            },
        }
    }

    /// Whether the message comes from a source that keeps it until it is handled, so that a
    /// rejection must be recorded: else it would be met for ever.
    #[inline]
    #[must_use]
    pub fn is_durable(&self) -> bool {
        match self {
            MessageId::Given(_) | MessageId::Drawn(_) => false,
            MessageId::Sequenced { .. } | MessageId::Delivered(_) => true,
        }
    }
}

/// Every message carries one through several queues.
const _: () = assert!(size_of::<MessageId>() <= 32, "identities stay small");
