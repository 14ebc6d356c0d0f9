//! Checking a backup: every piece by its digest, the whole as a journal, each stream by its digest.

use std::sync::Arc;

use refrain_journal::OpenError;
use refrain_journal::inspect::{Inspection, Inspector, SeenEntry, Visitor};

use crate::Progress;
use crate::digest::StreamDigests;
use crate::error::BackupError;
use crate::manifest::{BackupId, FileSort, Manifest};
use crate::piece_disk::{JOURNAL, PieceDisk, SNAPSHOTS};
use crate::repository::{Repository, place_of};
use crate::streams::{self, StreamRecord};

/// A backup that is what was stored.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Verified {
    /// What it is.
    pub manifest: Manifest,
    /// Its streams.
    pub streams: Vec<StreamRecord>,
}

/// Reads backup `id` back as if it were a journal on a disk: its pieces against their digests, every
/// frame and record, and each stream against the digest that the manifest has of it. Needs no room
/// on any disk.
///
/// # Errors
/// [`BackupError::Damaged`] names the object, or the file and offset, that is wrong.
///
/// ```
/// use refrain_backup::{Repository, Source, create, silent, verify};
/// use refrain_journal::FileJournal;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("orders-data");
/// drop(FileJournal::open(&path)?);
/// let repository = Repository::in_memory();
/// let created = create(&Source::new(&path, 0), &repository, &silent()).await?;
/// let verified = verify(&repository, &created.id, &silent()).await?;
/// assert_eq!(verified.manifest, created.manifest);
/// # Ok(())
/// # }
/// ```
pub async fn verify(
    repository: &Repository,
    id: &BackupId,
    progress: &Progress,
) -> Result<Verified, BackupError> {
    let manifest = repository.manifest(id).await?;
    let streams = stream_list(repository, &manifest).await?;
    let disk = PieceDisk::new(&manifest, repository);
    let mut inspector = Inspector::on(Arc::new(disk.clone()), JOURNAL);
    let is_snapshot = |sort: &FileSort| matches!(sort, FileSort::Snapshot { .. });
    if manifest.files.iter().any(|file| is_snapshot(&file.is)) {
        inspector = inspector.snapshots(SNAPSHOTS);
    }
    let inspected = digest_all(inspector, Arc::clone(progress)).await;
    if let Some(failure) = disk.failure() {
        return Err(failure);
    }
    let (inspection, digests) = inspected?;
    compare(&manifest, &streams, &inspection, &digests)?;
    Ok(Verified { manifest, streams })
}

/// The list of streams of a backup.
pub(crate) async fn stream_list(
    repository: &Repository,
    manifest: &Manifest,
) -> Result<Vec<StreamRecord>, BackupError> {
    let damaged = |place: String, detail: String| BackupError::Damaged {
        backup: manifest.id().to_string(),
        place,
        detail,
    };
    let mut bytes = Vec::new();
    for piece in &manifest.stream_list {
        match repository.piece(piece).await? {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(detail) => return Err(damaged(place_of(piece), detail)),
        }
    }
    let streams = streams::decode(&bytes);
    let streams = streams.map_err(|detail| damaged("the list of streams".into(), detail))?;
    if streams.len() as u64 != manifest.streams {
        let detail = format!("it has {} streams", streams.len());
        return Err(damaged("the list of streams".into(), detail));
    }
    Ok(streams)
}

/// Whether a journal is what a backup says.
pub(crate) fn compare(
    manifest: &Manifest,
    wanted: &[StreamRecord],
    inspection: &Inspection,
    digests: &StreamDigests,
) -> Result<(), BackupError> {
    let damaged = |place: String, detail: String| BackupError::Damaged {
        backup: manifest.id().to_string(),
        place,
        detail,
    };
    if let Some(finding) = inspection.damages().next() {
        let offset = finding.offset.map(|at| format!(" at offset {at}"));
        let place = format!("{}{}", finding.file.display(), offset.unwrap_or_default());
        return Err(damaged(place, finding.detail.clone()));
    }
    let seen = inspection.streams.iter();
    let found: Vec<StreamRecord> = seen
        .map(|stream| StreamRecord::of(stream, digests.of(stream.number)))
        .collect();
    match streams::difference(wanted, &found) {
        Some(difference) => Err(damaged("its entries".into(), difference)),
        None => Ok(()),
    }
}

/// Inspects on a thread that may block, and digests every stream.
pub(crate) async fn digest_all(
    inspector: Inspector,
    progress: Progress,
) -> Result<(Inspection, StreamDigests), BackupError> {
    digest_after(inspector, progress, || ()).await
}

/// As [`digest_all`]; calls `begins` before the inspection begins, each time that it begins anew.
pub(crate) async fn digest_after(
    inspector: Inspector,
    progress: Progress,
    mut begins: impl FnMut() + Send + 'static,
) -> Result<(Inspection, StreamDigests), BackupError> {
    let inspecting = tokio::task::spawn_blocking(move || {
        begins();
        let mut watched = Watched {
            digests: StreamDigests::default(),
            progress,
            begins,
        };
        let inspection = inspector.run(&mut watched)?;
        Ok::<_, OpenError>((inspection, watched.digests))
    });
    Ok(inspecting.await.expect("an inspection does not panic")?)
}

struct Watched<F> {
    digests: StreamDigests,
    progress: Progress,
    begins: F,
}

impl<F: FnMut()> Visitor for Watched<F> {
    fn entry(&mut self, entry: &SeenEntry<'_>) {
        self.digests.entry(entry);
    }

    fn progress(&mut self, done: u64, of: u64) {
        (self.progress)(done, of);
    }

    fn restart(&mut self) {
        self.digests.restart();
        (self.begins)();
    }
}
