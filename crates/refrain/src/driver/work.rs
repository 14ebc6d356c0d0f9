//! What was taken in is handled: messages and looks in the order sent, reports in the order they came.

use std::collections::VecDeque;

use rand::Rng;
use refrain_core::{Actor, Command, Input, MessageId, Moment, Name, Processor};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Driver;
use super::callers::Waiting;
use super::inbox::{Control, Done, Ended, Look, Work};
use crate::error::QueryError;

/// One piece of work.
pub(super) enum Taken<P: Processor> {
    Message {
        id: MessageId,
        message: P::Message,
        waiting: Option<Waiting<P>>,
    },
    Look(Look<P>),
}

impl<P> Driver<P>
where
    P: Processor + Clone + Serialize + DeserializeOwned + Sync,
{
    pub(super) fn take(&mut self, work: Work<P>) {
        match work {
            Work::Message { id, message, reply } => {
                let waiting = reply.map(Waiting::One);
                self.taken.push_back(Taken::Message {
                    id,
                    message,
                    waiting,
                });
            }
            Work::Batch {
                messages,
                reply,
                place,
            } => {
                drop(place);
                let count = messages.len();
                let group = reply.map(|reply| self.callers.group(count, reply));
                let taken = |(place, (id, message))| Taken::Message {
                    id,
                    message,
                    waiting: group.map(|group| Waiting::OneOf { group, place }),
                };
                self.taken
                    .extend(messages.into_iter().enumerate().map(taken));
            }
            Work::Look(look) => self.taken.push_back(Taken::Look(look)),
        }
    }

    /// Handles what was taken from the inbox, as far as the next append has room.
    pub(super) fn handle_taken(&mut self) {
        let now = self.parts.clock.now();
        while self.has_room() && self.engine.spoiled().is_none() {
            let Some(taken) = self.taken.pop_front() else {
                return;
            };
            let moment = Moment {
                now,
                seed: self.chance.next_u64(),
            };
            let input = match taken {
                Taken::Message {
                    id,
                    message,
                    waiting,
                } => {
                    let ticket = waiting.map(|waiting| self.callers.asked(&id, waiting));
                    Input::Message {
                        id,
                        message,
                        ticket,
                    }
                }
                Taken::Look(look) => {
                    let tell = look(self.engine.state(), self.engine.head());
                    let ticket = self.callers.looked(tell);
                    Input::Looked { ticket }
                }
            };
            self.engine.step(moment, input);
        }
    }

    /// Handles what was reported, and what was wanted of the driver itself.
    pub(super) fn handle_reports(&mut self) {
        while self.engine.spoiled().is_none() {
            let Some(report) = self.arrivals.unhandled.pop_front() else {
                return;
            };
            self.handle_report(report);
        }
    }

    fn handle_report(&mut self, report: Control<P>) {
        match report {
            Control::Ended(ended) => self.handle_ended(ended.into()),
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
    }

    /// One after the other, as far as the state can be trusted.
    fn handle_ended(&mut self, mut ended: VecDeque<Ended>) {
        while let Some(next) = ended.pop_front() {
            if next.epoch == self.engine.epoch() {
                self.couriers.ended();
            }
            self.attempted(next);
            if self.engine.spoiled().is_some() && !ended.is_empty() {
                let rest = Control::Ended(ended.into());
                return self.arrivals.unhandled.push_front(rest);
            }
        }
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
