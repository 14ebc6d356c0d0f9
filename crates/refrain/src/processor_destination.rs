//! Another processor of the same runtime as a destination.

use std::sync::Arc;

use refrain_core::port::BoxFuture;
use refrain_core::port::destination::{Attempted, Delivery, Destination, Failure, Reply};
use refrain_core::{AskError, DeliveredId, MessageId, Name, Processor};

use crate::driver::{Target, Told};
use crate::handle::Handle;
use crate::runtime::Registry;

/// Delivers to a processor. The delivery's number and key are the message's identity there, so that
/// a redelivery is handled once.
pub(crate) struct ProcessorDestination<Q: Processor> {
    handle: Handle<Q>,
    direction: Direction,
}

#[derive(Clone, Copy)]
enum Direction {
    OneWay,
    Request,
}

impl<Q: Processor> ProcessorDestination<Q> {
    pub(crate) fn one_way(registry: &Registry, name: &str) -> Option<Target> {
        ProcessorDestination::<Q>::find(registry, name, Direction::OneWay)
    }

    pub(crate) fn request(registry: &Registry, name: &str) -> Option<Target> {
        ProcessorDestination::<Q>::find(registry, name, Direction::Request)
    }

    fn find(registry: &Registry, name: &str, direction: Direction) -> Option<Target> {
        let handle = registry.handle::<Q>(name)?;
        let stage = Some(handle.stage());
        let destination = Arc::new(ProcessorDestination { handle, direction });
        Some(Target { destination, stage })
    }

    async fn hand_over(&self, delivery: Delivery) -> Attempted {
        let message = match delivery.encoding.decode(&delivery.request) {
            Ok(message) => message,
            Err(error) => return failed(format!("the message cannot be read: {error}")),
        };
        let Ok(channel) = Name::new(delivery.channel) else {
            return failed(format!("{:?} is not a channel's name", delivery.channel));
        };
        let id = MessageId::Delivered(Box::new(DeliveredId {
            sender: delivery.sender,
            channel,
            number: delivery.number,
            settled_below: delivery.settled_below,
            key: delivery.key,
            correlation: delivery.correlation,
        }));
        let told = self.handle.ask_as(id, message).await;
        match self.direction {
            Direction::OneWay => confirmation::<Q>(told),
            Direction::Request => reply::<Q>(told, delivery.encoding),
        }
    }
}

impl<Q: Processor> Destination for ProcessorDestination<Q> {
    fn deliver(&self, delivery: Delivery) -> BoxFuture<'_, Attempted> {
        Box::pin(self.hand_over(delivery))
    }
}

fn failed(error: String) -> Attempted {
    Attempted::Failed(Failure {
        error,
        retry_after: None,
    })
}

/// Whatever is recorded there is taken: handled, refused, or parked for an operator.
fn confirmation<Q: Processor>(told: Told<Q>) -> Attempted {
    match told {
        Ok(_)
        | Err(AskError::Rejected(_) | AskError::Panicked(_) | AskError::AnswerGone { .. }) => {
            Attempted::Replied(Reply::nothing())
        }
        Err(AskError::Invalid(error)) => failed(error),
        Err(_) => Attempted::NotResponding,
    }
}

fn reply<Q: Processor>(told: Told<Q>, encoding: refrain_core::Encoding) -> Attempted {
    match told {
        Ok(answer) => match Reply::encode(encoding, &answer) {
            Ok(reply) => Attempted::Replied(reply),
            Err(error) => failed(error.to_string()),
        },
        Err(AskError::Rejected(rejection)) => {
            let text = serde_json::to_string(&rejection).unwrap_or_default();
            failed(format!("rejected: {text}"))
        }
        Err(
            error @ (AskError::Panicked(_) | AskError::Invalid(_) | AskError::AnswerGone { .. }),
        ) => failed(error.to_string()),
        Err(_) => Attempted::NotResponding,
    }
}
