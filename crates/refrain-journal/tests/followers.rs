//! Those who wait for entries of a stream: what they leave behind, and what they are told at the end.

#![cfg(not(shuttle))]
#![allow(clippy::unwrap_used, reason = "this is test code")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use refrain_core::port::journal::{Cursor, Journal};
use refrain_journal::{FileJournal, JournalReader};
use support::{FaultDisk, batch, name, position, small_segments};

const DIR: &str = "/journal";

#[derive(Debug, Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn open(disk: &FaultDisk) -> FileJournal {
    FileJournal::open_on(Arc::new(disk.clone()), DIR, small_segments()).unwrap()
}

/// Asks for a chunk that is not there yet.
fn wait(cursor: &mut dyn Cursor, count: &Arc<Count>) {
    let waker = Waker::from(Arc::clone(count));
    let mut next = cursor.next();
    let polled = next.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
}

#[tokio::test]
async fn cursor_that_is_dropped_while_it_waits_leaves_nothing_behind() {
    let journal = open(&FaultDisk::default());
    let idle = name("idle");
    let count = Arc::new(Count::default());
    let mut stays = journal.follow(&idle, position(1)).await.unwrap();
    wait(stays.as_mut(), &count);
    for _ in 0..1000 {
        let mut cursor = journal.follow(&idle, position(1)).await.unwrap();
        let own = Arc::new(Count::default());
        wait(cursor.as_mut(), &own);
        drop(cursor);
        assert_eq!(Arc::strong_count(&own), 1, "its waker is gone");
    }
    let appended = journal.append(&idle, position(1), batch(&["a"]));
    appended.await.unwrap();
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    assert!(stays.next().await.unwrap().is_some());
}

#[tokio::test]
async fn cursor_that_moves_from_task_to_task_leaves_one_waker() {
    let journal = open(&FaultDisk::default());
    let mut cursor = journal.follow(&name("idle"), position(1)).await.unwrap();
    let first = Arc::new(Count::default());
    wait(cursor.as_mut(), &first);
    let second = Arc::new(Count::default());
    wait(cursor.as_mut(), &second);
    assert_eq!(Arc::strong_count(&first), 1);
    drop(journal);
    assert_eq!(first.0.load(Ordering::SeqCst), 0);
    assert_eq!(second.0.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn follower_that_waits_is_told_when_its_reader_is_dropped() {
    let disk = FaultDisk::default();
    let _journal = open(&disk);
    let reader = JournalReader::open_on(Arc::new(disk), DIR, small_segments()).unwrap();
    let mut cursor = reader.follow(&name("idle"), position(1)).unwrap();
    let count = Arc::new(Count::default());
    wait(cursor.as_mut(), &count);
    drop(reader);
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    let mut next = cursor.next();
    let polled = next.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Err(_))), "{polled:?}");
}
