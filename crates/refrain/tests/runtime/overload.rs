//! A full inbox: by count and by bytes, for those who wait and for those who do not.

use futures_util::poll;
use refrain::{AskError, Handle, MemoryJournal, Refrain};

use crate::till::{Say, Till};
use crate::waiting::still_waits;

/// What a message of this size takes in the inbox is about this.
fn bulk(bytes: usize) -> Say {
    Say::Bulk(vec![7; bytes])
}

/// A till that cannot begin yet, with an inbox of so many bytes.
async fn till_with(bytes: u32) -> (MemoryJournal, Refrain, Handle<Till>) {
    let journal = MemoryJournal::manual();
    let refrain = Refrain::builder()
        .journal(journal.clone())
        .processor("till", Till::default())
        .inbox_bytes(bytes)
        .launch()
        .unwrap();
    let till = refrain.processor::<Till>("till");
    journal.held_at_least(1).await;
    (journal, refrain, till)
}

/// B1.10
#[tokio::test(start_paused = true)]
async fn inbox_is_full_by_bytes_long_before_it_is_by_count_and_drops_nothing() {
    let (journal, _refrain, till) = till_with(100_000).await;
    let mut taken = 0;
    while till.try_tell(bulk(5000)).is_ok() {
        taken += 1;
    }
    assert!((10..=20).contains(&taken), "{taken} of 5,000 bytes");
    let refused = till.try_tell(bulk(5000));
    assert!(matches!(refused, Err(AskError::Overloaded { .. })));
    till.try_tell(Say::Add(1)).unwrap();
    let mut waits = Box::pin(till.tell(bulk(5000)));
    still_waits(&mut waits).await;
    let mut batch_waits = Box::pin(till.tell_all(vec![bulk(5000); 3]));
    still_waits(&mut batch_waits).await;
    journal.resume();
    waits.await.unwrap();
    batch_waits.await.unwrap();
    assert_eq!(till.ask(Say::Add(2)).await.unwrap(), 3);
    assert_eq!(till.query(|till| till.bulks).await.unwrap(), taken + 4);
}

/// B1.10
#[tokio::test(start_paused = true)]
async fn message_that_is_larger_than_the_inbox_passes_alone() {
    let (journal, _refrain, till) = till_with(1000).await;
    till.try_tell(Say::Add(1)).unwrap();
    let mut large = Box::pin(till.tell(bulk(50_000)));
    still_waits(&mut large).await;
    let refused = till.try_tell(bulk(50_000));
    assert!(matches!(refused, Err(AskError::Overloaded { .. })));
    journal.resume();
    large.await.unwrap();
    let told = till.ask_all(vec![bulk(50_000); 5]).await.unwrap();
    assert!(told.iter().all(Result::is_ok));
    assert_eq!(till.query(|till| till.bulks).await.unwrap(), 6);
}

/// B1.2, B1.10
#[tokio::test(start_paused = true)]
async fn small_message_does_not_overtake_a_large_one_that_waits_for_room() {
    let (journal, _refrain, till) = till_with(20_000).await;
    till.try_tell(bulk(8000)).unwrap();
    let mut first = Box::pin(till.tell(bulk(15_000)));
    assert!(poll!(first.as_mut()).is_pending());
    let mut second = Box::pin(till.tell(Say::Add(1)));
    assert!(
        poll!(second.as_mut()).is_pending(),
        "it is behind the large one"
    );
    assert!(matches!(
        till.try_tell(Say::Add(2)),
        Err(AskError::Overloaded { .. })
    ));
    journal.resume();
    let (first, second) = tokio::join!(first, second);
    first.and(second).unwrap();
    assert_eq!(till.query(|till| till.bulks).await.unwrap(), 2);
}

/// B1.10: whoever waits for room hears that there will be none.
#[tokio::test(start_paused = true)]
async fn those_who_wait_for_room_are_told_when_the_processor_ends() {
    for is_drained in [true, false] {
        let (journal, refrain, till) = till_with(1000).await;
        let mut waiting = Vec::new();
        for _ in 0..3 {
            let till = till.clone();
            let mut told = Box::pin(async move { till.tell(bulk(2000)).await });
            if poll!(told.as_mut()).is_pending() {
                waiting.push(told);
            }
        }
        assert_eq!(waiting.len(), 2);
        if is_drained {
            // It begins, takes what is in the inbox, and no more.
            journal.resume();
            refrain.drain().await;
        } else {
            drop(refrain);
        }
        for told in waiting {
            assert!(matches!(told.await, Err(AskError::NotRunning { .. })));
        }
        let late = till.try_tell(Say::Add(1));
        assert!(matches!(late, Err(AskError::NotRunning { .. })));
    }
}
