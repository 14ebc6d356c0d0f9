//! Starting, draining, dropping: whoever waits is told.

use std::time::Duration;

use refrain::{
    AskError, BuildError, Journal, MemoryJournal, MessageId, Position, QueryError,
    RedeliveryPolicy, Refrain, Signal, StartError, Timestamp,
};
use refrain_core::port::journal::RejectReason;
use refrain_journal::AppendFault;
use refrain_testkit::Act;

use crate::desk::{Desk, Job, LETTERS, NOTES, QUESTIONS, World, reply};
use crate::till::{Say, Till, launch, name, open, start};
use crate::waiting::{signal, still_waits};

#[tokio::test(start_paused = true)]
async fn drain_handles_what_waits_and_refuses_what_comes_later() {
    let (journal, refrain, till) = open().await;
    journal.hold();
    let asked = (1..=100).map(|amount| till.ask(Say::Add(amount)));
    let asked = futures_util::future::join_all(asked);
    let mut asked = Box::pin(asked);
    still_waits(&mut asked).await;
    let mut drained = Box::pin(refrain.drain());
    still_waits(&mut drained).await;
    assert!(matches!(
        till.ask(Say::Add(1)).await,
        Err(AskError::NotRunning { .. })
    ));
    journal.resume();
    drained.await;
    assert!(asked.await.into_iter().all(|told| told.is_ok()));
    let Err(QueryError::NotRunning { reason, .. }) = till.query(|_| ()).await else {
        panic!("it was drained");
    };
    assert_eq!(reason, "it was drained");
}

#[tokio::test(start_paused = true)]
async fn drain_lets_attempts_end_and_starts_no_other() {
    let desk = World::new();
    desk.questions
        .change_script([Act::Silence], Act::reply(reply(1)));
    let refrain = desk.start().await;
    let handle = refrain.processor::<Desk>("desk");
    handle.ask(Job::Ask(1)).await.unwrap();
    handle.ask(Job::Ask(2)).await.unwrap();
    desk.questions.call(1).await;
    let mut drained = Box::pin(refrain.drain());
    tokio::select! {
        () = &mut drained => panic!("an attempt is under way"),
        () = tokio::time::sleep(Duration::from_secs(1)) => {}
    }
    desk.questions.end(1, refrain::Attempted::Replied(reply(7)));
    drained.await;
    assert_eq!(desk.questions.calls(), 1);

    let again = desk.start().await;
    crate::desk::settled(&again, "questions").await;
    let handle = again.processor::<Desk>("desk");
    let answered = handle.query(|desk| desk.answered.clone()).await.unwrap();
    assert_eq!(answered.into_iter().collect::<Vec<_>>(), [(1, 7), (2, 1)]);
    assert_eq!(desk.questions.calls(), 2);
}

/// An attempt that a drain cuts short is in doubt, and not charged as a failure.
#[tokio::test(start_paused = true)]
async fn silence_during_a_drain_is_not_charged() {
    let desk = World::new();
    desk.questions
        .change_script([Act::Silence], Act::reply(reply(1)));
    let refrain = desk.start().await;
    let handle = refrain.processor::<Desk>("desk");
    handle.ask(Job::Ask(1)).await.unwrap();
    desk.questions.call(1).await;
    refrain.drain().await;

    let again = desk.start().await;
    crate::desk::settled(&again, "questions").await;
    let handle = again.processor::<Desk>("desk");
    let failures = handle.query(|desk| desk.failures.len()).await.unwrap();
    assert_eq!(failures, 0);
    assert_eq!(desk.questions.deliveries()[1].attempt, 2);
}

#[tokio::test(start_paused = true)]
async fn drain_during_recovery_handles_what_waits() {
    let journal = MemoryJournal::manual();
    let (refrain, till) = launch(journal.clone());
    journal.held_at_least(1).await;
    let mut asked = Box::pin(till.ask(Say::Add(5)));
    still_waits(&mut asked).await;
    let mut drained = Box::pin(refrain.drain());
    still_waits(&mut drained).await;
    journal.resume();
    drained.await;
    assert_eq!(asked.await.unwrap(), 5);
}

#[tokio::test(start_paused = true)]
async fn drain_does_not_wait_for_a_journal_that_stays_full() {
    let journal = MemoryJournal::new();
    let refrain = start(&journal).await;
    let mut events = refrain.events();
    let till = refrain.processor::<Till>("till");
    for _ in 0..1000 {
        journal.fail_next(AppendFault::Rejected(RejectReason::Full));
    }
    till.ask(Say::Add(1)).await.unwrap_err();
    signal(&mut events, |told| matches!(told, Signal::Waiting { .. })).await;
    let waiting = till.ask(Say::Add(2));
    let (told, ()) = tokio::join!(waiting, refrain.drain());
    assert!(matches!(told, Err(AskError::NotRunning { .. })), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn handle_that_outlives_its_runtime_is_told_so_and_the_undecided_hear_their_identity() {
    let journal = MemoryJournal::new();
    let refrain = start(&journal).await;
    let mut events = refrain.events();
    let till = refrain.processor::<Till>("till");
    journal.hold();
    let mut asked = Box::pin(till.ask(Say::Add(5)));
    still_waits(&mut asked).await;
    let mut many = Box::pin(till.ask_all(vec![Say::Add(6), Say::Refuse]));
    still_waits(&mut many).await;
    let mut seen = Box::pin(till.query(|till| till.total));
    still_waits(&mut seen).await;
    drop(refrain);

    let Err(AskError::Unknown { id, .. }) = asked.await else {
        panic!("its append is under way");
    };
    let many = many.await.unwrap();
    assert!(
        many.iter()
            .all(|told| matches!(told, Err(AskError::Unknown { .. })))
    );
    assert!(matches!(seen.await, Err(QueryError::NotRunning { .. })));
    let Err(AskError::NotRunning { reason, .. }) = till.ask(Say::Add(1)).await else {
        panic!("there is nothing that runs");
    };
    assert_eq!(reason, "the runtime was dropped");
    assert!(matches!(
        till.channels().await,
        Err(QueryError::NotRunning { .. })
    ));
    let end = async { while events.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(1), end)
        .await
        .expect("subscribers hear the end");

    journal.resume();
    let again = start(&journal).await;
    let till = again.processor::<Till>("till");
    assert_eq!(till.ask_as(id, Say::Add(5)).await.unwrap(), 5);
    assert_eq!(
        till.query(|till| till.total).await.unwrap(),
        11,
        "once each"
    );
}

#[tokio::test(start_paused = true)]
async fn runtime_that_is_dropped_during_recovery_tells_those_who_wait() {
    let journal = MemoryJournal::manual();
    let (refrain, till) = launch(journal.clone());
    let mut asked = Box::pin(till.ask(Say::Add(5)));
    let mut many = Box::pin(till.ask_all(vec![Say::Add(6)]));
    still_waits(&mut asked).await;
    still_waits(&mut many).await;
    drop(refrain);
    assert!(matches!(asked.await, Err(AskError::NotRunning { .. })));
    assert!(matches!(many.await, Err(AskError::NotRunning { .. })));
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_refused_before_anything_starts() {
    let silent = || refrain_testkit::ScriptedDestination::always(Act::Silence);
    let policy = RedeliveryPolicy::default;
    let refused = |built: Result<Refrain, StartError>| match built {
        Err(StartError::Build(error)) => error,
        built => panic!("{built:?}"),
    };
    let builder = || Refrain::builder().journal(MemoryJournal::new());
    let error = refused(Refrain::builder().launch());
    assert!(matches!(error, BuildError::NoJournal));

    let twice = builder()
        .processor("till", Till::default())
        .processor("till", Till::default());
    let error = refused(twice.launch());
    assert!(matches!(error, BuildError::DuplicateProcessor { .. }));

    let error = refused(builder().processor("", Till::default()).launch());
    assert!(matches!(error, BuildError::Name { .. }));

    let desk = || {
        builder()
            .processor("desk", Desk::default())
            .destination(&QUESTIONS, silent(), policy())
            .destination(&LETTERS, silent(), policy())
    };
    let error = refused(desk().launch());
    assert!(matches!(
        error,
        BuildError::NoDestination {
            channel: "notes",
            ..
        }
    ));

    let twice =
        desk()
            .destination(&NOTES, silent(), policy())
            .destination(&NOTES, silent(), policy());
    let error = refused(twice.launch());
    assert!(matches!(error, BuildError::DuplicateDestination { .. }));

    let nobody = desk().connect::<Till>(&TILLS, "nobody", policy());
    let error = refused(nobody.launch());
    assert!(matches!(error, BuildError::UnknownChannel { .. }));
}

/// Not among the desk's channels.
const TILLS: refrain::OneWay<Desk, Say> = refrain::OneWay::reliable("tills");

/// B7.6
#[tokio::test(start_paused = true)]
async fn reply_timeout_that_is_too_long_is_refused_when_the_channel_is_built() {
    let mut desk = World::new();
    desk.options.redelivery.reply_timeout = Duration::from_secs(10);
    let silent = refrain_testkit::ScriptedDestination::always(Act::Silence);
    let built = Refrain::builder()
        .journal(desk.journal.clone())
        .processor("desk", Desk::default())
        .destination(&QUESTIONS, silent.clone(), desk.options.clone())
        .destination(&LETTERS, silent.clone(), RedeliveryPolicy::default())
        .destination(&NOTES, silent, RedeliveryPolicy::default())
        .start()
        .await;
    assert!(matches!(
        built,
        Err(StartError::Build(BuildError::Policy {
            channel: "questions",
            ..
        }))
    ));
}

/// What is drawn at random, and the time, are all that a run does not have from its messages.
#[tokio::test(start_paused = true)]
async fn simulated_runs_of_one_seed_write_the_same_bytes_and_those_of_another_do_not() {
    let written = async |seed| {
        let journal = MemoryJournal::new();
        let refrain = Refrain::builder()
            .simulated(seed, Timestamp::from_micros(1_000_000))
            .journal(journal.clone())
            .processor("till", Till::default())
            .start()
            .await
            .unwrap();
        let till = refrain.processor::<Till>("till");
        let id = MessageId::given("somebody", "once").unwrap();
        till.ask_as(id, Say::Add(5)).await.unwrap();
        refrain.drain().await;
        let mut cursor = journal.read(&name("till"), Position::FIRST).await.unwrap();
        let chunk = cursor.next().await.unwrap().unwrap();
        let entries = chunk.entries().map(|(_, entry)| entry.to_vec());
        entries.collect::<Vec<_>>()
    };
    let first = written(7).await;
    assert_eq!(first.len(), 2);
    assert_eq!(written(7).await, first);
    assert_ne!(written(8).await, first);
}
