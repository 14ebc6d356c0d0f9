//! Does this destination hand deliveries over? Asks for the promises of [`Destination`], with a
//! service behind it that the suite directs.
//!
//! What a service does with the key, and how long a destination waits, are no promises of the port.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use refrain_core::port::destination::{Attempted, Delivery, Destination};
use refrain_core::{Encoding, Epoch, Key, Name, Timestamp};
use tokio::task::yield_now;

use super::check::{self, Check};
use super::failure::{Failure, Verdict, demand, demand_eq, excerpt};
use crate::poll::poll_once;

/// A destination, and the service behind it.
pub trait Instance: Send {
    /// The destination.
    fn destination(&self) -> Arc<dyn Destination>;

    /// From now on the service does one of `acts` with each request that reaches it, and then
    /// [`Service::Echo`] with every further one.
    fn direct(&mut self, acts: Vec<Service>);

    /// The requests that reached the service, in the order in which they did.
    fn arrived(&self) -> Vec<Arrived>;
}

/// What the service does with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// It replies with the request.
    Echo,
    /// It says that it failed.
    Fail,
    /// It says nothing.
    Silence,
}

/// A request as it reached the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// The idempotency key that came with it.
    pub key: Key,
    /// The request.
    pub request: Bytes,
}

/// Runs every check of [`CHECKS`], each on an instance of its own that `open` gives.
///
/// # Panics
/// When a promise is broken, with all that are and what was seen.
pub async fn run_all<I: Instance + 'static>(open: impl AsyncFn() -> I) {
    let open = async || Box::new(open().await) as Box<dyn Instance>;
    check::run_all("destination", CHECKS, open).await;
}

/// Every promise of the destination port.
pub const CHECKS: &[Check<dyn Instance>] = &[
    Check::new(
        "request_and_reply_pass_unchanged",
        "A request reaches the service as it was, and its reply comes back as it was",
        |instance| Box::pin(request_and_reply_pass_unchanged(instance)),
    ),
    Check::new(
        "every_attempt_carries_the_same_key",
        "Every attempt of a delivery carries the same key and the same bytes",
        |instance| Box::pin(every_attempt_carries_the_same_key(instance)),
    ),
    Check::new(
        "failure_is_told",
        "A service that says it failed is a failure, and the next delivery is not touched by it",
        |instance| Box::pin(failure_is_told(instance)),
    ),
    Check::new(
        "deliveries_at_once_are_apart",
        "Deliveries that are under way at once each get their own reply",
        |instance| Box::pin(deliveries_at_once_are_apart(instance)),
    ),
    Check::new(
        "dropped_delivery_harms_no_other",
        "A delivery may be dropped at any moment, and the next one works",
        |instance| Box::pin(dropped_delivery_harms_no_other(instance)),
    ),
];

async fn request_and_reply_pass_unchanged(instance: &mut dyn Instance) -> Verdict {
    let destination = instance.destination();
    for (number, size) in (1..).zip([2, 3, 100, 5000, 60_000]) {
        let delivery = delivery(number, size);
        let sent = arrived(&delivery);
        let attempted = destination.deliver(delivery).await;
        is_reply(attempted, &sent.request)?;
        demand_eq("what arrived last", instance.arrived().pop(), Some(sent))?;
    }
    Ok(())
}

async fn every_attempt_carries_the_same_key(instance: &mut dyn Instance) -> Verdict {
    let destination = instance.destination();
    instance.direct(vec![Service::Fail, Service::Fail]);
    let sent = delivery(1, 100);
    for attempt in 1..=3 {
        let delivery = Delivery {
            attempt,
            ..sent.clone()
        };
        // How the first two end is another check's question.
        drop(destination.deliver(delivery).await);
    }
    let same = vec![arrived(&sent); 3];
    demand_eq("what arrived", instance.arrived(), same)
}

async fn failure_is_told(instance: &mut dyn Instance) -> Verdict {
    let destination = instance.destination();
    instance.direct(vec![Service::Fail]);
    match destination.deliver(delivery(1, 100)).await {
        Attempted::Failed(failure) => demand(!failure.error.is_empty(), || {
            "the failure comes without a word".to_owned()
        })?,
        other @ (Attempted::Replied(_) | Attempted::NotResponding) => {
            return Err(Failure::new(format!("a failure was told as {other:?}")));
        }
    }
    let next = delivery(2, 100);
    let request = next.request.clone();
    is_reply(destination.deliver(next).await, &request)
}

async fn deliveries_at_once_are_apart(instance: &mut dyn Instance) -> Verdict {
    let destination = instance.destination();
    let deliveries: Vec<Delivery> = (1..=16).map(|number| delivery(number, 100)).collect();
    let under_way = deliveries
        .iter()
        .map(|one| destination.deliver(one.clone()));
    for (attempted, one) in join_all(under_way).await.into_iter().zip(&deliveries) {
        is_reply(attempted, &one.request)?;
    }
    Ok(())
}

async fn dropped_delivery_harms_no_other(instance: &mut dyn Instance) -> Verdict {
    let destination = instance.destination();
    // First, because a delivery that is dropped below may still reach the service much later.
    dropped_in_silence(instance, &*destination).await?;
    for polls in 0..8 {
        let mut dropped = destination.deliver(delivery(2 * polls + 1, 60_000));
        for _ in 0..polls {
            // A future that has ended may not be polled again.
            if poll_once(&mut dropped).await.is_ready() {
                break;
            }
            yield_now().await;
        }
        drop(dropped);
        let next = delivery(2 * polls + 2, 100);
        let request = next.request.clone();
        is_reply(destination.deliver(next).await, &request)?;
    }
    Ok(())
}

/// Drops a delivery that the service has and does not answer.
async fn dropped_in_silence(instance: &mut dyn Instance, destination: &dyn Destination) -> Verdict {
    instance.direct(vec![Service::Silence]);
    let mut dropped = destination.deliver(delivery(101, 100));
    while instance.arrived().is_empty() {
        if let Poll::Ready(attempted) = poll_once(&mut dropped).await {
            let told = format!("the service said nothing, and the delivery ended: {attempted:?}");
            return Err(Failure::new(told));
        }
        yield_now().await;
    }
    drop(dropped);
    let next = delivery(102, 100);
    let request = next.request.clone();
    is_reply(destination.deliver(next).await, &request)
}

/// The service echoes, so the reply is the request, and encoded as that.
fn is_reply(attempted: Attempted, wanted: &Bytes) -> Verdict {
    match attempted {
        Attempted::Replied(reply) => {
            demand_eq("the encoding of the reply", reply.encoding, Encoding::Json)?;
            demand(reply.bytes == *wanted, || {
                let (reply, wanted) = (excerpt(&reply.bytes), excerpt(wanted));
                format!("the reply is {reply} and should be {wanted}")
            })
        }
        other @ (Attempted::Failed(_) | Attempted::NotResponding) => Err(Failure::new(format!(
            "the service replied, and that was told as {other:?}"
        ))),
    }
}

/// A delivery whose request is a JSON text of `size` bytes, at least 2, with its number in it where
/// that fits.
fn delivery(number: u64, size: usize) -> Delivery {
    let text = format!("{number}:{}", "x".repeat(size));
    let mut key = [0xab; 16];
    key[..8].copy_from_slice(&number.to_be_bytes());
    Delivery {
        sender: Name::new("orders").expect("a valid name"),
        channel: "conformance",
        number,
        settled_below: 1,
        key: Key::new(key),
        attempt: 1,
        epoch: Epoch::FIRST,
        // The year 2100: no check waits for it.
        deadline: Timestamp::from_micros(4_102_444_800_000_000),
        timeout: Duration::from_secs(600),
        correlation: Key::new([2; 16]),
        causation: Key::new([3; 16]),
        encoding: Encoding::Json,
        request: format!("\"{}\"", &text[..size - 2]).into(),
    }
}

fn arrived(delivery: &Delivery) -> Arrived {
    Arrived {
        key: delivery.key,
        request: delivery.request.clone(),
    }
}
