//! Two writers of one stream: the newer one goes on, the older one ends, and there is no fight.

use refrain::{AskError, MemoryJournal, Signal};
use refrain_core::port::journal::AppendError;
use refrain_journal::AppendFault;

use crate::till::{Say, Till, epochs, start};
use crate::waiting::{pass, signal, still_waits};

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
