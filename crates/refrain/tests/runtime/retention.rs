//! What is forgotten, and for whom it is kept.
//!
//! Each hold has a control: the journal forgets past it, and what it stands for is lost.

use std::time::Duration;

use refrain::{
    AskError, BuildError, Checkpoints, Hold, HoldError, Journal, KeptFor, MemoryJournal,
    MemorySnapshots, MessageId, Name, Need, Position, RedeliveryPolicy, Refrain, RetainError,
    Retained, RetentionPolicy, Signal, SnapshotPolicy, Snapshots, StartError,
};
use refrain_core::port::BoxFuture;
use refrain_core::port::journal::ReadError;
use refrain_testkit::Act;

use crate::desk::{Desk, Job, LETTERS, NOTES, QUESTIONS, World, channel, number, settled};
use crate::till::{Say, Till, name};
use crate::waiting::{pass, signal};

fn at(number: u64) -> Position {
    Position::new(number).unwrap()
}

fn given(id: u64) -> MessageId {
    MessageId::given("test", &id.to_string()).unwrap()
}

/// A till's journal and snapshots, and who else needs its entries.
#[derive(Clone, Default)]
struct Kept {
    journal: MemoryJournal,
    snapshots: MemorySnapshots,
    hold: Option<Checkpoints>,
}

/// The last three entries are kept, and answers are no reason to keep more.
fn short() -> RetentionPolicy {
    RetentionPolicy::entries(3).letting_answers_go()
}

impl Kept {
    async fn start(&self, policy: RetentionPolicy) -> Refrain {
        let mut builder = Refrain::builder()
            .journal(self.journal.clone())
            .snapshots(self.snapshots.clone(), SnapshotPolicy::on_request());
        if let Some(hold) = &self.hold {
            builder = builder.hold(hold.clone());
        }
        let builder = builder.processor("till", Till::default()).retention(policy);
        builder.start().await.unwrap()
    }

    /// Twenty entries besides the watermark of a snapshot after the tenth; the next one is to be at 21.
    async fn with_two_snapshots(policy: RetentionPolicy) -> (Kept, Refrain) {
        let kept = Kept::default();
        let refrain = kept.start(policy).await;
        add(&refrain, 9).await;
        refrain.processor::<Till>("till").snapshot().await.unwrap();
        add(&refrain, 10).await;
        (kept, refrain)
    }

    async fn first(&self) -> u64 {
        let first = self.journal.first(&name("till")).await.unwrap();
        first.unwrap().get()
    }

    async fn forget(&self, below: u64) {
        let forgotten = self.journal.forget(&name("till"), at(below)).await;
        forgotten.unwrap();
    }
}

async fn add(refrain: &Refrain, count: u64) {
    let till = refrain.processor::<Till>("till");
    for _ in 0..count {
        till.ask(Say::Add(1)).await.unwrap();
    }
}

async fn snapshot(refrain: &Refrain) -> Position {
    refrain.processor::<Till>("till").snapshot().await.unwrap()
}

async fn retain(refrain: &Refrain) -> Retained {
    refrain.processor::<Till>("till").retain().await.unwrap()
}

async fn total(refrain: &Refrain) -> u64 {
    let till = refrain.processor::<Till>("till");
    till.query(|till| till.total).await.unwrap()
}

/// B3.4, B1.7
#[tokio::test(start_paused = true)]
async fn what_nobody_needs_is_forgotten_after_a_snapshot_and_the_rest_is_the_same_processor() {
    let (kept, refrain) = Kept::with_two_snapshots(short()).await;
    assert_eq!(kept.first().await, 1, "one valid snapshot of two");
    let mut events = refrain.events();
    assert_eq!(snapshot(&refrain).await, at(21));
    let told = signal(&mut events, |told| {
        matches!(told, Signal::EntriesForgotten { .. })
    });
    let expected = Signal::EntriesForgotten {
        processor: name("till"),
        first: at(11),
        forgotten: 10,
    };
    assert_eq!(told.await, expected);
    assert_eq!(kept.first().await, 11);
    let retained = retain(&refrain).await;
    assert_eq!(retained.kept_for, KeptFor::Snapshot(at(10)));
    assert_eq!(retained.forgotten, 0);
    refrain.drain().await;

    let again = kept.start(short()).await;
    assert_eq!(total(&again).await, 19);
    let till = again.processor::<Till>("till");
    let at_now = till.query_at(|_, position| position).await.unwrap();
    assert_eq!(at_now, at(23), "positions go on after the beginning");
}

/// B3.4
#[tokio::test(start_paused = true)]
async fn nothing_is_forgotten_unless_it_was_asked_for_and_what_it_needs_was_given() {
    let (kept, refrain) = Kept::with_two_snapshots(RetentionPolicy::everything()).await;
    snapshot(&refrain).await;
    assert_eq!(retain(&refrain).await.kept_for, KeptFor::Policy);
    refrain.drain().await;
    assert_eq!(kept.first().await, 1);
    assert!(matches!(
        refrain.processor::<Till>("till").retain().await,
        Err(RetainError::NotRunning)
    ));

    let refused = Refrain::builder()
        .journal(kept.journal.clone())
        .processor("till", Till::default())
        .retention(short())
        .launch();
    assert!(matches!(
        refused,
        Err(StartError::Build(
            BuildError::RetentionWithoutSnapshots { .. }
        ))
    ));
}

/// B3.4: a recovery may have to begin with the oldest snapshot that is kept.
#[tokio::test(start_paused = true)]
async fn what_the_oldest_valid_snapshot_does_not_cover_is_kept() {
    for is_ignored in [false, true] {
        let (kept, refrain) = Kept::with_two_snapshots(short()).await;
        snapshot(&refrain).await;
        retain(&refrain).await;
        refrain.drain().await;
        if is_ignored {
            kept.forget(13).await;
        }
        kept.snapshots.damage(&name("till"), at(21));
        let again = Refrain::builder()
            .journal(kept.journal.clone())
            .snapshots(kept.snapshots.clone(), SnapshotPolicy::on_request())
            .processor("till", Till::default())
            .start()
            .await;
        match again {
            Ok(again) if !is_ignored => assert_eq!(total(&again).await, 19),
            Err(StartError::Halted { .. }) if is_ignored => {}
            other => panic!("{is_ignored}: {other:?}"),
        }
    }
}

/// B3.4: each snapshot is read back before anything relies on it.
#[tokio::test(start_paused = true)]
async fn damaged_snapshot_counts_for_nothing_and_is_not_what_pushes_a_valid_one_out() {
    let (kept, refrain) = Kept::with_two_snapshots(short()).await;
    snapshot(&refrain).await;
    retain(&refrain).await;
    assert_eq!(kept.first().await, 11);
    kept.snapshots.damage(&name("till"), at(21));
    add(&refrain, 10).await;
    assert_eq!(snapshot(&refrain).await, at(32));
    // Of those at 32, 21 and 10, the second is damaged: 10 stays, and so does what it needs.
    let listed = kept.snapshots.list(&name("till")).await.unwrap();
    assert_eq!(listed, [at(32), at(21), at(10)]);
    let retained = retain(&refrain).await;
    assert_eq!(retained.first, Some(at(11)));
    assert_eq!(retained.kept_for, KeptFor::Snapshot(at(10)));
    kept.snapshots.damage(&name("till"), at(10));
    add(&refrain, 10).await;
    let retained = retain(&refrain).await;
    assert_eq!(
        retained.kept_for,
        KeptFor::Replay,
        "one valid snapshot of two"
    );
    // A second valid one is there again, and the damaged ones are behind it.
    assert_eq!(snapshot(&refrain).await, at(43));
    let retained = retain(&refrain).await;
    assert_eq!(retained.kept_for, KeptFor::Snapshot(at(32)));
    let listed = kept.snapshots.list(&name("till")).await.unwrap();
    assert_eq!(listed, [at(43), at(32)]);
}

/// B3.4, B1.4
#[tokio::test(start_paused = true)]
async fn answers_of_remembered_messages_are_kept_and_told_again() {
    for is_ignored in [false, true] {
        let kept = Kept::default();
        let refrain = kept.start(RetentionPolicy::entries(3)).await;
        let till = refrain.processor::<Till>("till");
        add(&refrain, 4).await;
        let answer = till.ask_as(given(7), Say::Add(5)).await.unwrap();
        for _ in 0..2 {
            add(&refrain, 10).await;
            snapshot(&refrain).await;
        }
        let retained = retain(&refrain).await;
        assert_eq!(retained.kept_for, KeptFor::Answer);
        assert_eq!(
            kept.first().await,
            2,
            "messages without an id are remembered too"
        );
        if is_ignored {
            kept.forget(7).await;
        }
        match till.ask_as(given(7), Say::Add(5)).await {
            Ok(again) if !is_ignored => assert_eq!(again, answer),
            Err(AskError::AnswerGone { .. }) if is_ignored => {}
            other => panic!("{is_ignored}: {other:?}"),
        }
        assert_eq!(total(&refrain).await, 29, "it changes nothing either way");
    }
}

/// B3.4
#[tokio::test(start_paused = true)]
async fn deliveries_that_wait_in_the_journal_alone_are_kept_until_they_are_in_memory() {
    const COUNT: u64 = 1100;
    for is_ignored in [false, true] {
        let mut world = World::new();
        world.letters.change_script([], Act::Silence);
        let snapshots = MemorySnapshots::default();
        let refrain = start_desk(&world, &snapshots).await;
        let desk = refrain.processor::<Desk>("desk");
        let jobs = (1..=COUNT).map(Job::Send).collect();
        desk.ask_all(jobs).await.unwrap();
        desk.snapshot().await.unwrap();
        desk.ask(Job::Note(1)).await.unwrap();
        desk.snapshot().await.unwrap();
        let retained = desk.retain().await.unwrap();
        assert_eq!(retained.kept_for, KeptFor::Delivery);
        let first = retained.first.unwrap().get();
        assert!((2..=1026).contains(&first), "{first}");
        if is_ignored {
            let below = at(COUNT);
            world.journal.forget(&name("desk"), below).await.unwrap();
        }
        world.crash(refrain);

        world.letters.change_script([], Act::confirm());
        let refrain = start_desk(&world, &snapshots).await;
        if is_ignored {
            let mut events = refrain.events();
            signal(&mut events, |told| {
                matches!(told, Signal::ProcessorHalted { .. })
            })
            .await;
            continue;
        }
        refrain
            .processor::<Desk>("desk")
            .deliver("letters")
            .await
            .unwrap();
        settled(&refrain, "letters").await;
        assert_eq!(channel(&refrain, "letters").await.pending, 0);
        let mut delivered: Vec<u64> = world.letters.deliveries().iter().map(number).collect();
        delivered.sort_unstable();
        delivered.dedup();
        assert_eq!(delivered, (1..=COUNT).collect::<Vec<u64>>());
    }
}

async fn start_desk(world: &World, snapshots: &MemorySnapshots) -> Refrain {
    let policy = RedeliveryPolicy::default;
    Refrain::builder()
        .journal(world.journal.clone())
        .snapshots(snapshots.clone(), SnapshotPolicy::on_request())
        .processor("desk", Desk::default())
        .retention(short())
        .destination(&QUESTIONS, world.questions.clone(), policy())
        .destination(&LETTERS, world.letters.clone(), policy())
        .destination(&NOTES, world.notes.clone(), policy())
        .start()
        .await
        .unwrap()
}

/// B3.4
#[tokio::test(start_paused = true)]
async fn what_a_projection_or_a_backup_has_not_got_yet_is_kept_for_it() {
    let totals = Checkpoints::new("totals");
    let kept = Kept {
        hold: Some(totals.clone()),
        ..Kept::default()
    };
    let refrain = kept.start(short()).await;
    for _ in 0..2 {
        add(&refrain, 10).await;
        snapshot(&refrain).await;
    }
    let by_totals = KeptFor::Hold("totals".to_owned());
    let retained = retain(&refrain).await;
    assert_eq!(
        (retained.forgotten, retained.kept_for),
        (0, by_totals.clone())
    );

    totals.read_up_to(&name("till"), at(4));
    let retained = retain(&refrain).await;
    assert_eq!(
        (retained.first, retained.kept_for),
        (Some(at(5)), by_totals)
    );
    let stream = name("till");
    assert!(
        kept.journal.read(&stream, at(5)).await.is_ok(),
        "it reads on"
    );
    totals.read_up_to(&name("till"), at(2));
    assert_eq!(
        retain(&refrain).await.first,
        Some(at(5)),
        "it cannot go back"
    );
    // The control: past the hold, what it needs is gone.
    kept.forget(6).await;
    assert!(matches!(
        kept.journal.read(&stream, at(5)).await,
        Err(ReadError::Forgotten { .. })
    ));

    totals.needs_nothing(&name("till"));
    let retained = retain(&refrain).await;
    assert_eq!(retained.kept_for, KeptFor::Snapshot(at(11)));
    assert_eq!(kept.first().await, 12);
}

/// A hold that cannot be asked, as one behind a connection that is gone.
#[derive(Debug)]
struct Unreachable;

impl Hold for Unreachable {
    fn name(&self) -> &str {
        "the backup"
    }

    fn needs(&self, _: &Name) -> BoxFuture<'_, Result<Need, HoldError>> {
        let error = HoldError("the connection is gone".to_owned());
        Box::pin(std::future::ready(Err(error)))
    }
}

/// B3.4
#[tokio::test(start_paused = true)]
async fn hold_that_cannot_be_asked_keeps_everything_visibly() {
    let (journal, snapshots) = (MemoryJournal::new(), MemorySnapshots::default());
    let refrain = Refrain::builder()
        .journal(journal.clone())
        .snapshots(snapshots, SnapshotPolicy::on_request())
        .hold(Unreachable)
        .processor("till", Till::default())
        .retention(short())
        .start()
        .await
        .unwrap();
    let mut events = refrain.events();
    for _ in 0..2 {
        add(&refrain, 10).await;
        snapshot(&refrain).await;
    }
    let told = signal(&mut events, |told| {
        matches!(told, Signal::NothingForgotten { .. })
    });
    let Signal::NothingForgotten { reason, .. } = told.await else {
        unreachable!()
    };
    assert!(
        reason.contains("the backup") && reason.contains("the connection is gone"),
        "{reason}"
    );
    let retained = refrain.retain().await.pop().unwrap();
    assert!(matches!(retained, Err(RetainError::Hold { .. })));
    assert_eq!(journal.first(&name("till")).await.unwrap(), Some(at(1)));
}

/// B3.4
#[tokio::test(start_paused = true)]
async fn policy_keeps_so_many_entries_and_those_of_so_long() {
    let minute = Duration::from_secs(60);
    let span = RetentionPolicy::span(minute * 10).letting_answers_go();
    let both = RetentionPolicy::entries(25)
        .and_span(minute * 10)
        .letting_answers_go();
    let count = RetentionPolicy::entries(13).letting_answers_go();
    for (policy, expected) in [(span, 20), (both, 9), (count, 21)] {
        let kept = Kept::default();
        let refrain = kept.start(policy).await;
        // The beginning, an entry each minute, and a last one between two snapshots.
        for _ in 0..29 {
            pass(minute).await;
            add(&refrain, 1).await;
        }
        snapshot(&refrain).await;
        add(&refrain, 1).await;
        snapshot(&refrain).await;
        let retained = retain(&refrain).await;
        assert_eq!(retained.kept_for, KeptFor::Policy);
        assert_eq!(retained.first, Some(at(expected)), "{policy:?}");
    }
}
