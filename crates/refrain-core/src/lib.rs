//! The words, the ports and the pure engine of Refrain.
//!
//! This crate does no I/O, asks no clock and starts no task: inputs and a time go in, effects come
//! out. Users find everything they need re-exported by the crate `refrain`; whoever writes a
//! journal, a destination or an ingress needs only this one.
//!
//! A whole processor, driven by hand. It asks a validator about every order; whoever drives it (in
//! production the runtime of the crate `refrain`) appends what it gives, says what became durable, and
//! performs the effects that this allows.
//!
//! ```
//! use refrain_core::port::destination::{Attempted, Reply};
//! use refrain_core::{
//!     Channels, Effect, Engine, EngineSettings, Input, MessageId, Moment, Name, Outbox, Outcome,
//!     Processor, Remember, Replay, RequestReply, Settlement, Timestamp, Writer,
//! };
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Default)]
//! struct Orders {
//!     accepted: u64,
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! enum OrderEvent {
//!     Accepted { id: u64 },
//! }
//!
//! const VALIDATION: RequestReply<Orders, u64, bool> =
//!     RequestReply::new("validation", Orders::on_validation);
//!
//! impl Processor for Orders {
//!     type Message = u64;
//!     type Event = OrderEvent;
//!     type Answer = String;
//!     type Rejection = ();
//!     const CHANNELS: Channels<Self> = &[&VALIDATION];
//!
//!     fn decide(&self, id: &u64, out: &mut Outbox<Self>) -> Result<String, ()> {
//!         out.request(&VALIDATION, id);
//!         Ok(format!("order {id} is stored"))
//!     }
//!
//!     fn apply(&mut self, event: &OrderEvent) {
//!         match event {
//!             OrderEvent::Accepted { .. } => self.accepted += 1,
//!         }
//!     }
//! }
//!
//! impl Orders {
//!     fn on_validation(&self, id: &u64, outcome: Outcome<bool>, out: &mut Outbox<Self>) -> Settlement {
//!         match outcome {
//!             Outcome::Reply(true) => {
//!                 out.event(OrderEvent::Accepted { id: *id });
//!                 Settlement::Confirm
//!             }
//!             Outcome::Reply(false) => Settlement::Confirm,
//!             Outcome::DestinationFailure { .. } | Outcome::DestinationNotResponding { .. } => {
//!                 Settlement::Redeliver
//!             }
//!         }
//!     }
//! }
//!
//! // Replay first: here of nothing, for the stream is new.
//! let replay = Replay::new(Orders::default(), Remember::default());
//! let settings = EngineSettings {
//!     name: Name::new("orders")?,
//!     channels: Vec::new(),
//!     entry_bytes_max: 1024 * 1024,
//!     remember: Remember::default(),
//! };
//! let writer = Writer { id: [1; 16], secret: [2; 32], code_version: "1.0".to_owned() };
//! let moment = Moment { now: Timestamp::from_micros(1_700_000_000_000_000), seed: 1 };
//! let mut engine = Engine::begin(replay, settings, &writer, moment);
//!
//! // An order arrives. Nothing is told and nothing is sent before it is durable.
//! let id = MessageId::given("shop", "order-17")?;
//! engine.step(moment, Input::Message { id, message: 17, ticket: Some(1) });
//! assert_eq!(engine.drain_effects().count(), 0);
//! let (at, batch) = engine.take_batch(moment.now).expect("two entries");
//! assert_eq!((at.get(), batch.len()), (1, 2), "the writer began, and the order was handled");
//! engine.step(moment, Input::Durable(engine.head()));
//!
//! let effects: Vec<Effect<Orders>> = engine.drain_effects().collect();
//! let [Effect::Answer { result, .. }, Effect::Deliver { channel, delivery, .. }] = &effects[..] else {
//!     panic!("the answer and the request");
//! };
//! assert_eq!(result.as_deref().ok(), Some("order 17 is stored"));
//!
//! // The validator replies; the outcome, its event and the settlement are one entry.
//! let ended = Attempted::Replied(Reply::encode(delivery.encoding, &true)?);
//! let (channel, number, attempt) = (*channel, delivery.number, delivery.attempt);
//! engine.step(moment, Input::Attempted { channel, number, attempt, ended });
//! assert_eq!(engine.state().accepted, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cause;
mod channel;
mod codec;
mod engine;
mod entry;
mod id;
mod ledger;
pub mod limit;
mod name;
mod outbox;
mod outcome;
#[cfg(planted)]
pub mod planted;
#[cfg(not(planted))]
mod planted;
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
    ReplayError, Signal, SnapshotFormatError, Spoiled, StoredAnswer, Ticket, Writer, apply_entry,
    stored_answer,
};
pub use entry::{
    Actor, Begun, ChannelMoved, DeclaredChannel, Entry, Envelope, Envelopes, Events, FormatError,
    InDoubt, Move, RecordedMessage, Step, StepVerdict, StopReason, Watermark,
};
pub use id::{Epoch, Key, Position};
pub use ledger::Remember;
pub use name::{Name, NameError, NameTable, Noted};
pub use outbox::Outbox;
pub use outcome::{Outcome, Settlement};
pub use processor::{Encoded, Processor, Recording, UpcastError};
pub use refusal::AskError;
pub use time::Timestamp;
