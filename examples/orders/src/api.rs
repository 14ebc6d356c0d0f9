//! The processor's HTTP interface.
//!
//! Orders come in through the ingress, which answers after the append. Everything else reads the
//! processor's state, or its channels.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use refrain::{ChannelStatus, Handle, QueryError, RecoveryStatus, Refrain};
use refrain_http::{Ingress, Problem, Repeat};
use serde::{Deserialize, Serialize};

use crate::domain::{Order, OrderId, OrderStatus};
use crate::processor::{OrderCount, OrderRejected, Orders};

/// The type of CloudEvents that carry an order.
const ORDER_SUBMITTED: &str = "shop.order.submitted";

/// Orders on a page, unless the request says otherwise, and at most.
const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1_000;

/// When a request may come again that met a processor which does not run.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// All routes of the processor.
pub fn routes(refrain: Arc<Refrain>, orders: Handle<Orders>) -> Router {
    let ingress = Ingress::new(Arc::new(orders.clone()), "/orders")
        .event(ORDER_SUBMITTED)
        .answer_status(StatusCode::CREATED)
        .rejection_with(|rejected: &OrderRejected| {
            let kind = "urn:orders:problem:order-rejected";
            Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                kind,
                "the order was rejected",
            )
            .detail(rejected.to_string())
        });
    let reads = Router::new()
        .route("/orders", get(order_page))
        .route("/orders/{id}", get(order))
        .route("/stats", get(stats))
        .route("/channels", get(channels))
        .route("/channels/{name}/deliver", post(deliver))
        .with_state(orders);
    let health = Router::new()
        .route("/healthz", get(healthz))
        .with_state(refrain);
    let routes = ingress.into_router().merge(reads).merge(health);
    routes.fallback(async || Unavailable::Missing("resource"))
}

/// An order, as `GET /orders/ID` gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    /// Its number.
    pub order_id: OrderId,
    /// What became of it.
    #[serde(flatten)]
    pub status: OrderStatus,
}

impl From<&Order> for OrderView {
    fn from(order: &Order) -> OrderView {
        OrderView {
            order_id: order.id,
            status: order.status.clone(),
        }
    }
}

async fn order(
    State(orders): State<Handle<Orders>>,
    Path(id): Path<String>,
) -> Result<Json<OrderView>, Unavailable> {
    let missing = Unavailable::Missing("order");
    let Ok(id) = id.parse().map(OrderId) else {
        return Err(missing);
    };
    let found = orders.query(move |orders: &Orders| orders.order(id).map(OrderView::from));
    let found = found.await?;
    found.map(Json).ok_or(missing)
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

/// Which orders a page shows.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    status: Option<StatusName>,
    #[serde(default)]
    cursor: OrderId,
    limit: Option<usize>,
}

/// The name of a status, without what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StatusName {
    Pending,
    Accepted,
    Declined,
}

impl StatusName {
    fn of(status: &OrderStatus) -> StatusName {
        match status {
            OrderStatus::Pending => StatusName::Pending,
            OrderStatus::Accepted => StatusName::Accepted,
            OrderStatus::Declined { .. } => StatusName::Declined,
        }
    }
}

async fn order_page(
    State(orders): State<Handle<Orders>>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<OrderPage>, Unavailable> {
    let Query(query) = query.map_err(|error| Unavailable::BadQuery(error.body_text()))?;
    let page = orders.query(move |orders: &Orders| page_of(orders, query));
    Ok(Json(page.await?))
}

fn page_of(orders: &Orders, query: PageQuery) -> OrderPage {
    let limit = query.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
    let wanted = |order: &&Order| {
        let status = StatusName::of(&order.status);
        query.status.is_none_or(|wanted| wanted == status)
    };
    // One more than fits says whether there is a next page.
    let found = orders
        .orders_after(query.cursor)
        .filter(wanted)
        .take(limit + 1);
    let mut found: Vec<OrderView> = found.map(OrderView::from).collect();
    let has_more = found.len() > limit;
    found.truncate(limit);
    OrderPage {
        next_cursor: found.last().filter(|_| has_more).map(|last| last.order_id),
        orders: found,
    }
}

async fn stats(State(orders): State<Handle<Orders>>) -> Result<Json<OrderCount>, Unavailable> {
    Ok(Json(orders.query(Orders::count).await?))
}

/// A channel, as `GET /channels` gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelView {
    /// Its name.
    pub name: String,
    /// Whether it delivers.
    pub state: ChannelState,
    /// Why it does not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Deliveries that are not settled.
    pub pending: u64,
    /// Attempts made since the processor started.
    pub attempts: u64,
}

/// Whether a channel delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelState {
    /// It delivers, or will by itself after a pause.
    Active,
    /// It gave up for the time being, stores what comes, and waits for `deliver`.
    Stopped,
}

impl From<ChannelStatus> for ChannelView {
    fn from(channel: ChannelStatus) -> ChannelView {
        let (state, reason) = match channel.state {
            refrain::ChannelState::Active | refrain::ChannelState::Restarting(_) => {
                (ChannelState::Active, None)
            }
            refrain::ChannelState::Stopped(reason) => {
                (ChannelState::Stopped, Some(reason.to_string()))
            }
        };
        ChannelView {
            name: channel.name.to_string(),
            state,
            reason,
            pending: channel.pending,
            attempts: channel.attempts,
        }
    }
}

async fn channels(
    State(orders): State<Handle<Orders>>,
) -> Result<Json<Vec<ChannelView>>, Unavailable> {
    let channels = orders.channels().await?;
    Ok(Json(channels.into_iter().map(ChannelView::from).collect()))
}

async fn deliver(
    State(orders): State<Handle<Orders>>,
    Path(name): Path<String>,
) -> Result<Json<ChannelView>, Unavailable> {
    orders.deliver(&name).await?;
    let mut channels = orders.channels().await?.into_iter();
    let found = channels.find(|channel| channel.name.as_str() == name);
    found
        .map(|channel| Json(channel.into()))
        .ok_or(Unavailable::Missing("channel"))
}

/// How far the recovery is.
#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
    entries_replayed: u64,
    entries_remaining: u64,
}

async fn healthz(State(refrain): State<Arc<Refrain>>) -> Response {
    let recovery = refrain.recovery();
    let is_done = recovery.iter().all(|one| one.is_done);
    let sum = |of: fn(&RecoveryStatus) -> u64| recovery.iter().map(of).sum();
    let health = Health {
        status: if is_done { "ok" } else { "recovering" },
        entries_replayed: sum(|one| one.entries),
        entries_remaining: sum(|one| one.remaining),
    };
    let status = if is_done {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(health)).into_response()
}

/// Why a read has no result.
#[derive(Debug)]
enum Unavailable {
    /// There is no such thing.
    Missing(&'static str),
    /// The query of the request makes no sense.
    BadQuery(String),
    /// The processor does not run.
    NotRunning(String),
}

impl From<QueryError> for Unavailable {
    fn from(error: QueryError) -> Unavailable {
        if matches!(error, QueryError::NoSuchChannel { .. }) {
            return Unavailable::Missing("channel");
        }
        Unavailable::NotRunning(error.to_string())
    }
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        let problem = match self {
            Unavailable::Missing(what) => {
                let title = format!("there is no such {what}");
                Problem::new(StatusCode::NOT_FOUND, "about:blank", &title)
            }
            Unavailable::BadQuery(reason) => {
                let title = "the query cannot be read";
                Problem::new(StatusCode::BAD_REQUEST, "about:blank", title).detail(reason)
            }
            Unavailable::NotRunning(reason) => {
                let title = "the processor does not run";
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "about:blank", title)
                    .detail(reason)
                    .retry_after(RETRY_AFTER)
                    .repeat(Repeat::Safe)
            }
        };
        problem.into_response()
    }
}

#[cfg(test)]
mod tests {
    use refrain::Processor;

    use super::*;
    use crate::processor::OrderEvent;

    /// Five orders, of which the second and the fourth are accepted.
    fn five() -> Orders {
        let mut orders = Orders::default();
        for id in (1..=5).map(OrderId) {
            orders.apply(&OrderEvent::Stored(Order {
                id,
                product: "jelly beans".to_owned(),
                quantity: 1,
                amount_cents: 499,
                status: OrderStatus::Pending,
            }));
        }
        orders.apply(&OrderEvent::Accepted { id: OrderId(2) });
        orders.apply(&OrderEvent::Accepted { id: OrderId(4) });
        orders
    }

    #[track_caller]
    fn check(status: Option<StatusName>, limit: usize, pages: &[&[u64]]) {
        let orders = five();
        let mut query = PageQuery {
            status,
            cursor: OrderId::default(),
            limit: Some(limit),
        };
        let mut found = Vec::new();
        loop {
            let page = page_of(&orders, query);
            found.push(
                page.orders
                    .iter()
                    .map(|order| order.order_id.0)
                    .collect::<Vec<_>>(),
            );
            match page.next_cursor {
                Some(cursor) => query.cursor = cursor,
                None => break,
            }
        }
        assert_eq!(found, pages);
    }

    #[test]
    fn pages_hold_every_wanted_order_once_and_end_without_a_cursor() {
        check(None, 2, &[&[1, 2], &[3, 4], &[5]]);
        check(None, 5, &[&[1, 2, 3, 4, 5]]);
        check(Some(StatusName::Pending), 2, &[&[1, 3], &[5]]);
        check(Some(StatusName::Accepted), 2, &[&[2, 4]]);
        check(Some(StatusName::Declined), 2, &[&[]]);
    }
}
