//! Event-sourced components that talk to external services reliably, and come back in step after a
//! disaster.
//!
//! A [`Processor`] keeps business state in memory. It is told messages, decides events, and is rebuilt
//! by replaying them. Its channels carry requests to a [`Destination`] and bring back how each one
//! ended: they survive crashes, are redelivered by policy, and carry the same idempotency key for ever.
//! Everything that one message leads to is one entry in a [`Journal`], and nothing is told to anybody
//! before that entry is durable. A replay calls `apply` and has no way to send.
//!
//! ```
//! use refrain::{
//!     Attempted, Channels, Delivery, FileJournal, Outbox, Outcome, Processor, RedeliveryPolicy,
//!     Refrain, Reply, RequestReply, ServiceDestination, Settlement,
//! };
//! use serde::{Deserialize, Serialize};
//!
//! /// The state: whether each order's card is good, once that is known.
//! #[derive(Clone, Default, Serialize, Deserialize)]
//! struct Orders { good: Vec<Option<bool>> }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Submit { card: String }
//! #[derive(Serialize, Deserialize)]
//! enum OrderEvent { Stored, Decided { id: usize, good: bool } }
//! #[derive(Debug, Serialize, Deserialize)]
//! struct NoCard;
//! #[derive(Serialize, Deserialize)]
//! struct Validate { id: usize, card: String }
//!
//! /// The constant names its handler: this line is the whole route.
//! const VALIDATION: RequestReply<Orders, Validate, bool> =
//!     RequestReply::new("validation", Orders::on_validation);
//!
//! impl Processor for Orders {
//!     type Message = Submit;
//!     type Event = OrderEvent;
//!     type Answer = usize;
//!     type Rejection = NoCard;
//!     const CHANNELS: Channels<Self> = &[&VALIDATION];
//!
//!     fn decide(&self, new: &Submit, out: &mut Outbox<Self>) -> Result<usize, NoCard> {
//!         if new.card.is_empty() {
//!             return Err(NoCard);
//!         }
//!         let id = self.good.len();
//!         out.event(OrderEvent::Stored)
//!             .request(&VALIDATION, &Validate { id, card: new.card.clone() });
//!         Ok(id)
//!     }
//!
//!     fn apply(&mut self, event: &OrderEvent) {
//!         match event {
//!             OrderEvent::Stored => self.good.push(None),
//!             OrderEvent::Decided { id, good } => self.good[*id] = Some(*good),
//!         }
//!     }
//! }
//!
//! impl Orders {
//!     fn on_validation(
//!         &self,
//!         asked: &Validate,
//!         outcome: Outcome<bool>,
//!         out: &mut Outbox<Self>,
//!     ) -> Settlement {
//!         match outcome {
//!             Outcome::Reply(good) => {
//!                 out.event(OrderEvent::Decided { id: asked.id, good });
//!                 Settlement::Confirm
//!             }
//!             Outcome::DestinationFailure { .. } | Outcome::DestinationNotResponding { .. } => {
//!                 Settlement::Redeliver // again, with the same key, as the policy says
//!             }
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let directory = directory.path();
//! // Any service is a destination; `refrain-http` has one for HTTP.
//! let validator = ServiceDestination::new(tower::service_fn(|delivery: Delivery| async move {
//!     let asked: Validate = delivery.encoding.decode(&delivery.request)?;
//!     let verdict = Reply::encode(delivery.encoding, &asked.card.starts_with('4'))?;
//!     Ok::<_, tower::BoxError>(Attempted::Replied(verdict))
//! }));
//! let refrain = Refrain::builder()
//!     .journal(FileJournal::open(directory)?)
//!     .processor("orders", Orders::default())
//!     .destination(&VALIDATION, validator, RedeliveryPolicy::default())
//!     .start() // recovers, then delivers what is still owed
//!     .await?;
//!
//! let orders = refrain.processor::<Orders>("orders");
//! let id = orders.ask(Submit { card: "4242".to_owned() }).await?;
//! // The order is on disk, and so is the request. Its reply comes as a step of its own.
//! let mut good = None;
//! while good.is_none() {
//!     good = orders.query(move |orders| orders.good[id]).await?;
//! }
//! assert_eq!(good, Some(true));
//! refrain.drain().await;
//! # Ok(()) }
//! ```
//!
//! # Where to look
//!
//! | | |
//! |---|---|
//! | write a processor | [`Processor`], [`Outbox`], [`Outcome`], [`Settlement`], [`Timer`] |
//! | send | [`RequestReply`], [`OneWay`], [`ChannelOptions`], [`RedeliveryPolicy`]; a channel alone is a [`Relay`] |
//! | receive | [`Destination`], [`ServiceDestination`]; another processor by [`ProcessorBuilder::connect`] |
//! | start and stop | [`Refrain::builder`], [`Builder::launch`], [`Refrain::drain`] |
//! | ask and look | [`Handle`], [`AskError`], [`MessageId`] |
//! | watch | [`Refrain::events`], [`Signal`], [`ChannelStatus`], [`RecoveryStatus`] |
//! | keep | [`FileJournal`], [`JournalOptions`], [`FileSnapshots`], [`SnapshotPolicy`]; [`MemoryJournal`] for tests |
//! | let go | [`RetentionPolicy`], [`Hold`], [`Checkpoints`], [`Refrain::retain`] |
//! | look back | [`Handle::state_at`], [`History`], [`Entries`], [`StateDigest`] |

mod builder;
mod clock;
mod description;
mod driver;
mod entries;
mod entropy;
pub mod entry;
mod error;
mod handle;
mod history;
mod lead;
mod never;
mod planted;
mod processor_destination;
mod progress;
mod queue;
mod recover;
mod relay;
mod retention;
mod runtime;
mod service_destination;
mod signal;
mod snapshot_policy;
mod stage;
mod state_digest;
mod turn;
mod weight;

pub use builder::{Builder, ProcessorBuilder};
pub use entries::{Entries, EntryAt};
pub use error::{BuildError, QueryError, StartError};
pub use handle::Handle;
pub use history::History;
pub use never::Never;
pub use progress::RecoveryStatus;
pub use recover::RecoverError;
pub use refrain_core::port;
pub use refrain_core::port::destination::{Attempted, Delivery, Destination, Failure, Reply};
pub use refrain_core::port::hold::{Hold, HoldError, Need};
pub use refrain_core::port::journal::Journal;
pub use refrain_core::port::snapshots::Snapshots;
pub use refrain_core::{
    Activation, AskError, ChannelKind, ChannelOptions, ChannelState, ChannelStatus, Channels,
    CodecError, Delay, Encoded, Encoding, InDoubt, Key, MessageId, Name, NameError, OneWay, Order,
    Outbox, Outcome, Position, Processor, Recording, RedeliveryPolicy, Remember, RequestReply,
    Settlement, SideEffects, StopReason, Timer, Timestamp, UpcastError,
};
pub use refrain_journal::{
    FileJournal, FileSnapshots, JournalOptions, JournalReader, MemoryJournal, MemorySnapshots,
    OpenError,
};
pub use relay::Relay;
pub use retention::{Checkpoints, KeptFor, RetainError, Retained, RetentionPolicy};
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
