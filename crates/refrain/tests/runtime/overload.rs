//! A full inbox: by count and by bytes, for those who wait and for those who do not; and a journal for
//! which too much waits to be written.

use futures_util::poll;
use refrain::{AskError, Handle, MemoryJournal, Refrain};
use refrain_core::port::journal::RejectReason;
use refrain_journal::AppendFault;

use crate::till::{Say, Till, epochs, launch_with, open, start};
use crate::waiting::{at_this_moment, still_waits};

/// What a message of this size takes in the inbox is about this.
fn bulk(bytes: usize) -> Say {
    Say::Bulk(vec![7; bytes])
}

/// A till that cannot begin yet, with an inbox of so many bytes.
async fn till_with(bytes: u32) -> (MemoryJournal, Refrain, Handle<Till>) {
    let journal = MemoryJournal::manual();
    let (refrain, till) = launch_with(journal.clone(), |till| till.inbox_bytes(bytes));
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

/// The till of `journal`, which refuses the next `count` appends that it settles: too much waits.
async fn refused_till(count: usize) -> (MemoryJournal, Refrain, Handle<Till>) {
    let (journal, refrain, till) = open().await;
    journal.hold();
    for _ in 0..count {
        journal.fail_next(AppendFault::Rejected(RejectReason::Overloaded));
    }
    (journal, refrain, till)
}

/// B1.10: nobody waits for these messages, so nobody else would send them again.
#[tokio::test(start_paused = true)]
async fn what_the_journal_has_no_room_for_yet_is_appended_again_and_nothing_is_dropped() {
    for count in [1, 2, 5, 40] {
        let (journal, refrain, till) = refused_till(count).await;
        // As many appends as are under way at once, and a message behind them.
        for amount in 1..=5 {
            till.tell(Say::Add(amount)).await.unwrap();
            let mut look = Box::pin(till.query(|till| till.total));
            still_waits(&mut look).await;
        }
        assert_eq!(journal.held(), 4);
        journal.resume();
        let amounts = till.query(|till| till.amounts.clone()).await.unwrap();
        assert_eq!(amounts, [1, 2, 3, 4, 5]);
        assert_eq!(epochs(&journal, "till").await, 1, "nothing was rebuilt");
        refrain.drain().await;
        let again = start(&journal).await;
        let till = again.processor::<Till>("till");
        assert_eq!(till.query(|till| till.total).await.unwrap(), 15);
    }
}

/// B1.3, B1.10
#[tokio::test(start_paused = true)]
async fn ask_is_answered_once_the_journal_has_room_again() {
    let (journal, _refrain, till) = refused_till(7).await;
    let mut asked = Box::pin(till.ask(Say::Add(5)));
    still_waits(&mut asked).await;
    journal.resume();
    assert_eq!(asked.await.unwrap(), 5);
}

/// B1.10: a journal that has no room for long fills the inbox, and that refuses.
#[tokio::test(start_paused = true)]
async fn journal_without_room_pushes_back_through_the_inbox() {
    let journal = MemoryJournal::new();
    let refrain = Refrain::builder()
        .journal(journal.clone())
        .processor("till", Till::default())
        .inbox(8)
        .start()
        .await
        .unwrap();
    let till = refrain.processor::<Till>("till");
    for _ in 0..1000 {
        journal.fail_next(AppendFault::Rejected(RejectReason::Overloaded));
    }
    let mut accepted = 0;
    while till.try_tell(bulk(100_000)).is_ok() {
        accepted += 1;
        at_this_moment().await;
        assert!(accepted < 1000, "it is bounded");
    }
    assert_eq!(till.query(|till| till.bulks).await.unwrap(), accepted);
    assert_eq!(epochs(&journal, "till").await, 1);
}
