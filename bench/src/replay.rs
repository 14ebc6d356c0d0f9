//! Entries per second that are replayed: decoded, checked and applied, all of one stream.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use refrain_core::port::journal::{Batch, Chunk, Journal};
use refrain_core::{Name, Position, Processor, Remember, Replay};
use refrain_journal::FileJournal;

use crate::alone::repeat;
use crate::callers::Run;
use crate::drive::{BATCH_MESSAGES, Drive, Keep, Sent};
use crate::effort::{Assignment, Failure};
use crate::exchange::Exchanges;
use crate::ledger::{Dice, Ledger, Plain};
use crate::memory::{begin, exchanges};
use crate::report::{Row, Table};
use crate::scan::{scan_file, sum};
use crate::turns::{Side, row};

/// A stream as a journal holds it.
struct History {
    chunks: Vec<Chunk>,
    entries: u64,
    /// The bytes of all entries, one after the other.
    flat: Vec<u8>,
}

impl History {
    fn of<P: Processor>(
        mut drive: Drive<P>,
        messages: u64,
        mut send: impl FnMut(&mut Drive<P>),
    ) -> History {
        for number in 1..=messages {
            send(&mut drive);
            if number.is_multiple_of(BATCH_MESSAGES as u64) {
                drive.settle();
            }
        }
        drive.settle();
        let (entries, chunks) = (drive.entries() + 1, drive.into_chunks());
        let all = chunks.iter().flat_map(Chunk::entries);
        let flat = all.flat_map(|(_, entry)| entry).copied().collect();
        History {
            chunks,
            entries,
            flat,
        }
    }
}

/// Measures the replay of a ledger and of exchanges, from memory and from files.
///
/// # Errors
/// When the journal or the references cannot be made.
pub(crate) fn measure(assignment: &Assignment) -> Result<Table, Failure> {
    let messages = assignment.effort.history;
    let mut dice = Dice::new(7);
    let ledger = Drive::begin(Ledger::<Plain>::new(), Vec::new(), Keep::Entries);
    let ledger = History::of(ledger, messages, |drive| {
        drive.message(dice.drawn(), dice.deposit(), Sent::Told);
    });
    let mut dice = Dice::new(7);
    let asked = exchanges(Keep::Entries);
    let asked = History::of(asked, messages / 2, |drive| {
        drive.message(dice.drawn(), begin(&mut dice), Sent::Told);
    });
    let mut rows = in_memory("ledger", assignment, &ledger, Ledger::<Plain>::new);
    rows.extend(in_files(
        "ledger",
        assignment,
        &ledger,
        Ledger::<Plain>::new,
    )?);
    rows.extend(in_memory("exchanges", assignment, &asked, Exchanges::new));
    rows.extend(in_files("exchanges", assignment, &asked, Exchanges::new)?);
    Ok(Table {
        name: "replay",
        title: "Replay of one stream",
        notes: NOTES.map(str::to_owned).to_vec(),
        rows,
        verdicts: Vec::new(),
    })
}

const NOTES: [&str; 4] = [
    "All entries of one stream, from the first: decoded, checked, folded into the ledger of the engine, events applied. One thread.",
    "ledger: one event an entry, foreign identities. exchanges: a message with a request and its reply, two entries.",
    "From files: written before, so from the page cache, through the journal's cursor, whose thread checks them; read alone looks at none.",
    "scan: the same bytes without anything between them, word by word, from memory or through a buffer of 1 MiB.",
];

fn in_memory<P: Processor>(
    name: &str,
    assignment: &Assignment,
    history: &History,
    initial: fn() -> P,
) -> Vec<Row> {
    let replays: Side<'_> = Box::new(|span| {
        all_again(span, history, || {
            let mut replay = Replay::new(initial(), Remember::default());
            for chunk in &history.chunks {
                replay_chunk(&mut replay, chunk);
            }
            assert_eq!(replay.next().get() - 1, history.entries, "all is replayed");
        })
    });
    let scans: Side<'_> = Box::new(|span| {
        all_again(span, history, || {
            _ = std::hint::black_box(sum(std::hint::black_box(&history.flat)));
        })
    });
    let title = format!("{name}, replayed from memory");
    vec![row(
        &assignment.effort,
        (&title, "entries"),
        replays,
        vec![("scan", scans)],
    )]
}

fn in_files<P: Processor>(
    name: &str,
    assignment: &Assignment,
    history: &History,
    initial: fn() -> P,
) -> Result<Vec<Row>, Failure> {
    let scratch = assignment.scratch()?;
    let stream = Name::new("measured").expect("letters make a name");
    let journal = FileJournal::open(scratch.path().join("journal"))?;
    assignment
        .runtime
        .block_on(store(&journal, &stream, history))?;
    let flat = scratch.path().join("flat");
    write_flat(&flat, &history.flat)?;
    assignment.wrote(2.0 * history.flat.len() as f64);
    let read = |mut take: &mut dyn FnMut(&Chunk)| {
        let reading = read_all(&journal, &stream, &mut take);
        assignment
            .runtime
            .block_on(reading)
            .expect("the journal can be read");
    };
    let reads: Side<'_> = Box::new(|span| {
        all_again(span, history, || {
            let mut last = None;
            read(&mut |chunk| last = Some(chunk.last().get()));
            assert_eq!(last, Some(history.entries), "all is read");
        })
    });
    let replays: Side<'_> = Box::new(|span| {
        all_again(span, history, || {
            let mut replay = Replay::new(initial(), Remember::default());
            read(&mut |chunk| replay_chunk(&mut replay, chunk));
            assert_eq!(replay.next().get() - 1, history.entries, "all is replayed");
        })
    });
    let scan = || -> Side<'_> {
        let flat = flat.clone();
        Box::new(move |span| {
            let scan = || _ = std::hint::black_box(scan_file(&flat).expect("the file is there"));
            all_again(span, history, scan)
        })
    };
    let rows = [("read alone", reads), ("replayed", replays)];
    let measure = |(what, side)| {
        let title = format!("{name}, {what} from files");
        row(
            &assignment.effort,
            (&title, "entries"),
            side,
            vec![("scan", scan())],
        )
    };
    Ok(rows.map(measure).into())
}

fn all_again(span: Duration, history: &History, mut all: impl FnMut()) -> Run {
    repeat(span, || {
        all();
        history.entries
    })
}

fn replay_chunk<P: Processor>(replay: &mut Replay<P>, chunk: &Chunk) {
    for (position, entry) in chunk.entries() {
        replay
            .entry(position, entry)
            .expect("an engine wrote the entries");
    }
}

async fn store(journal: &FileJournal, stream: &Name, history: &History) -> Result<(), Failure> {
    for chunk in &history.chunks {
        let mut batch = Batch::default();
        for (_, entry) in chunk.entries() {
            batch.push(entry);
        }
        journal.append(stream, chunk.first(), batch).await?;
    }
    Ok(())
}

async fn read_all(
    journal: &FileJournal,
    stream: &Name,
    take: &mut dyn FnMut(&Chunk),
) -> Result<(), Failure> {
    let mut cursor = journal.read(stream, Position::FIRST).await?;
    while let Some(chunk) = cursor.next().await? {
        take(&chunk);
    }
    Ok(())
}

fn write_flat(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
