//! Copying the streams of a journal into a new one, entry by entry.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use refrain_core::{Name, Position};
use refrain_journal::inspect::{Inspection, Inspector, NewJournal, SeenEntry, StreamSeen, Visitor};
use refrain_journal::{JournalOptions, OpenError};

use crate::Progress;
use crate::aside::{Aside, check_empty};
use crate::digest::{StreamDigest, StreamDigests};
use crate::error::BackupError;
use crate::streams::{StreamRecord, difference};
use crate::verify::digest_all;

/// How often a copy starts again because files of the journal went away meanwhile.
const TRIES_MAX: usize = 16;

/// A journal that was copied.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Copied {
    /// Its streams, with the digests that the old journal and the new one agree on.
    pub streams: Vec<StreamRecord>,
}

/// Copies what is durable now of the journal in `dir` into a new journal, `target`: every stream with
/// its positions, and nothing that was forgotten. The new journal has an identity of its own. Then the
/// new one is read again, and each stream's digest compared with that of what was copied.
///
/// # Errors
/// [`BackupError::Target`] when something is in the way, [`BackupError::Source`] when the journal is
/// damaged. Then there is nothing under the wanted name.
///
/// ```
/// use refrain_backup::{copy, silent};
/// use refrain_journal::FileJournal;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let (path, new) = (dir.path().join("orders-data"), dir.path().join("new"));
/// drop(FileJournal::open(&path)?);
/// assert!(copy(&path, &new, &silent()).await?.streams.is_empty());
/// FileJournal::open(&new)?;
/// # Ok(())
/// # }
/// ```
pub async fn copy(dir: &Path, target: &Path, progress: &Progress) -> Result<Copied, BackupError> {
    for _ in 0..TRIES_MAX {
        check_empty(target)?;
        let aside = Aside::make(target)?;
        let (from, to) = (dir.to_path_buf(), aside.path.clone());
        let shown = Arc::clone(progress);
        let copying = tokio::task::spawn_blocking(move || copy_all(&from, &to, &shown));
        let Some(streams) = copying.await.expect("copying does not panic")? else {
            continue;
        };
        let (inspection, digests) =
            digest_all(Inspector::new(&aside.path), Arc::clone(progress)).await?;
        compare(target, &streams, &inspection, &digests)?;
        aside.rename()?;
        return Ok(Copied { streams });
    }
    Err(BackupError::Journal(OpenError::Missing {
        dir: dir.to_path_buf(),
    }))
}

/// Copies everything; `None` when files went away meanwhile.
fn copy_all(
    dir: &Path,
    to: &Path,
    progress: &Progress,
) -> Result<Option<Vec<StreamRecord>>, BackupError> {
    let before = sound(Inspector::new(dir).run(&mut ())?)?;
    let new = NewJournal::create(to, JournalOptions::default())?;
    let mut copying = Copying::new(&before, new, progress);
    sound(Inspector::new(dir).run(&mut copying)?)?;
    copying.finish()
}

/// A damaged journal is not copied.
fn sound(inspection: Inspection) -> Result<Inspection, BackupError> {
    let finding = inspection.damages().next().cloned();
    match finding {
        Some(finding) => Err(BackupError::Source { finding }),
        None => Ok(inspection),
    }
}

fn compare(
    target: &Path,
    wanted: &[StreamRecord],
    inspection: &Inspection,
    digests: &StreamDigests,
) -> Result<(), BackupError> {
    let failed = |detail: String| BackupError::Target {
        path: target.to_path_buf(),
        detail: format!("the copy is not what was copied: {detail}"),
    };
    if let Some(finding) = inspection.damages().next() {
        return Err(failed(finding.to_string()));
    }
    let seen = inspection.streams.iter();
    let found: Vec<StreamRecord> = seen
        .map(|stream| StreamRecord::of(stream, digests.of(stream.number)))
        .collect();
    difference(wanted, &found).map_or(Ok(()), |difference| Err(failed(difference)))
}

/// Takes the entries that an inspection shows.
struct Copying<'a> {
    new: Option<NewJournal>,
    progress: &'a Progress,
    /// By their numbers in the old journal.
    streams: HashMap<u32, Stream>,
    failure: Option<OpenError>,
    is_restarted: bool,
}

struct Stream {
    name: Name,
    /// The last entry that belongs to the copy.
    last: Option<Position>,
    /// Its number in the new journal, once it has one.
    number: Option<u32>,
    first: Option<Position>,
    entries: u64,
    bytes: u64,
    digest: StreamDigest,
}

impl Stream {
    fn of(seen: &StreamSeen) -> (u32, Stream) {
        let stream = Stream {
            name: seen.name.clone(),
            last: seen.last,
            number: None,
            first: None,
            entries: 0,
            bytes: 0,
            digest: StreamDigest::default(),
        };
        (seen.number, stream)
    }
}

impl<'a> Copying<'a> {
    fn new(before: &Inspection, new: NewJournal, progress: &'a Progress) -> Copying<'a> {
        Copying {
            new: Some(new),
            progress,
            streams: before.streams.iter().map(Stream::of).collect(),
            failure: None,
            is_restarted: false,
        }
    }

    fn take(&mut self, entry: &SeenEntry<'_>) -> Result<(), OpenError> {
        let (Some(new), Some(stream)) = (&mut self.new, self.streams.get_mut(&entry.stream)) else {
            return Ok(());
        };
        if stream.last.is_none_or(|last| entry.position > last) {
            // It came after the copy began.
            return Ok(());
        }
        let number = match stream.number {
            Some(number) => number,
            None => {
                stream.first = Some(entry.position);
                *stream
                    .number
                    .insert(new.begin(&stream.name, entry.position)?)
            }
        };
        stream.entries += 1;
        stream.bytes += entry.bytes.len() as u64;
        stream.digest.push(entry.position, entry.bytes);
        new.push(number, entry.position, entry.bytes)
    }

    fn finish(mut self) -> Result<Option<Vec<StreamRecord>>, BackupError> {
        if let Some(failure) = self.failure {
            return Err(failure.into());
        }
        let Some(mut new) = self.new.take().filter(|_| !self.is_restarted) else {
            return Ok(None);
        };
        let mut streams: Vec<Stream> = self.streams.into_values().collect();
        streams.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        for stream in streams.iter().filter(|stream| stream.number.is_none()) {
            // Nothing of it is kept, and its positions are not used again.
            new.begin(&stream.name, Position::after(stream.last))?;
        }
        new.finish()?;
        let records = streams.iter().map(|stream| StreamRecord {
            stream: stream.name.to_string(),
            first: stream.first.map(Position::get),
            last: stream.last.map(Position::get),
            entries: stream.entries,
            bytes: stream.bytes,
            digest: stream.digest.to_string(),
        });
        Ok(Some(records.collect()))
    }
}

impl Visitor for Copying<'_> {
    fn entry(&mut self, entry: &SeenEntry<'_>) {
        if self.failure.is_none()
            && let Err(failure) = self.take(entry)
        {
            self.failure = Some(failure);
        }
    }

    fn progress(&mut self, done: u64, of: u64) {
        (self.progress)(done, of);
    }

    fn restart(&mut self) {
        // What was copied cannot be taken back.
        self.is_restarted = true;
        self.new = None;
    }
}
