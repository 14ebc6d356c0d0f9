//! Opening a journal after a fault, on an honest disk, and reading all that is in it.

use refrain_core::Position;
use refrain_core::port::journal::{Journal, ReadError};
use refrain_journal::FileJournal;

use crate::history::{Found, Violation};
use crate::order::{Door, Order};
use crate::payload::Digest;
use crate::runtime_work;
use crate::work::{chain, open, stream_name};

/// More streams than any workload makes.
const STREAMS_MAX: usize = 64;

/// Opens the journal of `order` and shows every stream in it.
///
/// # Errors
/// When it does not open, or does not read: both break a promise, for every fault of the ring is one
/// that the journal says it survives.
pub(crate) fn reopen(order: &Order) -> Result<Vec<Found>, Violation> {
    let honest = Order {
        lie: None,
        ..order.clone()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|error| Violation(format!("no runtime: {error}")))?;
    let found = match order.door {
        Door::Journal => runtime.block_on(entries(&honest)),
        Door::Runtime => runtime.block_on(notes(&honest)),
    };
    found.map_err(|reason| Violation(format!("the journal does not come back: {reason}")))
}

async fn notes(order: &Order) -> Result<Vec<Found>, String> {
    let all = runtime_work::remembered(order).await?;
    let found = (0..).zip(all).map(|(stream, digests)| Found {
        stream,
        first: 1,
        head: digests.len() as u64,
        digests,
    });
    Ok(found.filter(|found| found.head > 0).collect())
}

async fn entries(order: &Order) -> Result<Vec<Found>, String> {
    let journal = open(order).map_err(|error| chain(&error))?;
    let names = journal.streams("", None, STREAMS_MAX).await;
    let mut found = Vec::new();
    for name in names.map_err(|error| chain(&error))? {
        let number = name.as_str().strip_prefix('s');
        let number = number.and_then(|number| number.parse().ok());
        let number = number.ok_or_else(|| format!("nobody made the stream {name}"))?;
        let stream = read(&journal, number)
            .await
            .map_err(|error| chain(&error))?;
        found.push(stream);
    }
    Ok(found)
}

async fn read(journal: &FileJournal, number: u32) -> Result<Found, ReadError> {
    let name = stream_name(number);
    let head = journal.head(&name).await?.map_or(0, Position::get);
    let first = journal.first(&name).await?.map_or(head + 1, Position::get);
    let mut found = Found {
        stream: number,
        first,
        head,
        digests: Vec::new(),
    };
    if first > head {
        return Ok(found);
    }
    let from = Position::new(first).expect("positions start at 1");
    let mut cursor = journal.read(&name, from).await?;
    let mut due = first;
    while let Some(chunk) = cursor.next().await? {
        for (position, bytes) in chunk.entries() {
            assert_eq!(position.get(), due, "stream {number} has a gap");
            due += 1;
            found.digests.push(Digest::of(bytes));
        }
    }
    // The head is one place, the entries another: they must agree.
    found.head = due - 1;
    if found.head != head {
        let place = format!("stream {number}");
        let detail = format!("its head is {head}, its last entry {}", found.head);
        return Err(ReadError::Corrupt { place, detail });
    }
    Ok(found)
}
