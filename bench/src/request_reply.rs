//! Durable request-reply: a message whose request reaches a destination after its step is durable,
//! and whose reply is recorded by a second step.
//!
//! An exchange is over when that second step is durable. Nobody is told so by the runtime, so one
//! observer queries the state, which like everything told waits until it is durable, and wakes the
//! callers whose exchanges it finds settled. Its query is part of what is measured.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use refrain::{
    Attempted, Delivery, Destination, Encoding, Handle, RedeliveryPolicy, Refrain, Reply,
};
use refrain_core::ChannelOptions;
use refrain_core::port::BoxFuture;
use refrain_journal::FileJournal;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::callers::{Caller, run};
use crate::drive::{Keep, Sent};
use crate::effort::{Assignment, Failure};
use crate::exchange::{Begin, CHARGING, Charged, Exchanges};
use crate::ledger::{Dice, encoded};
use crate::memory::{begin, exchanges, mean_bytes};
use crate::reference::{Load, bare_leader, bare_writer};
use crate::report::{Bytes as BytesOf, Row, Table};
use crate::turns::{Side, row};

const EXCHANGES: &str = "exchanges";

/// Deliveries under way at once on an unordered channel.
const WINDOW: u32 = 256;

/// How the channel delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivers {
    Unordered,
    Strictly,
}

/// Replies at once, in the same process.
#[derive(Debug)]
struct AtOnce {
    reply: Bytes,
    replies: Arc<Replies>,
}

/// What the observer hears of the destination.
#[derive(Debug, Default)]
struct Replies {
    count: AtomicU64,
    more: Notify,
}

impl Destination for AtOnce {
    fn deliver(&self, _: Delivery) -> BoxFuture<'_, Attempted> {
        self.replies.count.fetch_add(1, Ordering::Release);
        self.replies.more.notify_one();
        let reply = Reply::new(Encoding::Cbor, self.reply.clone());
        Box::pin(std::future::ready(Attempted::Replied(reply)))
    }
}

/// One side of an exchange each: begins it, and waits until its slot is found settled.
struct Exchanging {
    handle: Handle<Exchanges>,
    slots: Arc<[Notify]>,
    slot: usize,
    dice: Dice,
}

impl Caller for Exchanging {
    async fn call(&mut self) -> u64 {
        let message = Begin {
            slot: self.slot as u32,
            cents: self.dice.deposit().cents,
        };
        let begun = self.handle.ask(message).await;
        begun.expect("the processor runs");
        self.slots[self.slot].notified().await;
        1
    }
}

/// Looks at the state after replies, until all of them are settled, and wakes whoever waits for one.
async fn observe(handle: Handle<Exchanges>, replies: Arc<Replies>, slots: Arc<[Notify]>) {
    let mut seen = 0;
    loop {
        replies.more.notified().await;
        while seen < replies.count.load(Ordering::Acquire) {
            let looked = handle.query(move |state| state.settled_after(seen)).await;
            let Ok((settled, woken)) = looked else {
                return;
            };
            seen = settled;
            for slot in woken {
                slots[slot as usize].notify_one();
            }
        }
    }
}

/// Measures exchanges one after the other and many at once.
///
/// # Errors
/// When the journal or the references cannot be made.
pub(crate) fn measure(assignment: &Assignment) -> Result<Table, Failure> {
    let mut rows = Vec::new();
    for (order, levels) in [
        (Delivers::Unordered, [1, 256, 4096].as_slice()),
        (Delivers::Strictly, &[1, 16]),
    ] {
        for level in assignment.effort.levels(levels) {
            rows.push(measure_level(assignment, order, level)?);
        }
    }
    Ok(Table {
        name: "request-reply",
        title: "Durable request-reply, to a destination in the same process that replies at once",
        notes: NOTES.map(str::to_owned).to_vec(),
        rows,
        verdicts: Vec::new(),
    })
}

const NOTES: [&str; 4] = [
    "From the message to the durable settlement of its request: the step is synced, the request leaves, the reply's step is synced.",
    "The end is found by a query of the state, and the caller is woken twice; both are included.",
    "bare writer: the same callers write and sync the bytes of the first step, wait, and then those of the second.",
    "bare leader: a lone caller does so by itself: two syncs. A strict channel has one exchange under way, however many wait.",
];

fn measure_level(assignment: &Assignment, order: Delivers, level: usize) -> Result<Row, Failure> {
    let scratch = assignment.scratch()?;
    let replies = Arc::new(Replies::default());
    let refrain = start(assignment, scratch.path(), order, &replies)?;
    let handle = refrain.processor::<Exchanges>(EXCHANGES);
    let slots: Arc<[Notify]> = std::iter::repeat_with(Notify::new).take(level).collect();
    let mut observer = JoinSet::new();
    let observing = observe(handle.clone(), replies, Arc::clone(&slots));
    observer.spawn_on(observing, assignment.runtime.handle());
    let (bytes, steps) = bytes_per_exchange();
    let sends: Side<'_> = Box::new(|span| {
        let caller = |slot| Exchanging {
            handle: handle.clone(),
            slots: Arc::clone(&slots),
            slot,
            dice: Dice::new(slot as u64),
        };
        let callers = (0..level).map(caller).collect();
        let run = assignment.runtime.block_on(run(callers, span));
        assignment.wrote(run.operations as f64 * bytes.stored);
        run
    });
    let (name, load) = match order {
        Delivers::Strictly => ("strict", Load::of_records(1, &steps)),
        Delivers::Unordered => ("unordered, window 256", Load::of_records(level, &steps)),
    };
    let mut references = vec![bare_writer(assignment, scratch.path(), &load)?];
    if load.callers == 1 {
        references.push(bare_leader(assignment, scratch.path(), &load)?);
    }
    let measured = row(&assignment.effort, (name, "exchanges"), sends, references);
    assignment.runtime.block_on(refrain.drain());
    Ok(measured.in_flight(level).bytes(bytes))
}

fn start(
    assignment: &Assignment,
    dir: &Path,
    order: Delivers,
    replies: &Arc<Replies>,
) -> Result<Refrain, Failure> {
    let options = ChannelOptions::from(RedeliveryPolicy::default());
    let options = match order {
        Delivers::Unordered => options.unordered(WINDOW),
        Delivers::Strictly => options,
    };
    let destination = AtOnce {
        reply: encoded(&Charged { receipt: 4711 }),
        replies: Arc::clone(replies),
    };
    let starting = Refrain::builder()
        .journal(FileJournal::open(dir.join("journal"))?)
        .processor(EXCHANGES, Exchanges::new())
        .destination(&CHARGING, destination, options)
        .start();
    Ok(assignment.runtime.block_on(starting)?)
}

/// What one exchange costs: in all, and in each of its two steps.
fn bytes_per_exchange() -> (BytesOf, [f64; 2]) {
    const SAMPLE: u32 = 1000;
    let mut drive = exchanges(Keep::Entries);
    let mut dice = Dice::new(7);
    for _ in 0..SAMPLE {
        drive.message(dice.drawn(), begin(&mut dice), Sent::Asked);
        drive.settle();
    }
    let steps = drive.into_chunks();
    // The first entry says who writes; then steps of messages and of outcomes take turns.
    let mut sums = [0.0; 2];
    for (position, step) in steps.iter().flat_map(|chunk| chunk.entries()).skip(1) {
        sums[position.get() as usize % 2] += step.len() as f64;
    }
    let mean = sums.map(|sum| sum / f64::from(SAMPLE));
    (BytesOf::new(mean_bytes(begin), mean[0] + mean[1]), mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_has_two_steps_and_only_the_first_holds_an_envelope() {
        let (bytes, [first, second]) = bytes_per_exchange();
        assert_eq!(bytes.stored, first + second);
        assert!(first > second, "{first} {second}");
    }
}
