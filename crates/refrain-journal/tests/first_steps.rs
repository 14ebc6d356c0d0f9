//! What everybody does first: append, read, close, open again.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod support;

use refrain_core::port::journal::{AppendError, Journal, ReadError, RejectReason};
use refrain_core::{Name, Position};
use refrain_journal::{FileJournal, JournalOptions, OpenError};
use support::{batch, contents, name, position};

fn small() -> JournalOptions {
    JournalOptions::default().segment_bytes(8192)
}

#[tokio::test]
async fn entries_are_read_back_in_order_also_after_reopening_and_over_many_segments() {
    let dir = tempfile::tempdir().unwrap();
    let journal = FileJournal::open_with(dir.path(), small()).unwrap();
    let (orders, cards) = (name("orders"), name("cards"));
    for index in 0..100u64 {
        let entry = format!("entry {index} {}", "x".repeat(200));
        let at = position(2 * index + 1);
        let last = journal
            .append(&orders, at, batch(&[&entry, "b"]))
            .await
            .unwrap();
        assert_eq!(last, at.next());
        journal
            .append(&cards, position(index + 1), batch(&[&entry]))
            .await
            .unwrap();
    }
    let before = contents(&journal, &orders).await;
    assert_eq!(before.len(), 200);
    assert!(before[198].starts_with(b"entry 99"));
    drop(journal);
    for _ in 0..2 {
        let journal = FileJournal::open_with(dir.path(), small()).unwrap();
        assert_eq!(contents(&journal, &orders).await, before);
        assert_eq!(contents(&journal, &cards).await.len(), 100);
        assert_eq!(journal.head(&orders).await.unwrap(), Position::new(200));
    }
}

#[tokio::test]
async fn several_appends_in_flight_take_effect_in_the_order_of_the_calls() {
    let dir = tempfile::tempdir().unwrap();
    let journal = FileJournal::open_with(dir.path(), small()).unwrap();
    let orders = name("orders");
    let appends: Vec<_> = (1..=50)
        .map(|at| journal.append(&orders, position(at), batch(&[&at.to_string()])))
        .collect();
    for (at, append) in (1..).zip(appends) {
        assert_eq!(append.await.unwrap(), position(at));
    }
    let expected: Vec<Vec<u8>> = (1..=50).map(|at| at.to_string().into_bytes()).collect();
    assert_eq!(contents(&journal, &orders).await, expected);
}

#[tokio::test]
async fn a_dropped_append_still_happens() {
    let dir = tempfile::tempdir().unwrap();
    let journal = FileJournal::open_with(dir.path(), small()).unwrap();
    let orders = name("orders");
    drop(journal.append(&orders, position(1), batch(&["kept"])));
    journal
        .append(&orders, position(2), batch(&["next"]))
        .await
        .unwrap();
    assert_eq!(contents(&journal, &orders).await, [b"kept", b"next"]);
}

#[tokio::test]
async fn a_wrong_position_is_fenced_with_the_right_one() {
    let dir = tempfile::tempdir().unwrap();
    let journal = FileJournal::open_with(dir.path(), small()).unwrap();
    let orders = name("orders");
    journal
        .append(&orders, position(1), batch(&["a", "b"]))
        .await
        .unwrap();
    for wrong in [1, 2, 4] {
        let error = journal
            .append(&orders, position(wrong), batch(&["c"]))
            .await
            .unwrap_err();
        assert!(
            matches!(error, AppendError::Fenced { next, .. } if next == position(3)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_taken_is_rejected_before_anything_happens() {
    let dir = tempfile::tempdir().unwrap();
    let journal = FileJournal::open_with(dir.path(), small()).unwrap();
    let orders = name("orders");
    let largest = "x".repeat(journal.entry_bytes_max());
    let reason = |error| {
        let AppendError::Rejected { reason, .. } = error else {
            panic!("{error}");
        };
        reason
    };
    let too_large = format!("{largest}x");
    let error = journal
        .append(&orders, position(1), batch(&[&too_large]))
        .await
        .unwrap_err();
    assert!(matches!(reason(error), RejectReason::TooLarge { .. }));
    let error = journal
        .append(&orders, position(1), batch(&[]))
        .await
        .unwrap_err();
    assert_eq!(reason(error), RejectReason::Empty);
    journal
        .append(&orders, position(1), batch(&[&largest]))
        .await
        .unwrap();
    assert_eq!(contents(&journal, &orders).await, [largest.as_bytes()]);
}

/// B1.7
#[tokio::test]
async fn positions_go_on_after_everything_was_forgotten_and_the_journal_reopened() {
    let dir = tempfile::tempdir().unwrap();
    let orders = name("orders");
    let journal = FileJournal::open_with(dir.path(), small()).unwrap();
    for at in 1..=100 {
        let entry = "x".repeat(500);
        journal
            .append(&orders, position(at), batch(&[&entry]))
            .await
            .unwrap();
    }
    journal.forget(&orders, position(101)).await.unwrap();
    for _ in 0..3 {
        assert_eq!(journal.head(&orders).await.unwrap(), Position::new(100));
        assert_eq!(journal.first(&orders).await.unwrap(), None);
        let error = journal.read(&orders, position(100)).await.unwrap_err();
        assert!(matches!(error, ReadError::Forgotten { first, .. } if first == position(101)));
    }
    drop(journal);
    let journal = FileJournal::open_with(dir.path(), small()).unwrap();
    assert_eq!(journal.head(&orders).await.unwrap(), Position::new(100));
    let error = journal
        .append(&orders, position(100), batch(&["again"]))
        .await
        .unwrap_err();
    assert!(matches!(error, AppendError::Fenced { .. }));
    journal
        .append(&orders, position(101), batch(&["new"]))
        .await
        .unwrap();
    let mut cursor = journal.read(&orders, position(101)).await.unwrap();
    let chunk = cursor.next().await.unwrap().unwrap();
    assert_eq!(chunk.entry(position(101)).unwrap(), "new");
}

#[tokio::test]
async fn a_second_opener_is_refused_at_once_and_told_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let first = FileJournal::open_with(dir.path(), small()).unwrap();
    let error = FileJournal::open_with(dir.path(), small()).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }));
    assert!(
        error.to_string().contains(dir.path().to_str().unwrap()),
        "{error}"
    );
    drop(first);
    FileJournal::open_with(dir.path(), small()).unwrap();
}

#[tokio::test]
async fn streams_are_listed_in_order_by_prefix_and_page() {
    let dir = tempfile::tempdir().unwrap();
    let journal = FileJournal::open_with(dir.path(), small()).unwrap();
    for stream in ["b.2", "a.1", "b.1", "b.3", "c"] {
        journal
            .append(&name(stream), position(1), batch(&["x"]))
            .await
            .unwrap();
    }
    let listed = |prefix: &'static str, after: Option<Name>, limit| {
        let journal = &journal;
        async move {
            let names = journal
                .streams(prefix, after.as_ref(), limit)
                .await
                .unwrap();
            names.iter().map(ToString::to_string).collect::<Vec<_>>()
        }
    };
    assert_eq!(listed("b.", None, 2).await, ["b.1", "b.2"]);
    assert_eq!(listed("b.", Some(name("b.2")), 2).await, ["b.3"]);
    assert_eq!(listed("", None, 9).await, ["a.1", "b.1", "b.2", "b.3", "c"]);
    assert_eq!(listed("d", None, 9).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_following_cursor_gets_what_is_appended_later_also_to_a_stream_yet_to_come() {
    let dir = tempfile::tempdir().unwrap();
    let journal = FileJournal::open_with(dir.path(), small()).unwrap();
    let orders = name("orders");
    let mut cursor = journal.follow(&orders, position(1)).await.unwrap();
    for at in 1..=3 {
        let (chunk, appended) = tokio::join!(
            cursor.next(),
            journal.append(&orders, position(at), batch(&[&at.to_string()]))
        );
        assert_eq!(appended.unwrap(), position(at));
        let chunk = chunk.unwrap().unwrap();
        assert_eq!(chunk.entry(position(at)).unwrap(), at.to_string());
    }
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_look_into_the_directory_and_its_files() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new");
    drop(FileJournal::open_with(&path, small()).unwrap());
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for file in path.read_dir().unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}

#[tokio::test]
async fn a_following_cursor_hears_that_the_journal_was_closed() {
    let dir = tempfile::tempdir().unwrap();
    let journal = FileJournal::open_with(dir.path(), small()).unwrap();
    let orders = name("orders");
    let mut cursor = journal.follow(&orders, position(1)).await.unwrap();
    let (error, ()) = tokio::join!(cursor.next(), async { drop(journal) });
    assert!(matches!(error, Err(ReadError::Unavailable(_))));
}

/// B1.4
#[tokio::test]
async fn journal_that_must_exist_is_opened_and_never_made() {
    let root = tempfile::tempdir().unwrap();
    let (missing, empty) = (root.path().join("missing"), root.path().join("empty"));
    std::fs::create_dir(&empty).unwrap();
    for dir in [&missing, &empty] {
        let refused = FileJournal::open_with(dir, small().must_exist());
        assert!(matches!(refused, Err(OpenError::Missing { .. })));
    }
    assert!(!missing.exists());
    assert_eq!(std::fs::read_dir(&empty).unwrap().count(), 0);
    drop(FileJournal::open_with(&empty, small()).unwrap());
    FileJournal::open_with(&empty, small().must_exist()).unwrap();
}
