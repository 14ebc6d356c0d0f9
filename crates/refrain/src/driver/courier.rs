//! The couriers of a processor: one task for each destination of a channel, which makes its attempts,
//! several at a time, and reports how they ended.

use std::collections::VecDeque;
use std::future::{poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use refrain_core::limit::WINDOW_MAX;
use refrain_core::port::destination::{Attempted, Delivery};
use refrain_core::{Name, Processor, Timestamp};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::attempts::{Attempt, Attempts, panicked};
use super::inbox::{Control, Ended};
use super::outlet::Target;
use crate::clock::Clock;
use crate::queue::{Receiver, Sender, queue};

/// The couriers, one for each destination that something was delivered to. Dropping them ends their
/// attempts where they are, which is what a crash would do: the next engine finds the deliveries in
/// doubt.
#[derive(Default)]
pub(super) struct Couriers {
    /// As many as there are destinations, most often one for each channel.
    all: Vec<Courier>,
    tasks: JoinSet<()>,
    under_way: usize,
}

struct Courier {
    /// The channel's number in the stream.
    channel: u16,
    destination: Option<Name>,
    errands: Sender<Box<Delivery>>,
}

/// What a courier needs to know besides its errands.
pub(super) struct Route<P: Processor> {
    pub(super) channel: u16,
    pub(super) target: Target,
    pub(super) control: mpsc::Sender<Control<P>>,
    pub(super) clock: Clock,
}

impl Couriers {
    /// Hands an attempt to the courier of its destination, who is called with `route` if need be.
    pub(super) fn send<P: Processor>(
        &mut self,
        destination: Option<&Name>,
        delivery: Box<Delivery>,
        channel: u16,
        route: impl FnOnce() -> Route<P>,
    ) {
        self.under_way += 1;
        let known = self.all.iter().position(|courier| {
            courier.channel == channel && courier.destination.as_ref() == destination
        });
        let place = known.unwrap_or_else(|| {
            let (errands, receiver) = queue(WINDOW_MAX as usize, 0);
            self.tasks.spawn(run(receiver, route()));
            self.all.push(Courier {
                channel,
                destination: destination.cloned(),
                errands,
            });
            self.all.len() - 1
        });
        let sent = self.all[place].errands.try_send(0, delivery);
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

/// Makes attempts for as long as somebody hears how they ended.
async fn run<P: Processor>(mut errands: Receiver<Box<Delivery>>, route: Route<P>) {
    let mut work = Work {
        route: &route,
        attempts: Attempts::new(route.clock),
        arrived: VecDeque::new(),
    };
    loop {
        let ended = poll_fn(|context| work.poll(context, &mut errands)).await;
        let ended = Control::Ended(ended.into());
        if route.control.send(ended).await.is_err() {
            return;
        }
    }
}

struct Work<'a, P: Processor> {
    route: &'a Route<P>,
    attempts: Attempts<'a>,
    /// Errands on their way; a buffer that is used again.
    arrived: VecDeque<Box<Delivery>>,
}

impl<P: Processor> Work<'_, P> {
    /// Begins what has arrived, and gives those that have ended, as soon as there is one.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        errands: &mut Receiver<Box<Delivery>>,
    ) -> Poll<Vec<Ended>> {
        let mut ended = Vec::new();
        while errands.poll_take(context, &mut self.arrived).is_ready() {
            let now = self.route.clock.now();
            while let Some(delivery) = self.arrived.pop_front() {
                let attempt = attempt(self.route, *delivery, now);
                self.attempts.begin(attempt, &mut ended);
            }
        }
        self.attempts.poll(context, &mut ended);
        if ended.is_empty() {
            return Poll::Pending;
        }
        Poll::Ready(ended)
    }
}

/// An attempt that begins now.
fn attempt<P: Processor>(route: &Route<P>, delivery: Delivery, now: Timestamp) -> Attempt<'_> {
    let target = &route.target;
    let (number, attempt) = (delivery.number, delivery.attempt);
    tracing::trace!(channel = delivery.channel, number, attempt, key = %delivery.key, "deliver");
    let report = Ended {
        epoch: delivery.epoch,
        channel: route.channel,
        number,
        attempt,
        attempted: Attempted::NotResponding,
    };
    if target.is_recovering() {
        return Attempt {
            delivering: Box::pin(deliver_once_recovered(target, delivery)),
            report,
            deadline: None,
        };
    }
    let deadline = Some(now + delivery.timeout);
    let delivering = catch_unwind(AssertUnwindSafe(|| target.destination.deliver(delivery)));
    Attempt {
        delivering: delivering.unwrap_or_else(|_| Box::pin(ready(panicked()))),
        report,
        deadline,
    }
}

/// The time of the attempt begins to run when its target has recovered.
async fn deliver_once_recovered(target: &Target, delivery: Delivery) -> Attempted {
    target.recovered().await;
    let timeout = delivery.timeout;
    let delivering = target.destination.deliver(delivery);
    let ended = tokio::time::timeout(timeout, delivering).await;
    ended.unwrap_or(Attempted::NotResponding)
}
