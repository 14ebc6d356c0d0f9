//! Why a message got no answer, and whether it may be asked again.

use crate::cause::MessageId;
use crate::name::Name;
use crate::port::journal::{AppendError, Disposition};

/// Why a message got no answer.
///
/// Only [`AskError::Unknown`] leaves open whether the message was handled; ask again with the
/// identity it names, and the answer is the stored one if it was.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AskError<R> {
    /// The processor rejected the message; nothing was recorded.
    #[error("the processor rejected the message")]
    Rejected(R),
    /// The processor's code panicked on the message; nothing was recorded.
    #[error("the processor panicked on the message: {0}")]
    Panicked(String),
    /// A payload could not be encoded or an entry would be too large; nothing was recorded.
    #[error("the message cannot be recorded: {0}")]
    Invalid(String),
    /// The inbox is full; nothing was recorded.
    #[error("the inbox of {processor} is full")]
    Overloaded {
        /// The processor.
        processor: Name,
    },
    /// The journal certainly did not take the entry.
    #[error("message {id} was not recorded")]
    NotRecorded {
        /// The message's identity.
        id: MessageId,
        /// Why.
        #[source]
        cause: Box<AppendError>,
    },
    /// The journal may or may not have taken the entry. Ask again with this identity.
    #[error("whether message {id} was recorded is unknown; ask again with this id")]
    Unknown {
        /// The identity to ask again with.
        id: MessageId,
        /// Why.
        #[source]
        cause: Box<AppendError>,
    },
    /// The message was handled before, but its answer was not recorded or is forgotten.
    #[error("message {id} was handled before; its answer is no longer kept")]
    AnswerGone {
        /// The message's identity.
        id: MessageId,
    },
    /// The processor does not run: it halted or was stopped. The message was not handled by this
    /// instance.
    #[error("{processor} does not run: {reason}")]
    NotRunning {
        /// The processor.
        processor: Name,
        /// Why it does not run.
        reason: String,
    },
}

impl<R> AskError<R> {
    /// What to do now.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            AskError::Rejected(_)
            | AskError::Panicked(_)
            | AskError::Invalid(_)
            | AskError::AnswerGone { .. } => Disposition::Reject,
            AskError::Overloaded { .. }
            | AskError::NotRecorded { .. }
            | AskError::Unknown { .. }
            | AskError::NotRunning { .. } => Disposition::Again,
        }
    }
}
