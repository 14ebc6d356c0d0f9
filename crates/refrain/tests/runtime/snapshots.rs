//! Snapshots: when they are taken, which one is used, and what they hold.

use std::time::Duration;

use bytes::Bytes;
use refrain::{
    Journal, MemoryJournal, MemorySnapshots, Position, RedeliveryPolicy, Refrain, SnapshotPolicy,
    Snapshots, StartError,
};
use refrain_core::port::journal::{Batch, RejectReason};
use refrain_journal::AppendFault;
use refrain_testkit::Act;

use crate::desk::{Desk, Job, LETTERS, NOTES, QUESTIONS, World, channel, settled};
use crate::till::{Say, Till, name, start, start_with};
use crate::waiting::{pass, still_waits};

async fn positions(snapshots: &MemorySnapshots) -> Vec<u64> {
    let listed = snapshots.list(&name("till")).await.unwrap();
    listed.into_iter().map(Position::get).collect()
}

/// B3.1
#[tokio::test(start_paused = true)]
async fn snapshots_are_taken_every_so_many_entries_and_the_newest_are_kept() {
    let (journal, snapshots) = (MemoryJournal::new(), MemorySnapshots::default());
    let policy = SnapshotPolicy::every_entries(10).keeping(3);
    let refrain = start_with(&journal, &snapshots, policy).await;
    let till = refrain.processor::<Till>("till");
    for _ in 0..45 {
        till.ask(Say::Add(1)).await.unwrap();
    }
    refrain.drain().await;
    // Each is followed by its watermark, which does not count.
    assert_eq!(positions(&snapshots).await, [43, 32, 21]);

    // The count goes on over a restart, which begins with the newest and the seven entries after it.
    let again = start_with(&journal, &snapshots, policy).await;
    let till = again.processor::<Till>("till");
    assert_eq!(till.recovery().snapshot, Position::new(43));
    assert_eq!(till.recovery().entries, 7);
    assert_eq!(till.query(|till| till.total).await.unwrap(), 45);
    for _ in 0..5 {
        till.ask(Say::Add(1)).await.unwrap();
    }
    again.drain().await;
    assert_eq!(positions(&snapshots).await, [54, 43, 32]);
}

/// B3.1
#[tokio::test(start_paused = true)]
async fn snapshots_are_taken_after_a_time_if_anything_happened() {
    let (journal, snapshots) = (MemoryJournal::new(), MemorySnapshots::default());
    let policy = SnapshotPolicy::on_request().or_every(Duration::from_secs(60));
    let refrain = start_with(&journal, &snapshots, policy).await;
    let till = refrain.processor::<Till>("till");
    pass(Duration::from_secs(300)).await;
    assert!(positions(&snapshots).await.is_empty(), "nothing happened");
    till.ask(Say::Add(1)).await.unwrap();
    till.ask(Say::Add(1)).await.unwrap();
    pass(Duration::from_secs(61)).await;
    let taken = positions(&snapshots).await;
    assert!(!taken.is_empty());
    pass(Duration::from_secs(300)).await;
    assert!(positions(&snapshots).await.len() <= 2);
    drop(refrain);
}

/// B3.1, B3.3
#[tokio::test(start_paused = true)]
async fn snapshot_on_request_is_not_stored_before_its_position_is_durable() {
    let (journal, snapshots) = (MemoryJournal::new(), MemorySnapshots::default());
    let refrain = start_with(&journal, &snapshots, SnapshotPolicy::on_request()).await;
    let till = refrain.processor::<Till>("till");
    till.ask(Say::Add(1)).await.unwrap();
    journal.hold();
    till.tell(Say::Add(2)).await.unwrap();
    journal.held_at_least(1).await;
    let mut taken = Box::pin(till.snapshot());
    still_waits(&mut taken).await;
    assert!(positions(&snapshots).await.is_empty());
    journal.resume();
    assert_eq!(taken.await.unwrap().get(), 3);
    assert_eq!(positions(&snapshots).await, [3]);
}

/// B3.3
#[tokio::test(start_paused = true)]
async fn copy_of_a_state_that_never_became_durable_is_never_stored() {
    let (journal, snapshots) = (MemoryJournal::new(), MemorySnapshots::default());
    let refrain = start_with(&journal, &snapshots, SnapshotPolicy::on_request()).await;
    let till = refrain.processor::<Till>("till");
    journal.hold();
    till.tell(Say::Add(1000)).await.unwrap();
    journal.held_at_least(1).await;
    let mut taken = Box::pin(till.snapshot());
    still_waits(&mut taken).await;
    journal.fail_next(AppendFault::Rejected(RejectReason::Full));
    journal.resume();
    // Whoever wanted one gets one of what is durable. The new beginning has the lost position.
    assert_eq!(taken.await.unwrap().get(), 2);
    refrain.drain().await;

    let again = start_with(&journal, &snapshots, SnapshotPolicy::on_request()).await;
    let till = again.processor::<Till>("till");
    assert_eq!(till.recovery().snapshot, Position::new(2));
    assert_eq!(till.query(|till| till.total).await.unwrap(), 0);
}

/// B3.1, B3.3
#[tokio::test(start_paused = true)]
async fn damaged_snapshot_is_passed_over_for_an_older_one_and_then_for_the_journal() {
    let (journal, snapshots) = (MemoryJournal::new(), MemorySnapshots::default());
    let policy = SnapshotPolicy::on_request();
    let refrain = start_with(&journal, &snapshots, policy).await;
    let till = refrain.processor::<Till>("till");
    for _ in 0..2 {
        till.ask(Say::Add(1)).await.unwrap();
        till.snapshot().await.unwrap();
    }
    till.ask(Say::Add(1)).await.unwrap();
    refrain.drain().await;
    assert_eq!(positions(&snapshots).await, [4, 2]);

    for (damaged, used) in [(None, Some(4)), (Some(4), Some(2)), (Some(2), None)] {
        if let Some(damaged) = damaged.and_then(Position::new) {
            snapshots.damage(&name("till"), damaged);
        }
        let again = start_with(&journal, &snapshots, policy).await;
        let till = again.processor::<Till>("till");
        assert_eq!(till.recovery().snapshot.map(Position::get), used);
        assert_eq!(till.query(|till| till.total).await.unwrap(), 3);
        again.drain().await;
    }
}

/// B3.3
#[tokio::test(start_paused = true)]
async fn snapshot_of_another_history_is_passed_over_though_the_journal_has_grown_past_it() {
    let (old, journal) = (MemoryJournal::new(), MemoryJournal::new());
    let snapshots = MemorySnapshots::default();
    let policy = SnapshotPolicy::on_request();
    for (journal, amount) in [(&old, 1000), (&journal, 1)] {
        let refrain = start_with(journal, &snapshots, policy).await;
        let till = refrain.processor::<Till>("till");
        for _ in 0..3 {
            till.ask(Say::Add(amount)).await.unwrap();
        }
        if amount == 1000 {
            till.snapshot().await.unwrap();
        }
        refrain.drain().await;
    }
    assert_eq!(positions(&snapshots).await, [4], "of the line that is gone");

    let again = start_with(&journal, &snapshots, policy).await;
    let till = again.processor::<Till>("till");
    assert_eq!(till.recovery().snapshot, None);
    assert_eq!(till.query(|till| till.total).await.unwrap(), 3);
}

/// B3.3: what stands at the position of a snapshot, and after it, need not tell two histories apart.
#[tokio::test(start_paused = true)]
async fn snapshot_of_another_history_is_passed_over_though_entries_around_it_are_the_same() {
    let (old, snapshots) = (MemoryJournal::new(), MemorySnapshots::default());
    let policy = SnapshotPolicy::on_request();
    let refrain = start_with(&old, &snapshots, policy).await;
    let till = refrain.processor::<Till>("till");
    for amount in [1000, 1] {
        till.ask(Say::Add(amount)).await.unwrap();
    }
    assert_eq!(till.snapshot().await.unwrap().get(), 3);
    refrain.drain().await;

    // One line came to the same bytes in the same place; the other has a watermark after it, of
    // another state.
    let (same, marked) = (MemoryJournal::new(), MemoryJournal::new());
    for (journal, amounts) in [(&same, &[1][..]), (&marked, &[1, 1])] {
        let refrain = start_with(journal, &MemorySnapshots::default(), policy).await;
        let till = refrain.processor::<Till>("till");
        for amount in amounts {
            till.ask(Say::Add(*amount)).await.unwrap();
        }
        if amounts.len() > 1 {
            assert_eq!(till.snapshot().await.unwrap().get(), 3);
        }
        refrain.drain().await;
    }
    copy_entry(&old, &same, 3).await;
    for journal in [&same, &marked] {
        let again = start_with(journal, &snapshots, policy).await;
        let till = again.processor::<Till>("till");
        assert_eq!(till.recovery().snapshot, None);
        assert_eq!(till.query(|till| till.total).await.unwrap(), 2);
        again.drain().await;
    }
}

/// Appends the entry at `position` of one journal to the other, which ends before it.
async fn copy_entry(from: &MemoryJournal, to: &MemoryJournal, position: u64) {
    let position = Position::new(position).unwrap();
    let mut cursor = from.read(&name("till"), position).await.unwrap();
    let chunk = cursor.next().await.unwrap().unwrap();
    let entry = chunk.entry(position).unwrap();
    let mut batch = Batch::default();
    batch.push(&entry);
    to.append(&name("till"), position, batch).await.unwrap();
}

/// B3.3
#[tokio::test(start_paused = true)]
async fn snapshot_that_is_unreadable_or_ahead_of_the_journal_is_passed_over() {
    let (journal, snapshots) = (MemoryJournal::new(), MemorySnapshots::default());
    let policy = SnapshotPolicy::on_request();
    let refrain = start_with(&journal, &snapshots, policy).await;
    let till = refrain.processor::<Till>("till");
    till.ask_all(vec![Say::Add(1); 10]).await.unwrap();
    till.snapshot().await.unwrap();
    refrain.drain().await;

    // An older copy of the journal, of which the snapshot knows more.
    let older = MemoryJournal::new();
    let refrain = start(&older).await;
    refrain
        .processor::<Till>("till")
        .ask(Say::Add(7))
        .await
        .unwrap();
    refrain.drain().await;
    let garbage = Bytes::from_static(b"no snapshot");
    let second = Position::new(2).unwrap();
    snapshots.put(&name("till"), second, garbage).await.unwrap();

    let again = start_with(&older, &snapshots, policy).await;
    let till = again.processor::<Till>("till");
    assert_eq!(till.recovery().snapshot, None);
    assert_eq!(till.query(|till| till.total).await.unwrap(), 7);
}

/// B3.3
#[tokio::test(start_paused = true)]
async fn recovery_refuses_when_the_entries_that_a_damaged_snapshot_covered_are_gone() {
    let (journal, snapshots) = (MemoryJournal::new(), MemorySnapshots::default());
    let policy = SnapshotPolicy::on_request();
    let refrain = start_with(&journal, &snapshots, policy).await;
    let till = refrain.processor::<Till>("till");
    till.ask_all(vec![Say::Add(1); 10]).await.unwrap();
    let taken = till.snapshot().await.unwrap();
    till.ask(Say::Add(1)).await.unwrap();
    refrain.drain().await;
    journal.forget(&name("till"), taken.next()).await.unwrap();

    let again = start_with(&journal, &snapshots, policy).await;
    let till = again.processor::<Till>("till");
    assert_eq!(till.query(|till| till.total).await.unwrap(), 11);
    again.drain().await;

    snapshots.damage(&name("till"), taken);
    let refused = Refrain::builder()
        .journal(journal)
        .snapshots(snapshots, policy)
        .processor("till", Till::default())
        .start()
        .await;
    let Err(StartError::Halted { reason, .. }) = refused else {
        panic!("a state without its beginning was taken");
    };
    assert!(reason.contains("no snapshot"), "{reason}");
}

/// B3.2
#[tokio::test(start_paused = true)]
async fn deliveries_that_were_open_before_a_snapshot_survive_it() {
    let desk = World::new();
    for destination in [&desk.questions, &desk.letters, &desk.notes] {
        destination.change_script([], Act::Silence);
    }
    let snapshots = MemorySnapshots::default();
    let start = async || {
        Refrain::builder()
            .journal(desk.journal.clone())
            .snapshots(snapshots.clone(), SnapshotPolicy::on_request())
            .processor("desk", Desk::default())
            .destination(
                &QUESTIONS,
                desk.questions.clone(),
                RedeliveryPolicy::default(),
            )
            .destination(&LETTERS, desk.letters.clone(), RedeliveryPolicy::default())
            .destination(&NOTES, desk.notes.clone(), RedeliveryPolicy::default())
            .start()
            .await
            .unwrap()
    };
    let refrain = start().await;
    let handle = refrain.processor::<Desk>("desk");
    for job in [Job::Ask(1), Job::Send(2), Job::Note(3), Job::Send(4)] {
        handle.ask(job).await.unwrap();
    }
    let taken = handle.snapshot().await.unwrap();
    drop(refrain);
    // Nothing but the snapshot knows of them any more.
    desk.journal
        .forget(&name("desk"), taken.next())
        .await
        .unwrap();

    for destination in [&desk.letters, &desk.notes] {
        destination.change_script([], Act::confirm());
    }
    desk.questions
        .change_script([], Act::reply(crate::desk::reply(9)));
    let first = desk.questions.call(1).await;
    let refrain = start().await;
    for name in ["questions", "letters", "notes"] {
        settled(&refrain, name).await;
    }
    let again = desk.questions.deliveries().pop().unwrap();
    assert_eq!(again.key, first.key);
    assert!(again.attempt > 1, "marked as a redelivery");
    assert_eq!(channel(&refrain, "letters").await.pending, 0);
    let numbers: Vec<u64> = desk.letters.deliveries().iter().map(|d| d.number).collect();
    assert_eq!(numbers, [1, 1, 2]);
}

/// B3.1
#[tokio::test(start_paused = true)]
async fn snapshots_of_another_history_do_not_push_those_of_this_one_out() {
    let (journal, snapshots) = (MemoryJournal::new(), MemorySnapshots::default());
    let garbage = Bytes::from_static(b"of a history that was lost");
    for position in [1000, 2000, 3000].map(Position::new) {
        let position = position.unwrap();
        snapshots
            .put(&name("till"), position, garbage.clone())
            .await
            .unwrap();
    }
    let refrain = start_with(&journal, &snapshots, SnapshotPolicy::on_request()).await;
    let till = refrain.processor::<Till>("till");
    till.ask(Say::Add(1)).await.unwrap();
    till.snapshot().await.unwrap();
    refrain.drain().await;

    let again = start_with(&journal, &snapshots, SnapshotPolicy::on_request()).await;
    let till = again.processor::<Till>("till");
    assert_eq!(till.recovery().snapshot, Position::new(2));
}
