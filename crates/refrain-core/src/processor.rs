//! What a user writes: a processor, that decides events and applies them.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::channel::Channels;
use crate::codec::{CodecError, Encoding};
use crate::outbox::Outbox;

/// Domain logic with state in memory.
///
/// [`decide`](Processor::decide) reads the state and says what follows from a message;
/// [`apply`](Processor::apply) is the only place where the state changes, live and in a replay.
/// Neither may look at a clock, at chance or at anything else outside the state and its arguments:
/// the outbox has the time and random numbers, recorded with the step.
///
/// Names of event variants are stored, and so are the names of fields: renaming one is a new
/// [`EVENT_VERSION`](Processor::EVENT_VERSION) with an [`upcast`](Processor::upcast) from the old.
///
/// ```
/// use refrain_core::{Outbox, Processor};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Default)]
/// struct Account {
///     cents: u64,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// enum AccountEvent {
///     Withdrawn { cents: u64 },
/// }
///
/// impl Processor for Account {
///     type Message = u64;
///     type Event = AccountEvent;
///     type Answer = u64;
///     type Rejection = String;
///
///     fn decide(&self, wanted: &u64, out: &mut Outbox<Self>) -> Result<u64, String> {
///         let left = self.cents.checked_sub(*wanted).ok_or("not enough")?;
///         out.event(AccountEvent::Withdrawn { cents: *wanted });
///         Ok(left)
///     }
///
///     fn apply(&mut self, event: &AccountEvent) {
///         match event {
///             AccountEvent::Withdrawn { cents } => self.cents -= cents,
///         }
///     }
/// }
/// ```
pub trait Processor: Sized + Send + 'static {
    /// What outsiders may say, and nothing else.
    type Message: Serialize + DeserializeOwned + Send + 'static;
    /// What the processor decides.
    type Event: Serialize + DeserializeOwned + Send + 'static;
    /// What the sender of a message gets back once the step is durable.
    type Answer: Serialize + DeserializeOwned + Send + 'static;
    /// What the sender gets instead when the processor will not handle the message.
    type Rejection: Serialize + DeserializeOwned + Send + 'static;

    /// The processor's channels and timers. A channel that is missing here cannot be sent to.
    const CHANNELS: Channels<Self> = &[];
    /// How payloads are encoded.
    const ENCODING: Encoding = Encoding::Cbor;
    /// The version under which events are recorded.
    const EVENT_VERSION: u16 = 1;
    /// How much of a message is recorded beside the events it led to.
    const RECORDING: Recording = Recording::Message;

    /// Decides what follows from `message`: events, requests and an answer, or a rejection, which
    /// discards whatever went into `out`.
    ///
    /// # Errors
    /// The rejection, for the sender.
    fn decide(
        &self,
        message: &Self::Message,
        out: &mut Outbox<Self>,
    ) -> Result<Self::Answer, Self::Rejection>;

    /// Changes the state as `event` says. Must not fail: an event is a fact.
    fn apply(&mut self, event: &Self::Event);

    /// Lifts an event that was recorded under an older `version` to today's events: one, several or
    /// none.
    ///
    /// # Errors
    /// [`UpcastError::Unknown`] for a version that this code does not know, which halts the
    /// processor before it guesses.
    fn upcast(version: u16, encoded: Encoded<'_>) -> Result<Vec<Self::Event>, UpcastError> {
        let _ = encoded;
        Err(UpcastError::Unknown {
            version,
            known: Self::EVENT_VERSION,
        })
    }
}

/// How much of a message is recorded beside the events it led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recording {
    /// The message as it was received: an audit, and what the replay check needs.
    Message,
    /// Its identity and its SHA-256 digest only, for messages that may not be kept.
    Digest,
    /// Its identity only.
    Identity,
}

/// A payload as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoded<'a> {
    /// How it is encoded.
    pub encoding: Encoding,
    /// Its bytes.
    pub bytes: &'a [u8],
}

impl Encoded<'_> {
    /// The value that the bytes encode.
    ///
    /// # Errors
    /// When they are not one whole value of the type.
    pub fn decode<T: DeserializeOwned>(self) -> Result<T, CodecError> {
        self.encoding.decode(self.bytes)
    }
}

/// Why an old event could not be lifted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpcastError {
    /// This code has no upcaster for the version: it is newer than the code, or too old.
    #[error("events of version {version} are unknown here (this code writes version {known})")]
    Unknown {
        /// The version of the stored event.
        version: u16,
        /// The version that this code writes.
        known: u16,
    },
    /// The bytes are not what the version promises.
    #[error(transparent)]
    Codec(#[from] CodecError),
}
