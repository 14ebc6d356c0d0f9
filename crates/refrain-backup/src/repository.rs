//! Where backups are kept: pieces and manifests as objects of a store.
//!
//! `pieces/` holds parts of files under their own digests, `backups/` one manifest per backup. What
//! is there is never changed: a piece of the same name has the same bytes, and a manifest is only
//! written where none is. `verified/` has a note for each backup that was checked.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;
use object_store::{
    Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
};

use refrain_journal::{FileSystem, make_lasting};

use crate::digest::digest_text;
use crate::error::BackupError;
use crate::manifest::{BackupId, Manifest, PIECE_BYTES, Piece};

/// The most that a manifest has; a piece is far below.
const MANIFEST_BYTES_MAX: u64 = 1 << 30;

/// Keeps backups in a directory or an object store.
///
/// ```
/// use refrain_backup::Repository;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let place = dir.path().join("backups").display().to_string();
/// let repository = Repository::make(&place)?;
/// assert!(repository.backups().await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Repository {
    store: Arc<dyn ObjectStore>,
    prefix: ObjectPath,
    /// As it was named, for errors.
    name: String,
}

impl Repository {
    /// The repository at `place`: a directory that is there, a `file://` URL, or with the feature
    /// `aws` an `s3://bucket/path` URL, whose keys come from the environment as `AWS_*`.
    ///
    /// # Errors
    /// [`BackupError::Missing`] when there is no such directory, [`BackupError::Store`] otherwise.
    pub fn open(place: &str) -> Result<Repository, BackupError> {
        match Place::of(place) {
            Place::Directory(dir) => {
                if !Path::new(dir).is_dir() {
                    return Err(BackupError::Missing {
                        wanted: "directory of backups".to_owned(),
                        repository: place.to_owned(),
                    });
                }
                let store = LocalFileSystem::new_with_prefix(dir);
                let store = store.map_err(|error| unusable(place, error))?;
                Ok(Repository {
                    // A backup that a loss of power takes away was none.
                    store: Arc::new(store.with_fsync(true)),
                    prefix: ObjectPath::default(),
                    name: place.to_owned(),
                })
            }
            Place::Bucket(url) => bucket(url),
            Place::Unknown => {
                let reason = "only directories, file:// and s3:// are known";
                Err(unusable(place, reason))
            }
        }
    }

    /// As [`Repository::open`], but makes the directory if need be, for its owner alone.
    ///
    /// # Errors
    /// As [`Repository::open`], and when the directory cannot be made.
    pub fn make(place: &str) -> Result<Repository, BackupError> {
        if let Place::Directory(dir) = Place::of(place) {
            let dir = Path::new(dir);
            make_lasting(&FileSystem, dir).map_err(BackupError::io(dir))?;
        }
        Repository::open(place)
    }

    /// A repository in a store of another sort; `name` is for errors.
    #[must_use]
    pub fn on(store: Arc<dyn ObjectStore>, prefix: &str, name: &str) -> Repository {
        Repository {
            store,
            prefix: ObjectPath::from(prefix),
            name: name.to_owned(),
        }
    }

    /// A repository in memory, for tests.
    #[must_use]
    pub fn in_memory() -> Repository {
        Repository::on(Arc::new(InMemory::new()), "", "memory")
    }

    /// What the repository is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All backups, those of one journal together and oldest first.
    ///
    /// # Errors
    /// [`BackupError::Store`].
    pub async fn backups(&self) -> Result<Vec<BackupId>, BackupError> {
        Ok(self.listed("backups").await?.into_keys().collect())
    }

    /// The objects of `folder` that are called by backups, in the order of [`Repository::backups`].
    pub(crate) async fn listed(
        &self,
        folder: &str,
    ) -> Result<BTreeMap<BackupId, ObjectMeta>, BackupError> {
        let folder = self.object(folder);
        let listed = self.store.list_with_delimiter(Some(&folder)).await;
        let listed = listed.map_err(|error| self.failed(&error))?;
        let objects = listed.objects.into_iter();
        Ok(objects
            .filter_map(|object| Some((BackupId::of_file(object.location.filename()?)?, object)))
            .collect())
    }

    /// The newest backup, if all are of one journal.
    ///
    /// # Errors
    /// [`BackupError::Missing`] when there is none, or when it is not clear whose.
    pub async fn newest(&self) -> Result<BackupId, BackupError> {
        let backups = self.backups().await?;
        let missing = |wanted: String| BackupError::Missing {
            wanted,
            repository: self.name.clone(),
        };
        let mut journals: Vec<&str> = backups.iter().map(BackupId::identity).collect();
        journals.dedup();
        if journals.len() > 1 {
            let count = journals.len();
            return Err(missing(format!(
                "one newest backup, for {count} journals have backups"
            )));
        }
        let newest = backups.into_iter().max_by(|a, b| a.age().cmp(b.age()));
        newest.ok_or_else(|| missing("backup".to_owned()))
    }

    /// The manifest of backup `id`.
    ///
    /// # Errors
    /// [`BackupError::Missing`], or [`BackupError::Damaged`] when it is not what was stored.
    pub async fn manifest(&self, id: &BackupId) -> Result<Manifest, BackupError> {
        let bytes = self.bytes(&id.place(), MANIFEST_BYTES_MAX).await?;
        let bytes = bytes.ok_or_else(|| BackupError::Missing {
            wanted: format!("backup {id}"),
            repository: self.name.clone(),
        })?;
        Manifest::decode(id, &bytes)
    }

    /// Writes `manifest`, which makes the backup. Says `false` when there is one of its name.
    pub(crate) async fn commit(&self, manifest: &Manifest) -> Result<bool, BackupError> {
        let options = PutOptions::from(PutMode::Create);
        let object = self.object(&manifest.id().place());
        let payload = PutPayload::from(manifest.encode());
        match self.store.put_opts(&object, payload, options).await {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Whether `piece` is there, as far as its name and size tell.
    pub(crate) async fn has(&self, piece: &Piece) -> Result<bool, BackupError> {
        match self.store.head(&self.object(&place_of(piece))).await {
            Ok(found) => Ok(found.size == piece.bytes),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Stores `piece` and reads it back.
    pub(crate) async fn put(&self, piece: &Piece, bytes: Bytes) -> Result<(), BackupError> {
        self.write(&place_of(piece), bytes).await?;
        match self.piece(piece).await? {
            Ok(_) => Ok(()),
            Err(detail) => Err(unusable(
                &self.name,
                format!("{} was stored, and now {detail}", place_of(piece)),
            )),
        }
    }

    /// The bytes of `piece`, or what is wrong with them.
    pub(crate) async fn piece(&self, piece: &Piece) -> Result<Result<Bytes, String>, BackupError> {
        let is_name =
            piece.sha256.len() == 64 && piece.sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_name || piece.bytes > PIECE_BYTES as u64 {
            return Ok(Err("no piece has such a name or size".to_owned()));
        }
        let Some(bytes) = self.bytes(&place_of(piece), piece.bytes).await? else {
            return Ok(Err("it is missing, or larger than it was".to_owned()));
        };
        let digest = digest_text(&bytes);
        if digest != piece.sha256 || bytes.len() as u64 != piece.bytes {
            return Ok(Err(format!("its digest is {digest}")));
        }
        Ok(Ok(bytes))
    }

    /// The bytes of an object; `None` when it is missing or larger than `bytes_max`.
    async fn bytes(&self, place: &str, bytes_max: u64) -> Result<Option<Bytes>, BackupError> {
        Ok(match self.fetch(place, bytes_max).await? {
            Fetched::Bytes(bytes) => Some(bytes),
            Fetched::Missing | Fetched::TooLarge => None,
        })
    }

    pub(crate) async fn fetch(&self, place: &str, bytes_max: u64) -> Result<Fetched, BackupError> {
        let got = match self.store.get(&self.object(place)).await {
            Ok(got) => got,
            Err(Error::NotFound { .. }) => return Ok(Fetched::Missing),
            Err(error) => return Err(self.failed(&error)),
        };
        if got.meta.size > bytes_max {
            return Ok(Fetched::TooLarge);
        }
        let bytes = got.bytes().await.map_err(|error| self.failed(&error))?;
        Ok(Fetched::Bytes(bytes))
    }

    /// Writes an object, in place of one that is there.
    pub(crate) async fn write(&self, place: &str, bytes: Bytes) -> Result<(), BackupError> {
        let object = self.object(place);
        let put = self.store.put(&object, PutPayload::from(bytes)).await;
        put.map(|_| ()).map_err(|error| self.failed(&error))
    }

    fn object(&self, place: &str) -> ObjectPath {
        let parts = self.prefix.parts();
        parts.chain(ObjectPath::from(place).parts()).collect()
    }

    fn failed(&self, error: &Error) -> BackupError {
        unusable(&self.name, error)
    }
}

/// An object that was asked for.
#[derive(Debug)]
pub(crate) enum Fetched {
    /// There is none.
    Missing,
    /// It is larger than it may be.
    TooLarge,
    /// Its bytes.
    Bytes(Bytes),
}

/// The object that holds `piece`.
pub(crate) fn place_of(piece: &Piece) -> String {
    format!("pieces/{}", piece.sha256)
}

fn unusable(repository: &str, reason: impl std::fmt::Display) -> BackupError {
    BackupError::Store {
        repository: repository.to_owned(),
        reason: reason.to_string(),
    }
}

/// What a place is, by how it is written.
enum Place<'a> {
    Directory(&'a str),
    Bucket(&'a str),
    Unknown,
}

impl Place<'_> {
    fn of(place: &str) -> Place<'_> {
        match place.split_once("://") {
            None => Place::Directory(place),
            Some(("file", path)) => Place::Directory(path),
            Some(("s3" | "s3a", _)) => Place::Bucket(place),
            Some(_) => Place::Unknown,
        }
    }
}

#[cfg(feature = "aws")]
fn bucket(url: &str) -> Result<Repository, BackupError> {
    use object_store::aws::AmazonS3Builder;

    // The second call of one process finds it done.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let path = url.split_once("://").map_or("", |(_, rest)| rest);
    let prefix = path.split_once('/').map_or("", |(_, prefix)| prefix);
    let store = AmazonS3Builder::from_env().with_url(url);
    let store = store.with_retry(retries()).build();
    let store = store.map_err(|error| unusable(url, error))?;
    Ok(Repository {
        store: Arc::new(store),
        prefix: ObjectPath::from(prefix),
        name: url.to_owned(),
    })
}

/// How often a request is made again: a store that cannot be reached is reported after some 20 seconds
/// at most: 10, the last pause, and 5 for the last connection. The next run finds what was stored.
#[cfg(feature = "aws")]
fn retries() -> object_store::RetryConfig {
    object_store::RetryConfig {
        max_retries: 6,
        retry_timeout: std::time::Duration::from_secs(10),
        ..object_store::RetryConfig::default()
    }
}

#[cfg(not(feature = "aws"))]
fn bucket(url: &str) -> Result<Repository, BackupError> {
    Err(unusable(url, "this program was built without `aws`"))
}
