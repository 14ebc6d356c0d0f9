//! The order processor of the design's first page, for tests of the runtime.

use std::collections::BTreeMap;

use refrain::{Channels, Outbox, Outcome, Processor, RequestReply, Settlement};
use serde::{Deserialize, Serialize};

pub(crate) const VALIDATION: RequestReply<Orders, ValidateCard, CardVerdict> =
    RequestReply::new("card-validation", Orders::on_validation);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) orders: BTreeMap<u64, Status>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Status {
    Pending,
    Accepted,
    Declined,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SubmitOrder {
    pub(crate) quantity: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum OrderEvent {
    Stored { id: u64 },
    Accepted { id: u64 },
    Declined { id: u64 },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OrderStored {
    pub id: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OrderRejected {
    NothingOrdered,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ValidateCard {
    pub order_id: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum CardVerdict {
    Validated,
    Declined,
}

impl Processor for Orders {
    type Message = SubmitOrder;
    type Event = OrderEvent;
    type Answer = OrderStored;
    type Rejection = OrderRejected;
    const CHANNELS: Channels<Self> = &[&VALIDATION];

    fn decide(
        &self,
        new: &SubmitOrder,
        out: &mut Outbox<Self>,
    ) -> Result<OrderStored, OrderRejected> {
        if new.quantity == 0 {
            return Err(OrderRejected::NothingOrdered);
        }
        let id = self.orders.len() as u64 + 1;
        out.request(&VALIDATION, &ValidateCard { order_id: id })
            .event(OrderEvent::Stored { id });
        Ok(OrderStored { id })
    }

    fn apply(&mut self, event: &OrderEvent) {
        let (id, status) = match event {
            OrderEvent::Stored { id } => (*id, Status::Pending),
            OrderEvent::Accepted { id } => (*id, Status::Accepted),
            OrderEvent::Declined { id } => (*id, Status::Declined),
        };
        self.orders.insert(id, status);
    }
}

impl Orders {
    fn on_validation(
        &self,
        asked: &ValidateCard,
        outcome: Outcome<CardVerdict>,
        out: &mut Outbox<Self>,
    ) -> Settlement {
        let id = asked.order_id;
        match outcome {
            Outcome::Reply(_) if self.orders.get(&id) != Some(&Status::Pending) => {
                Settlement::Confirm
            }
            Outcome::Reply(CardVerdict::Validated) => {
                out.event(OrderEvent::Accepted { id });
                Settlement::Confirm
            }
            Outcome::Reply(CardVerdict::Declined) => {
                out.event(OrderEvent::Declined { id });
                Settlement::Confirm
            }
            Outcome::DestinationFailure { failure_count, .. } if failure_count > 2 => {
                Settlement::Confirm
            }
            Outcome::DestinationFailure { .. } | Outcome::DestinationNotResponding { .. } => {
                Settlement::Redeliver
            }
        }
    }
}
