//! The clients: several connections that submit orders, as far as the drill releases them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::client::{Client, ClientError, Form, Submission};
use super::judge::Acknowledged;
use crate::domain::CardNumber;
use crate::processor::SubmitOrder;

/// Each so many-th order is submitted a second time after it was stored, as a client would that
/// lost the answer.
const SUBMITTED_TWICE: usize = 20;

/// What the clients share.
#[derive(Debug)]
pub struct Load {
    /// How many orders there are to submit.
    pub orders: usize,
    /// What the orders are made from.
    pub seed: u64,
    /// Orders that may be submitted by now.
    pub released: watch::Receiver<usize>,
    /// Orders that are acknowledged by now.
    pub stored: watch::Sender<usize>,
}

impl Load {
    /// Submits all orders over so many connections at once, and gives what was acknowledged.
    ///
    /// # Errors
    /// The first order that could not be submitted ends the load.
    pub async fn run(
        self,
        client: &Client,
        connections: usize,
    ) -> Result<Vec<Acknowledged>, ClientError> {
        let desk = Arc::new(Desk {
            load: self,
            next: AtomicUsize::new(0),
            acknowledged: Mutex::default(),
        });
        let mut clients = JoinSet::new();
        for _ in 0..connections {
            clients.spawn(Arc::clone(&desk).submit_in_turn(client.clone()));
        }
        while let Some(ended) = clients.join_next().await {
            ended.expect("a client neither panics nor is aborted")?;
        }
        let mut acknowledged = desk
            .acknowledged
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut acknowledged))
    }
}

/// Where the clients take the next order from and leave what they were told.
struct Desk {
    load: Load,
    next: AtomicUsize,
    acknowledged: Mutex<Vec<Acknowledged>>,
}

impl Desk {
    async fn submit_in_turn(self: Arc<Self>, client: Client) -> Result<(), ClientError> {
        let mut released = self.load.released.clone();
        loop {
            let submission = self.next.fetch_add(1, Ordering::Relaxed);
            if submission >= self.load.orders {
                return Ok(());
            }
            if released
                .wait_for(|released| submission < *released)
                .await
                .is_err()
            {
                // Nobody releases orders any more: the drill was given up.
                return Ok(());
            }
            let order = draw(self.load.seed, submission);
            self.submit(&client, submission, &order).await?;
            self.load.stored.send_modify(|stored| *stored += 1);
            if submission.is_multiple_of(SUBMITTED_TWICE) {
                self.submit(&client, submission, &order).await?;
            }
        }
    }

    async fn submit(
        &self,
        client: &Client,
        submission: usize,
        order: &Submission,
    ) -> Result<(), ClientError> {
        let order_id = client.submit(order).await?;
        let mut acknowledged = self
            .acknowledged
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        acknowledged.push(Acknowledged {
            submission,
            order_id,
        });
        Ok(())
    }
}

/// The order with this index: the same for the same seed.
fn draw(seed: u64, index: usize) -> Submission {
    let mut random = StdRng::seed_from_u64(seed ^ (index as u64).rotate_left(32));
    let mut digits = || random.random_range(0..10_000_u32);
    let card = format!(
        "{:04}-{:04}-{:04}-{:04}",
        digits(),
        digits(),
        digits(),
        digits()
    );
    let quantity = random.random_range(1..=5);
    Submission {
        id: format!("drill-{seed}-{index}"),
        form: match index % 3 {
            0 => Form::CloudEvent,
            _ => Form::Json,
        },
        order: SubmitOrder {
            product: "jelly beans".to_owned(),
            quantity,
            amount_cents: u64::from(quantity) * 499,
            card_number: CardNumber::new(card),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_the_same_for_the_same_seed_and_plausible() {
        for index in 0..100 {
            let submission = draw(7, index);
            assert_eq!(submission.order, draw(7, index).order);
            assert!(submission.order.card_number.is_plausible());
        }
        assert_ne!(draw(7, 1).order, draw(8, 1).order);
    }
}
