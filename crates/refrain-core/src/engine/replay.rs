//! Rebuilding a processor from its entries. This type has no way to send.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::panic_text;
use crate::entry::wire::{Reader, put_bytes, put_u16};
use crate::entry::{Entry, FormatError, Step};
use crate::id::{Epoch, Position};
use crate::ledger::{Ledger, Remember};
use crate::planted;
use crate::processor::{Encoded, Processor, UpcastError};
use crate::time::Timestamp;

/// A processor's state while it is rebuilt: an initial state or a snapshot, and the entries after.
///
/// Only [`apply`](Processor::apply) is called. What is still owed is found out afterwards, by
/// [`Engine::begin`](crate::Engine::begin).
///
/// ```
/// # use refrain_core::{Outbox, Processor};
/// # #[derive(Debug, Default, Clone, Copy, PartialEq)]
/// # struct Sum(u64);
/// # impl Processor for Sum {
/// #     type Message = u64;
/// #     type Event = u64;
/// #     type Answer = u64;
/// #     type Rejection = ();
/// #     fn decide(&self, message: &u64, out: &mut Outbox<Sum>) -> Result<u64, ()> {
/// #         out.event(*message);
/// #         Ok(self.0 + message)
/// #     }
/// #     fn apply(&mut self, event: &u64) {
/// #         self.0 += event;
/// #     }
/// # }
/// use refrain_core::{Remember, Replay};
///
/// # let entries: Vec<Vec<u8>> = Vec::new();
/// let mut replay = Replay::new(Sum::default(), Remember::default());
/// for entry in &entries {
///     replay.entry(replay.next(), entry)?;
/// }
/// println!("{:?} as of {}", replay.state(), replay.next());
/// # Ok::<(), refrain_core::ReplayError>(())
/// ```
#[derive(Debug)]
pub struct Replay<P> {
    pub(super) state: P,
    pub(super) ledger: Ledger,
}

const SNAPSHOT_VERSION: u16 = 1;

impl<P: Processor> Replay<P> {
    /// Starts with the state that the processor has before its first event.
    pub fn new(initial: P, remember: Remember) -> Replay<P> {
        Replay {
            state: initial,
            ledger: Ledger::new(remember),
        }
    }

    /// Starts with a snapshot; `load` makes the state of its encoded form.
    ///
    /// # Errors
    /// When the snapshot is of a version that is unknown here, damaged, or `load` refuses it.
    pub fn from_snapshot<E: std::fmt::Display>(
        snapshot: &[u8],
        remember: Remember,
        load: impl FnOnce(&[u8]) -> Result<P, E>,
    ) -> Result<Replay<P>, SnapshotFormatError> {
        let mut reader = Reader::new(snapshot, "snapshot");
        let version = reader.u16()?;
        if version != SNAPSHOT_VERSION {
            return Err(reader.unknown(version.into()).into());
        }
        let ledger = Ledger::decode(&mut reader, remember)?;
        let state = reader.bytes()?;
        reader.end()?;
        match load(state) {
            Ok(state) => Ok(Replay { state, ledger }),
            Err(error) => Err(SnapshotFormatError::State(error.to_string())),
        }
    }

    /// The position of the entry that is wanted next.
    pub fn next(&self) -> Position {
        self.ledger.next
    }

    /// The epoch of the last writer; `None` before the first.
    pub fn epoch(&self) -> Option<Epoch> {
        self.ledger.epoch
    }

    /// The time of the last entry.
    pub fn time(&self) -> Timestamp {
        self.ledger.time
    }

    /// The oldest entry with a delivery that waits in the journal alone: without a settlement, and
    /// not among those that a state holds in memory.
    pub fn first_waiting(&self) -> Option<Position> {
        let backlogs = self.ledger.channels.iter().flat_map(|of| &of.backlog);
        backlogs.map(|backlog| backlog.from).min()
    }

    /// The oldest entry whose answer is told again when its message comes again.
    pub fn first_answer(&self) -> Option<Position> {
        self.ledger.inbox.first_answer()
    }

    /// The state as of the last entry.
    pub fn state(&self) -> &P {
        &self.state
    }

    /// Takes the state out.
    pub fn into_state(self) -> P {
        self.state
    }

    /// The stored form of everything up to the last entry, with the state encoded by `save`.
    ///
    /// # Errors
    /// What `save` returns.
    pub fn image<E>(
        &self,
        save: impl FnOnce(&P, &mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Vec<u8>, E> {
        let mut state = Vec::new();
        save(&self.state, &mut state)?;
        Ok(encode_snapshot(&self.ledger, &state))
    }

    /// Applies the entry at `position`, which must be [`Replay::next`].
    ///
    /// # Errors
    /// [`ReplayError`]; the state is then of no use, and nothing was guessed.
    pub fn entry(&mut self, position: Position, bytes: &[u8]) -> Result<(), ReplayError> {
        if position != self.ledger.next {
            return Err(ReplayError::Gap {
                wanted: self.ledger.next,
                found: position,
            });
        }
        let at = |reason| ReplayError::Format { position, reason };
        match Entry::decode(bytes).map_err(at)? {
            Entry::Begun(begun) => self.ledger.fold_begun(&begun).map_err(at),
            Entry::ChannelMoved(moved) => self.ledger.fold_moved(&moved).map_err(at),
            Entry::Watermark(watermark) => {
                self.ledger.fold_watermark(&watermark);
                Ok(())
            }
            Entry::Step(step) => {
                apply_step(&mut self.state, position, &step)?;
                let mut fingerprint = self.ledger.fingerprint(&step.cause);
                if planted::is("memory-lost-on-restart") {
                    fingerprint = 0;
                }
                self.ledger.fold_step(&step, fingerprint).map_err(at)
            }
        }
    }
}

/// Applies the events of the entry at `position` to `state`, whatever it is a state of. Entries
/// without events change nothing.
///
/// # Errors
/// [`ReplayError`]; the state is then of no use.
pub fn apply_entry<P: Processor>(
    state: &mut P,
    position: Position,
    bytes: &[u8],
) -> Result<(), ReplayError> {
    let entry = Entry::decode(bytes);
    match entry.map_err(|reason| ReplayError::Format { position, reason })? {
        Entry::Begun(_) | Entry::ChannelMoved(_) | Entry::Watermark(_) => Ok(()),
        Entry::Step(step) => apply_step(state, position, &step),
    }
}

fn apply_step<P: Processor>(
    state: &mut P,
    position: Position,
    step: &Step<'_>,
) -> Result<(), ReplayError> {
    for event in step.events.iter() {
        let bytes = event.map_err(|reason| ReplayError::Format { position, reason })?;
        let encoded = Encoded {
            encoding: step.encoding,
            bytes,
        };
        let events = decode_event::<P>(step.event_version, encoded)
            .map_err(|reason| ReplayError::Event { position, reason })?;
        for event in events.iter() {
            catch_unwind(AssertUnwindSafe(|| state.apply(event))).map_err(|panic| {
                ReplayError::Panicked {
                    position,
                    text: panic_text(&*panic),
                }
            })?;
        }
    }
    Ok(())
}

/// One event in the common case, without a heap allocation; several when an upcaster splits it.
enum Lifted<E> {
    Same(E),
    Upcast(Vec<E>),
}

impl<E> Lifted<E> {
    fn iter(&self) -> std::slice::Iter<'_, E> {
        match self {
            Lifted::Same(event) => std::slice::from_ref(event).iter(),
            Lifted::Upcast(events) => events.iter(),
        }
    }
}

fn decode_event<P: Processor>(
    version: u16,
    encoded: Encoded<'_>,
) -> Result<Lifted<P::Event>, UpcastError> {
    if version == P::EVENT_VERSION {
        return Ok(Lifted::Same(encoded.decode()?));
    }
    P::upcast(version, encoded).map(Lifted::Upcast)
}

/// The stored form of a snapshot: the ledger and the encoded state.
pub(super) fn encode_snapshot(ledger: &Ledger, state: &[u8]) -> Vec<u8> {
    let mut snapshot = Vec::new();
    put_u16(&mut snapshot, SNAPSHOT_VERSION);
    ledger.encode(&mut snapshot);
    put_bytes(&mut snapshot, state);
    snapshot
}

/// Why a replay cannot go on. Repeating it gives the same.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// An entry is missing.
    #[error("the entry at {wanted} is missing; the next one is at {found}")]
    Gap {
        /// The position that was wanted.
        wanted: Position,
        /// The position that came.
        found: Position,
    },
    /// An entry's stored form is not understood.
    #[error("the entry at {position} cannot be read")]
    Format {
        /// Where.
        position: Position,
        /// Why.
        #[source]
        reason: FormatError,
    },
    /// An event cannot be read or lifted to today's version.
    #[error("an event at {position} cannot be read")]
    Event {
        /// Where.
        position: Position,
        /// Why.
        #[source]
        reason: UpcastError,
    },
    /// `apply` panicked.
    #[error("`apply` panicked on an event at {position}: {text}")]
    Panicked {
        /// Where.
        position: Position,
        /// The panic's message.
        text: String,
    },
}

impl ReplayError {
    /// Where the replay stood.
    #[must_use]
    pub fn position(&self) -> Position {
        match self {
            ReplayError::Gap { wanted, .. } => *wanted,
            ReplayError::Format { position, .. }
            | ReplayError::Event { position, .. }
            | ReplayError::Panicked { position, .. } => *position,
        }
    }
}

/// Why a snapshot cannot be used. Another one, or the entries from the start, may serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotFormatError {
    /// The stored form is not understood.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The state in it cannot be read.
    #[error("the state cannot be read: {0}")]
    State(String),
}
