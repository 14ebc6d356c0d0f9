//! Messages per second of one processor on one thread, in memory: the engine alone.
//!
//! Nothing is written. Each message is decided, its event encoded, the entry made, folded and
//! applied, as it is before an append; every batch is then durable at once.

use refrain_core::limit::REMEMBERED_DEFAULT;
use refrain_core::{ChannelOptions, MessageId, Name, Processor, RedeliveryPolicy};
use serde::Serialize;

use crate::alone::repeat;
use crate::drive::{BATCH_MESSAGES, Drive, Keep, Sent};
use crate::effort::Assignment;
use crate::exchange::{Begin, CHARGING, Charged, Exchanges};
use crate::ledger::{Answering, Deposit, Dice, Ledger, Plain, Recorded, Variant, encoded};
use crate::report::{Bytes as BytesOf, Row, Table};
use crate::turns::Runs;

/// Messages that are handled before anything is measured.
const WARM_UP_MESSAGES: usize = 10_000;

/// As many where identities are remembered: more than the window holds, so that each new one pushes
/// an old one out.
const FULL_WINDOW_MESSAGES: usize = REMEMBERED_DEFAULT + WARM_UP_MESSAGES;

/// Makes the identity of the next message.
type Identity = fn(&Name, u64, &mut Dice) -> MessageId;

/// One row: handles messages until the run is over.
trait Handles {
    fn batch(&mut self);
    fn bytes(&self) -> Option<BytesOf>;
}

/// A drive with messages for it.
struct Feed<P: Processor> {
    drive: Drive<P>,
    source: Name,
    number: u64,
    dice: Dice,
    identity: Identity,
    sent: Sent,
    message: fn(&mut Dice) -> P::Message,
    /// The mean of the encoded messages.
    message_bytes: f64,
}

impl<P: Processor> Feed<P>
where
    P::Message: Serialize,
{
    fn new(
        drive: Drive<P>,
        identity: Identity,
        sent: Sent,
        message: fn(&mut Dice) -> P::Message,
    ) -> Box<Feed<P>> {
        let mut feed = Feed {
            drive,
            source: Name::new("upstream").expect("letters make a name"),
            number: 0,
            dice: Dice::new(7),
            identity,
            sent,
            message,
            message_bytes: mean_bytes(message),
        };
        feed.warm_up(WARM_UP_MESSAGES);
        Box::new(feed)
    }

    fn warm_up(&mut self, messages: usize) {
        for _ in 0..messages.div_ceil(BATCH_MESSAGES) {
            self.batch();
        }
    }
}

impl<P: Processor> Handles for Feed<P> {
    fn batch(&mut self) {
        for _ in 0..BATCH_MESSAGES {
            self.number += 1;
            let id = (self.identity)(&self.source, self.number, &mut self.dice);
            let message = (self.message)(&mut self.dice);
            self.drive.message(id, message, self.sent);
        }
        self.drive.settle();
    }

    fn bytes(&self) -> Option<BytesOf> {
        let stored = self.drive.bytes() as f64 / self.number as f64;
        Some(BytesOf::new(self.message_bytes, stored))
    }
}

/// The state change alone: what would remain if Refrain cost nothing.
struct Loop {
    ledger: Ledger<Plain>,
    dice: Dice,
}

impl Loop {
    fn new() -> Box<Loop> {
        Box::new(Loop {
            ledger: Ledger::new(),
            dice: Dice::new(7),
        })
    }
}

impl Handles for Loop {
    fn batch(&mut self) {
        for _ in 0..BATCH_MESSAGES {
            self.ledger.deposit(self.dice.deposit());
        }
        std::hint::black_box(&self.ledger);
    }

    fn bytes(&self) -> Option<BytesOf> {
        None
    }
}

fn sequenced(source: &Name, number: u64, _: &mut Dice) -> MessageId {
    MessageId::Sequenced {
        source: source.clone(),
        number,
    }
}

fn drawn(_: &Name, _: u64, dice: &mut Dice) -> MessageId {
    dice.drawn()
}

fn given(source: &Name, number: u64, _: &mut Dice) -> MessageId {
    let id = format!("deposit-{number}");
    MessageId::given(source.as_str(), &id).expect("the id is short")
}

fn ledger<V: Variant>(identity: Identity, sent: Sent) -> Box<Feed<Ledger<V>>> {
    let drive = Drive::begin(Ledger::<V>::new(), Vec::new(), Keep::Nothing);
    Feed::new(drive, identity, sent, Dice::deposit)
}

/// A ledger whose window of identities is full.
fn remembering(identity: Identity) -> Box<Feed<Ledger<Plain>>> {
    let mut feed = ledger::<Plain>(identity, Sent::Told);
    feed.warm_up(FULL_WINDOW_MESSAGES);
    feed
}

/// An engine whose destination replies to every request at once.
pub(crate) fn exchanges(keep: Keep) -> Drive<Exchanges> {
    let reply = encoded(&Charged { receipt: 4711 });
    let options = ChannelOptions::from(RedeliveryPolicy::default()).unordered(256);
    let channels = vec![(CHARGING.name(), options)];
    Drive::begin(Exchanges::new(), channels, keep).replying(reply)
}

/// The next exchange to begin.
pub(crate) fn begin(dice: &mut Dice) -> Begin {
    let Deposit { account, cents } = dice.deposit();
    Begin {
        slot: account,
        cents,
    }
}

/// The mean encoded size of messages.
pub(crate) fn mean_bytes<M: Serialize>(message: fn(&mut Dice) -> M) -> f64 {
    const SAMPLE: usize = 1000;
    let mut dice = Dice::new(7);
    let sizes = (0..SAMPLE).map(|_| encoded(&message(&mut dice)).len());
    sizes.sum::<usize>() as f64 / SAMPLE as f64
}

/// Measures all rows, one run of each after the other.
pub(crate) fn measure(assignment: &Assignment) -> Table {
    let charging = Feed::new(exchanges(Keep::Nothing), sequenced, Sent::Told, begin);
    let mut rows: Vec<(&str, Box<dyn Handles>)> = vec![
        ("in-order source", ledger::<Plain>(sequenced, Sent::Told)),
        ("and an answer", ledger::<Answering>(sequenced, Sent::Asked)),
        (
            "and the message recorded",
            ledger::<Recorded>(sequenced, Sent::Told),
        ),
        ("identity drawn (16 bytes)", remembering(drawn)),
        ("identity given (two texts)", remembering(given)),
        ("one request and its reply", charging),
        ("the state change alone", Loop::new()),
    ];
    let mut runs: Vec<Runs> = rows.iter().map(|_| Runs::default()).collect();
    for _ in 0..assignment.effort.runs {
        for ((_, row), runs) in rows.iter_mut().zip(&mut runs) {
            let run = repeat(assignment.effort.run(), || {
                row.batch();
                BATCH_MESSAGES as u64
            });
            runs.add(&run);
        }
    }
    let table: Vec<Row> = rows
        .iter()
        .zip(runs)
        .map(|((name, row), runs)| Row::new(*name, "messages", runs.measured()).bytes(row.bytes()))
        .collect();
    Table {
        name: "memory",
        title: "One processor on one thread, in memory",
        notes: NOTES.map(str::to_owned).to_vec(),
        rows: table,
        verdicts: Vec::new(),
    }
}

const NOTES: [&str; 4] = [
    "The engine is driven directly, in batches of 256: no I/O, no tasks, every entry durable at once. cpu ns: time of a processor.",
    "Each row makes the message and its identity, decides, encodes and applies one event, and makes the entry.",
    "Rows differ from the first one only as they say. Foreign identities (drawn, given) fill a window of 100,000.",
    "A request and its reply are two entries and two calls of user code; bytes are of both.",
];
