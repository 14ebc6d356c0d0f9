//! A journal that was filled before: what reading and opening are measured on.

use std::fs::File;
use std::future::Future;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use refrain_core::port::journal::{AppendError, Batch, Journal};
use refrain_core::{Name, Position};
use refrain_journal::{FileJournal, JournalOptions};

use crate::effort::{Assignment, Failure, Scratch};
use crate::ledger::Dice;

/// Bytes of an entry.
pub(crate) const ENTRY_BYTES: usize = 256;

/// Bytes of a segment, unless set.
const SEGMENT_BYTES: usize = 64 * 1024 * 1024;

/// Bytes of an entry that fills one.
const FILLER_BYTES: usize = 1024 * 1024;

/// Appends that wait at once while a journal is filled.
const FILLED_AT_ONCE: usize = 4096;

/// Waits for all of `appends`, some thousands at a time.
///
/// # Errors
/// When one fails.
pub(crate) async fn settle(
    mut appends: impl Iterator<Item = Appending>,
) -> Result<(), AppendError> {
    loop {
        let some: Vec<Appending> = appends.by_ref().take(FILLED_AT_ONCE).collect();
        if some.is_empty() {
            return Ok(());
        }
        for append in some {
            append.await?;
        }
    }
}

type Appending = Pin<Box<dyn Future<Output = Result<Position, AppendError>> + Send>>;

/// Bytes that no compression makes smaller. A prime number of entries, so that a stream among others
/// does not come to the same ones again soon.
#[derive(Debug, Clone)]
pub(crate) struct Noise(Arc<[u8]>);

const NOISE_ENTRIES: usize = 4099;

impl Noise {
    pub(crate) fn new() -> Noise {
        let mut dice = Dice::new(11);
        let words = (0..NOISE_ENTRIES * ENTRY_BYTES / 8).flat_map(|_| dice.roll().to_le_bytes());
        Noise(words.collect())
    }

    /// The bytes of entry `number`.
    pub(crate) fn entry(&self, number: usize) -> &[u8] {
        let at = number % NOISE_ENTRIES * ENTRY_BYTES;
        &self.0[at..at + ENTRY_BYTES]
    }
}

/// A filled journal.
#[derive(Debug)]
pub(crate) struct Stored {
    scratch: Scratch,
    pub(crate) streams: Vec<Name>,
    /// Entries of each stream.
    pub(crate) each: u64,
}

impl Stored {
    /// As [`Stored::fill_open`], and closes it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn fill(
        assignment: &Assignment,
        streams: usize,
        each: u64,
    ) -> Result<Stored, Failure> {
        let (stored, journal) = Stored::fill_open(assignment, streams, each)?;
        drop(journal);
        Ok(stored)
    }

    /// Fills a journal with `each` entries in each of `streams` streams, in turn. All of it is log:
    /// compaction rests.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn fill_open(
        assignment: &Assignment,
        streams: usize,
        each: u64,
    ) -> Result<(Stored, FileJournal), Failure> {
        let stored = Stored {
            scratch: assignment.scratch()?,
            streams: names(streams),
            each,
        };
        let journal = stored.open()?;
        let appending = stored.append_all(&journal);
        assignment.runtime.block_on(appending)?;
        assignment.wrote(stored.bytes() as f64);
        Ok((stored, journal))
    }

    /// Appends all entries, to each stream in turn.
    async fn append_all(&self, journal: &FileJournal) -> Result<(), AppendError> {
        let noise = Noise::new();
        let places = (1..=self.each).flat_map(|at| self.streams.iter().map(move |name| (at, name)));
        let append = |(number, (at, name)): (usize, (u64, &Name))| {
            let mut batch = Batch::default();
            batch.push(noise.entry(number));
            let at = Position::new(at).expect("positions start at 1");
            journal.append(name, at, batch)
        };
        settle(places.enumerate().map(append)).await
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.scratch.path().join("journal")
    }

    /// Fills what is left of the last segment, and more, with entries of another stream.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn seal(&self, assignment: &Assignment) -> Result<(), Failure> {
        let journal = self.open()?;
        let name = Name::new("filler")?;
        let mut at = Position::FIRST;
        for _ in 0..SEGMENT_BYTES / FILLER_BYTES + 1 {
            let mut batch = Batch::default();
            batch.push(&vec![0x5a; FILLER_BYTES]);
            at = assignment
                .runtime
                .block_on(journal.append(&name, at, batch))?
                .next();
        }
        assignment.wrote(SEGMENT_BYTES as f64);
        Ok(())
    }

    /// Opens the journal; compaction rests until it is asked.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn open(&self) -> Result<FileJournal, Failure> {
        open(&self.path())
    }

    /// Entries of all streams.
    pub(crate) fn entries(&self) -> u64 {
        self.each * self.streams.len() as u64
    }

    /// Their bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.entries() * ENTRY_BYTES as u64
    }

    /// Writes a file of the same entries without anything between them.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn flat(&self) -> Result<PathBuf, Failure> {
        let path = self.scratch.path().join("flat");
        let mut file = BufWriter::with_capacity(1024 * 1024, File::create(&path)?);
        let noise = Noise::new();
        for number in 0..usize::try_from(self.entries())? {
            file.write_all(noise.entry(number))?;
        }
        file.into_inner()?.sync_all()?;
        Ok(path)
    }
}

/// Opens the journal at `path`; compaction rests until it is asked.
///
/// # Errors
/// When it cannot be opened.
pub(crate) fn open(path: &Path) -> Result<FileJournal, Failure> {
    let options = JournalOptions::default().compaction_bytes_per_second(0);
    Ok(FileJournal::open_with(path, options)?)
}

/// The names of so many streams.
pub(crate) fn names(count: usize) -> Vec<Name> {
    let name =
        |number| Name::new(&format!("stream-{number}")).expect("letters and digits make a name");
    (0..count).map(name).collect()
}
