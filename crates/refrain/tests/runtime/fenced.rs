//! Two writers of one stream: the newer one goes on, the older one ends, and there is no fight.

use futures_util::poll;
use refrain::{AskError, Journal, MemoryJournal, Position, Signal};
use refrain_core::port::journal::{AppendError, Batch, RejectReason};
use refrain_journal::AppendFault;

use crate::till::{Say, Till, epochs, name, start};
use crate::waiting::{at_this_moment, pass, signal, still_waits};

/// B1.3
#[tokio::test(start_paused = true)]
async fn writer_that_was_taken_over_is_fenced_in_its_append_and_halts() {
    let journal = MemoryJournal::new();
    let older = start(&journal).await;
    let mut events = older.events();
    let newer = start(&journal).await;
    let till = older.processor::<Till>("till");
    let Err(AskError::NotRecorded { cause, .. }) = till.ask(Say::Add(1)).await else {
        panic!("a fenced writer took a message");
    };
    assert!(matches!(*cause, AppendError::Fenced { .. }));
    signal(&mut events, |told| {
        matches!(told, Signal::ProcessorHalted { .. })
    })
    .await;
    let Err(AskError::NotRunning { reason, .. }) = till.ask(Say::Add(1)).await else {
        panic!("a fenced writer runs");
    };
    assert!(reason.contains("is fenced"), "{reason}");

    pass(std::time::Duration::from_secs(60)).await;
    assert_eq!(epochs(&journal, "till").await, 2, "nobody fought");
    let till = newer.processor::<Till>("till");
    assert_eq!(till.ask(Say::Add(1)).await.unwrap(), 1);
}

/// B1.3
#[tokio::test(start_paused = true)]
async fn writer_that_was_taken_over_while_its_append_was_unknown_does_not_fight() {
    let journal = MemoryJournal::new();
    let older = start(&journal).await;
    let till = older.processor::<Till>("till");
    journal.hold();
    let mut asked = Box::pin(till.ask(Say::Add(1)));
    still_waits(&mut asked).await;
    journal.fail_next(AppendFault::UnknownLost);
    journal.release_all();
    assert!(matches!(asked.await, Err(AskError::Unknown { .. })));
    // The older one is about to begin again; the newer one is faster.
    journal.held_at_least(1).await;
    journal.fail_next(AppendFault::UnknownLost);
    journal.resume();
    let newer = start(&journal).await;

    let Err(AskError::NotRunning { reason, .. }) = till.ask(Say::Add(1)).await else {
        panic!("both run");
    };
    assert!(reason.contains("taken over"), "{reason}");
    let till = newer.processor::<Till>("till");
    assert_eq!(till.ask(Say::Add(2)).await.unwrap(), 2);
    assert_eq!(epochs(&journal, "till").await, 2);
}

/// B1.3: what was refused is tried again, but not over what somebody else has written.
#[tokio::test(start_paused = true)]
async fn writer_whose_place_was_taken_while_its_append_was_refused_halts() {
    let journal = MemoryJournal::new();
    let refrain = start(&journal).await;
    let till = refrain.processor::<Till>("till");
    journal.fail_next(AppendFault::Rejected(RejectReason::Overloaded));
    let mut asked = Box::pin(till.ask(Say::Add(1)));
    assert!(poll!(asked.as_mut()).is_pending());
    at_this_moment().await;
    let mut batch = Batch::default();
    batch.push(b"somebody else's");
    let second = Position::FIRST.next();
    journal.append(&name("till"), second, batch).await.unwrap();
    let Err(AskError::NotRecorded { cause, .. }) = asked.await else {
        panic!("a writer without a place took a message");
    };
    assert!(matches!(*cause, AppendError::Fenced { .. }));
    assert!(matches!(
        till.ask(Say::Add(1)).await,
        Err(AskError::NotRunning { .. })
    ));
}
