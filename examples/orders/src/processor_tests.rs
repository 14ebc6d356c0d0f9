//! The processor in a runtime of its own, with a journal in memory, a validator that does as it is
//! told, and a clock that jumps.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use refrain::port::BoxFuture;
use refrain::{
    Attempted, Delivery, Destination, Failure, Handle, Key, MemoryJournal, RedeliveryPolicy,
    Refrain, Reply,
};

use super::*;

/// Answers each call with the next of its answers, and remembers the keys.
#[derive(Clone, Default)]
struct Scripted {
    answers: Arc<Mutex<VecDeque<Attempted>>>,
    keys: Arc<Mutex<Vec<Key>>>,
}

impl Scripted {
    fn of(answers: impl IntoIterator<Item = Attempted>) -> Scripted {
        Scripted {
            answers: Arc::new(Mutex::new(answers.into_iter().collect())),
            ..Scripted::default()
        }
    }

    fn keys(&self) -> Vec<Key> {
        self.keys.lock().unwrap().clone()
    }
}

impl Destination for Scripted {
    fn deliver(&self, delivery: Delivery) -> BoxFuture<'_, Attempted> {
        self.keys.lock().unwrap().push(delivery.key);
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(async move { answer.expect("the validator is not called so often") })
    }
}

fn replied(verdict: &CardVerdict) -> Attempted {
    Attempted::Replied(Reply::encode(Orders::ENCODING, verdict).unwrap())
}

fn failed() -> Attempted {
    Attempted::Failed(Failure {
        error: "the bank is closed".to_owned(),
        retry_after: None,
    })
}

fn declined() -> CardVerdict {
    CardVerdict::Declined {
        reason: "limit exceeded".to_owned(),
    }
}

async fn start(journal: &MemoryJournal, validator: &Scripted) -> (Refrain, Handle<Orders>) {
    let refrain = Refrain::builder()
        .journal(journal.clone())
        .processor("orders", Orders::default())
        .destination(&VALIDATION, validator.clone(), RedeliveryPolicy::default())
        .start()
        .await
        .unwrap();
    let orders = refrain.processor("orders");
    (refrain, orders)
}

fn jelly_beans() -> SubmitOrder {
    SubmitOrder {
        product: "jelly beans".to_owned(),
        quantity: 1,
        amount_cents: 499,
        card_number: CardNumber::new("1234-5678-1234-5678"),
    }
}

/// Waits until the order is decided; the clock jumps from one timer to the next.
async fn decided(orders: &Handle<Orders>, id: OrderId) -> OrderStatus {
    loop {
        let order = orders.query(move |orders| orders.order(id).cloned()).await;
        let status = order.unwrap().unwrap().status;
        if status != OrderStatus::Pending {
            return status;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[track_caller]
fn check_keys(validator: &Scripted, pattern: &str) {
    let keys = validator.keys();
    let mut distinct: Vec<Key> = Vec::new();
    let names: String = keys
        .iter()
        .map(|key| {
            let known = distinct.iter().position(|other| other == key);
            let index = known.unwrap_or_else(|| {
                distinct.push(*key);
                distinct.len() - 1
            });
            char::from(b'a' + u8::try_from(index).unwrap())
        })
        .collect();
    assert_eq!(names, pattern);
}

/// B7.4
#[tokio::test(start_paused = true)]
async fn silence_is_asked_again_with_the_same_key_until_there_is_a_verdict() {
    let silences = std::iter::repeat_n(Attempted::NotResponding, 5);
    let validator = Scripted::of(silences.chain([replied(&CardVerdict::Validated)]));
    let (_refrain, orders) = start(&MemoryJournal::new(), &validator).await;
    let stored = orders.ask(jelly_beans()).await.unwrap();
    assert_eq!(
        decided(&orders, stored.order_id).await,
        OrderStatus::Accepted
    );
    check_keys(&validator, "aaaaaa");
}

/// B7.4
#[tokio::test(start_paused = true)]
async fn request_that_failed_three_times_is_made_anew_and_the_order_is_still_decided() {
    let validator = Scripted::of([failed(), failed(), failed(), failed(), replied(&declined())]);
    let (_refrain, orders) = start(&MemoryJournal::new(), &validator).await;
    let stored = orders.ask(jelly_beans()).await.unwrap();
    let reason = "limit exceeded".to_owned();
    let status = decided(&orders, stored.order_id).await;
    assert_eq!(status, OrderStatus::Declined { reason });
    check_keys(&validator, "aaabb");
}

/// B2.1, B7.1
#[tokio::test(start_paused = true)]
async fn restart_rebuilds_the_orders_and_asks_nothing_that_was_answered() {
    let journal = MemoryJournal::new();
    let validator = Scripted::of([replied(&CardVerdict::Validated)]);
    let (refrain, orders) = start(&journal, &validator).await;
    let stored = orders.ask(jelly_beans()).await.unwrap();
    decided(&orders, stored.order_id).await;
    refrain.drain().await;

    // A second call would find no answer, and panic.
    let (_refrain, orders) = start(&journal, &validator).await;
    assert_eq!(
        decided(&orders, stored.order_id).await,
        OrderStatus::Accepted
    );
    check_keys(&validator, "a");
}

#[tokio::test(start_paused = true)]
async fn order_of_nothing_and_order_without_a_plausible_card_are_rejected() {
    let (_refrain, orders) = start(&MemoryJournal::new(), &Scripted::default()).await;
    let nothing = SubmitOrder {
        quantity: 0,
        ..jelly_beans()
    };
    let card = SubmitOrder {
        card_number: CardNumber::new("none"),
        ..jelly_beans()
    };
    let rejections = [
        (nothing, OrderRejected::NothingOrdered),
        (card, OrderRejected::ImplausibleCard),
    ];
    for (order, expected) in rejections {
        let rejected = orders.ask(order).await.unwrap_err();
        assert!(matches!(rejected, refrain::AskError::Rejected(why) if why == expected));
    }
    assert_eq!(
        orders.query(Orders::count).await.unwrap(),
        OrderCount::default()
    );
}
