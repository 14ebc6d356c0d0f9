//! What a repository has noted of the checks of its backups.
//!
//! A note lies beside the manifests, under the name of its backup, and is written after the check has
//! come to its end. It names the digest of the manifest that was checked: so it never speaks for a
//! backup of the same name that was taken again, and a copy under another name is not believed. It is the
//! only object that is written anew, by a later check.

use serde::{Deserialize, Serialize};

use crate::digest::digest_text;
use crate::error::BackupError;
use crate::manifest::{BackupId, Manifest};
use crate::repository::{Fetched, Repository};
use crate::verify::Verified;

/// The format that this program writes, and the only one it believes.
const FORMAT: u32 = 1;

/// The most that a note has.
const BYTES_MAX: u64 = 64 * 1024;

/// That a backup was checked, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Verification {
    /// When, in microseconds since 1970-01-01T00:00:00Z.
    pub verified_at: u64,
    /// By what.
    pub check: Check,
}

/// How a backup was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Check {
    /// As [`verify`](crate::verify) does: every byte, as the journal that it is.
    EveryByte,
}

/// What a repository knows of the checks of one backup.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// Nothing: it was not checked, or nobody noted it.
    Unverified,
    /// It was whole then.
    Verified(Verification),
    /// There is a note that is not believed, for this reason.
    InDoubt(String),
}

/// A note as it is stored: with the digest of what it says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    sha256: String,
    note: Note,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    format: u32,
    backup: String,
    /// The digest in the manifest.
    manifest: String,
    verification: Verification,
}

impl Note {
    fn digest(&self) -> String {
        let bytes = serde_json::to_vec(self).expect("a note has only texts and numbers");
        digest_text(&bytes)
    }
}

/// Notes in `repository` that a backup was found to be whole, at the time `verified_at`: microseconds
/// since 1970-01-01T00:00:00Z. From then on a [`BackupHold`](crate::BackupHold) keeps what it needs.
///
/// # Errors
/// [`BackupError::Store`] when the repository takes nothing. The backup is whole nevertheless.
///
/// ```
/// use refrain_backup::{Repository, Source, Standing, create, note, silent, verify};
/// use refrain_journal::FileJournal;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("orders-data");
/// drop(FileJournal::open(&path)?);
/// let repository = Repository::in_memory();
/// let created = create(&Source::new(&path, 0), &repository, &silent()).await?;
/// assert_eq!(repository.standing(&created.manifest).await?, Standing::Unverified);
///
/// let verified = verify(&repository, &created.id, &silent()).await?;
/// let verification = note(&repository, &verified, 1_700_000_000_000_000).await?;
/// let standing = repository.standing(&created.manifest).await?;
/// assert_eq!(standing, Standing::Verified(verification));
/// # Ok(())
/// # }
/// ```
pub async fn note(
    repository: &Repository,
    verified: &Verified,
    verified_at: u64,
) -> Result<Verification, BackupError> {
    let id = verified.manifest.id();
    let verification = Verification {
        verified_at,
        check: Check::EveryByte,
    };
    let note = Note {
        format: FORMAT,
        backup: id.to_string(),
        manifest: verified.manifest.digest(),
        verification: verification.clone(),
    };
    let stored = Stored {
        sha256: note.digest(),
        note,
    };
    let bytes = serde_json::to_vec_pretty(&stored).expect("a note has only texts and numbers");
    repository.write(&place(&id), bytes.into()).await?;
    Ok(verification)
}

impl Repository {
    /// What is noted of the checks of the backup that `manifest` describes.
    ///
    /// # Errors
    /// [`BackupError::Store`].
    pub async fn standing(&self, manifest: &Manifest) -> Result<Standing, BackupError> {
        let place = place(&manifest.id());
        let standing = match self.fetch(&place, BYTES_MAX).await? {
            Fetched::Missing => return Ok(Standing::Unverified),
            Fetched::TooLarge => Err("it is larger than any note".to_owned()),
            Fetched::Bytes(bytes) => believed(manifest, &bytes),
        };
        Ok(standing.map_or_else(
            |reason| Standing::InDoubt(format!("{place}: {reason}")),
            Standing::Verified,
        ))
    }
}

/// What the note in `bytes` says of the backup that `manifest` describes, or why it is not believed.
fn believed(manifest: &Manifest, bytes: &[u8]) -> Result<Verification, String> {
    let stored: Stored = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let note = stored.note;
    if note.digest() != stored.sha256 {
        return Err("it is not what its digest says".to_owned());
    }
    if note.format != FORMAT {
        let format = note.format;
        return Err(format!(
            "it has format {format}, this program knows format {FORMAT}"
        ));
    }
    if note.backup != manifest.id().to_string() {
        return Err(format!("it is of backup {}", note.backup));
    }
    if note.manifest != manifest.digest() {
        return Err("it is of another backup that had this name".to_owned());
    }
    Ok(note.verification)
}

/// The object that holds the note of `backup`.
fn place(backup: &BackupId) -> String {
    format!("{FOLDER}/{backup}.json")
}

/// Where notes lie.
pub(crate) const FOLDER: &str = "verified";
