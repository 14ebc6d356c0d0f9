//! Drives an engine on the calling thread: no I/O, every entry is durable at once.

use bytes::Bytes;
use refrain_core::limit::ENTRY_BYTES_MAX;
use refrain_core::port::destination::{Attempted, Reply};
use refrain_core::port::journal::Chunk;
use refrain_core::{
    ChannelOptions, Effect, Encoding, Engine, EngineSettings, Input, MessageId, Moment, Name,
    Processor, Remember, Replay, Ticket, Timestamp, Writer,
};

/// Messages that are handled between two looks at what is durable, as a driver takes them from a
/// full inbox.
pub(crate) const BATCH_MESSAGES: usize = 256;

/// An engine, and what its driver keeps.
pub(crate) struct Drive<P: Processor> {
    engine: Engine<P>,
    moment: Moment,
    /// What every destination replies.
    reply: Bytes,
    ticket: Ticket,
    /// Effects on their way; a buffer that is used again.
    effects: Vec<Effect<P>>,
    kept: Option<Vec<Chunk>>,
    entries: u64,
    bytes: u64,
}

/// Whether the driver keeps what a journal would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    Entries,
    Nothing,
}

/// Whether somebody waits for the answer of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    Asked,
    Told,
}

impl<P: Processor> Drive<P> {
    /// An engine that has just begun.
    pub(crate) fn begin(
        initial: P,
        channels: Vec<(&'static str, ChannelOptions)>,
        keep: Keep,
    ) -> Drive<P> {
        let settings = EngineSettings {
            name: Name::new("measured").expect("letters make a name"),
            channels,
            entry_bytes_max: ENTRY_BYTES_MAX,
            remember: Remember::default(),
        };
        let writer = Writer {
            id: [1; 16],
            secret: [2; 32],
            code_version: String::new(),
        };
        let moment = Moment {
            now: Timestamp::from_micros(1),
            seed: 1,
        };
        let replay = Replay::new(initial, Remember::default());
        let mut drive = Drive {
            engine: Engine::begin(replay, settings, &writer, moment),
            moment,
            reply: Bytes::new(),
            ticket: 0,
            effects: Vec::new(),
            kept: (keep == Keep::Entries).then(Vec::new),
            entries: 0,
            bytes: 0,
        };
        drive.settle();
        (drive.entries, drive.bytes) = (0, 0);
        drive
    }

    /// Sets what every destination replies.
    pub(crate) fn replying(mut self, reply: Bytes) -> Drive<P> {
        self.reply = reply;
        self
    }

    /// Handles one message.
    pub(crate) fn message(&mut self, id: MessageId, message: P::Message, sent: Sent) {
        self.ticket += 1;
        let ticket = (sent == Sent::Asked).then_some(self.ticket);
        let input = Input::Message {
            id,
            message,
            ticket,
        };
        self.engine.step(self.moment, input);
    }

    /// Makes durable all that is recorded, performs what that allows, and goes on until nothing is
    /// left to do.
    ///
    /// # Panics
    /// When the engine asks for something that these workloads do not lead to.
    pub(crate) fn settle(&mut self) {
        while let Some((at, batch)) = self.engine.take_batch(self.moment.now) {
            self.entries += batch.len() as u64;
            self.bytes += batch.byte_len() as u64;
            if let Some(kept) = &mut self.kept {
                let bytes = Bytes::copy_from_slice(batch.bytes());
                kept.push(Chunk::new(at, bytes, batch.ends().collect()));
            }
            self.moment.now = self.moment.now + std::time::Duration::from_micros(50);
            let head = self.engine.head();
            self.engine.step(self.moment, Input::Durable(head));
            self.perform();
        }
    }

    fn perform(&mut self) {
        let mut effects = std::mem::take(&mut self.effects);
        self.engine.exchange_effects(&mut effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Answer { ticket, result } => {
                    assert!(result.is_ok(), "every message is answered");
                    std::hint::black_box((ticket, &result));
                }
                Effect::Deliver {
                    channel, delivery, ..
                } => {
                    let input = Input::Attempted {
                        channel,
                        number: delivery.number,
                        attempt: delivery.attempt,
                        ended: Attempted::Replied(Reply::new(Encoding::Cbor, self.reply.clone())),
                    };
                    self.engine.step(self.moment, input);
                }
                Effect::Recall { .. }
                | Effect::Seen { .. }
                | Effect::Load { .. }
                | Effect::Announce(_) => unreachable!("nothing is repeated, looked at or late"),
            }
        }
        self.effects = effects;
    }

    /// Bytes of all entries since the engine began.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Entries since the engine began.
    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    /// All that a journal would hold, in order.
    pub(crate) fn into_chunks(self) -> Vec<Chunk> {
        self.kept.unwrap_or_default()
    }
}
