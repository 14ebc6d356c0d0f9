//! Whoever holds a journal last may be a task that one of the journal's own threads wakes: it ends
//! there, and the journal with it. A thread does not wait for its own end.

#![cfg(not(shuttle))]
#![allow(clippy::unwrap_used, reason = "this is test code")]

mod support;

use std::pin::Pin;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use bytes::Bytes;
use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{Cursor, Journal};
use refrain_core::port::snapshots::Snapshots;
use refrain_journal::{FileJournal, FileSnapshots, JournalReader};
use support::{FaultDisk, Gate, Kind, batch, contents, name, position, small_segments};

const DIR: &str = "/journal";

/// A task that ends with the first wake: what it holds is dropped on the thread that wakes it.
struct Last<T> {
    held: Mutex<Option<T>>,
    dropped: SyncSender<()>,
}

impl<T: Send + 'static> Wake for Last<T> {
    fn wake(self: Arc<Self>) {
        drop(self.held.lock().unwrap().take());
        // A second wake finds nobody who waits for it.
        let _ = self.dropped.try_send(());
    }
}

/// Has `held` dropped where the waker that `leave` leaves is woken, and returns once it was. `release`
/// lets that come about.
fn drop_on_waking<T: Send + 'static>(
    mut held: T,
    leave: impl FnOnce(&mut T, &mut Context<'_>),
    release: impl FnOnce(),
) {
    let (dropped, is_dropped) = sync_channel(1);
    let last = Arc::new(Last {
        held: Mutex::new(None),
        dropped,
    });
    let waker = Waker::from(Arc::clone(&last));
    leave(&mut held, &mut Context::from_waker(&waker));
    *last.held.lock().unwrap() = Some(held);
    release();
    is_dropped.recv().unwrap();
}

fn open(disk: &FaultDisk) -> FileJournal {
    FileJournal::open_on(Arc::new(disk.clone()), DIR, small_segments()).unwrap()
}

/// A journal in which `orders` has one entry, and a cursor at it.
async fn with_an_entry(disk: &FaultDisk) -> (FileJournal, Box<dyn Cursor>) {
    let journal = open(disk);
    let orders = name("orders");
    let entry = batch(&["a"]);
    journal.append(&orders, position(1), entry).await.unwrap();
    let cursor = journal.read(&orders, position(1)).await.unwrap();
    (journal, cursor)
}

/// B1.1, B2.7
#[tokio::test]
async fn journal_that_its_writer_drops_writes_what_was_submitted_and_lets_go_of_the_directory() {
    let disk = FaultDisk::default();
    let journal = open(&disk);
    let orders = name("orders");
    let append = |journal: &FileJournal, at| journal.append(&orders, position(at), batch(&["a"]));
    append(&journal, 1).await.unwrap();
    let gate = disk.sync_gate();
    gate.shut();
    let mut first = append(&journal, 2);
    drop_on_waking(
        journal,
        |journal, context| {
            gate.until_somebody_waits();
            assert!(first.as_mut().poll(context).is_pending());
            // It waits while the one before is synced, and nobody waits for it.
            drop(append(journal, 3));
        },
        || gate.open(),
    );
    first.await.unwrap();
    disk.until_unlocked();
    let journal = open(&disk);
    assert_eq!(contents(&journal, &orders).await.len(), 3);
    drop(journal);
    assert_eq!(open(&disk).head(&orders).await.unwrap(), Some(position(3)));
}

/// B2.7
#[tokio::test]
async fn journal_that_its_reading_thread_drops_lets_go_of_the_directory() {
    let disk = FaultDisk::default();
    let (journal, mut cursor) = with_an_entry(&disk).await;
    let reads = disk.read_gate();
    reads.shut();
    drop_on_waking(
        journal,
        |_, context| {
            assert!(cursor.next().as_mut().poll(context).is_pending());
        },
        || reads.open(),
    );
    disk.until_unlocked();
    drop(open(&disk));
}

/// B2.7
#[tokio::test]
async fn journal_that_stopped_and_is_dropped_by_its_writer_lets_go_of_the_directory() {
    let disk = FaultDisk::default();
    let journal = open(&disk);
    let orders = name("orders");
    disk.until_spare_is_made();
    let gate = disk.sync_gate();
    gate.shut();
    let mut first = journal.append(&orders, position(1), batch(&["a"]));
    drop_on_waking(
        journal,
        |_, context| {
            gate.until_somebody_waits();
            assert!(first.as_mut().poll(context).is_pending());
            disk.fail_next(Kind::Sync);
        },
        || gate.open(),
    );
    first.await.unwrap_err();
    disk.until_unlocked();
    drop(open(&disk));
}

/// B2.7
#[tokio::test]
async fn reader_that_its_own_thread_drops_ends() {
    let disk = FaultDisk::default();
    let journal = open(&disk);
    let orders = name("orders");
    let options = small_segments();
    let reader = JournalReader::open_on(Arc::new(disk.clone()), DIR, options).unwrap();
    let mut cursor = reader.follow(&orders, position(1)).unwrap();
    let mut appended = None;
    drop_on_waking(
        reader,
        |_, context| {
            assert!(cursor.next().as_mut().poll(context).is_pending());
        },
        || appended = Some(journal.append(&orders, position(1), batch(&["a"]))),
    );
    appended.unwrap().await.unwrap();
    assert!(cursor.next().await.is_err(), "it is closed");
}

/// Holds a journal, and lets go of it when it is dropped itself.
struct Holder {
    gate: Gate,
    journal: Option<FileJournal>,
}

impl Wake for Holder {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Holder {
    fn drop(&mut self) {
        // Only now the journal's threads go on. It ends when they have said what they have to say.
        self.gate.open();
        drop(self.journal.take());
    }
}

/// Polls `future` twice while the journal's threads are held up at `gate`, the first time with a waker
/// that holds `journal` and goes with the second time.
fn replace_the_waker_that_holds<F: Future + ?Sized>(
    journal: FileJournal,
    gate: &Gate,
    mut future: Pin<&mut F>,
) {
    let journal = Some(journal);
    let holder = Waker::from(Arc::new(Holder {
        gate: gate.clone(),
        journal,
    }));
    let mut context = Context::from_waker(&holder);
    assert!(future.as_mut().poll(&mut context).is_pending());
    drop(holder);
    let mut context = Context::from_waker(Waker::noop());
    assert!(future.poll(&mut context).is_pending());
}

/// B1.1, B2.7
#[tokio::test]
async fn journal_that_goes_with_a_waker_of_an_append_tells_what_became_of_the_append() {
    let disk = FaultDisk::default();
    let journal = open(&disk);
    disk.until_spare_is_made();
    let gate = disk.sync_gate();
    gate.shut();
    let mut append = journal.append(&name("orders"), position(1), batch(&["a"]));
    gate.until_somebody_waits();
    replace_the_waker_that_holds(journal, &gate, append.as_mut());
    assert_eq!(append.await.unwrap(), position(1));
    drop(open(&disk));
}

/// B2.7
#[tokio::test]
async fn journal_that_goes_with_a_waker_of_a_read_ends() {
    let disk = FaultDisk::default();
    let (journal, mut cursor) = with_an_entry(&disk).await;
    let gate = disk.read_gate();
    gate.shut();
    let mut next = cursor.next();
    replace_the_waker_that_holds(journal, &gate, next.as_mut());
    drop(next);
    drop(cursor);
    disk.until_unlocked();
    drop(open(&disk));
}

/// B3.3
#[tokio::test]
async fn snapshots_that_their_own_thread_drops_end() {
    let disk = FaultDisk::default();
    let snapshots = FileSnapshots::open_on(Arc::new(disk.clone()), "/snapshots").unwrap();
    let (orders, state) = (name("orders"), Bytes::from_static(b"state"));
    let put = snapshots.put(&orders, position(7), state.clone());
    put.await.unwrap();
    let reads = disk.read_gate();
    reads.shut();
    let getting: BoxFuture<'static, _> = Box::pin(async move {
        let got = snapshots.get(&name("orders"), position(7)).await;
        (snapshots, got)
    });
    drop_on_waking(
        getting,
        |getting, context| assert!(getting.as_mut().poll(context).is_pending()),
        || reads.open(),
    );
    let snapshots = FileSnapshots::open_on(Arc::new(disk), "/snapshots").unwrap();
    assert_eq!(snapshots.get(&orders, position(7)).await.unwrap(), state);
}
