//! The engine: a pure state machine. Inputs and a time go in, entries and effects come out.
//!
//! It does no I/O, asks no clock and starts no task. Its driver passes [`Input`]s in, takes the
//! entries to append with [`Engine::take_batch`], reports what is durable with [`Input::Durable`], and
//! performs the [`Effect`]s, all of which rest on durable entries.
//!
//! Invariants: one step records everything that one message led to; the state and the ledger hold
//! what the entries say, durable or not; whatever is told waits in `releases` for the position of
//! the state it was computed on.

mod begin;
mod channels;
mod commit;
mod due;
mod input;
mod lane;
mod message;
mod outcome;
mod pending;
mod pump;
mod release;
mod replay;
mod status;

use std::any::Any;
use std::collections::VecDeque;

use crate::channel::ChannelOptions;
use crate::entry::{Actor, ChannelMoved, Move, Watermark};
use crate::id::{Epoch, Position};
use crate::ledger::{Ledger, Remember};
use crate::name::Name;
use crate::outbox::Outbox;
use crate::port::journal::Batch;
use crate::processor::Processor;
use crate::time::Timestamp;

pub use begin::Writer;
pub use commit::{StoredAnswer, stored_answer};
pub use input::{Command, Effect, Input, Moment, Signal, Ticket};
pub use message::Spoiled;
pub use replay::{Replay, ReplayError, SnapshotFormatError, apply_entry};
pub use status::{ChannelState, ChannelStatus};

use commit::Buffers;
use lane::Lane;
use pending::Pending;
use release::Release;

/// What an engine needs to know besides the processor and its entries.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// The processor's name, and its stream's.
    pub name: Name,
    /// How each channel delivers. One that is not listed has the default options.
    pub channels: Vec<(&'static str, ChannelOptions)>,
    /// The largest entry that the journal takes, in bytes.
    pub entry_bytes_max: usize,
    /// How long identities from outside are remembered.
    pub remember: Remember,
}

/// One processor: its state, what its stream says, and what it is about to do.
pub struct Engine<P: Processor> {
    settings: EngineSettings,
    epoch: Epoch,
    state: P,
    ledger: Ledger,
    /// By channel number, as in the ledger.
    lanes: Vec<Lane>,
    /// The channel number of each of the processor's routes.
    route_numbers: Vec<u16>,
    outbox: Outbox<P>,
    buffers: Buffers,
    pending: Pending,
    durable: Option<Position>,
    /// In order of position.
    releases: VecDeque<(Position, Release<P>)>,
    effects: Vec<Effect<P>>,
    spoiled: Option<Spoiled>,
}

impl<P: Processor> Engine<P> {
    /// Takes one input. What follows is in [`Engine::take_batch`] and [`Engine::drain_effects`].
    ///
    /// # Panics
    /// When the engine is spoiled and `input` is not [`Input::Durable`].
    pub fn step(&mut self, moment: Moment, input: Input<P>) {
        let moment = Moment {
            now: moment.now.max(self.ledger.time),
            ..moment
        };
        if let Input::Durable(position) = input {
            self.on_durable(position);
        } else {
            assert!(
                self.spoiled.is_none(),
                "a spoiled engine handles nothing more"
            );
            self.on_input(moment, input);
        }
        self.release(moment);
        if self.spoiled.is_none() {
            self.pump(moment);
        }
    }

    fn on_input(&mut self, moment: Moment, input: Input<P>) {
        match input {
            Input::Message {
                id,
                message,
                ticket,
            } => self.on_message(moment, id, &message, ticket),
            Input::Looked { ticket } => self.gate(Release::Seen { ticket }),
            Input::Attempted {
                channel,
                number,
                attempt,
                ended,
            } => {
                self.on_attempted(moment, channel, number, attempt, ended);
            }
            Input::Loaded { channel, entries } => self.on_loaded(moment, channel, entries),
            Input::Command {
                channel,
                by,
                command,
            } => {
                self.on_command(moment, &channel, by, command);
            }
            Input::Tick | Input::Durable(_) => {}
        }
    }

    /// The state as of the last entry, durable or not. Whoever is told what they saw here must wait
    /// until it is durable: see [`Input::Looked`].
    pub fn state(&self) -> &P {
        &self.state
    }

    /// The writer's epoch.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The position of the last entry, durable or not.
    ///
    /// # Panics
    /// Never: the engine began with an entry.
    pub fn head(&self) -> Position {
        self.ledger.head().expect("an engine begins with an entry")
    }

    /// The last durable position that this writer was told of.
    pub fn durable(&self) -> Option<Position> {
        self.durable
    }

    /// Whether everything is durable and nothing waits to be appended.
    pub fn is_settled(&self) -> bool {
        self.durable == self.ledger.head() && !self.has_pending()
    }

    /// Whether [`Engine::take_batch`] would give something.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty() || self.lanes.iter().any(|lane| !lane.confirmed.is_empty())
    }

    /// Entries and bytes that wait to be appended.
    pub fn pending(&self) -> (usize, usize) {
        (self.pending.len(), self.pending.byte_len())
    }

    /// Takes entries that are to be appended, and the position of the first one: as many as one
    /// append takes, so that there may be more. Confirmations of one-way deliveries are recorded
    /// here, one entry for as many as came.
    pub fn take_batch(&mut self, now: Timestamp) -> Option<(Position, Batch)> {
        self.record_confirmed(now.max(self.ledger.time));
        let first = self.ledger.next.get() - self.pending.len() as u64;
        let at = Position::new(first).expect("positions start at 1");
        Some((at, self.pending.take()?))
    }

    /// Hands over what is to be done, in order.
    pub fn drain_effects(&mut self) -> std::vec::Drain<'_, Effect<P>> {
        self.effects.drain(..)
    }

    /// As [`Engine::drain_effects`], into a buffer that is used again; it must be empty.
    ///
    /// # Panics
    /// When it is not.
    pub fn exchange_effects(&mut self, buffer: &mut Vec<Effect<P>>) {
        assert!(buffer.is_empty(), "effects before these are performed");
        std::mem::swap(&mut self.effects, buffer);
    }

    /// When [`Input::Tick`] is wanted next. While a batch waits that is as large as one may be,
    /// nothing is.
    pub fn next_due(&self) -> Option<Timestamp> {
        if self.pending.is_full() {
            return None;
        }
        let lanes = self.lanes.iter().zip(&self.ledger.channels);
        lanes
            .filter_map(|(lane, recorded)| lane.next_due(recorded))
            .min()
    }

    /// Why the state can no longer be trusted, if `apply` panicked half-way through an event.
    /// Everything recorded before is unharmed: report what becomes durable, then rebuild.
    pub fn spoiled(&mut self) -> Option<&mut Spoiled> {
        self.spoiled.as_mut()
    }

    /// A snapshot of everything up to [`Engine::head`], and that position, with the state encoded by
    /// `save`. The entry after it becomes the [`Watermark`] that vouches for it: the snapshot may be
    /// stored once that is durable, not before, and counts only where it is.
    ///
    /// # Errors
    /// What `save` returns; then nothing was recorded.
    pub fn snapshot<E>(
        &mut self,
        now: Timestamp,
        save: impl FnOnce(&P, &mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(Position, Vec<u8>), E> {
        let (position, snapshot) = (self.head(), self.image(save)?);
        let watermark = Watermark::of(&snapshot, now.max(self.ledger.time));
        self.pending.push_with(|bytes| watermark.encode(bytes));
        self.ledger.fold_watermark(&watermark);
        Ok((position, snapshot))
    }

    /// The stored form of everything up to [`Engine::head`], for comparing: nothing vouches for it.
    ///
    /// # Errors
    /// What `save` returns.
    pub fn image<E>(
        &self,
        save: impl FnOnce(&P, &mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Vec<u8>, E> {
        let mut state = Vec::new();
        save(&self.state, &mut state)?;
        Ok(replay::encode_snapshot(&self.ledger, &state))
    }

    /// Records that a channel changed, and returns where.
    fn record(&mut self, now: Timestamp, channel: u16, by: Actor, what: Move<'_>) -> Position {
        let moved = ChannelMoved {
            channel,
            time: now,
            by,
            what,
        };
        let position = self.ledger.next;
        self.pending.push_with(|bytes| moved.encode(bytes));
        self.ledger
            .fold_moved(&moved)
            .expect("the engine records only what folds");
        position
    }

    /// Holds something back until the state of now is durable.
    fn gate(&mut self, release: Release<P>) {
        self.releases.push_back((self.head(), release));
    }
}

impl<P: Processor> std::fmt::Debug for Engine<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("name", &self.settings.name)
            .field("epoch", &self.epoch)
            .field("head", &self.head())
            .field("durable", &self.durable)
            .field("waiting", &self.releases.len())
            .finish_non_exhaustive()
    }
}

/// The message of a panic, as far as it is text.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    bounded(text.unwrap_or("a panic without a text"))
}

/// As much of an error's text as is recorded.
fn bounded(text: &str) -> String {
    let mut end = text.len().min(crate::limit::ERROR_TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
