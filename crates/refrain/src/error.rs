//! Errors of the runtime, and their text for people.

use std::any::Any;
use std::error::Error;

use refrain_core::{Name, NameError, PolicyError};

use crate::recover::RecoverError;

/// An error with all that caused it, on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// The message of a panic, as far as it is text.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a text").to_owned()
}

/// Why a runtime does not start. Nothing was started and nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No journal was given.
    #[error("a runtime needs a journal: call `journal` before `start`")]
    NoJournal,
    /// A name of a processor, channel or destination is not one.
    #[error("{text:?} cannot be a name")]
    Name {
        /// What was given.
        text: String,
        /// Which rule it breaks.
        #[source]
        cause: NameError,
    },
    /// Two processors have the same name.
    #[error("two processors are called {name}")]
    DuplicateProcessor {
        /// The name.
        name: Name,
    },
    /// Two channels of a processor have the same name.
    #[error("two channels of {processor} are called {channel}")]
    DuplicateChannel {
        /// The processor.
        processor: Name,
        /// The channels' name.
        channel: &'static str,
    },
    /// A channel has no destination.
    #[error("channel {channel} of {processor} has no destination")]
    NoDestination {
        /// The processor.
        processor: Name,
        /// The channel.
        channel: &'static str,
    },
    /// A channel has two destinations of the same name, or two of its own.
    #[error("channel {channel} of {processor} has two destinations called {destination}")]
    DuplicateDestination {
        /// The processor.
        processor: Name,
        /// The channel.
        channel: &'static str,
        /// The destinations' name; the channel's, for the one that it begins with.
        destination: String,
    },
    /// A destination was given for a channel that is not among the processor's `CHANNELS`.
    #[error("{processor} has no channel {channel}: is it among its CHANNELS?")]
    UnknownChannel {
        /// The processor.
        processor: Name,
        /// The channel.
        channel: &'static str,
    },
    /// A channel leads to a processor that is not there, or that takes other messages.
    #[error("channel {channel} of {processor} leads to {target}, which is not such a processor")]
    UnknownProcessor {
        /// The processor.
        processor: Name,
        /// The channel.
        channel: &'static str,
        /// Where it leads.
        target: Name,
    },
    /// The options of a channel make no sense.
    #[error("channel {channel} of {processor}")]
    Policy {
        /// The processor.
        processor: Name,
        /// The channel.
        channel: &'static str,
        /// Which rule they break.
        #[source]
        cause: PolicyError,
    },
    /// A processor shall forget old entries, and there is no place for the snapshots that stand for
    /// them.
    #[error("{processor} shall forget entries and has no snapshots: call `snapshots` as well")]
    RetentionWithoutSnapshots {
        /// The processor.
        processor: Name,
    },
    /// Panics would end the process, so that they cannot be contained.
    #[error("build with panic = \"unwind\": a panic in a processor must not end the others")]
    PanicAborts,
}

/// Why a runtime could not be brought up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// What was built makes no sense.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A processor halted during its recovery. Others may have gone on.
    #[error("{processor} halted: {reason}")]
    Halted {
        /// The processor.
        processor: Name,
        /// Why.
        reason: String,
    },
    /// A state of the past could not be rebuilt.
    #[error(transparent)]
    Recover(#[from] RecoverError),
}

/// Why a look at a processor gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// What was seen did not become durable. Look again.
    #[error("what was seen did not become durable")]
    NotDurable,
    /// The inbox is full. Look again later.
    #[error("the inbox is full")]
    Overloaded,
    /// The processor does not run.
    #[error("{processor} does not run: {reason}")]
    NotRunning {
        /// The processor.
        processor: Name,
        /// Why.
        reason: String,
    },
    /// The code that looked panicked. The processor goes on.
    #[error("the code that looked panicked: {text}")]
    Panicked {
        /// The panic's message.
        text: String,
    },
    /// The channel has no destination of that name.
    #[error("channel {channel} has no destination called {destination}")]
    NoSuchDestination {
        /// The channel.
        channel: Name,
        /// What was asked for.
        destination: Name,
    },
    /// There is no such channel.
    #[error("{processor} has no channel {channel}")]
    NoSuchChannel {
        /// The processor.
        processor: Name,
        /// What was asked for.
        channel: String,
    },
    /// A snapshot was asked for and could not be stored.
    #[error("no snapshot could be stored: {reason}")]
    Snapshot {
        /// Why.
        reason: String,
    },
}
