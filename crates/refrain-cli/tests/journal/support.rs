//! A journal as a program leaves it, and a way to run the command line on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use refrain::port::journal::{Batch, Journal};
use refrain::{
    Attempted, Channels, Delivery, FileJournal, JournalOptions, Name, Never, OpenError, Outbox,
    Outcome, Position, Processor, RedeliveryPolicy, Refrain, Reply, RequestReply,
    ServiceDestination, Settlement,
};
use refrain_journal::inspect::{FindingKind, Inspector};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Bytes that would clear a terminal, and turn the direction of writing.
pub(crate) const HOSTILE: &str = "\x1b[2J\u{9b}2J\u{202e}\x07";

#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Orders {
    stored: u64,
    good: u64,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum OrderEvent {
    Stored { card: String },
    Decided { good: bool },
}

const VALIDATION: RequestReply<Orders, String, bool> =
    RequestReply::new("validation", Orders::on_validation);

impl Processor for Orders {
    type Message = String;
    type Event = OrderEvent;
    type Answer = u64;
    type Rejection = Never;
    const CHANNELS: Channels<Self> = &[&VALIDATION];

    fn decide(&self, card: &String, out: &mut Outbox<Self>) -> Result<u64, Never> {
        out.event(OrderEvent::Stored { card: card.clone() })
            .request(&VALIDATION, card);
        Ok(self.stored + 1)
    }

    fn apply(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::Stored { .. } => self.stored += 1,
            OrderEvent::Decided { good } => self.good += u64::from(*good),
        }
    }
}

impl Orders {
    fn on_validation(
        &self,
        _: &String,
        outcome: Outcome<bool>,
        out: &mut Outbox<Self>,
    ) -> Settlement {
        match outcome {
            Outcome::Reply(good) => {
                out.event(OrderEvent::Decided { good });
                Settlement::Confirm
            }
            Outcome::DestinationFailure { .. } | Outcome::DestinationNotResponding { .. } => {
                Settlement::Redeliver
            }
        }
    }
}

/// A directory that goes away with the test.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// A program with one processor handles these orders and ends.
pub(crate) async fn take_orders(dir: &Path, cards: &[&str]) {
    let validator = ServiceDestination::new(tower::service_fn(|delivery: Delivery| async move {
        let card: String = delivery.encoding.decode(&delivery.request)?;
        let reply = Reply::encode(delivery.encoding, &card.starts_with('4'))?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Attempted::Replied(reply))
    }));
    let refrain = Refrain::builder()
        .journal(open(dir))
        .processor("orders", Orders::default())
        .destination(&VALIDATION, validator, RedeliveryPolicy::default())
        .start()
        .await
        .unwrap();
    let orders = refrain.processor::<Orders>("orders");
    for card in cards {
        orders.ask((*card).to_owned()).await.unwrap();
    }
    refrain.drain().await;
}

/// Opens the journal. Another test of this process may be starting a program just now, which has the
/// lock of a journal that was closed until it is on its own.
pub(crate) fn open(dir: &Path) -> FileJournal {
    loop {
        match FileJournal::open_with(dir, small()) {
            Err(OpenError::Locked { .. }) => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

/// As [`small`], with compaction in the background.
pub(crate) fn lively() -> JournalOptions {
    JournalOptions::default().segment_bytes(16 * 1024)
}

/// Small segments, so that a short history has several. What is in them stays there.
pub(crate) fn small() -> JournalOptions {
    lively().compaction_bytes_per_second(0)
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn position(number: u64) -> Position {
    Position::new(number).unwrap()
}

pub(crate) async fn append(journal: &FileJournal, stream: &str, at: u64, entry: &[u8]) {
    let mut batch = Batch::default();
    batch.push(entry);
    journal
        .append(&name(stream), position(at), batch)
        .await
        .unwrap();
}

/// Entries of one stream that share a frame in [`fill`].
const APPENDED_AT_ONCE: usize = 8;

/// A journal of plain bytes: so many entries of 200 bytes in each of these streams, several
/// segments, all of them closed and indexed.
pub(crate) async fn fill(dir: &Path, streams: &[&str], entries: u64) {
    let journal = open(dir);
    for first in (1..=entries).step_by(APPENDED_AT_ONCE) {
        for stream in streams {
            let mut batch = Batch::default();
            for number in (first..=entries).take(APPENDED_AT_ONCE) {
                batch.push(format!("{stream} {number} {}", "x".repeat(200)).as_bytes());
            }
            let appended = journal.append(&name(stream), position(first), batch);
            appended.await.unwrap();
        }
    }
    drop(journal);
    // An opening that ends at once may not get to make all index files.
    let is_missing = |kind| kind == FindingKind::IndexMissing;
    while Inspector::new(dir)
        .run(&mut ())
        .unwrap()
        .findings
        .iter()
        .any(|one| is_missing(one.kind))
    {
        drop(open(dir));
    }
}

/// What a run of the command line printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// The one JSON value that was printed.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        let lines = self.out.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[track_caller]
    pub(crate) fn assert_exit(&self, exit: i32) -> &Ran {
        assert_eq!(self.exit, Some(exit), "{self:?}");
        self
    }
}

pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_refrain"));
    command.arg("journal");
    command
}

/// Runs `refrain journal` with these arguments.
pub(crate) fn refrain<A: AsRef<std::ffi::OsStr>>(arguments: &[A]) -> Ran {
    let Output {
        status,
        stdout,
        stderr,
    } = command().args(arguments).output().unwrap();
    Ran {
        exit: status.code(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

/// Arguments of different types as one list.
#[macro_export]
macro_rules! run {
    ($($argument:expr),+ $(,)?) => {
        $crate::support::refrain(&[$(std::ffi::OsString::from($argument)),+])
    };
}

/// Flips one bit of a file.
pub(crate) fn flip(path: &Path, offset: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[offset] ^= 1;
    std::fs::write(path, bytes).unwrap();
}
