//! What a start does, and what waits for it.

use std::time::Duration;

use refrain::{History, Journal, MemoryJournal, Position, Refrain, Signal};

use crate::till::{Say, Till, launch, open, start};
use crate::waiting::{signal, still_waits};
use crate::watched::Watched;

/// B2.3
#[tokio::test(start_paused = true)]
async fn messages_that_come_during_recovery_wait_and_are_handled_after_it() {
    let (journal, refrain, till) = open().await;
    till.ask(Say::Add(1)).await.unwrap();
    refrain.drain().await;

    journal.hold();
    let (refrain, till) = launch(journal.clone());
    journal.held_at_least(1).await;
    let mut asked = Box::pin(till.ask(Say::Add(2)));
    still_waits(&mut asked).await;
    let mut seen = Box::pin(till.query(|till| till.total));
    still_waits(&mut seen).await;
    let mut recovered = Box::pin(refrain.recovered());
    still_waits(&mut recovered).await;
    assert!(!till.recovery().is_done);
    journal.resume();
    assert_eq!(asked.await.unwrap(), 3);
    assert_eq!(seen.await.unwrap(), 3);
    recovered.await.unwrap();
    assert!(till.recovery().is_done);
    assert_eq!(till.recovery().entries, 2);
}

/// B2.1
#[tokio::test(start_paused = true)]
async fn replay_gives_the_state_that_was_there_at_every_position() {
    let (journal, refrain, till) = open().await;
    let mut digests = Vec::new();
    for amount in [3, 1, 4, 1, 5] {
        till.ask(Say::Add(amount)).await.unwrap();
        digests.push(till.digest().await.unwrap());
    }
    // B2.2: without disturbing the one that runs.
    let history = History::of(journal.clone());
    for digest in &digests {
        let then = history
            .digest_at("till", Till::default(), digest.position)
            .await
            .unwrap();
        assert_eq!(then, *digest);
    }
    let third = history
        .state_at("till", Till::default(), digests[2].position)
        .await
        .unwrap();
    assert_eq!(third.amounts, [3, 1, 4]);
    refrain.drain().await;

    let again = start(&journal).await;
    let digest = again.processor::<Till>("till").digest().await.unwrap();
    assert_eq!(digest.digest, digests[4].digest);
}

/// B2.5
#[tokio::test(start_paused = true)]
async fn recovery_holds_one_chunk_of_the_history_at_a_time() {
    let (journal, refrain, till) = open().await;
    let bulk = vec![Say::Bulk(vec![7; 1024]); 4000];
    till.ask_all(bulk).await.unwrap();
    refrain.drain().await;

    let watched = Watched::new(journal);
    let refrain = Refrain::builder()
        .journal(watched.clone())
        .processor("till", Till::default())
        .start()
        .await
        .unwrap();
    let chunks = watched.chunks.lock().unwrap();
    assert!(chunks.len() >= 10, "{} chunks", chunks.len());
    assert!(chunks.iter().all(|chunk| *chunk <= 512 * 1024));
    drop(refrain);
}

/// B2.6
#[tokio::test(start_paused = true)]
async fn processor_that_waits_for_its_journal_does_not_delay_others() {
    let journal = MemoryJournal::manual();
    let refrain = Refrain::builder()
        .journal(journal.clone())
        .recovering_at_once(1)
        .processor("one", Till::default())
        .processor("two", Till::default())
        .launch()
        .unwrap();
    journal.held_at_least(2).await;
    journal.resume();
    refrain.recovered().await.unwrap();
}

/// A journal with so many tills, each with an entry or more besides its beginning.
async fn tills(count: usize) -> MemoryJournal {
    let journal = MemoryJournal::new();
    let refrain = launch_tills(journal.clone(), count, count);
    refrain.recovered().await.unwrap();
    for number in 0..count {
        let till = refrain.processor::<Till>(&format!("till-{number}"));
        till.ask(Say::Add(number as u64)).await.unwrap();
    }
    refrain.drain().await;
    journal
}

fn launch_tills(journal: impl Journal, count: usize, at_once: usize) -> Refrain {
    let builder = Refrain::builder()
        .journal(journal)
        .recovering_at_once(at_once);
    let first = builder.processor("till-0", Till::default());
    (1..count)
        .fold(first, |builder, number| {
            builder.processor(&format!("till-{number}"), Till::default())
        })
        .launch()
        .unwrap()
}

/// B2.6
#[tokio::test(start_paused = true)]
async fn hundreds_of_processors_recover_and_only_so_many_at_a_time() {
    let journal = tills(300).await;
    for (at_once, most) in [(1, 1..=1), (7, 7..=7), (300, 100..=300)] {
        let watched = Watched::new(journal.clone());
        let refrain = launch_tills(watched.clone(), 300, at_once);
        refrain.recovered().await.unwrap();
        let found = *watched.under_way_max.lock().unwrap();
        assert!(most.contains(&found), "{found} at once of {at_once}");
        let till = refrain.processor::<Till>("till-299");
        assert_eq!(till.query(|till| till.total).await.unwrap(), 299);
        refrain.drain().await;
    }
}

/// B2.6
#[tokio::test(start_paused = true)]
async fn processor_whose_entries_come_slowly_does_not_delay_others() {
    let journal = tills(200).await;
    let watched = Watched::new(journal);
    *watched.stalled.lock().unwrap() = Some("till-0".parse().unwrap());
    // It has the only turn, and waits for what it has asked for.
    let refrain = launch_tills(watched.clone(), 200, 1);
    for number in 1..200 {
        let till = refrain.processor::<Till>(&format!("till-{number}"));
        assert_eq!(till.query(|till| till.total).await.unwrap(), number);
    }
    let slow = refrain.processor::<Till>("till-0");
    assert!(!slow.recovery().is_done);
    watched.release.add_permits(1);
    assert_eq!(slow.query(|till| till.total).await.unwrap(), 0);
}

/// B2.6
#[tokio::test(start_paused = true)]
async fn processor_with_a_long_history_takes_turns_with_others() {
    let journal = tills(100).await;
    let refrain = launch_tills(journal.clone(), 1, 1);
    let long = refrain.processor::<Till>("till-0");
    long.ask_all(vec![Say::Add(1); 40_000]).await.unwrap();
    refrain.drain().await;

    let refrain = launch_tills(journal, 100, 1);
    let mut events = refrain.events();
    let mut order = Vec::new();
    while order.len() < 100 {
        if let Some(Signal::Recovered { processor, .. }) = events.next().await {
            order.push(processor.to_string());
        }
    }
    assert_eq!(
        order.last().unwrap(),
        "till-0",
        "the others did not wait for it"
    );
    let status = refrain.processor::<Till>("till-0").recovery();
    assert!(status.entries > 40_000 && status.remaining == 0);
}

/// B2.6
#[tokio::test(start_paused = true)]
async fn progress_of_a_recovery_is_told_and_can_be_asked_for() {
    let (journal, refrain, till) = open().await;
    till.ask_all(vec![Say::Add(1); 10]).await.unwrap();
    refrain.drain().await;

    let (refrain, _till) = launch(journal);
    let mut events = refrain.events();
    let told = signal(&mut events, |told| {
        matches!(told, Signal::Recovering { .. })
    });
    let Signal::Recovering {
        entries,
        remaining,
        rate,
        ..
    } = told.await
    else {
        unreachable!()
    };
    assert_eq!((entries, remaining, rate), (0, 11, 0));
    let told = signal(&mut events, |told| matches!(told, Signal::Recovered { .. }));
    let Signal::Recovered {
        entries, position, ..
    } = told.await
    else {
        unreachable!()
    };
    assert_eq!((entries, position), (11, Position::new(11)));
    let status = &refrain.recovery()[0];
    assert_eq!((status.entries, status.remaining), (11, 0));
    assert!(status.rate >= 11, "{}", status.rate);
}

/// A journal whose reads cannot be served for a while is waited for.
#[tokio::test(start_paused = true)]
async fn journal_that_cannot_be_read_is_tried_again_visibly() {
    let journal = MemoryJournal::new();
    let watched = Watched::new(journal);
    *watched.failures.lock().unwrap() = 3;
    let (refrain, till) = launch(watched);
    let mut events = refrain.events();
    signal(&mut events, |told| matches!(told, Signal::Waiting { .. })).await;
    assert_eq!(till.ask(Say::Add(1)).await.unwrap(), 1);
}

/// The time of a stream never goes back, and a clock that does delays nothing.
#[tokio::test(start_paused = true)]
async fn clock_that_was_set_back_delays_no_redelivery() {
    let mut desk = crate::desk::World::new();
    desk.letters.change_script(
        [refrain_testkit::Act::fail("busy")],
        refrain_testkit::Act::confirm(),
    );
    let refrain = desk.start().await;
    let handle = refrain.processor::<crate::desk::Desk>("desk");
    // The runtime's clock goes with tokio's: a day passes here, and none for the next runtime.
    tokio::time::advance(Duration::from_secs(86_400)).await;
    handle.ask(crate::desk::Job::Send(1)).await.unwrap();
    desk.letters.call(1).await;
    desk.letters.idle().await;
    desk.crash(refrain);

    let began = tokio::time::Instant::now();
    let refrain = desk.start().await;
    desk.letters.call(2).await;
    assert!(
        began.elapsed() <= Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    drop(refrain);
}
