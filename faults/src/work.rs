//! The worker: a program that appends until it is stopped, and says what it was told.
//!
//! It reports a batch before it submits it, and again after its append was acknowledged, never
//! before. Each line is one write to the standard output, so what a killed worker said is whole.

use std::collections::VecDeque;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{AppendError, Batch as Entries, Disposition, Journal};
use refrain_core::{Name, Position};
use refrain_journal::{FileJournal, OpenError};
use tokio::task::JoinSet;

use crate::line::{Batch, Line};
use crate::lying_disk::LyingDisk;
use crate::order::{Door, Order};
use crate::payload::{self, Digest};
use crate::runtime_work;

/// How long a worker waits before it tries an append again that was refused for now.
const PAUSE: Duration = Duration::from_millis(5);

/// Batches between two that forget.
const FORGET_EVERY: u64 = 16;

/// Does what `order` says until a line comes in, the input ends, or all is done.
///
/// # Errors
/// When the journal cannot be opened; it is reported as well.
pub(crate) fn work(order: &Order) -> Result<(), String> {
    say(&Line::Process(own_id()));
    let told_to_end = watch_input();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|error| error.to_string())?;
    let done = match order.door {
        Door::Journal => runtime.block_on(through_journal(order, told_to_end)),
        Door::Runtime => runtime.block_on(runtime_work::through_runtime(order, told_to_end)),
    };
    match &done {
        Ok(()) => say(&Line::Closed),
        Err(reason) => say(&Line::NotOpened(reason.clone())),
    }
    done
}

fn own_id() -> i32 {
    i32::try_from(std::process::id()).expect("the kernel's process ids fit")
}

/// Prints one line; the standard output hands each on as one write.
pub(crate) fn say(line: &Line) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        // Nobody listens any more: the ring has ended, and so does its worker.
        std::process::exit(9);
    }
}

/// A flag that is set when a line comes in. When the input ends, whoever started this worker is
/// gone, and the worker ends at once.
fn watch_input() -> Arc<AtomicBool> {
    let told = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&told);
    std::thread::spawn(move || {
        let mut line = String::new();
        match std::io::stdin().lock().read_line(&mut line) {
            Ok(0) | Err(_) => std::process::exit(9),
            Ok(_) => flag.store(true, Ordering::Relaxed),
        }
    });
    told
}

/// Opens the journal of `order`, on a lying disk if it says so.
pub(crate) fn open(order: &Order) -> Result<FileJournal, OpenError> {
    match order.lie {
        Some(lie) => {
            let disk = Arc::new(LyingDisk::new(lie));
            FileJournal::open_on(disk, &order.dir, order.options())
        }
        None => FileJournal::open_with(&order.dir, order.options()),
    }
}

async fn through_journal(order: &Order, told_to_end: Arc<AtomicBool>) -> Result<(), String> {
    let journal = Arc::new(open(order).map_err(|error| chain(&error))?);
    say(&Line::Opened);
    let mut callers = JoinSet::new();
    for stream in 0..order.streams {
        let caller = Caller {
            journal: Arc::clone(&journal),
            name: stream_name(stream),
            stream,
            order: order.clone(),
            told_to_end: Arc::clone(&told_to_end),
        };
        callers.spawn(caller.run());
    }
    while callers.join_next().await.is_some() {}
    drop(journal);
    Ok(())
}

/// The name of the stream with this number.
pub(crate) fn stream_name(stream: u32) -> Name {
    Name::new(&format!("s{stream}")).expect("the name is short and plain")
}

/// An error with all that caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// One stream's caller.
struct Caller {
    journal: Arc<FileJournal>,
    name: Name,
    stream: u32,
    order: Order,
    told_to_end: Arc<AtomicBool>,
}

/// An append that is under way.
struct InFlight {
    batch: Batch,
    done: BoxFuture<'static, Result<Position, AppendError>>,
}

/// What a caller does after its appends in flight are settled.
enum Next {
    GoOn,
    TryAgain,
    End,
}

impl Caller {
    async fn run(self) {
        let mut submitted = 0;
        let mut next = self.next_position().await;
        let mut in_flight = VecDeque::new();
        loop {
            let ends = submitted >= self.order.appends || self.told_to_end.load(Ordering::Relaxed);
            if !ends && in_flight.len() < self.order.depth {
                let append = self.submit(next, submitted);
                next = append.batch.last() + 1;
                submitted += 1;
                in_flight.push_back(append);
                continue;
            }
            let Some(append) = in_flight.pop_front() else {
                return;
            };
            match self.settle(append).await {
                Next::GoOn => {
                    self.forget_sometimes(submitted, next).await;
                    self.rest().await;
                }
                Next::End => {
                    for append in in_flight.drain(..) {
                        self.settle(append).await;
                    }
                    return;
                }
                Next::TryAgain => {
                    for append in in_flight.drain(..) {
                        self.settle(append).await;
                    }
                    tokio::time::sleep(PAUSE).await;
                    next = self.next_position().await;
                }
            }
        }
    }

    /// The position after the head, which is reported: what was shown must stay.
    async fn next_position(&self) -> u64 {
        let head = match self.journal.head(&self.name).await {
            Ok(head) => head.map_or(0, Position::get),
            Err(_) => unreachable!("the embedded journal knows its heads"),
        };
        say(&Line::Head {
            stream: self.stream,
            head,
        });
        head + 1
    }

    /// One to three entries.
    fn submit(&self, first: u64, number: u64) -> InFlight {
        let mut entries = Entries::default();
        let mut digests = Vec::new();
        for position in first..=first + number % 3 {
            let Order {
                seed,
                entry_bytes_max,
                ..
            } = self.order;
            let bytes = payload::entry(seed, self.stream, position, entry_bytes_max);
            digests.push(Digest::of(&bytes));
            entries.push(&bytes);
        }
        let batch = Batch {
            stream: self.stream,
            first,
            digests,
        };
        say(&Line::Submitted(batch.clone()));
        let at = Position::new(first).expect("positions start at 1");
        let done = self.journal.append(&self.name, at, entries);
        InFlight { batch, done }
    }

    async fn settle(&self, append: InFlight) -> Next {
        let Batch { stream, first, .. } = append.batch;
        match append.done.await {
            Ok(position) => {
                assert_eq!(position.get(), append.batch.last(), "the batch is whole");
                say(&Line::Acknowledged(append.batch));
                Next::GoOn
            }
            Err(error) => {
                let is_unknown = matches!(error, AppendError::Unknown { .. });
                say(&if is_unknown {
                    Line::Unknown { stream, first }
                } else {
                    Line::Rejected {
                        stream,
                        first,
                        reason: error.to_string(),
                    }
                });
                match error.disposition() {
                    Disposition::Again => Next::TryAgain,
                    Disposition::Reject => unreachable!("the workload fits the journal: {error}"),
                    Disposition::Halt => Next::End,
                }
            }
        }
    }

    async fn rest(&self) {
        if self.order.pace_ms > 0 {
            tokio::time::sleep(Duration::from_millis(self.order.pace_ms)).await;
        }
    }

    async fn forget_sometimes(&self, submitted: u64, next: u64) {
        let Some(keep) = self.order.keep else { return };
        let every = FORGET_EVERY.min(keep);
        let depth_entries = 3 * self.order.depth as u64;
        let below = next.saturating_sub(keep + depth_entries);
        let (Some(position), true) = (Position::new(below), submitted.is_multiple_of(every)) else {
            return;
        };
        let stream = self.stream;
        say(&Line::Forgetting { stream, below });
        if self.journal.forget(&self.name, position).await.is_ok() {
            say(&Line::Forgotten { stream, below });
        }
    }
}
