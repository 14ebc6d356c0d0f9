//! Nothing undurable is told, and whoever is not told hears why.

use std::task::Poll;

use refrain::{AskError, MemoryJournal, MessageId, QueryError, Signal};
use refrain_core::port::journal::{AppendError, RejectReason};
use refrain_journal::AppendFault;

use crate::till::{Refused, Say, Till, entries, epochs, launch_with, open, start};
use crate::waiting::{signal, still_waits};

fn given(id: &str) -> MessageId {
    MessageId::given("test", id).unwrap()
}

/// B1.1
#[tokio::test(start_paused = true)]
async fn answers_rejections_looks_and_repeats_wait_for_what_they_were_computed_on() {
    let (journal, _refrain, till) = open().await;
    journal.hold();
    let mut asked = Box::pin(till.ask_as(given("a"), Say::Add(5)));
    still_waits(&mut asked).await;
    let mut rejected = Box::pin(till.ask(Say::Refuse));
    still_waits(&mut rejected).await;
    let mut repeated = Box::pin(till.ask_as(given("a"), Say::Add(5)));
    still_waits(&mut repeated).await;
    let mut seen = Box::pin(till.query(|till| till.total));
    still_waits(&mut seen).await;
    let mut channels = Box::pin(till.channels());
    still_waits(&mut channels).await;
    assert_eq!(entries(&journal, "till").await, 1, "only the beginning");

    journal.resume();
    assert_eq!(asked.await.unwrap(), 5);
    assert!(matches!(
        rejected.await,
        Err(AskError::Rejected(Refused { total: 5 }))
    ));
    assert_eq!(repeated.await.unwrap(), 5);
    assert_eq!(seen.await.unwrap(), 5);
    assert!(channels.await.unwrap().is_empty());
}

/// B1.1, B1.3
#[tokio::test(start_paused = true)]
async fn if_an_append_fails_everything_computed_on_it_gets_the_same_verdict() {
    let (journal, _refrain, till) = open().await;
    journal.hold();
    let first = Box::pin(till.ask_as(given("a"), Say::Add(5)));
    let on_it = Box::pin(till.ask_as(given("b"), Say::Add(6)));
    let rejected = Box::pin(till.ask(Say::Refuse));
    let seen = Box::pin(till.query(|till| till.total));
    let release = async {
        journal.held_at_least(1).await;
        journal.fail_next(AppendFault::Rejected(RejectReason::Full));
        journal.resume();
    };
    let (first, on_it, rejected, seen, ()) = tokio::join!(first, on_it, rejected, seen, release);
    for (told, id) in [(first, "a"), (on_it, "b")] {
        let Err(AskError::NotRecorded { id: named, cause }) = told else {
            panic!("{told:?}");
        };
        assert_eq!(named, given(id));
        assert!(matches!(
            *cause,
            AppendError::Rejected {
                reason: RejectReason::Full,
                ..
            }
        ));
    }
    assert!(matches!(rejected, Err(AskError::NotRecorded { .. })));
    assert_eq!(seen, Err(QueryError::NotDurable));

    assert_eq!(till.ask_as(given("a"), Say::Add(5)).await.unwrap(), 5);
    assert_eq!(till.query(|till| till.total).await.unwrap(), 5);
}

/// B1.2
#[tokio::test(start_paused = true)]
async fn messages_and_looks_of_one_sender_keep_their_order() {
    let (journal, _refrain, till) = open().await;
    journal.hold();
    let mut looks = Vec::new();
    for amount in 1..=200 {
        till.tell(Say::Add(amount)).await.unwrap();
        let till = till.clone();
        let mut look = Box::pin(async move { till.query(|till| till.amounts.clone()).await });
        still_waits(&mut look).await;
        looks.push(look);
    }
    journal.resume();
    for (number, look) in (1..).zip(looks) {
        assert_eq!(look.await.unwrap(), (1..=number).collect::<Vec<u64>>());
    }
}

/// B1.3
#[tokio::test(start_paused = true)]
async fn unknown_that_was_kept_is_answered_from_the_journal_when_asked_again() {
    let (journal, told) = ask_into(AppendFault::UnknownKept).await;
    let Err(AskError::Unknown { id, .. }) = told.0 else {
        panic!("{:?}", told.0);
    };
    let till = told.1.processor::<Till>("till");
    assert_eq!(till.ask_as(id, Say::Add(5)).await.unwrap(), 5);
    assert_eq!(till.query(|till| till.total).await.unwrap(), 5);
    assert_eq!(epochs(&journal, "till").await, 2);
}

/// B1.3
#[tokio::test(start_paused = true)]
async fn unknown_that_was_lost_is_handled_when_asked_again() {
    let (_journal, told) = ask_into(AppendFault::UnknownLost).await;
    let Err(AskError::Unknown { id, .. }) = told.0 else {
        panic!("{:?}", told.0);
    };
    let till = told.1.processor::<Till>("till");
    assert_eq!(till.query(|till| till.total).await.unwrap(), 0);
    assert_eq!(till.ask_as(id, Say::Add(5)).await.unwrap(), 5);
    assert_eq!(till.query(|till| till.total).await.unwrap(), 5);
}

/// B1.3
#[tokio::test(start_paused = true)]
async fn unknown_that_comes_after_the_new_beginning_can_never_happen() {
    let (journal, told) = ask_into(AppendFault::UnknownLate).await;
    let till = told.1.processor::<Till>("till");
    assert_eq!(till.query(|till| till.total).await.unwrap(), 0);
    assert_eq!(journal.arrive_late(), 0, "its position is taken");
    assert_eq!(till.query(|till| till.total).await.unwrap(), 0);
}

/// B1.3
#[tokio::test(start_paused = true)]
async fn unknown_that_comes_before_the_new_beginning_is_read_and_counted_once() {
    let (journal, _refrain, till) = open().await;
    journal.hold();
    let mut asked = Box::pin(till.ask_as(given("a"), Say::Add(5)));
    still_waits(&mut asked).await;
    journal.fail_next(AppendFault::UnknownLate);
    journal.release_all();
    assert!(matches!(asked.await, Err(AskError::Unknown { .. })));
    // The beginning of the new epoch is submitted, and the old append overtakes it.
    journal.held_at_least(1).await;
    assert_eq!(journal.arrive_late(), 1);
    journal.resume();
    assert_eq!(till.ask_as(given("a"), Say::Add(5)).await.unwrap(), 5);
    assert_eq!(till.query(|till| till.amounts.clone()).await.unwrap(), [5]);
}

async fn ask_into(
    fault: AppendFault,
) -> (
    MemoryJournal,
    (Result<u64, AskError<Refused>>, refrain::Refrain),
) {
    let (journal, refrain, till) = open().await;
    journal.fail_next(fault);
    let told = till.ask(Say::Add(5)).await;
    (journal, (told, refrain))
}

/// B1.3
#[tokio::test(start_paused = true)]
async fn full_disk_is_waited_for_visibly_and_nothing_that_waits_is_lost() {
    let journal = MemoryJournal::new();
    let refrain = start(&journal).await;
    let mut events = refrain.events();
    let till = refrain.processor::<Till>("till");
    for _ in 0..20 {
        journal.fail_next(AppendFault::Rejected(RejectReason::Full));
    }
    assert!(matches!(
        till.ask(Say::Add(1)).await,
        Err(AskError::NotRecorded { .. })
    ));
    let told = signal(&mut events, |told| matches!(told, Signal::Waiting { .. })).await;
    let Signal::Waiting { reason, .. } = told else {
        unreachable!()
    };
    assert!(reason.contains("no room"), "{reason}");
    let waits_for = till
        .recovery()
        .waits_for
        .expect("it says so to whoever asks");
    assert!(waits_for.contains("no room"));
    assert!(!till.recovery().is_done);

    assert_eq!(
        till.ask(Say::Add(2)).await.unwrap(),
        2,
        "sent while it waited"
    );
    assert!(till.recovery().is_done && till.recovery().waits_for.is_none());
    assert_eq!(epochs(&journal, "till").await, 2, "one rebuild");
}

/// B1.4
#[tokio::test(start_paused = true)]
async fn same_identity_changes_nothing_and_gets_the_stored_answer_also_after_a_restart() {
    let (journal, refrain, till) = open().await;
    assert_eq!(till.ask_as(given("a"), Say::Add(5)).await.unwrap(), 5);
    assert_eq!(till.ask(Say::Add(10)).await.unwrap(), 15);
    assert_eq!(till.ask_as(given("a"), Say::Add(5)).await.unwrap(), 5);
    refrain.drain().await;
    let before = entries(&journal, "till").await;

    let again = start(&journal).await;
    let till = again.processor::<Till>("till");
    assert_eq!(till.ask_as(given("a"), Say::Add(5)).await.unwrap(), 5);
    assert_eq!(till.query(|till| till.total).await.unwrap(), 15);
    assert_eq!(entries(&journal, "till").await, before + 1, "the beginning");
}

/// B1.4
#[tokio::test(start_paused = true)]
async fn many_repeats_at_once_get_their_stored_answers_each_its_own() {
    let (_journal, _refrain, till) = open().await;
    let batch = || {
        (1..=3000)
            .map(|n: u64| (given(&n.to_string()), Say::Add(n)))
            .collect::<Vec<_>>()
    };
    let totals = |told: Vec<Result<u64, AskError<Refused>>>| -> Vec<u64> {
        told.into_iter().map(Result::unwrap).collect()
    };
    let first = totals(till.ask_all_as(batch()).await.unwrap());
    let mut shuffled = batch();
    shuffled.reverse();
    let mut again = totals(till.ask_all_as(shuffled).await.unwrap());
    again.reverse();
    assert_eq!(first, again);
    assert_eq!(till.query(|till| till.amounts.len()).await.unwrap(), 3000);
}

/// B1.10
#[tokio::test(start_paused = true)]
async fn full_inbox_refuses_or_pushes_back_as_the_caller_likes_and_drops_nothing() {
    let journal = MemoryJournal::manual();
    let (_refrain, till) = launch_with(journal.clone(), |till| till.inbox(2));
    journal.held_at_least(1).await;
    till.try_tell(Say::Add(1)).unwrap();
    till.tell(Say::Add(2)).await.unwrap();
    assert!(matches!(
        till.try_tell(Say::Add(3)),
        Err(AskError::Overloaded { .. })
    ));
    assert!(matches!(
        till.try_ask_as(given("x"), Say::Add(3)).await,
        Err(AskError::Overloaded { .. })
    ));
    let mut waits = Box::pin(till.tell(Say::Add(4)));
    still_waits(&mut waits).await;
    journal.resume();
    waits.await.unwrap();
    let amounts = till.query(|till| till.amounts.clone()).await.unwrap();
    assert_eq!(amounts, [1, 2, 4]);
}

/// B1.10
#[tokio::test(start_paused = true)]
async fn those_who_wait_are_bounded_also_when_their_messages_leave_no_entry() {
    let (journal, _refrain, till) = open().await;
    journal.hold();
    till.tell(Say::Add(1)).await.unwrap();
    let mut waiting = Vec::new();
    loop {
        let id = given(&waiting.len().to_string());
        let mut asked = Box::pin(till.try_ask_as(id, Say::Refuse));
        match futures_util::poll!(asked.as_mut()) {
            Poll::Pending => waiting.push(asked),
            Poll::Ready(Err(AskError::Overloaded { .. })) => break,
            Poll::Ready(told) => panic!("{told:?}"),
        }
        assert!(waiting.len() < 100_000, "nothing pushes back");
        if waiting.len() % 1000 == 0 {
            // The driver takes in what it will.
            tokio::task::yield_now().await;
        }
    }
    journal.resume();
    for told in waiting {
        assert!(matches!(told.await, Err(AskError::Rejected(_))));
    }
}
