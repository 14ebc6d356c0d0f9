//! Many messages at once.

use refrain::{AskError, MemoryJournal, MessageId};

use crate::till::{Say, entries, launch_with, open};
use crate::waiting::still_waits;

#[tokio::test(start_paused = true)]
async fn hundred_thousand_messages_are_answered_in_order() {
    let (journal, _refrain, till) = open().await;
    let told = till.ask_all(vec![Say::Add(1); 100_000]).await.unwrap();
    for (number, told) in (1..).zip(told) {
        assert_eq!(told.unwrap(), number);
    }
    assert_eq!(entries(&journal, "till").await, 100_001);
    assert!(till.ask_all(Vec::new()).await.unwrap().is_empty());
    assert!(till.ask_all_as(Vec::new()).await.unwrap().is_empty());
    till.tell_all(Vec::new()).await.unwrap();
}

/// B1.10
#[tokio::test(start_paused = true)]
async fn batches_have_no_more_places_in_the_inbox_than_single_messages() {
    let journal = MemoryJournal::manual();
    let (_refrain, till) = launch_with(journal.clone(), |till| till.inbox(100));
    journal.held_at_least(1).await;
    till.tell_all(vec![Say::Add(1); 100]).await.unwrap();
    let mut more = Box::pin(till.tell_all(vec![Say::Add(1); 1000]));
    still_waits(&mut more).await;
    journal.resume();
    more.await.unwrap();
    assert_eq!(till.query(|till| till.total).await.unwrap(), 1100);
}

/// B1.4
#[tokio::test(start_paused = true)]
async fn batch_with_rejections_panics_and_repeats_gives_each_its_own() {
    let (_journal, _refrain, till) = open().await;
    let id = |id: &str| MessageId::given("test", id).unwrap();
    let batch = vec![
        (id("a"), Say::Add(1)),
        (id("b"), Say::Refuse),
        (id("c"), Say::PanicDeciding),
        (id("a"), Say::Add(1)),
        (id("d"), Say::Add(2)),
    ];
    let told = till.ask_all_as(batch).await.unwrap();
    assert!(matches!(told[0], Ok(1)));
    assert!(matches!(told[1], Err(AskError::Rejected(_))));
    assert!(matches!(told[2], Err(AskError::Panicked(_))));
    assert!(matches!(told[3], Ok(1)));
    assert!(matches!(told[4], Ok(3)));
}
