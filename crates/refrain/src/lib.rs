//! Event-sourced components that talk to external services reliably, and come back in step after a
//! disaster.

mod bound_snapshot;
mod builder;
mod clock;
mod description;
mod driver;
pub mod entry;
mod error;
mod handle;
mod history;
mod lead;
mod never;
mod processor_destination;
mod progress;
mod recover;
mod relay;
mod runtime;
mod service_destination;
mod signal;
mod snapshot_policy;
mod stage;
mod state_digest;

pub use builder::{Builder, ProcessorBuilder};
pub use error::{BuildError, QueryError, StartError};
pub use handle::Handle;
pub use history::History;
pub use never::Never;
pub use progress::RecoveryStatus;
pub use recover::RecoverError;
pub use refrain_core::port;
pub use refrain_core::port::destination::{Attempted, Delivery, Destination, Failure};
pub use refrain_core::port::journal::Journal;
pub use refrain_core::port::snapshots::Snapshots;
pub use refrain_core::{
    Activation, AskError, ChannelKind, ChannelOptions, ChannelState, ChannelStatus, Channels,
    CodecError, Delay, Encoded, Encoding, InDoubt, Key, MessageId, Name, NameError, OneWay, Order,
    Outbox, Outcome, Position, Processor, Recording, RedeliveryPolicy, Remember, RequestReply,
    Settlement, SideEffects, StopReason, Timer, Timestamp, UpcastError,
};
pub use refrain_journal::{
    AppendFault, FileJournal, FileSnapshots, JournalOptions, JournalReader, MemoryJournal,
    MemorySnapshots, OpenError,
};
pub use relay::Relay;
pub use runtime::Refrain;
pub use service_destination::ServiceDestination;
pub use signal::{Signal, Subscription};
pub use snapshot_policy::SnapshotPolicy;
pub use state_digest::StateDigest;

/// The pages that users read first, so that their code compiles and runs.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../README.md")]
    struct Readme;
    #[doc = include_str!("../../../docs/guide/processors.md")]
    struct Processors;
    #[doc = include_str!("../../../docs/guide/channels.md")]
    struct Channels;
    #[doc = include_str!("../../../docs/guide/recovery.md")]
    struct Recovery;
    #[doc = include_str!("../../../docs/guide/running.md")]
    struct Running;
    #[doc = include_str!("../../../docs/guide/http.md")]
    struct Http;
}
