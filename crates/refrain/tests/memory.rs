//! How much memory it takes, measured: a full inbox, a full ingress, and a recovery.
//!
//! Each measure has a control, without the bound, that is far above it. One binary of its own, because
//! the allocator that counts is everybody's; one measure at a time.

#![allow(clippy::unwrap_used, reason = "this is test code")]

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use futures_util::future::join_all;
use http::{Request, StatusCode};
use peak_alloc::PeakAlloc;
use refrain::{
    FileJournal, Handle, Journal, JournalOptions, Name, Never, Outbox, Position, Processor,
    Recording, Refrain, Remember,
};
use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{AppendError, Batch, Cursor, Durability, ReadError};
use refrain_http::Ingress;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const MIB: usize = 1024 * 1024;

/// The most memory that was in use above what was when `work` began, in bytes.
fn measure<T>(work: impl Future<Output = T>) -> (T, usize) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let done = runtime.block_on(work);
    (done, MEMORY.peak_usage().saturating_sub(before))
}

/// Counts texts and keeps none.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Counter {
    count: u64,
}

impl Processor for Counter {
    type Message = String;
    type Event = String;
    type Answer = u64;
    type Rejection = Never;
    const RECORDING: Recording = Recording::Identity;

    fn decide(&self, text: &String, out: &mut Outbox<Self>) -> Result<u64, Never> {
        out.event(text.clone());
        Ok(self.count + 1)
    }

    fn apply(&mut self, _: &String) {
        self.count += 1;
    }
}

/// A journal that takes appends as slowly as it is told to, and keeps nothing but their number.
#[derive(Debug, Clone)]
struct Slow {
    /// Appends that it may still take.
    may: Arc<Semaphore>,
    head: Arc<AtomicU64>,
}

impl Slow {
    fn new() -> Slow {
        Slow {
            may: Arc::new(Semaphore::new(1)),
            head: Arc::default(),
        }
    }
}

impl Journal for Slow {
    fn append(
        &self,
        _: &Name,
        at: Position,
        batch: Batch,
    ) -> BoxFuture<'static, Result<Position, AppendError>> {
        let last = at.get() + batch.len() as u64 - 1;
        let slow = self.clone();
        Box::pin(async move {
            let taken = slow.may.acquire().await.unwrap();
            taken.forget();
            drop(batch);
            slow.head.store(last, Ordering::Relaxed);
            Ok(Position::new(last).unwrap())
        })
    }

    fn read(&self, _: &Name, _: Position) -> BoxFuture<'_, Result<Box<dyn Cursor>, ReadError>> {
        unreachable!("nobody reads here")
    }

    fn follow(&self, _: &Name, _: Position) -> BoxFuture<'_, Result<Box<dyn Cursor>, ReadError>> {
        unreachable!("nobody reads here")
    }

    fn head(&self, _: &Name) -> BoxFuture<'_, Result<Option<Position>, ReadError>> {
        let head = Position::new(self.head.load(Ordering::Relaxed));
        Box::pin(std::future::ready(Ok(head)))
    }

    fn first(&self, _: &Name) -> BoxFuture<'_, Result<Option<Position>, ReadError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn streams(
        &self,
        _: &str,
        _: Option<&Name>,
        _: usize,
    ) -> BoxFuture<'_, Result<Vec<Name>, ReadError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn forget(&self, _: &Name, _: Position) -> BoxFuture<'_, Result<(), AppendError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn durability(&self) -> Durability {
        Durability::Memory
    }

    fn entry_bytes_max(&self) -> usize {
        8 * MIB
    }
}

async fn start(journal: &Slow, inbox: usize, inbox_bytes: u32) -> (Refrain, Handle<Counter>) {
    let refrain = Refrain::builder()
        .journal(journal.clone())
        .processor("counter", Counter::default())
        .inbox(inbox)
        .inbox_bytes(inbox_bytes)
        .start()
        .await
        .unwrap();
    let counter = refrain.processor::<Counter>("counter");
    (refrain, counter)
}

/// Lets everything happen that can happen without the journal.
async fn let_all_happen() {
    for _ in 0..20_000 {
        tokio::task::yield_now().await;
    }
}

const SENDERS: u64 = 64;
const EACH: u64 = 150;
const TEXT_BYTES: usize = 16 * 1024;

/// 64 senders with 150 MiB between them, before a journal that stands still and then crawls. Gives how
/// many texts were handled.
async fn hammer(inbox: usize, inbox_bytes: u32) -> u64 {
    let journal = Slow::new();
    let (refrain, counter) = start(&journal, inbox, inbox_bytes).await;
    let mut senders = JoinSet::new();
    for _ in 0..SENDERS {
        let counter = counter.clone();
        senders.spawn(async move {
            for _ in 0..EACH {
                counter.tell("x".repeat(TEXT_BYTES)).await.unwrap();
            }
        });
    }
    let_all_happen().await;
    // One append, and then what can happen.
    let crawl = async {
        loop {
            journal.may.add_permits(1);
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        }
    };
    let all = async {
        while senders.join_next().await.is_some() {}
        counter.query(|counter| counter.count).await.unwrap()
    };
    let handled = tokio::select! {
        handled = all => handled,
        () = crawl => unreachable!("it crawls for ever"),
    };
    drop(refrain);
    handled
}

/// B1.10
#[test]
fn memory_stays_within_the_inbox_however_much_is_sent_to_a_slow_journal() {
    let (handled, bounded) = measure(hammer(8192, 4 * MIB as u32));
    assert_eq!(handled, SENDERS * EACH, "nothing was dropped");
    assert!(bounded < 40 * MIB, "{bounded} bytes");
    // The control: an inbox without a bound in bytes takes all of it.
    let (handled, unbounded) = measure(hammer(1_000_000, u32::MAX));
    assert_eq!(handled, SENDERS * EACH);
    assert!(unbounded > 140 * MIB, "{unbounded} bytes");
}

const REQUESTS: usize = 3000;

/// Three thousand requests of 16 KiB at once, before a journal that stands still and then goes on.
/// Gives how many were taken, refused and handled.
async fn hammer_by_http(
    bodies_bytes: usize,
    inbox: usize,
    inbox_bytes: u32,
) -> (usize, usize, u64) {
    let journal = Slow::new();
    let (refrain, counter) = start(&journal, inbox, inbox_bytes).await;
    let ingress = Ingress::<Counter>::new(Arc::new(counter.clone()), "/texts");
    let ingress = ingress.bodies_bytes_max(bodies_bytes);
    let requests = (0..REQUESTS).map(|_| async {
        let body = format!("{:?}", "x".repeat(TEXT_BYTES));
        let request = Request::post("/texts").header("content-type", "application/json");
        let request = request.body(Body::from(body)).unwrap();
        ingress.handle(request).await
    });
    let release = async {
        let_all_happen().await;
        journal.may.add_permits(Semaphore::MAX_PERMITS / 2);
    };
    let (responses, ()) = tokio::join!(join_all(requests), release);
    let count = |status| responses.iter().filter(|of| of.status() == status).count();
    let (taken, refused) = (
        count(StatusCode::OK),
        count(StatusCode::SERVICE_UNAVAILABLE),
    );
    for response in &responses {
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            assert!(response.headers().contains_key("retry-after"));
        }
    }
    let handled = counter.query(|counter| counter.count).await.unwrap();
    drop(refrain);
    (taken, refused, handled)
}

/// B1.10
#[test]
fn memory_stays_within_the_bounds_of_the_ingress_and_what_is_not_taken_is_told() {
    let many = u32::MAX;
    let by_bodies = || hammer_by_http(2 * MIB, 1_000_000, many);
    let by_inbox = || hammer_by_http(1024 * MIB, 1_000_000, 2 * MIB as u32);
    for ((taken, refused, handled), bounded) in [measure(by_bodies()), measure(by_inbox())] {
        assert!((100..=300).contains(&taken), "{taken}");
        assert_eq!(taken + refused, REQUESTS, "each was told something");
        assert_eq!(handled, taken as u64, "the others were not handled");
        assert!(bounded < 40 * MIB, "{bounded} bytes");
    }
    // The control: without bounds, all of it is in memory, more than once.
    let ((taken, _, _), unbounded) = measure(hammer_by_http(1024 * MIB, 1_000_000, many));
    assert_eq!(taken, REQUESTS);
    assert!(unbounded > 60 * MIB, "{unbounded} bytes");
}

/// Writes so many entries of 4 KiB, and leaves the compaction of them to others.
async fn write(directory: &std::path::Path, entries: usize) {
    let refrain = recover(directory, 0).await;
    let counter = refrain.processor::<Counter>("counter");
    for _ in 0..entries / 500 {
        let texts = vec!["x".repeat(4096); 500];
        counter.tell_all(texts).await.unwrap();
        counter.query(|counter| counter.count).await.unwrap();
    }
    refrain.drain().await;
}

/// The memory of handled messages is part of the state and would grow with their number: here it is
/// short.
async fn recover(directory: &std::path::Path, compaction_bytes_per_second: u64) -> Refrain {
    let options =
        JournalOptions::default().compaction_bytes_per_second(compaction_bytes_per_second);
    Refrain::builder()
        .journal(FileJournal::open_with(directory, options).unwrap())
        .processor("counter", Counter::default())
        .remember(Remember {
            count: 100,
            ..Remember::default()
        })
        .start()
        .await
        .unwrap()
}

/// What a recovery of what is in `directory` takes, and the entries that it read.
fn recovery(directory: &std::path::Path, compaction_bytes_per_second: u64) -> (u64, usize) {
    measure(async {
        let refrain = recover(directory, compaction_bytes_per_second).await;
        let counter = refrain.processor::<Counter>("counter");
        counter.query(|counter| counter.count).await.unwrap()
    })
}

/// Reads the whole stream into memory, as a recovery that is pushed would.
async fn read_all(directory: &std::path::Path) -> usize {
    let options = JournalOptions::default().compaction_bytes_per_second(0);
    let journal = FileJournal::open_with(directory, options).unwrap();
    let stream = Name::new("counter").unwrap();
    let mut cursor = journal.read(&stream, Position::FIRST).await.unwrap();
    let mut chunks = Vec::new();
    while let Some(chunk) = cursor.next().await.unwrap() {
        chunks.push(chunk);
    }
    chunks.iter().map(|chunk| chunk.entries().count()).sum()
}

/// B2.5
#[test]
fn recovery_takes_as_much_memory_for_a_long_history_as_for_a_short_one() {
    let mut peaks = Vec::new();
    for entries in [2500, 20_000] {
        let directory = tempfile::tempdir().unwrap();
        measure(write(directory.path(), entries));
        let (count, peak) = recovery(directory.path(), 0);
        assert_eq!(count, entries as u64);
        assert!(peak < 12 * MIB, "{peak} bytes for {entries} entries");
        peaks.push(peak);
        if entries == 20_000 {
            // The control: all of it at once is ten times as much.
            let (read, all) = measure(read_all(directory.path()));
            assert!(read >= entries);
            assert!(all > 75 * MIB, "{all} bytes");
            // Compaction, which begins when the journal is opened, adds no more than it may hold.
            let (count, beside) = recovery(directory.path(), u64::MAX);
            assert_eq!(count, entries as u64);
            assert!(beside < 36 * MIB, "{beside} bytes with compaction");
        }
    }
    let [short, long] = peaks[..] else {
        unreachable!()
    };
    // How far reading is ahead of the replay is a matter of luck: by eight chunks of 256 KiB at most.
    assert!(
        long < short + 3 * MIB,
        "{short} bytes, and {long} for eight times as many entries"
    );
}
