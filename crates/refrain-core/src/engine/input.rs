//! What can happen to an engine, and what it asks for: closed enums of plain data.

use crate::cause::MessageId;
use crate::entry::{Actor, InDoubt, StopReason};
use crate::id::Position;
use crate::name::Name;
use crate::port::destination::{Attempted, Delivery};
use crate::port::journal::Chunk;
use crate::processor::Processor;
use crate::refusal::AskError;
use crate::time::Timestamp;

/// When a step happens, and what its random numbers follow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The time.
    pub now: Timestamp,
    /// A random number.
    pub seed: u64,
}

/// The caller's own number for whoever waits to be told something.
pub type Ticket = u64;

/// Everything that can happen to an engine.
#[derive(Debug)]
pub enum Input<P: Processor> {
    /// A message, from outside or from another processor.
    Message {
        /// Its identity.
        id: MessageId,
        /// The message.
        message: P::Message,
        /// Who waits for the answer; nobody, when there is none.
        ticket: Option<Ticket>,
    },
    /// Somebody looked at the state and waits until what was seen is durable.
    Looked {
        /// Who waits.
        ticket: Ticket,
    },
    /// An attempt ended.
    Attempted {
        /// The channel's number in its stream.
        channel: u16,
        /// The delivery's number.
        number: u64,
        /// The attempt.
        attempt: u32,
        /// How it ended.
        ended: Attempted,
    },
    /// The journal says that everything up to this position is durable.
    Durable(Position),
    /// Time has passed.
    Tick,
    /// Entries that were asked for by [`Effect::Load`]; `None` when there are none yet.
    Loaded {
        /// The channel that they were asked for.
        channel: u16,
        /// The entries.
        entries: Option<Chunk>,
    },
    /// Somebody wants a channel changed.
    Command {
        /// The channel's name.
        channel: Name,
        /// Who wants it.
        by: Actor,
        /// What is wanted.
        command: Command,
    },
}

/// What can be wanted of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Deliver again: activates a channel that stopped or was not activated yet, and releases what
    /// was parked.
    Deliver,
    /// Deliver to another of the channel's destinations.
    Redirect {
        /// Its name.
        destination: Name,
        /// What becomes of deliveries that may have reached the destination before.
        in_doubt: InDoubt,
    },
}

/// What the driver is asked to do. Everything here rests on durable entries alone.
#[derive(Debug)]
pub enum Effect<P: Processor> {
    /// Tell whoever waits that the message was handled, or why it was not.
    Answer {
        /// Who waits.
        ticket: Ticket,
        /// What to tell.
        result: Result<P::Answer, AskError<P::Rejection>>,
    },
    /// The message was handled before: read the answer from the step at `position` and tell it.
    Recall {
        /// Who waits.
        ticket: Ticket,
        /// The message's identity.
        id: MessageId,
        /// Where the step is; `None` when that is forgotten.
        position: Option<Position>,
    },
    /// What was seen is durable.
    Seen {
        /// Who waits.
        ticket: Ticket,
    },
    /// Make an attempt and report how it ended with [`Input::Attempted`].
    Deliver {
        /// The channel's number in its stream.
        channel: u16,
        /// Which of the channel's destinations; its own when there is none.
        destination: Option<Name>,
        /// What to deliver.
        delivery: Box<Delivery>,
    },
    /// Read entries from `from` on and pass them in with [`Input::Loaded`].
    Load {
        /// The channel that needs them.
        channel: u16,
        /// The first entry.
        from: Position,
    },
    /// Tell subscribers.
    Announce(Signal),
}

/// What subscribers are told of a processor's channels.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal {
    /// The channel used up its last activation. It goes on accepting, and waits for `deliver`.
    DeliveryStopped {
        /// The channel.
        channel: Name,
        /// Why.
        reason: StopReason,
        /// Deliveries without a settlement.
        pending: u64,
    },
    /// The channel was activated again.
    DeliveryResumed {
        /// The channel.
        channel: Name,
        /// Deliveries without a settlement.
        pending: u64,
    },
    /// A delivery was set aside, because its outcome could not be handled.
    DeliveryParked {
        /// The channel.
        channel: Name,
        /// The delivery's number.
        number: u64,
        /// Why.
        reason: String,
    },
    /// An outcome came for a delivery that is settled or unknown. It changed nothing.
    LateOutcome {
        /// The channel.
        channel: Name,
        /// The delivery's number.
        number: u64,
    },
}
