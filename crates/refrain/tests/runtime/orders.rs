//! The design's first page, run: an order is stored, asked about, decided, and replayed.

use crate::first_page::{
    CardVerdict, OrderRejected, OrderStored, Orders, Status, SubmitOrder, VALIDATION,
};
use refrain::{
    AskError, Attempted, ChannelOptions, Encoding, History, MemoryJournal, RedeliveryPolicy,
    Refrain, Reply,
};
use refrain_testkit::{Act, ScriptedDestination};

fn validated() -> Attempted {
    Attempted::Replied(Reply::encode(Encoding::Cbor, &CardVerdict::Validated).unwrap())
}

async fn start(journal: &MemoryJournal, validator: &ScriptedDestination) -> Refrain {
    Refrain::builder()
        .journal(journal.clone())
        .processor("orders", Orders::default())
        .destination(
            &VALIDATION,
            validator.clone(),
            ChannelOptions::from(RedeliveryPolicy::default()).unordered(16),
        )
        .start()
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn order_is_stored_decided_once_and_replayed_without_asking_again() {
    let journal = MemoryJournal::new();
    let validator = ScriptedDestination::always(Act::End(validated()));
    let refrain = start(&journal, &validator).await;
    let orders = refrain.processor::<Orders>("orders");
    assert_eq!(
        orders.ask(SubmitOrder { quantity: 1 }).await.unwrap(),
        OrderStored { id: 1 }
    );
    assert!(matches!(
        orders.ask(SubmitOrder { quantity: 0 }).await,
        Err(AskError::Rejected(OrderRejected::NothingOrdered))
    ));
    let many = (0..100).map(|_| SubmitOrder { quantity: 1 }).collect();
    let answers = orders.ask_all(many).await.unwrap();
    assert_eq!(answers.len(), 100);
    refrain.drain().await;

    let asked = validator.calls();
    let again = start(&journal, &validator).await;
    let orders = again.processor::<Orders>("orders");
    while orders.channels().await.unwrap()[0].pending > 0 {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    let digest = orders.digest().await.unwrap();
    let seen = orders.query(|orders| orders.orders.clone()).await.unwrap();
    assert_eq!(seen.len(), 101);
    assert!(seen.values().all(|status| *status == Status::Accepted));
    assert!(validator.calls() >= asked && validator.calls() <= 101 + 16 + 1);
    again.drain().await;

    let history = History::of(journal);
    let replayed = history
        .digest_at("orders", Orders::default(), digest.position)
        .await
        .unwrap();
    assert_eq!(replayed, digest);
}
