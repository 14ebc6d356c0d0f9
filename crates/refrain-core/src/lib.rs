//! The words, the ports and the pure engine of Refrain.
//!
//! This crate does no I/O, asks no clock and starts no task: inputs and a time go in, effects come
//! out. Users find everything they need re-exported by the crate `refrain`; whoever writes a
//! journal, a destination or an ingress needs only this one.

mod cause;
mod channel;
mod codec;
mod engine;
mod entry;
mod id;
mod ledger;
pub mod limit;
mod outbox;
mod outcome;
pub mod port;
mod processor;
mod refusal;
mod time;

pub use cause::{Cause, DeliveredId, DeliveryId, GivenId, MessageId, MessageIdError, OutcomeCause};
pub use channel::{
    Activation, ChannelKind, ChannelOptions, Channels, Delay, OneWay, Order, OutcomeHandler,
    PolicyError, RedeliveryPolicy, RequestReply, Route, SideEffects, Timer, TimerHandler,
};
pub use codec::{CodecError, Encoding};
pub use engine::{
    ChannelState, ChannelStatus, Command, Effect, Engine, EngineSettings, Input, Moment, Replay,
    ReplayError, Signal, SnapshotFormatError, Spoiled, StoredAnswer, Ticket, Writer, stored_answer,
};
pub use entry::{
    Actor, Begun, ChannelMoved, DeclaredChannel, Entry, Envelope, Envelopes, Events, FormatError,
    InDoubt, Move, RecordedMessage, Step, StepVerdict, StopReason,
};
pub use id::{Epoch, Key, Name, NameError, Position};
pub use ledger::Remember;
pub use outbox::Outbox;
pub use outcome::{Outcome, Settlement};
pub use processor::{Encoded, Processor, Recording, UpcastError};
pub use refusal::AskError;
pub use time::Timestamp;
