//! The courier of a channel: makes its attempts and reports how they ended, several at a time.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::future::FutureExt;
use futures_util::stream::FuturesUnordered;
use futures_util::stream::StreamExt;
use refrain_core::Processor;
use refrain_core::port::destination::{Attempted, Delivery, Destination, Failure};
use tokio::sync::mpsc;

use super::inbox::{Control, Ended};

/// An attempt for a courier to make.
pub(crate) struct Errand {
    pub(crate) channel: u16,
    pub(crate) destination: Arc<dyn Destination>,
    pub(crate) delivery: Delivery,
}

/// Makes attempts until nobody sends any more, and those under way have ended.
pub(crate) async fn run<P: Processor>(
    mut errands: mpsc::Receiver<Errand>,
    control: mpsc::Sender<Control<P>>,
) {
    let mut under_way = FuturesUnordered::new();
    let mut arrived = Vec::new();
    let mut is_open = true;
    while is_open || !under_way.is_empty() {
        let mut ended = Vec::new();
        tokio::select! {
            count = errands.recv_many(&mut arrived, 64), if is_open => {
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
        destination,
        delivery,
    } = errand;
    let (number, attempt, timeout) = (delivery.number, delivery.attempt, delivery.timeout);
    tracing::trace!(channel = delivery.channel, number, attempt, key = %delivery.key, "deliver");
    let delivering = AssertUnwindSafe(async { destination.deliver(delivery).await }).catch_unwind();
    let attempted = match tokio::time::timeout(timeout, delivering).await {
        Ok(Ok(attempted)) => attempted,
        Ok(Err(_)) => Attempted::Failed(Failure {
            error: "the destination's code panicked".to_owned(),
            retry_after: None,
        }),
        Err(_) => Attempted::NotResponding,
    };
    Ended {
        channel,
        number,
        attempt,
        attempted,
    }
}
