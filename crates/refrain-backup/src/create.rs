//! Taking a backup: check, copy what is new, manifest last.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use refrain_core::{Name, Position};
use refrain_journal::inspect::{
    FileRole, FileSeen, Finding, FindingKind, Inspection, MarkSeen, Severity,
};
use refrain_journal::{Access, DiskFile, OpenError, read_exact_at};

use crate::Progress;
use crate::digest::digest_text;
use crate::error::BackupError;
use crate::manifest::{BackupId, FORMAT, FileRecord, FileSort, Manifest, PIECE_BYTES, Piece};
use crate::repository::Repository;
use crate::seen::Seen;
use crate::streams::{self, StreamRecord};

/// How often a backup starts again because files of the journal went away while it copied them.
const TRIES_MAX: usize = 64;

/// What is backed up.
///
/// ```
/// use refrain_backup::{Repository, Source, create};
/// use refrain_journal::FileJournal;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("orders-data");
/// let journal = FileJournal::open(&path)?; // and it stays open
/// let repository = Repository::in_memory();
/// let source = Source::new(&path, 1_700_000_000_000_000);
/// let created = create(&source, &repository, &refrain_backup::silent()).await?;
/// assert_eq!(repository.backups().await?, [created.id]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Source {
    dir: PathBuf,
    snapshots: Option<PathBuf>,
    taken_at: u64,
}

impl Source {
    /// The journal in `dir`, at the time `taken_at`: microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn new(dir: impl AsRef<Path>, taken_at: u64) -> Source {
        Source {
            dir: dir.as_ref().to_path_buf(),
            snapshots: None,
            taken_at,
        }
    }

    /// Takes the whole snapshots in `dir` along.
    #[must_use]
    pub fn snapshots(mut self, dir: impl AsRef<Path>) -> Source {
        self.snapshots = Some(dir.as_ref().to_path_buf());
        self
    }
}

/// A backup that was taken.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Created {
    /// Its name.
    pub id: BackupId,
    /// Whether it is new: there may be one that ends at the same frame.
    pub is_new: bool,
    /// Bytes that were written for it; the rest was there.
    pub bytes_written: u64,
    /// What it is.
    pub manifest: Manifest,
    /// A stream that has forgotten entries, and has snapshots of which none stands for them: nobody can
    /// be recovered from what the backup has of it.
    pub uncovered: Option<Name>,
}

/// Takes a backup of `source` into `repository`, up to the durable mark as it is now. Programs may
/// go on writing the journal meanwhile.
///
/// # Errors
/// [`BackupError::Source`] when the journal is damaged; [`BackupError::Fork`] when the repository
/// has another history of it, or a later epoch. After an error there is no backup, only pieces that the
/// next one finds.
pub async fn create(
    source: &Source,
    repository: &Repository,
    progress: &Progress,
) -> Result<Created, BackupError> {
    let mut last = None;
    for _ in 0..TRIES_MAX {
        match take(source, repository, progress).await {
            Err(error) if is_gone(&error) => last = Some(error),
            ended => return ended,
        }
    }
    Err(last.expect("every try but the last one failed"))
}

/// Whether a file went away that the inspection had seen: the journal removed a segment.
fn is_gone(error: &BackupError) -> bool {
    matches!(error, BackupError::Journal(OpenError::Io { source, .. })
        if source.kind() == std::io::ErrorKind::NotFound)
}

async fn take(
    source: &Source,
    repository: &Repository,
    progress: &Progress,
) -> Result<Created, BackupError> {
    // Before the journal is looked at: one that is made meanwhile may well be newer.
    let there = repository.backups().await?;
    let snapshots = source.snapshots.as_deref();
    let Seen {
        disk,
        inspection,
        digests,
        uncovered,
    } = Seen::of(&source.dir, snapshots, progress).await?;
    let mark = check(&inspection, &source.dir)?;
    check_line(&there, &mark)?;
    let wanted = files(&inspection);
    check_whole(&wanted, mark, &source.dir)?;
    let mut copying = Copying {
        repository,
        progress,
        done: 0,
        of: wanted.iter().map(|(_, file)| file.used).sum(),
        bytes_written: 0,
    };
    // All at once: what is removed or rewritten from now on can still be read.
    let open = |(_, file): &(FileSort, &FileSeen)| disk.open(&file.path, Access::Read);
    let opened: Result<Vec<_>, _> = wanted.iter().map(open).collect();
    let opened = opened.map_err(BackupError::io(&source.dir))?;
    let mut records = Vec::new();
    for ((is, file), open) in wanted.into_iter().zip(opened) {
        let pieces = copying.file(file, &open).await?;
        records.push(FileRecord {
            is,
            bytes: file.bytes,
            pieces,
        });
    }
    let seen = inspection.streams.iter();
    let streams: Vec<StreamRecord> = seen
        .map(|stream| StreamRecord::of(stream, digests.of(stream.number)))
        .collect();
    let stream_list = copying.streams(&streams).await?;
    let manifest = Manifest {
        format: FORMAT,
        taken_at: source.taken_at,
        identity: format!("{:016x}", mark.identity),
        epoch: mark.epoch,
        first_segment: mark.first_segment,
        end_segment: mark.end.segment,
        end_offset: mark.end.offset,
        end_frame: mark.end.frame,
        end_chain: mark.end.chain,
        entries: streams.iter().map(|stream| stream.entries).sum(),
        entry_bytes: streams.iter().map(|stream| stream.bytes).sum(),
        streams: streams.len() as u64,
        stream_list,
        files: records,
    };
    let bytes_written = copying.bytes_written;
    let is_new = commit(repository, &manifest).await?;
    Ok(Created {
        id: manifest.id(),
        is_new,
        bytes_written,
        manifest,
        uncovered,
    })
}

/// The mark of a journal that is worth a backup. Damage that no backup carries on does not count.
fn check(inspection: &Inspection, dir: &Path) -> Result<MarkSeen, BackupError> {
    let is_carried = |finding: &&Finding| match finding.kind {
        FindingKind::Index
        | FindingKind::IndexMissing
        | FindingKind::MarkSlot
        | FindingKind::Snapshot => false,
        FindingKind::Mark
        | FindingKind::Segment
        | FindingKind::Block
        | FindingKind::Frame
        | FindingKind::Record
        | FindingKind::Stream
        | FindingKind::Unfinished
        | FindingKind::Tail
        | FindingKind::Version
        | FindingKind::Unreadable
        | _ => finding.severity() == Severity::Damage,
    };
    if let Some(finding) = inspection.findings.iter().find(is_carried) {
        let finding = finding.clone();
        return Err(BackupError::Source { finding });
    }
    inspection.mark.ok_or_else(|| {
        BackupError::Journal(OpenError::Missing {
            dir: dir.to_path_buf(),
        })
    })
}

/// Whether the journal with this mark may have come from those of its backups that are `there`. Its epoch
/// never falls, so it did not when one of them has a later one: it was put back to an older place, and
/// went on from there.
fn check_line(there: &[BackupId], mark: &MarkSeen) -> Result<(), BackupError> {
    let own = BackupId::of(mark);
    if there.contains(&own) {
        return Ok(());
    }
    let of_journal = there.iter().filter(|id| id.identity() == own.identity());
    match of_journal.max_by_key(|id| id.age()) {
        Some(newest) if newest.epoch() > own.epoch() => Err(BackupError::Fork {
            backup: newest.to_string(),
        }),
        Some(_) | None => Ok(()),
    }
}

/// The files that a backup has.
fn files(inspection: &Inspection) -> Vec<(FileSort, &FileSeen)> {
    let is_damaged = |file: &FileSeen| {
        let mut findings = inspection.findings.iter();
        findings.any(|finding| finding.file == file.path)
    };
    let last = inspection.mark.map_or(0, |mark| mark.end.segment);
    let of_journal = inspection.files.iter().filter_map(|file| match file.role {
        FileRole::Log(number) => Some((FileSort::Log(number), file)),
        // An index of the segment that is being written would be none of this backup's.
        FileRole::Index(number) if number < last && !is_damaged(file) => {
            Some((FileSort::Index(number), file))
        }
        // One that a compaction left over is noticed by the inspection.
        FileRole::Streams(first, last) if !is_damaged(file) => {
            Some((FileSort::Streams(first, last), file))
        }
        FileRole::Mark
        | FileRole::Lock
        | FileRole::Index(_)
        | FileRole::Spare(_)
        | FileRole::Streams(..)
        | FileRole::Directory
        | FileRole::Snapshot
        | FileRole::Unfinished
        | FileRole::Other
        | _ => None,
    });
    let streams = inspection.streams.iter();
    let heads: HashMap<&Name, Option<Position>> =
        streams.map(|stream| (&stream.name, stream.last)).collect();
    let snapshots = inspection.snapshots.iter().filter_map(move |seen| {
        // One that is newer than the backup would be ahead of the journal.
        let last = (*heads.get(&seen.stream)?)?;
        (seen.position <= last).then_some(())?;
        let (stream, position) = (seen.stream.to_string(), seen.position.get());
        Some((FileSort::Snapshot { stream, position }, &seen.file))
    });
    of_journal.chain(snapshots).collect()
}

/// Whether every segment is among `files`: one may have been removed since it was inspected, for the
/// journal was compacted.
fn check_whole(
    files: &[(FileSort, &FileSeen)],
    mark: MarkSeen,
    dir: &Path,
) -> Result<(), BackupError> {
    let stands_for = |(is, _): &(FileSort, &FileSeen)| match is {
        FileSort::Log(_) => 1,
        FileSort::Streams(first, last) => (last - first).saturating_add(1),
        FileSort::Index(_) | FileSort::Snapshot { .. } => 0,
    };
    let there = files.iter().map(stands_for).fold(0, u64::saturating_add);
    if there == mark.end.segment {
        return Ok(());
    }
    Err(BackupError::io(dir)(std::io::ErrorKind::NotFound.into()))
}

/// Makes the backup, and says whether there was none of its name.
async fn commit(repository: &Repository, manifest: &Manifest) -> Result<bool, BackupError> {
    let is_new = repository.commit(manifest).await?;
    if !is_new {
        let id = manifest.id();
        let there = repository.manifest(&id).await?;
        if there.stream_list != manifest.stream_list {
            let backup = id.to_string();
            return Err(BackupError::Fork { backup });
        }
    }
    Ok(is_new)
}

/// Copies files piece by piece.
struct Copying<'a> {
    repository: &'a Repository,
    progress: &'a Progress,
    done: u64,
    of: u64,
    bytes_written: u64,
}

impl Copying<'_> {
    async fn file(
        &mut self,
        file: &FileSeen,
        open: &Arc<dyn DiskFile>,
    ) -> Result<Vec<Piece>, BackupError> {
        let mut pieces = Vec::new();
        let mut at = 0;
        while at < file.used {
            let left = usize::try_from(file.used - at).unwrap_or(PIECE_BYTES);
            let length = left.min(PIECE_BYTES);
            let reading = Arc::clone(open);
            let read = tokio::task::spawn_blocking(move || {
                let mut bytes = vec![0; length];
                read_exact_at(&*reading, &mut bytes, at).map(|()| bytes)
            });
            let read = read.await.expect("reading does not panic");
            let bytes = read.map_err(BackupError::io(&file.path))?;
            pieces.push(self.piece(Bytes::from(bytes)).await?);
            at += length as u64;
            self.done += length as u64;
            (self.progress)(self.done, self.of);
        }
        Ok(pieces)
    }

    async fn streams(&mut self, streams: &[StreamRecord]) -> Result<Vec<Piece>, BackupError> {
        let mut pieces = Vec::new();
        for bytes in streams::encode(streams).chunks(PIECE_BYTES) {
            pieces.push(self.piece(Bytes::copy_from_slice(bytes)).await?);
        }
        Ok(pieces)
    }

    async fn piece(&mut self, bytes: Bytes) -> Result<Piece, BackupError> {
        let piece = Piece {
            sha256: digest_text(&bytes),
            bytes: bytes.len() as u64,
        };
        if !self.repository.has(&piece).await? {
            self.bytes_written += piece.bytes;
            self.repository.put(&piece, bytes).await?;
        }
        Ok(piece)
    }
}
