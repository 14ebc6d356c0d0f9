//! Asking an outside service, and never twice for what it has answered: an order processor asks a card
//! validator, is restarted, and does not ask again.
//!
//! Run it with `cargo run -p refrain --example request_reply`.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use refrain::{
    Attempted, ChannelOptions, Channels, Delay, Delivery, FileJournal, Outbox, Outcome, Processor,
    RedeliveryPolicy, Refrain, Reply, RequestReply, ServiceDestination, Settlement,
};
use serde::{Deserialize, Serialize};

/// The constant names its handler: this line is the whole route.
const VALIDATION: RequestReply<Orders, ValidateCard, Verdict> =
    RequestReply::new("card-validation", Orders::on_validation);

#[derive(Clone, Default, Serialize, Deserialize)]
struct Orders {
    orders: BTreeMap<u64, Status>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Status {
    Pending,
    Accepted,
    Declined,
}

#[derive(Serialize, Deserialize)]
struct Submit {
    card: String,
}

#[derive(Serialize, Deserialize)]
struct OrderEvent {
    id: u64,
    now: Status,
}

#[derive(Debug, Serialize, Deserialize)]
struct NoCard;

#[derive(Serialize, Deserialize)]
struct ValidateCard {
    order: u64,
    card: String,
}

#[derive(Serialize, Deserialize)]
enum Verdict {
    Valid,
    Invalid,
}

impl Processor for Orders {
    type Message = Submit;
    type Event = OrderEvent;
    type Answer = u64;
    type Rejection = NoCard;
    const CHANNELS: Channels<Self> = &[&VALIDATION];

    fn decide(&self, new: &Submit, out: &mut Outbox<Self>) -> Result<u64, NoCard> {
        if new.card.is_empty() {
            return Err(NoCard);
        }
        let id = self.orders.len() as u64 + 1;
        let card = new.card.clone();
        out.request(&VALIDATION, &ValidateCard { order: id, card });
        out.event(OrderEvent {
            id,
            now: Status::Pending,
        });
        Ok(id)
    }

    fn apply(&mut self, event: &OrderEvent) {
        self.orders.insert(event.id, event.now);
    }
}

impl Orders {
    /// Every outcome comes here, and every settlement goes back: confirm, or deliver again.
    fn on_validation(
        &self,
        asked: &ValidateCard,
        outcome: Outcome<Verdict>,
        out: &mut Outbox<Self>,
    ) -> Settlement {
        let id = asked.order;
        let now = match outcome {
            Outcome::Reply(_) if self.orders.get(&id) != Some(&Status::Pending) => {
                return Settlement::Confirm;
            }
            Outcome::Reply(Verdict::Valid) => Status::Accepted,
            Outcome::Reply(Verdict::Invalid) => Status::Declined,
            Outcome::DestinationFailure { .. } | Outcome::DestinationNotResponding { .. } => {
                return Settlement::Redeliver;
            }
        };
        out.event(OrderEvent { id, now });
        Settlement::Confirm
    }
}

/// A validator that fails every third time it is asked, and counts.
fn validator(asked: Arc<AtomicU32>) -> ServiceDestination {
    ServiceDestination::new(tower::service_fn(move |delivery: Delivery| {
        let count = asked.fetch_add(1, Ordering::Relaxed) + 1;
        async move {
            if count.is_multiple_of(3) {
                return Err(tower::BoxError::from("the validator is busy"));
            }
            let request: ValidateCard = delivery.encoding.decode(&delivery.request)?;
            let verdict = match request.card.ends_with('7') {
                true => Verdict::Invalid,
                false => Verdict::Valid,
            };
            let reply = Reply::encode(delivery.encoding, &verdict)?;
            Ok(Attempted::Replied(reply))
        }
    }))
}

async fn start(directory: &Path, asked: &Arc<AtomicU32>) -> Result<Refrain, Box<dyn Error>> {
    let soon = RedeliveryPolicy {
        redelivery_delay: Delay::Fixed(Duration::from_millis(20)),
        ..RedeliveryPolicy::default()
    };
    let refrain = Refrain::builder()
        .journal(FileJournal::open(directory)?)
        .processor("orders", Orders::default())
        .destination(
            &VALIDATION,
            validator(asked.clone()),
            ChannelOptions::from(soon).unordered(8),
        )
        .start()
        .await?;
    Ok(refrain)
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let asked = Arc::new(AtomicU32::new(0));

    let refrain = start(directory.path(), &asked).await?;
    let orders = refrain.processor::<Orders>("orders");
    let submitted = (0..10).map(|n| Submit {
        card: format!("1234-5678-1234-567{n}"),
    });
    for stored in orders.ask_all(submitted.collect()).await? {
        println!("order {} is stored, and so is its request", stored?);
    }
    while orders.channels().await?[0].pending > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let decided = orders.query(|orders| orders.orders.clone()).await?;
    println!("decided: {decided:?}");
    let before = asked.load(Ordering::Relaxed);
    println!("the validator was asked {before} times");
    refrain.drain().await;

    let refrain = start(directory.path(), &asked).await?;
    let orders = refrain.processor::<Orders>("orders");
    let replayed = orders.query(|orders| orders.orders.clone()).await?;
    assert_eq!(replayed, decided);
    assert_eq!(asked.load(Ordering::Relaxed), before);
    println!("after a restart: the same, and it was not asked again");
    refrain.drain().await;
    Ok(())
}
