//! Performing what the engine asks for.

use refrain_core::port::destination::{Attempted, Delivery, Failure};
use refrain_core::port::journal::{Chunk, Journal, ReadError};
use refrain_core::{
    AskError, Effect, Input, MessageId, Name, Position, Processor, Signal as Told, StoredAnswer,
    stored_answer,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::callers::Waiting;
use super::courier::{self, Errand};
use super::{Control, Driver, WINDOW_MAX, inbox};
use crate::signal::Signal;

impl<P> Driver<P>
where
    P: Processor + Clone + Serialize + DeserializeOwned + Sync,
{
    pub(super) fn perform_effects(&mut self) {
        let mut effects = std::mem::take(&mut self.effects);
        effects.extend(self.engine.drain_effects());
        for effect in effects.drain(..) {
            self.perform(effect);
        }
        self.effects = effects;
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
                self.recall(waiting, id, position);
            }
            Effect::Deliver {
                channel,
                destination,
                delivery,
            } => {
                self.deliver(channel, destination, delivery);
            }
            Effect::Load { channel, from } => self.load(channel, from),
            Effect::Announce(signal) => self.announce(signal),
        }
    }

    /// Reads the answer of a message that was handled before.
    fn recall(&mut self, waiting: Waiting<P>, id: MessageId, position: Option<Position>) {
        let Some(position) = position else {
            return self.callers.tell(waiting, Err(AskError::AnswerGone { id }));
        };
        let journal = self.parts.source.journal.clone();
        let stream = self.parts.settings.name.clone();
        let control = self.parts.control_sender.clone();
        self.tasks.spawn(async move {
            let answer = read_answer::<P>(&*journal, &stream, position).await;
            // A driver that is gone has told its callers so.
            let _ = control
                .send(Control::Recalled {
                    waiting,
                    id,
                    answer,
                })
                .await;
        });
    }

    fn deliver(&mut self, channel: u16, destination: Option<Name>, delivery: Delivery) {
        if self.is_draining {
            // Not sent: the next writer finds it without an outcome and asks.
            return;
        }
        self.under_way += 1;
        let outlet = &self.parts.outlets[delivery.channel];
        let found = match &destination {
            None => Some(&outlet.main),
            Some(name) => outlet.others.get(name),
        };
        let Some(found) = found else {
            let name = destination.map_or_else(String::new, |name| name.to_string());
            let error = format!("{} has no destination called {name}", delivery.channel);
            let attempted = Attempted::Failed(Failure {
                error,
                retry_after: None,
            });
            let (number, attempt) = (delivery.number, delivery.attempt);
            self.early.push(inbox::Ended {
                channel,
                number,
                attempt,
                attempted,
            });
            return;
        };
        let errand = Errand {
            channel,
            destination: found.clone(),
            delivery,
        };
        let control = &self.parts.control_sender;
        let tasks = &mut self.tasks;
        let courier = self.couriers.entry(channel).or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(WINDOW_MAX as usize);
            tasks.spawn(courier::run(receiver, control.clone()));
            sender
        });
        let sent = courier.try_send(errand);
        assert!(sent.is_ok(), "a courier has room for the widest window");
    }

    fn load(&mut self, channel: u16, from: Position) {
        let journal = self.parts.source.journal.clone();
        let stream = self.parts.settings.name.clone();
        let control = self.parts.control_sender.clone();
        self.tasks.spawn(async move {
            let entries = read_chunk(&*journal, &stream, from).await;
            let _ = control.send(Control::Loaded { channel, entries }).await;
        });
    }

    pub(super) fn loaded(&mut self, channel: u16, entries: Result<Option<Chunk>, ReadError>) {
        match entries {
            Ok(entries) if self.engine.spoiled().is_none() => {
                self.input(Input::Loaded { channel, entries });
            }
            Ok(_) => {}
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

async fn read_chunk(
    journal: &dyn Journal,
    stream: &Name,
    from: Position,
) -> Result<Option<Chunk>, ReadError> {
    journal.read(stream, from).await?.next().await
}

async fn read_answer<P: Processor>(
    journal: &dyn Journal,
    stream: &Name,
    position: Position,
) -> Result<StoredAnswer<P>, String> {
    let chunk = read_chunk(journal, stream, position)
        .await
        .map_err(|error| error.to_string())?;
    match chunk.and_then(|chunk| chunk.entry(position)) {
        Some(entry) => stored_answer(&entry),
        None => Ok(StoredAnswer::None),
    }
}

/// What a message that was handled before is told.
pub(super) fn recalled<P: Processor>(
    id: MessageId,
    answer: Result<StoredAnswer<P>, String>,
) -> inbox::Told<P> {
    match answer {
        Ok(StoredAnswer::Answer(answer)) => Ok(answer),
        Ok(StoredAnswer::Rejection(rejection)) => Err(AskError::Rejected(rejection)),
        Ok(StoredAnswer::Parked) => Err(AskError::Panicked(
            "the message was parked after panics".to_owned(),
        )),
        Ok(StoredAnswer::None) => Err(AskError::AnswerGone { id }),
        Err(error) => {
            tracing::error!(%id, error, "a stored answer cannot be read");
            Err(AskError::AnswerGone { id })
        }
    }
}
