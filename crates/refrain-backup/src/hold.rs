//! What the verified backups of a repository need of the journal that they are of.

use std::collections::HashMap;

use object_store::ObjectMeta;
use refrain_core::port::BoxFuture;
use refrain_core::port::hold::{Hold, HoldError, Need};
use refrain_core::{Name, Position};
use tokio::sync::Mutex;

use crate::error::BackupError;
use crate::manifest::BackupId;
use crate::note::{FOLDER, Standing};
use crate::repository::Repository;
use crate::verify::stream_list;

/// Keeps every entry that the oldest verified backup of a journal has not got: a journal that is
/// restored from it can then be brought up to date from this one. Given to `refrain::Builder::hold`.
///
/// * A backup that nobody [verified](crate::note), or that was removed from the repository, holds
///   nothing.
/// * As long as no backup of the journal is verified, everything is held; of a stream that the oldest one
///   does not know, all entries are.
/// * A note of a check that is damaged, or of another backup, is no proof. Its backup counts only as
///   one more that may need entries.
/// * When the repository cannot be read, or a backup with a note cannot, nothing is forgotten:
///   what cannot be found out keeps everything.
///
/// Each time it is asked it lists the repository's backups and notes. It reads them when they are
/// others than the last time.
///
/// ```
/// use refrain_backup::{BackupHold, Repository, Source, create, note, silent, verify};
/// use refrain_core::port::hold::{Hold, Need};
/// use refrain_core::port::journal::{Batch, Journal};
/// use refrain_core::{Name, Position};
/// use refrain_journal::FileJournal;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("orders-data");
/// let journal = FileJournal::open(&path)?;
/// let orders = Name::new("orders")?;
/// let mut batch = Batch::default();
/// batch.push(b"submitted");
/// let last = journal.append(&orders, Position::FIRST, batch).await?;
///
/// let repository = Repository::in_memory();
/// let hold = BackupHold::new(&repository, journal.identity());
/// let created = create(&Source::new(&path, 0), &repository, &silent()).await?;
/// assert_eq!(hold.needs(&orders).await?, Need::Everything);
///
/// let verified = verify(&repository, &created.id, &silent()).await?;
/// note(&repository, &verified, 0).await?;
/// assert_eq!(hold.needs(&orders).await?, Need::From(last.next()));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct BackupHold {
    repository: Repository,
    /// The journal's, as backups are called by it.
    identity: String,
    name: String,
    read: Mutex<Option<Read>>,
}

/// What was read of a repository.
#[derive(Debug)]
struct Read {
    /// Of these backups.
    noted: Vec<Noted>,
    /// `None` when none of them is verified.
    covered: Option<Covered>,
}

/// The last position of each stream that all the backups have which count.
type Covered = HashMap<String, u64>;

/// A backup with a note, as the store lists both.
#[derive(Debug, PartialEq, Eq)]
struct Noted {
    id: BackupId,
    manifest: ObjectMeta,
    note: ObjectMeta,
}

impl BackupHold {
    /// That of the backups in `repository` of the journal with this
    /// [identity](refrain_journal::FileJournal::identity).
    #[must_use]
    pub fn new(repository: &Repository, identity: u64) -> BackupHold {
        BackupHold {
            repository: repository.clone(),
            identity: format!("{identity:016x}"),
            name: format!("the oldest verified backup in {}", repository.name()),
            read: Mutex::new(None),
        }
    }

    /// As [`Hold::needs`], with the error that it was.
    ///
    /// # Errors
    /// [`BackupError::Store`], or [`BackupError::Damaged`] when a backup with a note cannot be read.
    pub async fn held(&self, stream: &Name) -> Result<Need, BackupError> {
        let noted = self.noted().await?;
        let mut read = self.read.lock().await;
        let known = match read.take().filter(|known| known.noted == noted) {
            Some(known) => known,
            None => Read {
                covered: self.covered(&noted).await?,
                noted,
            },
        };
        let known = read.insert(known);
        let last = known
            .covered
            .as_ref()
            .and_then(|last| last.get(stream.as_str()));
        let next = last.and_then(|last| Position::new(last.checked_add(1)?));
        Ok(next.map_or(Need::Everything, Need::From))
    }

    /// The journal's backups that have a note.
    async fn noted(&self) -> Result<Vec<Noted>, BackupError> {
        let mut notes = self.repository.listed(FOLDER).await?;
        let backups = self.repository.listed("backups").await?;
        let mine = backups
            .into_iter()
            .filter(|(id, _)| id.identity() == self.identity);
        Ok(mine
            .filter_map(|(id, manifest)| {
                let note = notes.remove(&id)?;
                Some(Noted { id, manifest, note })
            })
            .collect())
    }

    async fn covered(&self, noted: &[Noted]) -> Result<Option<Covered>, BackupError> {
        let mut covered = None;
        let mut is_any_verified = false;
        for Noted { id, .. } in noted {
            let manifest = self.repository.manifest(id).await?;
            match self.repository.standing(&manifest).await? {
                Standing::Verified(_) => is_any_verified = true,
                // It may have been verified, so what it needs stays; but it proves nothing.
                Standing::InDoubt(reason) => {
                    tracing::warn!(backup = %id, reason, "a note of a check is not believed");
                }
                Standing::Unverified => continue,
            }
            let streams = stream_list(&self.repository, &manifest).await?;
            let ends = streams
                .into_iter()
                .filter_map(|stream| Some((stream.stream, stream.last?)))
                .collect();
            covered = Some(match covered {
                Some(before) => common(before, &ends),
                None => ends,
            });
        }
        Ok(covered.filter(|_| is_any_verified))
    }
}

/// What both of two backups have.
fn common(mut one: Covered, other: &Covered) -> Covered {
    one.retain(|stream, last| match other.get(stream) {
        Some(end) => {
            *last = (*last).min(*end);
            true
        }
        None => false,
    });
    one
}

impl Hold for BackupHold {
    fn name(&self) -> &str {
        &self.name
    }

    fn needs(&self, stream: &Name) -> BoxFuture<'_, Result<Need, HoldError>> {
        let stream = stream.clone();
        Box::pin(async move {
            let held = self.held(&stream).await;
            held.map_err(|error| HoldError(error.to_string()))
        })
    }
}
