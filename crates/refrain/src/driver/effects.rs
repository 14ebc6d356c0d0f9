//! Performing what the engine asks for.

use refrain_core::port::destination::{Attempted, Delivery, Failure};
use refrain_core::port::journal::{Chunk, ReadError};
use refrain_core::{AskError, Effect, Input, Name, Position, Processor, Signal as Told};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::courier::Route;
use super::inbox::{Control, Ended};
use super::recalls::Recall;
use super::{Driver, reading};
use crate::signal::Signal;

impl<P> Driver<P>
where
    P: Processor + Clone + Serialize + DeserializeOwned + Sync,
{
    /// Performs all effects, also those that follow from attempts that could not even begin.
    pub(super) fn perform_effects(&mut self) {
        loop {
            let mut effects = std::mem::take(&mut self.effects);
            self.engine.exchange_effects(&mut effects);
            for effect in effects.drain(..) {
                self.perform(effect);
            }
            self.effects = effects;
            if self.impossible.is_empty() || self.engine.spoiled().is_some() {
                break;
            }
            for ended in std::mem::take(&mut self.impossible) {
                self.attempted(ended);
            }
        }
        self.recall();
    }

    fn perform(&mut self, effect: Effect<P>) {
        match effect {
            Effect::Answer { ticket, result } => self.callers.answer(ticket, result),
            Effect::Seen { ticket } => self.callers.seen(ticket),
            Effect::Recall {
                ticket,
                id,
                position,
            } => {
                let waiting = self.callers.recall(ticket);
                match position {
                    Some(position) => self.recalls.push(Recall {
                        waiting,
                        id,
                        position,
                    }),
                    None => self.callers.tell(waiting, Err(AskError::AnswerGone { id })),
                }
            }
            Effect::Deliver {
                channel,
                destination,
                delivery,
            } => {
                self.deliver(channel, destination.as_ref(), delivery);
            }
            Effect::Load { channel, from } => self.load(channel, from),
            Effect::Announce(signal) => self.announce(signal),
        }
    }

    fn deliver(&mut self, channel: u16, destination: Option<&Name>, delivery: Box<Delivery>) {
        if self.is_draining {
            // Not sent: the next writer finds it without an outcome and asks.
            return;
        }
        let outlet = &self.parts.outlets[delivery.channel];
        let Some(target) = outlet.find(delivery.channel, destination) else {
            let name = destination.map_or_else(String::new, Name::to_string);
            let error = format!("{} has no destination called {name}", delivery.channel);
            self.impossible.push(Ended {
                epoch: delivery.epoch,
                channel,
                number: delivery.number,
                attempt: delivery.attempt,
                attempted: Attempted::Failed(Failure {
                    error,
                    retry_after: None,
                }),
            });
            return;
        };
        let (control, clock) = (&self.parts.inlets.control_sender, self.parts.clock);
        self.couriers
            .send(destination, delivery, channel, || Route {
                channel,
                target: target.clone(),
                control: control.clone(),
                clock,
            });
    }

    /// An attempt ended. Those of an engine before this one are not waited for; what they bring is
    /// passed on all the same, for any reply to an open delivery counts.
    pub(super) fn attempted(&mut self, ended: Ended) {
        if self.is_draining && !matches!(ended.attempted, Attempted::Replied(_)) {
            // Cut short by the drain, perhaps: not charged. The next writer finds it in doubt.
            return;
        }
        self.input(Input::Attempted {
            channel: ended.channel,
            number: ended.number,
            attempt: ended.attempt,
            ended: ended.attempted,
        });
    }

    fn load(&mut self, channel: u16, from: Position) {
        let journal = self.parts.source.journal.clone();
        let stream = self.parts.settings.name.clone();
        let control = self.parts.inlets.control_sender.clone();
        let (epoch, clock) = (self.engine.epoch(), self.parts.clock);
        self.spawn(async move {
            let entries = reading::chunk(&*journal, &stream, from, &clock).await;
            let loaded = Control::Loaded {
                epoch,
                channel,
                entries,
            };
            // A driver that is gone needs no entries.
            let _ = control.send(loaded).await;
        });
    }

    pub(super) fn loaded(&mut self, channel: u16, entries: Result<Option<Chunk>, ReadError>) {
        match entries {
            Ok(entries) => self.input(Input::Loaded { channel, entries }),
            Err(error) => self.trouble = Some(crate::error::chain(&error)),
        }
    }

    fn announce(&mut self, signal: Told) {
        let processor = self.parts.settings.name.clone();
        let signal = match signal {
            Told::DeliveryStopped {
                channel,
                reason,
                pending,
            } => {
                tracing::warn!(%processor, %channel, %reason, pending, "delivery stopped");
                Signal::DeliveryStopped {
                    processor,
                    channel,
                    reason,
                    pending,
                }
            }
            Told::DeliveryResumed { channel, pending } => {
                tracing::info!(%processor, %channel, pending, "delivery resumed");
                Signal::DeliveryResumed {
                    processor,
                    channel,
                    pending,
                }
            }
            Told::DeliveryParked {
                channel,
                number,
                reason,
            } => {
                tracing::error!(%processor, %channel, number, reason, "delivery parked");
                Signal::DeliveryParked {
                    processor,
                    channel,
                    number,
                    reason,
                }
            }
            Told::LateOutcome { channel, number } => {
                tracing::debug!(%processor, %channel, number, "late outcome");
                Signal::LateOutcome {
                    processor,
                    channel,
                    number,
                }
            }
            other => {
                tracing::warn!(%processor, signal = ?other, "a signal of a newer engine");
                return;
            }
        };
        self.parts.signals.tell(signal);
    }
}
