//! Durable messages per second through the runtime and the embedded journal.
//!
//! Callers send and wait until their step is durable, in one of three ways. The bare writer has the
//! same callers, who submit as many bytes as an entry has and wait for the same kind of wake-up.

use refrain::{Handle, Refrain};
use refrain_journal::FileJournal;

use crate::callers::{Caller, run};
use crate::drive::{Drive, Keep, Sent};
use crate::effort::{Assignment, Failure};
use crate::ledger::{Answering, Deposit, Dice, Ledger, Plain, Variant};
use crate::memory::mean_bytes;
use crate::reference::{Load, bare_leader, bare_writer};
use crate::report::{Bytes, Row, Table};
use crate::turns::{Side, row};

/// Callers of `ask_all`, who share what is in flight: more than one, so that some send while others
/// wait.
const BATCH_CALLERS: usize = 4;

/// Operations in flight, of callers with one each.
const LEVELS: [usize; 4] = [1, 16, 256, 4096];

/// The name of the only processor.
const LEDGER: &str = "ledger";

/// Sends one message at a time with [`Handle::tell_durable`].
struct Tells(Handle<Ledger<Plain>>, Dice);

/// Sends one message at a time with [`Handle::ask`].
struct Asks(Handle<Ledger<Answering>>, Dice);

/// Sends several messages at a time with [`Handle::ask_all`].
struct AsksAll {
    handle: Handle<Ledger<Answering>>,
    dice: Dice,
    count: usize,
}

impl Caller for Tells {
    async fn call(&mut self) -> u64 {
        let told = self.0.tell_durable(self.1.deposit()).await;
        told.expect("the processor runs");
        1
    }
}

impl Caller for Asks {
    async fn call(&mut self) -> u64 {
        let told = self.0.ask(self.1.deposit()).await;
        std::hint::black_box(told.expect("the processor runs"));
        1
    }
}

impl Caller for AsksAll {
    async fn call(&mut self) -> u64 {
        let messages: Vec<Deposit> = (0..self.count).map(|_| self.dice.deposit()).collect();
        let told = self.handle.ask_all(messages).await;
        let told = told.expect("the processor runs");
        assert!(told.iter().all(Result::is_ok), "every message is answered");
        told.len() as u64
    }
}

/// How callers send, and what one call stands for.
struct Way {
    name: &'static str,
    callers: usize,
    messages_per_call: usize,
}

/// Measures every way of sending at every number of messages in flight.
///
/// # Errors
/// When the journal or the references cannot be made.
pub(crate) fn measure(assignment: &Assignment) -> Result<Table, Failure> {
    let mut rows = Vec::new();
    for level in assignment.effort.levels(&LEVELS) {
        let one_each = |name| Way {
            name,
            callers: level,
            messages_per_call: 1,
        };
        let tell = |handle: &Handle<_>, seed| Tells(handle.clone(), Dice::new(seed));
        rows.push(measure_way(assignment, &one_each("tell_durable"), tell)?);
        let ask = |handle: &Handle<_>, seed| Asks(handle.clone(), Dice::new(seed));
        rows.push(measure_way(assignment, &one_each("ask"), ask)?);
        if level < BATCH_CALLERS {
            continue;
        }
        let count = level / BATCH_CALLERS;
        let together = Way {
            name: "ask_all",
            callers: BATCH_CALLERS,
            messages_per_call: count,
        };
        let ask_all = |handle: &Handle<_>, seed| AsksAll {
            handle: handle.clone(),
            dice: Dice::new(seed),
            count,
        };
        rows.push(measure_way(assignment, &together, ask_all)?);
    }
    Ok(Table {
        name: "durable",
        title: "Durable messages through the runtime, on the embedded journal",
        notes: NOTES.map(str::to_owned).to_vec(),
        rows,
        verdicts: Vec::new(),
    })
}

const NOTES: [&str; 4] = [
    "Callers wait until their step survives a loss of power; at n in flight there are n callers with one message each.",
    "ask_all: 4 callers, who send a quarter of what is in flight at a time.",
    "bare writer: the same callers, wake-ups and bytes, one thread, one write and one sync for all that wait.",
    "bare leader: a lone caller that writes and syncs by itself. Latencies are those of the first 16 callers.",
];

fn measure_way<V: Variant, C: Caller>(
    assignment: &Assignment,
    way: &Way,
    caller: impl Fn(&Handle<Ledger<V>>, u64) -> C,
) -> Result<Row, Failure> {
    let scratch = assignment.scratch()?;
    let bytes = bytes_per_message::<V>();
    let journal = FileJournal::open(scratch.path().join("journal"))?;
    let builder = Refrain::builder().journal(journal);
    let started = assignment
        .runtime
        .block_on(builder.processor(LEDGER, Ledger::<V>::new()).start());
    let refrain = started?;
    let handle = refrain.processor::<Ledger<V>>(LEDGER);
    let sends: Side<'_> = Box::new(|span| {
        let callers = (0..way.callers).map(|seed| caller(&handle, seed as u64));
        let run = assignment.runtime.block_on(run(callers.collect(), span));
        assignment.wrote(run.operations as f64 * bytes.stored);
        run
    });
    let call_bytes = bytes.stored * way.messages_per_call as f64;
    let load = Load {
        operations: way.messages_per_call as u64,
        ..Load::of_records(way.callers, &[call_bytes])
    };
    let in_flight = way.callers * way.messages_per_call;
    let mut references = vec![bare_writer(assignment, scratch.path(), &load)?];
    if in_flight == 1 {
        references.push(bare_leader(assignment, scratch.path(), &load)?);
    }
    let measured = row(
        &assignment.effort,
        (way.name, "messages"),
        sends,
        references,
    );
    assignment.runtime.block_on(refrain.drain());
    Ok(measured.in_flight(in_flight).bytes(bytes))
}

/// What one message costs, from the entries of an engine in memory.
fn bytes_per_message<V: Variant>() -> Bytes {
    const SAMPLE: u32 = 1000;
    let mut drive = Drive::begin(Ledger::<V>::new(), Vec::new(), Keep::Nothing);
    let mut dice = Dice::new(7);
    for _ in 0..SAMPLE {
        drive.message(dice.drawn(), dice.deposit(), Sent::Asked);
    }
    drive.settle();
    let stored = drive.bytes() as f64 / f64::from(SAMPLE);
    Bytes::new(mean_bytes(Dice::deposit), stored)
}
