//! The journal and the snapshots in memory: they keep every promise of their ports, and a test can
//! make them do what real ones do by chance.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{AppendError, Batch, Journal, ReadError, RejectReason};
use refrain_core::port::snapshots::Snapshots;
use refrain_core::{Name, Position};
use refrain_journal::{AppendFault, MemoryJournal, MemorySnapshots};
use refrain_testkit::conformance;
use refrain_testkit::conformance::journal::Hold;
use refrain_testkit::conformance::snapshots::Damage;

struct Journaling(MemoryJournal);

impl conformance::journal::Instance for Journaling {
    fn journal(&self) -> Arc<dyn Journal> {
        Arc::new(self.0.clone())
    }

    fn reopen(&mut self) -> BoxFuture<'_, ()> {
        self.0 = self.0.crash();
        Box::pin(std::future::ready(()))
    }

    fn hold(&self) -> Option<Box<dyn Hold>> {
        self.0.hold();
        Some(Box::new(Held(self.0.clone())))
    }
}

struct Held(MemoryJournal);

impl Hold for Held {
    fn release(self: Box<Self>) {
        self.0.resume();
    }
}

/// B10.3
#[tokio::test]
async fn memory_journal_keeps_every_promise_of_a_journal() {
    conformance::journal::run_all(async || Journaling(MemoryJournal::new())).await;
}

/// B10.3
#[tokio::test]
async fn memory_journal_with_a_small_limit_keeps_every_promise_of_a_journal() {
    conformance::journal::run_all(async || Journaling(MemoryJournal::with_entry_bytes_max(4096)))
        .await;
}

struct Snapshotting(MemorySnapshots);

impl conformance::snapshots::Instance for Snapshotting {
    fn snapshots(&self) -> Arc<dyn Snapshots> {
        Arc::new(self.0.clone())
    }

    fn reopen(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn damage(&mut self, stream: &Name, position: Position) -> Damage {
        self.0.damage(stream, position);
        Damage::Done
    }
}

#[tokio::test]
async fn memory_snapshots_keep_every_promise_of_snapshots() {
    conformance::snapshots::run_all(async || Snapshotting(MemorySnapshots::default())).await;
}

fn orders() -> Name {
    Name::new("orders").expect("a valid name")
}

fn at(number: u64) -> Position {
    Position::new(number).expect("positions start at 1")
}

fn one(entry: &str) -> Batch {
    let mut batch = Batch::default();
    batch.push(entry.as_bytes());
    batch
}

async fn entries(journal: &MemoryJournal) -> Vec<String> {
    let cursor = journal.read(&orders(), Position::FIRST).await;
    let mut cursor = cursor.expect("nothing was forgotten");
    let mut read = Vec::new();
    while let Some(chunk) = cursor.next().await.expect("memory can be read") {
        read.extend(
            chunk
                .entries()
                .map(|(_, entry)| String::from_utf8_lossy(entry).into_owned()),
        );
    }
    read
}

fn is_pending(future: impl Future) -> bool {
    pin!(future)
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_pending()
}

#[tokio::test]
async fn held_append_is_neither_acknowledged_nor_shown_before_its_release() {
    let journal = MemoryJournal::manual();
    let mut first = journal.append(&orders(), at(1), one("first"));
    let second = journal.append(&orders(), at(2), one("second"));
    assert_eq!(journal.held(), 2);
    assert!(is_pending(&mut first));
    assert_eq!(journal.head(&orders()).await.unwrap(), None);

    assert_eq!(journal.release(1), 1);
    assert_eq!(first.await.unwrap(), at(1));
    assert_eq!(entries(&journal).await, ["first"]);

    assert_eq!(journal.release_all(), 1);
    assert_eq!(second.await.unwrap(), at(2));
}

#[tokio::test]
async fn resumed_journal_releases_what_it_held_and_holds_no_more() {
    let journal = MemoryJournal::new();
    journal
        .append(&orders(), at(1), one("at once"))
        .await
        .unwrap();
    journal.hold();
    let held = journal.append(&orders(), at(2), one("held"));
    journal.resume();
    held.await.unwrap();
    journal
        .append(&orders(), at(3), one("at once"))
        .await
        .unwrap();
    assert_eq!(entries(&journal).await, ["at once", "held", "at once"]);
}

#[tokio::test]
async fn rejected_append_fails_those_that_were_pipelined_behind_it() {
    let journal = MemoryJournal::manual();
    let first = journal.append(&orders(), at(1), one("first"));
    let second = journal.append(&orders(), at(2), one("second"));
    journal.fail_next(AppendFault::Rejected(RejectReason::Full));
    journal.release_all();

    let rejected = first.await.unwrap_err();
    assert!(
        matches!(
            rejected,
            AppendError::Rejected {
                reason: RejectReason::Full,
                ..
            }
        ),
        "{rejected}"
    );
    let fenced = second.await.unwrap_err();
    assert!(
        matches!(
            fenced,
            AppendError::Fenced {
                next: Position::FIRST,
                ..
            }
        ),
        "{fenced}"
    );
    assert_eq!(entries(&journal).await, [""; 0]);
}

#[tokio::test]
async fn append_with_an_unknown_outcome_is_lost_or_kept_or_comes_late() {
    for (fault, before, after) in [
        (AppendFault::UnknownLost, vec![], vec![]),
        (AppendFault::UnknownKept, vec!["entry"], vec!["entry"]),
        (AppendFault::UnknownLate, vec![], vec!["entry"]),
    ] {
        let journal = MemoryJournal::new();
        journal.fail_next(fault.clone());
        let unknown = journal
            .append(&orders(), at(1), one("entry"))
            .await
            .unwrap_err();
        assert!(matches!(unknown, AppendError::Unknown { .. }), "{unknown}");
        assert_eq!(entries(&journal).await, before, "{fault:?}");
        journal.arrive_late();
        assert_eq!(entries(&journal).await, after, "{fault:?}");
    }
}

#[tokio::test]
async fn late_append_does_not_happen_once_its_position_is_taken() {
    let journal = MemoryJournal::new();
    journal.fail_next(AppendFault::UnknownLate);
    journal
        .append(&orders(), at(1), one("late"))
        .await
        .unwrap_err();
    journal
        .append(&orders(), at(1), one("begun"))
        .await
        .unwrap();
    assert_eq!(journal.arrive_late(), 0);
    assert_eq!(entries(&journal).await, ["begun"]);
}

#[tokio::test]
async fn crash_leaves_what_was_durable_and_ends_the_journal_before_it() {
    let journal = MemoryJournal::manual();
    let durable = journal.append(&orders(), at(1), one("durable"));
    journal.release_all();
    durable.await.unwrap();
    let held = journal.append(&orders(), at(2), one("held"));

    let after = journal.crash();
    assert_eq!(entries(&after).await, ["durable"]);
    assert!(matches!(
        held.await.unwrap_err(),
        AppendError::Unknown { .. }
    ));
    let stopped = journal
        .append(&orders(), at(2), one("stale"))
        .await
        .unwrap_err();
    assert!(
        matches!(
            stopped,
            AppendError::Rejected {
                reason: RejectReason::Stopped(_),
                ..
            }
        ),
        "{stopped}"
    );
    let unreadable = journal.head(&orders()).await.unwrap_err();
    assert!(
        matches!(unreadable, ReadError::Unavailable(_)),
        "{unreadable}"
    );

    let again = after.append(&orders(), at(2), one("again"));
    assert_eq!(after.held(), 1, "it holds back as the one before it did");
    after.release_all();
    again.await.unwrap();
}

#[tokio::test]
async fn test_can_wait_for_an_append_that_another_task_makes() {
    let journal = MemoryJournal::manual();
    let appending = async {
        tokio::task::yield_now().await;
        journal.append(&orders(), at(1), one("entry")).await
    };
    let releasing = async {
        journal.held_at_least(1).await;
        journal.release_all()
    };
    let (appended, released) = tokio::join!(appending, releasing);
    assert_eq!((appended.unwrap(), released), (at(1), 1));
}

#[tokio::test]
async fn follower_that_waits_hears_of_a_crash() {
    let journal = MemoryJournal::new();
    let mut follower = journal.follow(&orders(), Position::FIRST).await.unwrap();
    let mut next = follower.next();
    assert!(is_pending(&mut next));
    let _after = journal.crash();
    assert!(matches!(next.await, Err(ReadError::Unavailable(_))));
}
