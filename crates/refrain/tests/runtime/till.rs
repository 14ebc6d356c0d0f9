//! A processor without channels, that does on demand what goes wrong with processors.

use refrain::{
    Channels, Handle, Journal, MemoryJournal, MemorySnapshots, Name, Outbox, Processor,
    ProcessorBuilder, Refrain,
};
use refrain_core::Entry;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Till {
    pub(crate) total: u64,
    pub(crate) amounts: Vec<u64>,
    /// Large messages that were handled.
    pub(crate) bulks: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Say {
    Add(u64),
    Refuse,
    PanicDeciding,
    PanicApplying,
    Bulk(Vec<u8>),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum TillEvent {
    Added(u64),
    Bad,
    Nothing(Vec<u8>),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub(crate) total: u64,
}

impl Processor for Till {
    type Message = Say;
    type Event = TillEvent;
    type Answer = u64;
    type Rejection = Refused;
    const CHANNELS: Channels<Self> = &[];

    fn decide(&self, say: &Say, out: &mut Outbox<Self>) -> Result<u64, Refused> {
        match say {
            Say::Add(amount) => {
                out.event(TillEvent::Added(*amount));
                Ok(self.total + amount)
            }
            Say::Refuse => Err(Refused { total: self.total }),
            Say::PanicDeciding => panic!("decide was told to"),
            Say::PanicApplying => {
                out.event(TillEvent::Bad);
                Ok(0)
            }
            Say::Bulk(bytes) => {
                out.event(TillEvent::Nothing(bytes.clone()));
                Ok(0)
            }
        }
    }

    fn apply(&mut self, event: &TillEvent) {
        match event {
            TillEvent::Added(amount) => {
                self.total += amount;
                self.amounts.push(*amount);
            }
            TillEvent::Bad => panic!("apply was told to"),
            TillEvent::Nothing(_) => self.bulks += 1,
        }
    }
}

/// Reads the till's events and cannot bear large amounts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Brittle;

impl Processor for Brittle {
    type Message = Say;
    type Event = TillEvent;
    type Answer = u64;
    type Rejection = Refused;

    fn decide(&self, _: &Say, _: &mut Outbox<Self>) -> Result<u64, Refused> {
        Ok(0)
    }

    fn apply(&mut self, event: &TillEvent) {
        if let TillEvent::Added(100..) = event {
            panic!("that is too much");
        }
    }
}

/// A till on a new journal, and its handle.
pub(crate) async fn open() -> (MemoryJournal, Refrain, Handle<Till>) {
    let journal = MemoryJournal::new();
    let refrain = start(&journal).await;
    let till = refrain.processor::<Till>("till");
    (journal, refrain, till)
}

pub(crate) async fn start(journal: &MemoryJournal) -> Refrain {
    Refrain::builder()
        .journal(journal.clone())
        .processor("till", Till::default())
        .start()
        .await
        .unwrap()
}

/// A till that does not wait for its recovery, and its handle.
pub(crate) fn launch(journal: impl Journal) -> (Refrain, Handle<Till>) {
    launch_with(journal, |till| till)
}

/// As [`launch`], with the settings that `set` gives the till.
pub(crate) fn launch_with(
    journal: impl Journal,
    set: impl FnOnce(ProcessorBuilder<Till>) -> ProcessorBuilder<Till>,
) -> (Refrain, Handle<Till>) {
    let till = Refrain::builder()
        .journal(journal)
        .processor("till", Till::default());
    let refrain = set(till).launch().unwrap();
    let till = refrain.processor::<Till>("till");
    (refrain, till)
}

pub(crate) async fn start_with(
    journal: &MemoryJournal,
    snapshots: &MemorySnapshots,
    policy: refrain::SnapshotPolicy,
) -> Refrain {
    Refrain::builder()
        .journal(journal.clone())
        .snapshots(snapshots.clone(), policy)
        .processor("till", Till::default())
        .start()
        .await
        .unwrap()
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// The number of entries in a stream.
pub(crate) async fn entries(journal: &MemoryJournal, stream: &str) -> u64 {
    let head = journal.head(&name(stream)).await.unwrap();
    head.map_or(0, |head| head.get())
}

/// The number of writers that began in a stream.
pub(crate) async fn epochs(journal: &MemoryJournal, stream: &str) -> usize {
    let from = refrain::Position::FIRST;
    let mut cursor = journal.read(&name(stream), from).await.unwrap();
    let mut count = 0;
    while let Some(chunk) = cursor.next().await.unwrap() {
        let begun = |entry: &[u8]| matches!(Entry::decode(entry), Ok(Entry::Begun(_)));
        count += chunk.entries().filter(|(_, entry)| begun(entry)).count();
    }
    count
}
