//! What was taken in is handled: messages and looks in the order sent, reports in the order they came.

use std::collections::VecDeque;

use refrain_core::{Actor, Command, Input, MessageId, Name, Processor};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Driver;
use super::callers::Waiting;
use super::inbox::{Control, Done, Ended, Work};
use crate::error::QueryError;

/// Messages, and reports, that are handled between two looks at the appends: so callers hear of what
/// became durable, and the journal gets what is ready, while the rest is handled.
const PIECE: usize = 64;

/// A message that was taken from the inbox.
pub(super) struct TakenMessage<P: Processor> {
    id: MessageId,
    message: P::Message,
    pub(super) waiting: Option<Waiting<P>>,
    room: u32,
}

/// What is left of a batch. Its messages stay where their sender put them until each is handled.
pub(super) struct TakenBatch<P: Processor> {
    messages: std::vec::IntoIter<(MessageId, P::Message)>,
    group: Option<u64>,
    /// The place of the next message in the batch.
    place: usize,
    room: u32,
}

impl<P: Processor> Iterator for TakenBatch<P> {
    type Item = TakenMessage<P>;

    fn next(&mut self) -> Option<TakenMessage<P>> {
        let (id, message) = self.messages.next()?;
        let place = self.place;
        self.place += 1;
        let waiting = self.group.map(|group| Waiting::OneOf { group, place });
        Some(TakenMessage {
            id,
            message,
            waiting,
            // That of the batch is given back with its last message.
            room: 0,
        })
    }
}

impl<P> Driver<P>
where
    P: Processor + Clone + Serialize + DeserializeOwned + Sync,
{
    /// Whether nothing is left of what was taken from the inbox.
    pub(super) fn has_handled_all(&self) -> bool {
        self.taken.is_empty() && self.batch.is_none()
    }

    /// Handles a piece of what was taken from the inbox, as far as the next append has room.
    pub(super) fn handle_taken(&mut self) {
        self.handle_some();
        if self.room_back > 0 {
            let room = std::mem::take(&mut self.room_back);
            self.parts.inlets.work.give_back(room);
        }
    }

    fn handle_some(&mut self) {
        for _ in 0..PIECE {
            if !self.has_room() || self.engine.spoiled().is_some() {
                return;
            }
            let Some(input) = self.next_input() else {
                return;
            };
            self.input(input);
        }
    }

    /// What is to be handled next; nothing when all is handled that was taken.
    fn next_input(&mut self) -> Option<Input<P>> {
        loop {
            if let Some(batch) = &mut self.batch {
                if let Some(message) = batch.next() {
                    return Some(self.message_input(message));
                }
                self.room_back += u64::from(batch.room);
                self.batch = None;
            }
            match self.taken.pop_front()? {
                Work::Message {
                    id,
                    message,
                    reply,
                    room,
                } => {
                    let message = TakenMessage {
                        id,
                        message,
                        waiting: reply.map(Waiting::One),
                        room,
                    };
                    return Some(self.message_input(message));
                }
                Work::Look(look) => {
                    let tell = look(self.engine.state(), self.engine.head());
                    let ticket = self.callers.looked(tell);
                    return Some(Input::Looked { ticket });
                }
                Work::Batch {
                    messages,
                    reply,
                    place,
                    room,
                } => {
                    drop(place);
                    let count = messages.len();
                    self.batch = Some(TakenBatch {
                        messages: messages.into_iter(),
                        group: reply.map(|reply| self.callers.group(count, reply)),
                        place: 0,
                        room,
                    });
                }
            }
        }
    }

    fn message_input(&mut self, message: TakenMessage<P>) -> Input<P> {
        let TakenMessage {
            id,
            message,
            waiting,
            room,
        } = message;
        self.room_back += u64::from(room);
        let ticket = waiting.map(|waiting| self.callers.asked(&id, waiting));
        Input::Message {
            id,
            message,
            ticket,
        }
    }

    /// Handles a piece of what was reported, and of what was wanted of the driver itself.
    pub(super) fn handle_reports(&mut self) {
        let mut left = PIECE;
        while left > 0 && self.engine.spoiled().is_none() {
            let Some(report) = self.arrivals.unhandled.pop_front() else {
                return;
            };
            left -= self.handle_report(report, left);
        }
    }

    /// Says how many reports that were, not more than `most`. What is left of them comes next.
    fn handle_report(&mut self, report: Control<P>, most: usize) -> usize {
        match report {
            Control::Ended(ended) => return self.handle_ended(ended, most),
            Control::Loaded {
                epoch,
                channel,
                entries,
            } => {
                // What an engine before this one asked for, this one has not.
                if epoch == self.engine.epoch() {
                    self.loaded(channel, entries);
                }
            }
            Control::Recalled(answers) => self.recalls.tell(&mut self.callers, answers),
            Control::SnapshotTaken(result) => self.snapshot_taken(result),
            Control::Channels(reply) => {
                let channels = self.engine.channels(self.parts.clock.now());
                self.once_durable(move || _ = reply.send(channels));
            }
            Control::Command {
                channel,
                by,
                command,
                done,
            } => self.command(channel, by, command, done),
            Control::Snapshot(reply) => self.snapshots.want(reply),
        }
        1
    }

    /// One after the other, as far as the state can be trusted.
    fn handle_ended(&mut self, mut ended: VecDeque<Ended>, most: usize) -> usize {
        let mut count = 0;
        while count < most
            && self.engine.spoiled().is_none()
            && let Some(next) = ended.pop_front()
        {
            count += 1;
            if next.epoch == self.engine.epoch() {
                self.couriers.ended();
            }
            self.attempted(next);
        }
        if !ended.is_empty() {
            let rest = Control::Ended(ended);
            self.arrivals.unhandled.push_front(rest);
        }
        count
    }

    fn command(&mut self, channel: Name, by: Actor, command: Command, done: Done) {
        if let Command::Redirect { destination, .. } = &command
            && let Some(outlet) = self.parts.outlets.get(channel.as_str())
            && outlet.find(channel.as_str(), Some(destination)).is_none()
        {
            let error = QueryError::NoSuchDestination {
                channel,
                destination: destination.clone(),
            };
            // Whoever asked may be gone, here and below.
            let _ = done.send(Err(error));
            return;
        }
        self.input(Input::Command {
            channel,
            by,
            command,
        });
        self.once_durable(move || _ = done.send(Ok(())));
    }

    /// Calls `tell` once the state of now is durable; never, if that fails.
    fn once_durable(&mut self, tell: impl FnOnce() + Send + 'static) {
        let ticket = self.callers.looked(Box::new(tell));
        self.input(Input::Looked { ticket });
    }
}
