//! The processor's HTTP interface.

use serde::{Deserialize, Serialize};

use crate::domain::{Order, OrderId, OrderStatus};

/// An order, as `GET /orders/ID` gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    /// Its number.
    pub order_id: OrderId,
    /// What became of it.
    #[serde(flatten)]
    pub status: OrderStatus,
}

/// A page of orders, in order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPage {
    /// The orders.
    pub orders: Vec<OrderView>,
    /// Where the next page begins; none after the last one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next_cursor: Option<OrderId>,
}

/// A channel, as `GET /channels` gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelView {
    /// Its name.
    pub name: String,
    /// Whether it delivers.
    pub state: ChannelState,
    /// Deliveries that are not settled.
    pub pending: u64,
    /// Attempts.
    pub attempts: u64,
}

/// Whether a channel delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelState {
    /// It delivers what it has.
    Active,
    /// It gave up for the time being, and stores what comes.
    Stopped,
}

impl From<&Order> for OrderView {
    fn from(order: &Order) -> OrderView {
        OrderView {
            order_id: order.id,
            status: order.status.clone(),
        }
    }
}
