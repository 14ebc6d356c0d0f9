//! Everything that can reach a driver: what users send, in a bounded inbox and in the order sent, and
//! what the driver's own tasks report, whose number is bounded by the windows of the channels.

use std::collections::VecDeque;

use refrain_core::port::destination::Attempted;
use refrain_core::port::journal::{Chunk, ReadError};
use refrain_core::{
    Actor, AskError, ChannelStatus, Command, Epoch, MessageId, Name, Position, Processor,
    StoredAnswer,
};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::error::QueryError;
use crate::queue::Receiver;

/// What a message came to.
pub(crate) type Told<P> = Result<<P as Processor>::Answer, AskError<<P as Processor>::Rejection>>;

/// What users send.
pub(crate) enum Work<P: Processor> {
    Message {
        id: MessageId,
        message: P::Message,
        reply: Option<oneshot::Sender<Told<P>>>,
        /// The room that it takes, in bytes; given back when it was handled.
        room: u32,
    },
    Batch {
        messages: Vec<(MessageId, P::Message)>,
        reply: Option<oneshot::Sender<Vec<Told<P>>>>,
        /// The place that the messages have in the inbox; given back when they are taken from it.
        place: OwnedSemaphorePermit,
        /// The room that all of them take, in bytes; given back when they were handled.
        room: u32,
    },
    Look(Look<P>),
}

/// Looks at the state now, and tells what it saw once that is durable.
pub(crate) type Look<P> = Box<dyn FnOnce(&P, Position) -> TellSeen + Send>;

/// Tells what a look saw; dropped when that never becomes durable.
pub(crate) type TellSeen = Box<dyn FnOnce() + Send>;

/// Tells whoever wanted a channel changed that it is, and durable.
pub(crate) type Done = oneshot::Sender<Result<(), QueryError>>;

/// What reaches a driver past the inbox.
pub(crate) enum Control<P: Processor> {
    /// Attempts of one channel ended.
    Ended(VecDeque<Ended>),
    /// Entries of a backlog were read for a channel of the engine of this epoch.
    Loaded {
        epoch: Epoch,
        channel: u16,
        entries: Result<Option<Chunk>, ReadError>,
    },
    /// The stored answers of messages that came again were read.
    Recalled(Vec<Result<StoredAnswer<P>, String>>),
    /// A snapshot was stored, or was not.
    SnapshotTaken(Result<Position, String>),
    /// Somebody wants to know how the channels stand.
    Channels(oneshot::Sender<Vec<ChannelStatus>>),
    /// Somebody wants a channel changed.
    Command {
        channel: Name,
        by: Actor,
        command: Command,
        done: Done,
    },
    /// Somebody wants a snapshot.
    Snapshot(oneshot::Sender<Result<Position, String>>),
}

/// How an attempt ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The epoch of the engine that asked for it.
    pub(crate) epoch: Epoch,
    pub(crate) channel: u16,
    pub(crate) number: u64,
    pub(crate) attempt: u32,
    pub(crate) attempted: Attempted,
}

/// The receiving ends of a processor's queues.
pub(crate) struct Inlets<P: Processor> {
    pub(crate) work: Receiver<Work<P>>,
    pub(crate) control: mpsc::Receiver<Control<P>>,
    /// For the driver's own tasks.
    pub(crate) control_sender: mpsc::Sender<Control<P>>,
}
