//! What goes wrong in one place stays there.

use refrain::{AskError, MemoryJournal, QueryError, Refrain, Signal, StartError};
use refrain_testkit::{Act, ScriptedDestination};

use crate::desk::{Desk, Job, LETTERS, NOTES, QUESTIONS, reply};
use crate::till::{Brittle, Say, Till, entries, open, start};
use crate::waiting::signal;

/// B1.5
#[tokio::test(start_paused = true)]
async fn panic_or_rejection_in_decide_leaves_no_entry_and_the_next_message_is_handled() {
    let (journal, _refrain, till) = open().await;
    let before = entries(&journal, "till").await;
    let Err(AskError::Panicked(text)) = till.ask(Say::PanicDeciding).await else {
        panic!("it was told otherwise");
    };
    assert_eq!(text, "decide was told to");
    assert!(matches!(
        till.ask(Say::Refuse).await,
        Err(AskError::Rejected(_))
    ));
    assert_eq!(entries(&journal, "till").await, before);
    assert_eq!(till.ask(Say::Add(5)).await.unwrap(), 5);
}

/// B1.5
#[tokio::test(start_paused = true)]
async fn apply_that_panics_on_a_fresh_event_is_a_rejection_and_never_an_entry() {
    let journal = MemoryJournal::new();
    let refrain = start(&journal).await;
    let mut events = refrain.events();
    let till = refrain.processor::<Till>("till");
    let batch = vec![Say::Add(1), Say::PanicApplying, Say::Add(2), Say::Refuse];
    let told = till.ask_all(batch).await.unwrap();
    assert!(matches!(told[0], Ok(1)));
    assert!(matches!(&told[1], Err(AskError::Panicked(text)) if text == "apply was told to"));
    assert!(matches!(told[2], Ok(3)), "handled by the rebuilt state");
    assert!(matches!(told[3], Err(AskError::Rejected(_))));
    let rebuilding = signal(&mut events, |told| {
        matches!(told, Signal::Rebuilding { .. })
    })
    .await;
    let Signal::Rebuilding { reason, .. } = rebuilding else {
        unreachable!()
    };
    assert!(reason.contains("apply was told to"), "{reason}");
    refrain.drain().await;

    let again = start(&journal).await;
    let till = again.processor::<Till>("till");
    assert_eq!(
        till.query(|till| till.amounts.clone()).await.unwrap(),
        [1, 2]
    );
}

/// B1.1, B1.5
#[tokio::test(start_paused = true)]
async fn state_that_is_spoiled_while_appends_fail_is_rebuilt_and_everybody_is_told() {
    let (journal, _refrain, till) = open().await;
    journal.fail_next(refrain_journal::AppendFault::UnknownKept);
    let batch = vec![Say::Add(1), Say::PanicApplying, Say::Add(2)];
    let told = till.ask_all(batch).await.unwrap();
    assert!(matches!(told[0], Err(AskError::Unknown { .. })));
    assert!(matches!(
        told[1],
        Err(AskError::Unknown { .. } | AskError::Panicked(_))
    ));
    assert!(matches!(told[2], Ok(3)), "{:?}", told[2]);
}

/// B1.6
#[tokio::test(start_paused = true)]
async fn apply_that_panics_in_a_replay_halts_that_processor_and_no_other() {
    let (journal, refrain, till) = open().await;
    till.ask_all(vec![Say::Add(1), Say::Add(100)])
        .await
        .unwrap();
    refrain.drain().await;

    let refrain = Refrain::builder()
        .journal(journal.clone())
        .processor("till", Brittle)
        .processor("other", Till::default())
        .launch()
        .unwrap();
    let mut events = refrain.events();
    let told = signal(&mut events, |told| {
        matches!(told, Signal::ProcessorHalted { .. })
    });
    let Signal::ProcessorHalted { processor, reason } = told.await else {
        unreachable!()
    };
    assert_eq!(processor.as_str(), "till");
    assert!(
        reason.contains("at 3") && reason.contains("that is too much"),
        "{reason}"
    );
    let Err(StartError::Halted { reason: same, .. }) = refrain.recovered().await else {
        panic!("it halted");
    };
    assert_eq!(same, reason);

    let brittle = refrain.processor::<Brittle>("till");
    let Err(AskError::NotRunning { reason: same, .. }) = brittle.ask(Say::Refuse).await else {
        panic!("it halted");
    };
    assert_eq!(same, reason);
    assert!(matches!(
        brittle.query(|_| ()).await,
        Err(QueryError::NotRunning { .. })
    ));
    let other = refrain.processor::<Till>("other");
    assert_eq!(other.ask(Say::Add(7)).await.unwrap(), 7);
}

/// B1.6
#[tokio::test(start_paused = true)]
async fn event_that_cannot_be_read_halts_with_its_position() {
    let journal = MemoryJournal::new();
    let refrain = start(&journal).await;
    refrain
        .processor::<Till>("till")
        .ask(Say::Add(1))
        .await
        .unwrap();
    refrain.drain().await;

    let (questions, letters, notes) = silent();
    let halted = Refrain::builder()
        .journal(journal)
        .processor("till", Desk::default())
        .destination(&QUESTIONS, questions, refrain::RedeliveryPolicy::default())
        .destination(&LETTERS, letters, refrain::RedeliveryPolicy::default())
        .destination(&NOTES, notes, refrain::RedeliveryPolicy::default())
        .start()
        .await;
    let Err(StartError::Halted { processor, reason }) = halted else {
        panic!("another processor's events were taken");
    };
    assert_eq!(processor.as_str(), "till");
    assert!(reason.contains("an event at 2 cannot be read"), "{reason}");
}

fn silent() -> (
    ScriptedDestination,
    ScriptedDestination,
    ScriptedDestination,
) {
    let silent = || ScriptedDestination::always(Act::Silence);
    (silent(), silent(), silent())
}

/// A panic in somebody's look is that somebody's.
#[tokio::test(start_paused = true)]
async fn look_that_panics_is_told_and_the_processor_goes_on() {
    let (_journal, _refrain, till) = open().await;
    let looked = till.query(|till| assert_eq!(till.total, 17, "look")).await;
    assert!(matches!(looked, Err(QueryError::Panicked { text }) if text.contains("look")));
    assert_eq!(till.ask(Say::Add(5)).await.unwrap(), 5);
}

/// B1.5
#[tokio::test(start_paused = true)]
async fn handler_that_panics_parks_the_delivery_visibly_and_others_go_on() {
    let desk = crate::desk::World::new();
    desk.questions
        .change_script([Act::reply(reply(13))], Act::reply(reply(1)));
    let refrain = desk.start().await;
    let mut events = refrain.events();
    let handle = refrain.processor::<Desk>("desk");
    handle.ask(Job::Ask(1)).await.unwrap();
    let parked = signal(&mut events, |told| {
        matches!(told, Signal::DeliveryParked { .. })
    });
    let Signal::DeliveryParked { number, reason, .. } = parked.await else {
        unreachable!()
    };
    assert_eq!((number, reason.as_str()), (1, "thirteen is too much"));
    handle.ask(Job::Send(2)).await.unwrap();
    assert_eq!(desk.letters.call(1).await.number, 1);
    assert_eq!(handle.channels().await.unwrap()[0].parked, 1);

    // Released, it is asked again and handled.
    handle.deliver("questions").await.unwrap();
    desk.questions.call(2).await;
    desk.questions.idle().await;
    crate::desk::settled(&refrain, "questions").await;
    assert_eq!(handle.query(|desk| desk.answered[&1]).await.unwrap(), 1);
}

/// What a destination's code does is a failure of the destination.
#[tokio::test(start_paused = true)]
async fn destination_that_panics_has_failed() {
    struct Panics;
    impl refrain::Destination for Panics {
        fn deliver(
            &self,
            _: refrain::Delivery,
        ) -> refrain_core::port::BoxFuture<'_, refrain::Attempted> {
            panic!("a destination was told to")
        }
    }
    let desk = crate::desk::World::new();
    let refrain = desk.start_with_questions(Panics).await;
    let handle = refrain.processor::<Desk>("desk");
    handle.ask(Job::Ask(1)).await.unwrap();
    let mut events = refrain.events();
    let stopped = |told: &Signal| matches!(told, Signal::DeliveryStopped { .. });
    signal(&mut events, stopped).await;
    let failures = handle.query(|desk| desk.failures.clone()).await.unwrap();
    assert_eq!(failures.len(), 8);
    assert!(failures[0].contains("panicked"), "{failures:?}");
}
