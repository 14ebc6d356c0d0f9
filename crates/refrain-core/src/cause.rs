//! What made a step happen, and by which identity it is recognised when it comes again.

use crate::id::{Key, Name};
use crate::limit::MESSAGE_ID_BYTES_MAX;

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
    /// A delivery of another processor's channel. Remembered until that channel has settled it.
    Delivered(DeliveredId),
}

/// The identity that an outside sender gave to a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GivenId {
    source: String,
    id: String,
}

impl GivenId {
    /// Who sent it.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What the sender called it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// The identity of a delivery that one processor sends to another.
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
        Ok(MessageId::Given(GivenId {
            source: source.to_owned(),
            id: id.to_owned(),
        }))
    }
}

impl std::fmt::Display for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            MessageId::Given(GivenId { source, id }) => {
                write!(f, "{}/{}", source.escape_default(), id.escape_default())
            }
            MessageId::Drawn(bits) => write!(f, "{:032x}", u128::from_be_bytes(*bits)),
            MessageId::Sequenced { source, number } => write!(f, "{source}#{number}"),
            MessageId::Delivered(DeliveredId {
                sender,
                channel,
                number,
                ..
            }) => {
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

/// What made a step happen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// A message, from outside or from another processor.
    Message(MessageId),
    /// An outcome of a request of this processor.
    Outcome {
        /// The channel's number in this stream.
        channel: u16,
        /// The delivery's number in the channel.
        number: u64,
        /// The attempt that brought it.
        attempt: u32,
        /// What came.
        what: OutcomeCause,
    },
    /// A timer of this processor that came due.
    Timer {
        /// The channel's number in this stream.
        channel: u16,
        /// The timer's number in the channel.
        number: u64,
    },
}

/// What an outcome was, as its identity needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeCause {
    /// A reply; whichever attempt brought it, it is the same.
    Reply,
    /// The `n`-th recorded failure outcome: the destination said that it failed.
    Failure(u32),
    /// The `n`-th recorded failure outcome: nothing was heard.
    NotResponding(u32),
}
