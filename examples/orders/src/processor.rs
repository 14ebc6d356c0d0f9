//! The order processor: stores orders, has their cards validated, and decides each order once.
//!
//! `decide` and the handlers say what follows; `apply` is the only place where state changes. So
//! replaying the journal rebuilds the orders and asks the validator nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use refrain::{Channels, Outbox, Outcome, Processor, Recording, RequestReply, Settlement, Timer};
use serde::{Deserialize, Serialize};

use crate::domain::{CardNumber, Order, OrderId, OrderStatus};

/// Requests to the external validator. The constant names its handler: one line is the whole route.
pub const VALIDATION: RequestReply<Orders, ValidateCard, CardVerdict> =
    RequestReply::new("card-validation", Orders::on_validation);

/// Reminders to ask anew, for requests that the validator failed too often. They outlive crashes.
pub const ASK_ANEW: Timer<Orders, ValidateCard> = Timer::new("ask-anew", Orders::on_ask_anew);

/// How often one request may fail before it is given up and a new one is made later.
const FAILURES_PER_REQUEST: u32 = 2;

/// How long after a request was given up the new one is made.
const ASK_ANEW_AFTER: Duration = Duration::from_secs(1);

/// All orders, by number. The order of the map makes equal states encode to equal bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    last_id: OrderId,
    orders: BTreeMap<OrderId, Order>,
}

/// The only message from outside: somebody orders something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitOrder {
    /// What is ordered.
    pub product: String,
    /// How many of it.
    pub quantity: u32,
    /// The price of all of it together, in cents.
    pub amount_cents: u64,
    /// The card that pays.
    pub card_number: CardNumber,
}

/// What the processor decided. The variants' names are stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderEvent {
    /// A new, pending order.
    Stored(Order),
    /// The validator found the card good.
    Accepted { id: OrderId },
    /// The validator did not.
    Declined { id: OrderId, reason: String },
}

/// The answer to [`SubmitOrder`], given once the order is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderStored {
    /// The number under which it is stored.
    pub order_id: OrderId,
    /// Always "stored": the order is safe, the card is not validated yet.
    pub status: Stored,
}

/// The word "stored".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stored {
    /// The order is durable.
    Stored,
}

/// Why an order is not taken. Nothing of it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum OrderRejected {
    /// The quantity is zero.
    #[error("the quantity must be at least 1")]
    NothingOrdered,
    /// The card number cannot be one.
    #[error("a card number has 12 to 19 digits")]
    ImplausibleCard,
}

/// What the validator is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidateCard {
    /// The order that the card is to pay.
    pub order_id: OrderId,
    /// The card.
    pub card_number: CardNumber,
    /// What it is to pay, in cents.
    pub amount_cents: u64,
}

/// What the validator replies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum CardVerdict {
    /// The card is good for the amount.
    Validated,
    /// It is not.
    Declined {
        /// Why, in the validator's words.
        reason: String,
    },
}

impl Processor for Orders {
    type Message = SubmitOrder;
    type Event = OrderEvent;
    type Answer = OrderStored;
    type Rejection = OrderRejected;

    const CHANNELS: Channels<Self> = &[&VALIDATION, &ASK_ANEW];

    /// The message holds a card number; the events hold all that is worth keeping of it.
    const RECORDING: Recording = Recording::Digest;

    fn decide(
        &self,
        new: &SubmitOrder,
        out: &mut Outbox<Self>,
    ) -> Result<OrderStored, OrderRejected> {
        if new.quantity == 0 {
            return Err(OrderRejected::NothingOrdered);
        }
        if !new.card_number.is_plausible() {
            return Err(OrderRejected::ImplausibleCard);
        }
        let order_id = self.last_id.next();
        let order = Order {
            id: order_id,
            product: new.product.clone(),
            quantity: new.quantity,
            amount_cents: new.amount_cents,
            status: OrderStatus::Pending,
        };
        let ask = ValidateCard {
            order_id,
            card_number: new.card_number.clone(),
            amount_cents: new.amount_cents,
        };
        out.event(OrderEvent::Stored(order))
            .request(&VALIDATION, &ask);
        Ok(OrderStored {
            order_id,
            status: Stored::Stored,
        })
    }

    fn apply(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::Stored(order) => {
                self.last_id = order.id;
                self.orders.insert(order.id, order.clone());
            }
            OrderEvent::Accepted { id } => self.settle(*id, OrderStatus::Accepted),
            OrderEvent::Declined { id, reason } => {
                let reason = reason.clone();
                self.settle(*id, OrderStatus::Declined { reason });
            }
        }
    }
}

/// What outcomes and timers lead to.
impl Orders {
    /// The validator replied, failed, or said nothing.
    ///
    /// A silence is always asked again, with the same key. A failure is asked again twice; then this
    /// request is given up and a new one made a little later, so that one order which the validator
    /// chokes on does not use up the patience of the channel for all others. A new request may be
    /// made only because a failure means that there is no verdict: after a silence there may be one.
    fn on_validation(
        &self,
        asked: &ValidateCard,
        outcome: Outcome<CardVerdict>,
        out: &mut Outbox<Self>,
    ) -> Settlement {
        let id = asked.order_id;
        match outcome {
            Outcome::Reply(_) if !self.is_pending(id) => Settlement::Confirm,
            Outcome::Reply(CardVerdict::Validated) => {
                out.event(OrderEvent::Accepted { id });
                Settlement::Confirm
            }
            Outcome::Reply(CardVerdict::Declined { reason }) => {
                out.event(OrderEvent::Declined { id, reason });
                Settlement::Confirm
            }
            Outcome::DestinationFailure { failure_count, .. }
                if failure_count > FAILURES_PER_REQUEST =>
            {
                out.after(ASK_ANEW_AFTER, &ASK_ANEW, asked);
                Settlement::Confirm
            }
            Outcome::DestinationFailure { .. } | Outcome::DestinationNotResponding { .. } => {
                Settlement::Redeliver
            }
        }
    }

    /// Time to ask anew about an order whose last request was given up.
    fn on_ask_anew(&self, ask: &ValidateCard, out: &mut Outbox<Self>) {
        if self.is_pending(ask.order_id) {
            out.request(&VALIDATION, ask);
        }
    }

    fn settle(&mut self, id: OrderId, status: OrderStatus) {
        if let Some(order) = self.orders.get_mut(&id) {
            order.status = status;
        }
    }
}

/// What the state can be asked.
impl Orders {
    /// The order with this number.
    pub fn order(&self, id: OrderId) -> Option<&Order> {
        self.orders.get(&id)
    }

    /// The orders whose numbers are greater than `after`, in order of their numbers.
    pub fn orders_after(&self, after: OrderId) -> impl Iterator<Item = &Order> {
        self.orders.range(after.next()..).map(|(_, order)| order)
    }

    /// How many orders there are, by what became of them.
    pub fn count(&self) -> OrderCount {
        let mut count = OrderCount::default();
        for order in self.orders.values() {
            match order.status {
                OrderStatus::Pending => count.pending += 1,
                OrderStatus::Accepted => count.accepted += 1,
                OrderStatus::Declined { .. } => count.declined += 1,
            }
        }
        count
    }

    fn is_pending(&self, id: OrderId) -> bool {
        self.order(id)
            .is_some_and(|order| order.status == OrderStatus::Pending)
    }
}

/// How many orders there are, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCount {
    /// Still being validated.
    pub pending: u64,
    /// With a good card.
    pub accepted: u64,
    /// With a bad one.
    pub declined: u64,
}

#[cfg(test)]
#[path = "processor_tests.rs"]
mod tests;
