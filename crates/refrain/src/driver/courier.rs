//! The couriers of a processor: one task per channel, which makes its attempts, several at a time,
//! and reports how they ended.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;

use futures_util::future::FutureExt;
use futures_util::stream::FuturesUnordered;
use futures_util::stream::StreamExt;
use refrain_core::Processor;
use refrain_core::limit::WINDOW_MAX;
use refrain_core::port::destination::{Attempted, Delivery, Failure};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::inbox::{Control, Ended};
use super::outlet::Target;

/// An attempt for a courier to make.
pub(super) struct Errand {
    pub(super) channel: u16,
    pub(super) target: Target,
    pub(super) delivery: Delivery,
}

/// The couriers, one for each channel that has delivered. Dropping them ends their attempts where
/// they are, which is what a crash would do: the next engine finds the deliveries in doubt.
#[derive(Default)]
pub(super) struct Couriers {
    senders: HashMap<u16, mpsc::Sender<Errand>>,
    tasks: JoinSet<()>,
    under_way: usize,
}

impl Couriers {
    /// Hands an attempt to its channel's courier.
    pub(super) fn send<P: Processor>(
        &mut self,
        errand: Errand,
        control: &mpsc::Sender<Control<P>>,
    ) {
        self.under_way += 1;
        let tasks = &mut self.tasks;
        let courier = self.senders.entry(errand.channel).or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(WINDOW_MAX as usize);
            tasks.spawn(run(receiver, control.clone()));
            sender
        });
        let sent = courier.try_send(errand);
        assert!(sent.is_ok(), "a courier has room for the widest window");
    }

    /// Takes note that an attempt ended and was reported.
    pub(super) fn ended(&mut self) {
        self.under_way -= 1;
    }

    /// Whether every attempt has ended and was reported.
    pub(super) fn are_idle(&self) -> bool {
        self.under_way == 0
    }
}

/// Makes attempts until nobody sends any more, and those under way have ended.
async fn run<P: Processor>(mut errands: mpsc::Receiver<Errand>, control: mpsc::Sender<Control<P>>) {
    let mut under_way = FuturesUnordered::new();
    let mut arrived = Vec::new();
    let mut is_open = true;
    while is_open || !under_way.is_empty() {
        let mut ended = Vec::new();
        tokio::select! {
            count = errands.recv_many(&mut arrived, WINDOW_MAX as usize), if is_open => {
                is_open = count > 0;
                under_way.extend(arrived.drain(..).map(attempt));
            }
            Some(first) = under_way.next(), if !under_way.is_empty() => ended.push(first),
        }
        if ended.is_empty() {
            continue;
        }
        // Whatever else has ended meanwhile goes along.
        while let Some(Some(another)) = under_way.next().now_or_never() {
            ended.push(another);
        }
        if control.send(Control::Ended(ended)).await.is_err() {
            return;
        }
    }
}

async fn attempt(errand: Errand) -> Ended {
    let Errand {
        channel,
        target,
        delivery,
    } = errand;
    let (epoch, number, attempt) = (delivery.epoch, delivery.number, delivery.attempt);
    let timeout = delivery.timeout;
    target.recovered().await;
    tracing::trace!(channel = delivery.channel, number, attempt, key = %delivery.key, "deliver");
    let delivering =
        AssertUnwindSafe(async { target.destination.deliver(delivery).await }).catch_unwind();
    let attempted = match tokio::time::timeout(timeout, delivering).await {
        Ok(Ok(attempted)) => attempted,
        Ok(Err(_)) => Attempted::Failed(Failure {
            error: "the destination's code panicked".to_owned(),
            retry_after: None,
        }),
        Err(_) => Attempted::NotResponding,
    };
    Ended {
        epoch,
        channel,
        number,
        attempt,
        attempted,
    }
}
