//! Channels through the runtime: the timing itself is proven on the engine, in virtual time.

use std::time::Duration;

use refrain::{ChannelState, InDoubt, QueryError, Signal, StopReason};
use refrain_testkit::Act;

use crate::desk::{Desk, Job, World, channel, number, reply, settled};
use crate::till::name;
use crate::waiting::{pass, signal};

fn is_stopped(told: &Signal) -> bool {
    matches!(told, Signal::DeliveryStopped { .. })
}

/// B1.1
#[tokio::test(start_paused = true)]
async fn delivery_waits_for_the_entry_that_holds_it() {
    let desk = World::new();
    let refrain = desk.start().await;
    let handle = refrain.processor::<Desk>("desk");
    desk.journal.hold();
    for job in [Job::Ask(1), Job::Send(2), Job::Note(3)] {
        handle.tell(job).await.unwrap();
    }
    pass(Duration::from_secs(60)).await;
    let calls = [&desk.questions, &desk.letters, &desk.notes].map(|of| of.calls());
    assert_eq!(calls, [0, 0, 0]);
    desk.journal.resume();
    for destination in [&desk.questions, &desk.letters, &desk.notes] {
        destination.call(1).await;
    }
}

/// B4.1
#[tokio::test(start_paused = true)]
async fn what_is_sent_before_the_activation_waits_for_it_and_keeps_its_order() {
    let mut desk = World::new();
    desk.options = desk.options.activated_by_application();
    let refrain = desk.start().await;
    let handle = refrain.processor::<Desk>("desk");
    for note in 1..=3 {
        handle.ask(Job::Note(note)).await.unwrap();
    }
    pass(Duration::from_secs(60)).await;
    assert_eq!(desk.notes.calls(), 0);
    let status = channel(&refrain, "notes").await;
    assert_eq!(
        status.state,
        ChannelState::Stopped(StopReason::NotActivated)
    );
    handle.deliver("notes").await.unwrap();
    settled(&refrain, "notes").await;
    let notes: Vec<u64> = desk.notes.deliveries().iter().map(number).collect();
    assert_eq!(notes, [1, 2, 3]);
}

/// B4.2
#[tokio::test(start_paused = true)]
async fn default_channel_repeats_only_what_is_unsettled_and_only_at_the_next_recovery() {
    let mut desk = World::new();
    desk.notes.change_script(
        [Act::confirm(), Act::fail("no"), Act::Silence],
        Act::confirm(),
    );
    let refrain = desk.start().await;
    let handle = refrain.processor::<Desk>("desk");
    for note in 1..=4 {
        handle.ask(Job::Note(note)).await.unwrap();
    }
    desk.notes.call(4).await;
    pass(Duration::from_secs(3600)).await;
    let notes: Vec<u64> = desk.notes.deliveries().iter().map(number).collect();
    assert_eq!(notes, [1, 2, 3, 4], "an hour later");
    assert_eq!(channel(&refrain, "notes").await.pending, 2);
    desk.crash(refrain);

    let refrain = desk.start().await;
    settled(&refrain, "notes").await;
    let repeated = desk.notes.deliveries().split_off(4);
    assert_eq!(repeated.iter().map(number).collect::<Vec<_>>(), [2, 3]);
    assert!(repeated.iter().all(|delivery| delivery.attempt == 2));
    desk.crash(refrain);
    let refrain = desk.start().await;
    pass(Duration::from_secs(3600)).await;
    assert_eq!(desk.notes.calls(), 6, "settled is settled");
    drop(refrain);
}

/// B7.2, B7.3
#[tokio::test(start_paused = true)]
async fn silent_request_is_asked_again_with_the_same_key_until_it_is_answered() {
    let desk = World::new();
    desk.questions
        .change_script([Act::Silence, Act::Silence], Act::reply(reply(5)));
    let refrain = desk.start().await;
    let handle = refrain.processor::<Desk>("desk");
    handle.ask(Job::Ask(1)).await.unwrap();
    desk.questions.call(2).await;
    settled(&refrain, "questions").await;
    assert_eq!(handle.query(|desk| desk.answered[&1]).await.unwrap(), 5);
    assert_eq!(desk.questions.calls(), 3);
    let keys: Vec<_> = desk.questions.deliveries().iter().map(|d| d.key).collect();
    assert!(keys.windows(2).all(|pair| pair[0] == pair[1]));
}

/// B6.3, B6.4
#[tokio::test(start_paused = true)]
async fn stop_is_told_to_every_subscriber_also_to_new_ones_and_deliver_goes_on() {
    let desk = World::new();
    desk.letters.change_script([], Act::fail("closed"));
    let refrain = desk.start().await;
    let mut events = refrain.events();
    let handle = refrain.processor::<Desk>("desk");
    handle.ask(Job::Send(1)).await.unwrap();
    let Signal::DeliveryStopped {
        channel: stopped,
        reason,
        pending,
        ..
    } = signal(&mut events, is_stopped).await
    else {
        unreachable!()
    };
    assert_eq!((stopped.as_str(), reason), ("letters", StopReason::Failing));
    assert_eq!((pending, desk.letters.calls()), (1, 8));
    let mut late = refrain.events();
    assert!(is_stopped(&late.next().await.unwrap()));
    handle.ask(Job::Send(2)).await.unwrap();
    pass(Duration::from_secs(3600)).await;
    assert_eq!(desk.letters.calls(), 8, "accepted, and not delivered");

    desk.letters.change_script([], Act::confirm());
    handle.deliver("letters").await.unwrap();
    settled(&refrain, "letters").await;
    let resumed = |told: &Signal| matches!(told, Signal::DeliveryResumed { .. });
    signal(&mut late, resumed).await;
    let mut later = refrain.events();
    handle.ask(Job::Send(3)).await.unwrap();
    let quiet = tokio::time::timeout(Duration::from_secs(60), later.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
}

/// B6.5
#[tokio::test(start_paused = true)]
async fn attempts_and_the_stop_survive_restarts() {
    let mut desk = World::new();
    desk.letters.change_script([], Act::fail("closed"));
    let mut refrain = desk.start().await;
    let handle = refrain.processor::<Desk>("desk");
    handle.ask(Job::Send(1)).await.unwrap();
    for call in 1..=8 {
        desk.letters.call(call).await;
        desk.letters.idle().await;
        pass(Duration::from_millis(500)).await;
        desk.crash(refrain);
        refrain = desk.start().await;
    }
    signal(&mut refrain.events(), is_stopped).await;
    let attempts: Vec<u32> = desk
        .letters
        .deliveries()
        .iter()
        .map(|d| d.attempt)
        .collect();
    assert_eq!(attempts, (1..=8).collect::<Vec<u32>>());

    desk.crash(refrain);
    let refrain = desk.start().await;
    assert!(is_stopped(&refrain.events().next().await.unwrap()));
    pass(Duration::from_secs(3600)).await;
    assert_eq!(desk.letters.calls(), 8);
}

/// B7.7
#[tokio::test(start_paused = true)]
async fn redirect_moves_what_was_not_sent_and_keeps_what_is_in_doubt() {
    let desk = World::new();
    desk.questions.change_script([], Act::Silence);
    let refrain = desk.start().await;
    let handle = refrain.processor::<Desk>("desk");
    handle.ask(Job::Ask(1)).await.unwrap();
    handle.ask(Job::Ask(2)).await.unwrap();
    desk.questions.call(1).await;
    handle
        .redirect("questions", name("other"), InDoubt::Wait)
        .await
        .unwrap();
    let second = desk.other.call(1).await;
    assert_eq!(number(&second), 2);
    pass(Duration::from_secs(3600)).await;
    assert_eq!(channel(&refrain, "questions").await.in_doubt, 1);
    assert_eq!(desk.other.calls(), 1);
    refrain.drain().await;

    // It stays redirected; and somebody takes the responsibility.
    let refrain = desk.start().await;
    let handle = refrain.processor::<Desk>("desk");
    handle
        .redirect("questions", name("other"), InDoubt::Move)
        .await
        .unwrap();
    settled(&refrain, "questions").await;
    assert_eq!(number(&desk.other.call(2).await), 1);
    let back = handle.redirect("questions", name("questions"), InDoubt::Wait);
    back.await.unwrap();
    desk.questions.change_script([], Act::reply(reply(1)));
    let calls = desk.questions.calls();
    handle.ask(Job::Ask(3)).await.unwrap();
    assert_eq!(number(&desk.questions.call(calls + 1).await), 3);
}

#[tokio::test(start_paused = true)]
async fn unknown_channels_and_destinations_are_refused() {
    let desk = World::new();
    let refrain = desk.start().await;
    let handle = refrain.processor::<Desk>("desk");
    assert!(matches!(
        handle.deliver("nothing").await,
        Err(QueryError::NoSuchChannel { .. })
    ));
    assert!(matches!(
        handle
            .redirect("questions", name("nobody"), InDoubt::Wait)
            .await,
        Err(QueryError::NoSuchDestination { .. })
    ));
}

/// B1.1
#[tokio::test(start_paused = true)]
async fn command_is_done_when_its_entry_is_durable() {
    let desk = World::new();
    let refrain = desk.start().await;
    let handle = refrain.processor::<Desk>("desk");
    desk.journal.hold();
    let mut redirected = Box::pin(handle.redirect("questions", name("other"), InDoubt::Wait));
    crate::waiting::still_waits(&mut redirected).await;
    desk.journal.resume();
    redirected.await.unwrap();
}

/// B7.1, B7.8
#[tokio::test(start_paused = true)]
async fn recovery_never_asks_again_what_was_answered_even_if_the_answer_would_differ() {
    let mut desk = World::new();
    let refrain = desk.start().await;
    let handle = refrain.processor::<Desk>("desk");
    for question in 1..=20 {
        handle.ask(Job::Ask(question)).await.unwrap();
    }
    settled(&refrain, "questions").await;
    let before = handle.digest().await.unwrap();
    desk.crash(refrain);
    desk.questions.change_script([], Act::reply(reply(99)));

    for _ in 0..3 {
        let refrain = desk.start().await;
        pass(Duration::from_secs(3600)).await;
        let handle = refrain.processor::<Desk>("desk");
        assert_eq!(handle.digest().await.unwrap().digest, before.digest);
        desk.crash(refrain);
    }
    assert_eq!(desk.questions.calls(), 20);
}

/// B7.5
#[tokio::test(start_paused = true)]
async fn crash_between_reply_and_append_asks_again_with_the_same_key() {
    let mut desk = World::new();
    let refrain = desk.start().await;
    let handle = refrain.processor::<Desk>("desk");
    desk.questions
        .change_script([Act::Silence], Act::reply(reply(2)));
    handle.ask(Job::Ask(1)).await.unwrap();
    let first = desk.questions.call(1).await;
    desk.journal.hold();
    desk.questions.end(1, refrain::Attempted::Replied(reply(1)));
    desk.journal.held_at_least(1).await;
    desk.crash(refrain);
    desk.journal.resume();

    let refrain = desk.start().await;
    settled(&refrain, "questions").await;
    let handle = refrain.processor::<Desk>("desk");
    assert_eq!(handle.query(|desk| desk.answered[&1]).await.unwrap(), 2);
    let second = desk.questions.call(2).await;
    assert_eq!((second.key, second.attempt), (first.key, 2));
}

/// The backlog of a stopped channel waits in the journal and is read from there.
#[tokio::test(start_paused = true)]
async fn backlog_beyond_memory_is_delivered_in_order_from_the_journal() {
    let mut desk = World::new();
    desk.options = desk.options.activated_by_application();
    let refrain = desk.start().await;
    let handle = refrain.processor::<Desk>("desk");
    let letters = (1..=5000).map(Job::Send).collect();
    handle.ask_all(letters).await.unwrap();
    desk.crash(refrain);
    let refrain = desk.start().await;
    let handle = refrain.processor::<Desk>("desk");
    handle.deliver("letters").await.unwrap();
    settled(&refrain, "letters").await;
    let sent: Vec<u64> = desk.letters.deliveries().iter().map(number).collect();
    assert_eq!(sent, (1..=5000).collect::<Vec<u64>>());
}

/// Attempts of an engine that was rebuilt end with it: the window holds over a rebuild.
#[tokio::test(start_paused = true)]
async fn rebuild_ends_the_attempts_under_way_and_makes_them_again() {
    let desk = World::new();
    desk.questions
        .change_script([Act::Silence], Act::reply(reply(4)));
    let refrain = desk.start().await;
    let handle = refrain.processor::<Desk>("desk");
    handle.ask(Job::Ask(1)).await.unwrap();
    desk.questions.call(1).await;
    desk.journal
        .fail_next(refrain_journal::AppendFault::UnknownLost);
    handle.ask(Job::Ask(2)).await.unwrap_err();
    settled(&refrain, "questions").await;
    assert_eq!(desk.questions.under_way_max(), 1);
    assert_eq!(desk.questions.calls(), 2);
    refrain.drain().await;
}
