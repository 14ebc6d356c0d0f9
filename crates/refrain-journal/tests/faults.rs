//! Failing operations: each operation of a small life fails or is the last one, and what was
//! acknowledged is there afterwards.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod support;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use refrain_core::port::journal::{AppendError, Journal, RejectReason};
use refrain_journal::{FileJournal, JournalOptions, OpenError};
use support::{Fault, FaultDisk, Kind, batch, contents, name, position};

const DIR: &str = "/journal";

/// Entries so large that two fill a segment.
const ENTRY_BYTES: usize = 1500;

fn open(disk: &FaultDisk) -> Result<FileJournal, OpenError> {
    let options = JournalOptions::default()
        .segment_bytes(8192)
        .identity(7)
        .reader_threads(1)
        // Never while a test takes its time: the fault that it orders is meant for its own append.
        .mark_sync_idle(Duration::from_secs(1 << 20));
    FileJournal::open_on(Arc::new(disk.clone()), DIR, options)
}

fn entry(stream: &str, at: u64) -> String {
    let start = format!("{stream} {at} ");
    format!("{start}{}", "x".repeat(ENTRY_BYTES - start.len()))
}

/// What a life came to: per stream, how many entries were acknowledged, and submitted.
#[derive(Debug, Default)]
struct Life {
    acknowledged: [u64; 2],
    submitted: [u64; 2],
    forgotten: u64,
}

const STREAMS: [&str; 2] = ["orders", "cards"];

/// Opens, appends to two streams over several segments, forgets, and closes; stops at the first
/// error.
async fn live(disk: &FaultDisk) -> Life {
    let mut life = Life::default();
    let Ok(journal) = open(disk) else {
        return life;
    };
    for at in 1..=6 {
        for (index, stream) in STREAMS.into_iter().enumerate() {
            life.submitted[index] = at;
            let entry = entry(stream, at);
            match journal
                .append(&name(stream), position(at), batch(&[&entry]))
                .await
            {
                Ok(_) => life.acknowledged[index] = at,
                Err(AppendError::Rejected { .. }) => life.submitted[index] = at - 1,
                Err(_) => {}
            }
            if life.acknowledged[index] < at {
                return life;
            }
        }
    }
    life.forgotten = 4;
    let _ = journal.forget(&name("orders"), position(5)).await;
    life
}

async fn check(life: &Life, disk: &FaultDisk, context: &str) {
    let journal = open(disk).unwrap_or_else(|error| panic!("{context}: {error}"));
    for (index, stream) in STREAMS.into_iter().enumerate() {
        let head = journal
            .head(&name(stream))
            .await
            .unwrap()
            .map_or(0, |head| head.get());
        let allowed = life.acknowledged[index]..=life.submitted[index];
        assert!(
            allowed.contains(&head),
            "{context}: {stream} at {head}, {life:?}"
        );
        let first = journal.first(&name(stream)).await.unwrap();
        let first = first.map_or(1, |first| first.get());
        assert!(
            first == 1 || first == life.forgotten + 1,
            "{context}: {first}"
        );
        let expected: Vec<_> = (first..=head)
            .map(|at| entry(stream, at).into_bytes())
            .collect();
        assert!(
            contents(&journal, &name(stream)).await == expected,
            "{context}: {stream}"
        );
        let next = position(head + 1);
        let appended = journal
            .append(&name(stream), next, batch(&["goes on"]))
            .await;
        assert_eq!(appended.unwrap(), next, "{context}");
    }
}

async fn operations() -> usize {
    let disk = FaultDisk::default();
    let life = live(&disk).await;
    assert_eq!(life.acknowledged, [6, 6]);
    disk.operations().len()
}

/// B2.7
#[tokio::test]
async fn nothing_acknowledged_is_lost_when_any_operation_is_the_last_one() {
    for number in 0..operations().await {
        let disk = FaultDisk::default();
        disk.set_fault(number, Fault::Freeze);
        let life = live(&disk).await;
        check(&life, &disk.after_kill(), &format!("killed at {number}")).await;
        check(
            &life,
            &disk.after_power_loss(),
            &format!("power lost at {number}"),
        )
        .await;
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_any_operation_fails() {
    for kind in [
        ErrorKind::Other,
        ErrorKind::StorageFull,
        ErrorKind::Interrupted,
    ] {
        for number in 0..operations().await {
            let disk = FaultDisk::default();
            disk.set_fault(number, Fault::Fail(kind));
            let life = live(&disk).await;
            check(
                &life,
                &disk.after_kill(),
                &format!("{kind:?} at {number}, killed"),
            )
            .await;
            let context = format!("{kind:?} at {number}, power lost");
            check(&life, &disk.after_power_loss(), &context).await;
        }
    }
}

/// A crash in recovery is followed by another recovery.
#[tokio::test]
async fn nothing_acknowledged_is_lost_when_any_operation_of_a_recovery_is_the_last_one() {
    let total = operations().await;
    for first in (total / 3..total).step_by(5) {
        let disk = FaultDisk::default();
        disk.set_fault(first, Fault::Freeze);
        let life = live(&disk).await;
        for second in 0..12 {
            let crashed = disk.after_kill();
            crashed.set_fault(second, Fault::Freeze);
            drop(open(&crashed));
            let context = format!("frozen at {first}, and in recovery at {second}");
            check(&life, &crashed.after_power_loss(), &context).await;
        }
    }
}

#[tokio::test]
async fn after_a_failed_sync_everything_waiting_is_unknown_and_nothing_is_taken_until_reopened() {
    let disk = FaultDisk::default();
    let journal = open(&disk).unwrap();
    let orders = name("orders");
    // What fails is a sync of the log then, and no other.
    disk.until_spare_is_made();
    journal
        .append(&orders, position(1), batch(&["kept"]))
        .await
        .unwrap();
    let gate = disk.sync_gate();
    gate.shut();
    let taken = journal.append(&orders, position(2), batch(&["taken"]));
    gate.until_somebody_waits();
    let waiting = journal.append(&orders, position(3), batch(&["waiting"]));
    disk.fail_next(Kind::Sync);
    gate.open();
    for append in [taken, waiting] {
        let error = append.await.unwrap_err();
        assert!(matches!(error, AppendError::Unknown { .. }), "{error}");
    }
    let error = journal
        .append(&orders, position(2), batch(&["late"]))
        .await
        .unwrap_err();
    let AppendError::Rejected { reason, .. } = error else {
        panic!("{error}");
    };
    assert!(matches!(reason, RejectReason::Stopped(_)), "{reason}");
    assert_eq!(
        contents(&journal, &orders).await,
        [b"kept"],
        "reading goes on"
    );
    drop(journal);
    let journal = open(&disk.after_power_loss()).unwrap();
    assert_eq!(contents(&journal, &orders).await, [b"kept"]);
    journal
        .append(&orders, position(2), batch(&["again"]))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_waits_while_a_sync_is_under_way_shares_the_next_one() {
    let disk = FaultDisk::default();
    let options = JournalOptions::default().segment_bytes(1024 * 1024);
    let journal = FileJournal::open_on(Arc::new(disk.clone()), DIR, options).unwrap();
    let orders = name("orders");
    disk.until_spare_is_made();
    let gate = disk.sync_gate();
    gate.shut();
    let first = journal.append(&orders, position(1), batch(&["first"]));
    gate.until_somebody_waits();
    let waiting: Vec<_> = (2..=1000)
        .map(|at| journal.append(&orders, position(at), batch(&["waiting"])))
        .collect();
    let before = gate.passed();
    gate.open();
    first.await.unwrap();
    for append in waiting {
        append.await.unwrap();
    }
    assert_eq!(
        gate.passed() - before,
        2,
        "one for the first, one for all others"
    );
}

#[tokio::test]
async fn nothing_is_shown_before_it_is_synced() {
    let disk = FaultDisk::default();
    let journal = open(&disk).unwrap();
    let orders = name("orders");
    let gate = disk.sync_gate();
    gate.shut();
    let append = journal.append(&orders, position(1), batch(&["entry"]));
    gate.until_somebody_waits();
    assert_eq!(journal.head(&orders).await.unwrap(), None);
    assert_eq!(contents(&journal, &orders).await.len(), 0);
    gate.open();
    append.await.unwrap();
    assert_eq!(contents(&journal, &orders).await, [b"entry"]);
}

#[tokio::test]
async fn a_full_queue_rejects_as_overloaded_and_what_it_holds_is_still_written() {
    let disk = FaultDisk::default();
    let options = JournalOptions::default()
        .segment_bytes(8192)
        .queue_appends_max(2);
    let journal = FileJournal::open_on(Arc::new(disk.clone()), DIR, options).unwrap();
    let orders = name("orders");
    disk.until_spare_is_made();
    let gate = disk.sync_gate();
    gate.shut();
    let taken = journal.append(&orders, position(1), batch(&["taken"]));
    gate.until_somebody_waits();
    let second = journal.append(&orders, position(2), batch(&["second"]));
    let third = journal.append(&orders, position(3), batch(&["third"]));
    let error = journal
        .append(&orders, position(4), batch(&["fourth"]))
        .await
        .unwrap_err();
    let AppendError::Rejected { reason, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(reason, RejectReason::Overloaded);
    gate.open();
    for append in [taken, second, third] {
        append.await.unwrap();
    }
    assert_eq!(
        journal
            .append(&orders, position(4), batch(&["again"]))
            .await
            .unwrap(),
        position(4)
    );
}

#[tokio::test]
async fn a_full_disk_rejects_appends_until_there_is_room_again_and_reading_goes_on() {
    let disk = FaultDisk::default();
    disk.set_space(Some(3 * 8192));
    let journal = open(&disk).unwrap();
    let orders = name("orders");
    let mut at = 1;
    loop {
        let entry = entry("orders", at);
        match journal
            .append(&orders, position(at), batch(&[&entry]))
            .await
        {
            Ok(_) => at += 1,
            Err(AppendError::Rejected {
                reason: RejectReason::Full,
                ..
            }) => break,
            Err(error) => panic!("{error}"),
        }
        assert!(at < 100, "three segments do not hold a hundred entries");
    }
    assert!(at > 3, "two segments hold four entries: {at}");
    assert_eq!(contents(&journal, &orders).await.len() as u64, at - 1);
    disk.set_space(None);
    while let Err(error) = journal
        .append(&orders, position(at), batch(&["room again"]))
        .await
    {
        let AppendError::Rejected { reason, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(reason, RejectReason::Full);
        tokio::task::yield_now().await;
    }
    assert_eq!(contents(&journal, &orders).await.len() as u64, at);
    drop(journal);
    assert_eq!(
        contents(&open(&disk).unwrap(), &orders).await.len() as u64,
        at
    );
}

/// B1.3
#[tokio::test]
async fn a_program_that_may_open_no_more_files_is_rejected_until_it_may_and_nothing_is_lost() {
    let disk = FaultDisk::default();
    let journal = open(&disk).unwrap();
    let orders = name("orders");
    disk.until_spare_is_made();
    disk.set_out_of_files(true);
    let mut at = 1;
    let append = |at| {
        let entry = entry("orders", at);
        journal.append(&orders, position(at), batch(&[&entry]))
    };
    let error = loop {
        match append(at).await {
            Ok(_) => at += 1,
            Err(error) => break error,
        }
        assert!(at < 100, "two segments do not hold a hundred entries");
    };
    let AppendError::Rejected { reason, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(reason, RejectReason::Full);
    // Every file that is read is opened for it.
    let mut cursor = journal.read(&orders, position(1)).await.unwrap();
    cursor.next().await.unwrap_err();
    disk.set_out_of_files(false);
    while append(at).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(contents(&journal, &orders).await.len() as u64, at);
    drop(journal);
    let journal = open(&disk).unwrap();
    assert_eq!(contents(&journal, &orders).await.len() as u64, at);
}

/// B1.7
#[tokio::test]
async fn forgotten_segments_are_removed_and_other_streams_stay() {
    let disk = FaultDisk::default();
    let journal = open(&disk).unwrap();
    let (orders, cards) = (name("orders"), name("cards"));
    journal
        .append(&cards, position(1), batch(&["a card"]))
        .await
        .unwrap();
    // Declared in the first segment, and never again by itself.
    journal.forget(&cards, position(2)).await.unwrap();
    for at in 1..=20 {
        let entry = entry("orders", at);
        journal
            .append(&orders, position(at), batch(&[&entry]))
            .await
            .unwrap();
    }
    journal.forget(&orders, position(15)).await.unwrap();
    disk.until_removed(std::path::Path::new("/journal/0000000005.log"));
    drop(journal);
    for disk in [disk.after_kill(), disk.after_power_loss()] {
        let journal = open(&disk).unwrap();
        assert_eq!(journal.first(&orders).await.unwrap(), Some(position(15)));
        assert_eq!(contents(&journal, &orders).await.len(), 6);
        assert_eq!(journal.head(&cards).await.unwrap(), Some(position(1)));
        let appended = journal
            .append(&cards, position(2), batch(&["another"]))
            .await;
        assert_eq!(appended.unwrap(), position(2));
        let appended = journal
            .append(&orders, position(21), batch(&["another"]))
            .await;
        assert_eq!(appended.unwrap(), position(21));
    }
}

/// A failed sync leaves bytes where they can be read and will never reach the medium.
#[tokio::test]
async fn what_a_failed_sync_left_in_the_cache_survives_power_loss_once_it_was_shown() {
    let disk = FaultDisk::default();
    let journal = open(&disk).unwrap();
    let orders = name("orders");
    disk.until_spare_is_made();
    journal
        .append(&orders, position(1), batch(&["kept"]))
        .await
        .unwrap();
    disk.fail_next(Kind::Sync);
    let error = journal
        .append(&orders, position(2), batch(&["in the cache"]))
        .await
        .unwrap_err();
    assert!(matches!(error, AppendError::Unknown { .. }), "{error}");
    drop(journal);
    let journal = open(&disk).unwrap();
    assert_eq!(
        contents(&journal, &orders).await,
        [&b"kept"[..], b"in the cache"]
    );
    let journal = open(&disk.after_power_loss()).unwrap();
    assert_eq!(
        contents(&journal, &orders).await,
        [&b"kept"[..], b"in the cache"]
    );
}
