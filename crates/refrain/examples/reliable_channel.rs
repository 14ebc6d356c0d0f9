//! Messages that arrive, whatever happens: a warehouse sends parcels to a carrier that is often closed,
//! and the channel delivers each of them until the carrier has taken it. When the carrier stays away,
//! the channel stops visibly, and goes on when it is told to.
//!
//! Run it with `cargo run -p refrain --example reliable_channel`.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use refrain::{
    Attempted, Channels, Delay, Delivery, MemoryJournal, Never, OneWay, Outbox, Processor,
    RedeliveryPolicy, Refrain, Reply, ServiceDestination, Signal,
};
use serde::{Deserialize, Serialize};

/// The channel, by name. What is sent through it is part of the step that sends it.
const PARCELS: OneWay<Warehouse, Parcel> = OneWay::reliable("parcels");

#[derive(Clone, Default, Serialize, Deserialize)]
struct Warehouse {
    sent: u32,
}

#[derive(Serialize, Deserialize)]
struct Send {
    to: String,
}

#[derive(Serialize, Deserialize)]
struct Sent;

#[derive(Serialize, Deserialize)]
struct Parcel {
    number: u32,
    to: String,
}

impl Processor for Warehouse {
    type Message = Send;
    type Event = Sent;
    type Answer = u32;
    type Rejection = Never;
    const CHANNELS: Channels<Self> = &[&PARCELS];

    fn decide(&self, new: &Send, out: &mut Outbox<Self>) -> Result<u32, Never> {
        let number = self.sent + 1;
        let to = new.to.clone();
        out.event(Sent).send(&PARCELS, &Parcel { number, to });
        Ok(number)
    }

    fn apply(&mut self, _: &Sent) {
        self.sent += 1;
    }
}

/// A carrier that is closed until it has been asked `closed_for` times.
fn carrier(closed_for: u32) -> ServiceDestination {
    let asked = Arc::new(AtomicU32::new(0));
    ServiceDestination::new(tower::service_fn(move |delivery: Delivery| {
        let is_open = asked.fetch_add(1, Ordering::Relaxed) >= closed_for;
        async move {
            let parcel: Parcel = delivery.encoding.decode(&delivery.request)?;
            let (number, to, attempt) = (parcel.number, parcel.to, delivery.attempt);
            if !is_open {
                println!("  parcel {number} to {to}, attempt {attempt}: closed");
                return Err(tower::BoxError::from("the carrier is closed"));
            }
            // A real carrier looks the key up, and takes the parcel once.
            println!("  parcel {number} to {to}, attempt {attempt}: taken");
            Ok(Attempted::Replied(Reply::nothing()))
        }
    }))
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    // Four attempts in each of two activations. With the defaults that would take 18 seconds.
    let hasty = RedeliveryPolicy {
        redelivery_delay: Delay::Fixed(Duration::from_millis(10)),
        restart_delay: Duration::from_millis(50),
        ..RedeliveryPolicy::default()
    };
    let refrain = Refrain::builder()
        .journal(MemoryJournal::new())
        .processor("warehouse", Warehouse::default())
        .destination(&PARCELS, carrier(9), hasty)
        .start()
        .await?;
    let mut events = refrain.events();
    let warehouse = refrain.processor::<Warehouse>("warehouse");

    println!("Three parcels are sent; the carrier is closed:");
    for to in ["Ada", "Grace", "Barbara"] {
        let to = to.to_owned();
        warehouse.ask(Send { to }).await?;
    }
    while let Some(signal) = events.next().await {
        if let Signal::DeliveryStopped {
            reason, pending, ..
        } = signal
        {
            println!("The channel stopped: {reason}. {pending} parcels wait.");
            break;
        }
    }

    println!("The carrier opens soon, and an operator says so:");
    warehouse.deliver("parcels").await?;
    while warehouse.channels().await?[0].pending > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("Everything has arrived, in the order sent.");
    refrain.drain().await;
    Ok(())
}
