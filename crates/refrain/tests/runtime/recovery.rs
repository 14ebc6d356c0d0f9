//! What a start does, and what waits for it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use refrain::{History, Journal, MemoryJournal, Name, Position, Refrain, Signal};
use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{AppendError, Batch, Chunk, Cursor, Durability, ReadError};

use crate::till::{Say, Till, start};
use crate::waiting::{signal, still_waits};

/// B2.3
#[tokio::test(start_paused = true)]
async fn messages_that_come_during_recovery_wait_and_are_handled_after_it() {
    let journal = MemoryJournal::new();
    let refrain = start(&journal).await;
    let till = refrain.processor::<Till>("till");
    till.ask(Say::Add(1)).await.unwrap();
    refrain.drain().await;

    journal.hold();
    let refrain = Refrain::builder()
        .journal(journal.clone())
        .processor("till", Till::default())
        .launch()
        .unwrap();
    let till = refrain.processor::<Till>("till");
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
    let journal = MemoryJournal::new();
    let refrain = start(&journal).await;
    let till = refrain.processor::<Till>("till");
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
    let journal = MemoryJournal::new();
    let refrain = start(&journal).await;
    let till = refrain.processor::<Till>("till");
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

/// B2.6
#[tokio::test(start_paused = true)]
async fn progress_of_a_recovery_is_told_and_can_be_asked_for() {
    let journal = MemoryJournal::new();
    let refrain = start(&journal).await;
    let till = refrain.processor::<Till>("till");
    till.ask_all(vec![Say::Add(1); 10]).await.unwrap();
    refrain.drain().await;

    let refrain = Refrain::builder()
        .journal(journal)
        .processor("till", Till::default())
        .launch()
        .unwrap();
    let mut events = refrain.events();
    let told = signal(&mut events, |told| {
        matches!(told, Signal::Recovering { .. })
    });
    let Signal::Recovering {
        entries, remaining, ..
    } = told.await
    else {
        unreachable!()
    };
    assert_eq!((entries, remaining), (0, 11));
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
}

/// A journal whose reads cannot be served for a while is waited for.
#[tokio::test(start_paused = true)]
async fn journal_that_cannot_be_read_is_tried_again_visibly() {
    let journal = MemoryJournal::new();
    let watched = Watched::new(journal);
    *watched.failures.lock().unwrap() = 3;
    let refrain = Refrain::builder()
        .journal(watched)
        .processor("till", Till::default())
        .launch()
        .unwrap();
    let mut events = refrain.events();
    signal(&mut events, |told| matches!(told, Signal::Waiting { .. })).await;
    let till = refrain.processor::<Till>("till");
    assert_eq!(till.ask(Say::Add(1)).await.unwrap(), 1);
}

/// The time of a stream never goes back, and a clock that does delays nothing.
#[tokio::test(start_paused = true)]
async fn clock_that_was_set_back_delays_no_redelivery() {
    let mut desk = crate::desk::World::new();
    desk.letters.change_script(
        [refrain_testkit::Act::fail("busy")],
        refrain_testkit::Act::reply(""),
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

/// A journal that sees what its readers hold, and that cannot be reached at first.
#[derive(Debug, Clone)]
struct Watched {
    journal: MemoryJournal,
    /// Bytes of each chunk that was read.
    chunks: Arc<Mutex<Vec<usize>>>,
    failures: Arc<Mutex<u32>>,
}

impl Watched {
    fn new(journal: MemoryJournal) -> Watched {
        Watched {
            journal,
            chunks: Arc::default(),
            failures: Arc::default(),
        }
    }
}

#[derive(Debug)]
struct WatchedCursor {
    inner: Box<dyn Cursor>,
    before: Option<Bytes>,
    chunks: Arc<Mutex<Vec<usize>>>,
}

impl Cursor for WatchedCursor {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Chunk>, ReadError>> {
        Box::pin(async {
            if let Some(before) = self.before.take() {
                assert!(before.is_unique(), "the chunk before is still held");
            }
            let chunk = self.inner.next().await?;
            if let Some(chunk) = &chunk {
                self.before = chunk.entry(chunk.first());
                let bytes = chunk.entries().map(|(_, entry)| entry.len()).sum();
                self.chunks.lock().unwrap().push(bytes);
            }
            Ok(chunk)
        })
    }
}

impl Journal for Watched {
    fn append(
        &self,
        stream: &Name,
        at: Position,
        batch: Batch,
    ) -> BoxFuture<'static, Result<Position, AppendError>> {
        self.journal.append(stream, at, batch)
    }

    fn read(
        &self,
        stream: &Name,
        from: Position,
    ) -> BoxFuture<'_, Result<Box<dyn Cursor>, ReadError>> {
        let stream = stream.clone();
        Box::pin(async move {
            let inner = self.journal.read(&stream, from).await?;
            Ok(Box::new(WatchedCursor {
                inner,
                before: None,
                chunks: self.chunks.clone(),
            }) as Box<dyn Cursor>)
        })
    }

    fn follow(
        &self,
        stream: &Name,
        from: Position,
    ) -> BoxFuture<'_, Result<Box<dyn Cursor>, ReadError>> {
        self.journal.follow(stream, from)
    }

    fn head(&self, stream: &Name) -> BoxFuture<'_, Result<Option<Position>, ReadError>> {
        let mut failures = self.failures.lock().unwrap();
        if *failures > 0 {
            *failures -= 1;
            let error = ReadError::Unavailable("the connection is gone".to_owned());
            return Box::pin(std::future::ready(Err(error)));
        }
        self.journal.head(stream)
    }

    fn first(&self, stream: &Name) -> BoxFuture<'_, Result<Option<Position>, ReadError>> {
        self.journal.first(stream)
    }

    fn streams(
        &self,
        prefix: &str,
        after: Option<&Name>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Name>, ReadError>> {
        self.journal.streams(prefix, after, limit)
    }

    fn forget(&self, stream: &Name, below: Position) -> BoxFuture<'_, Result<(), AppendError>> {
        self.journal.forget(stream, below)
    }

    fn durability(&self) -> Durability {
        self.journal.durability()
    }

    fn entry_bytes_max(&self) -> usize {
        self.journal.entry_bytes_max()
    }
}
