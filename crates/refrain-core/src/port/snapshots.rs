//! Where snapshots are kept: blobs by stream and position.

use bytes::Bytes;

use super::BoxFuture;
use crate::id::Position;
use crate::name::Name;

/// Keeps snapshots. What a snapshot means, and whether it is valid, only its reader knows.
///
/// An implementation promises: a snapshot that `put` acknowledged is there whole after a loss of
/// power; one that it did not acknowledge is there whole or not at all; damaged bytes are an error
/// of `get`, never served.
pub trait Snapshots: Send + Sync + std::fmt::Debug + 'static {
    /// Stores `bytes` as the snapshot of `stream` at `position`, in place of one that is there.
    ///
    /// # Errors
    /// [`SnapshotError`]; what was stored before is untouched.
    fn put(
        &self,
        stream: &Name,
        position: Position,
        bytes: Bytes,
    ) -> BoxFuture<'_, Result<(), SnapshotError>>;

    /// The positions of all snapshots of `stream`, newest first.
    ///
    /// # Errors
    /// When they cannot be listed.
    fn list(&self, stream: &Name) -> BoxFuture<'_, Result<Vec<Position>, SnapshotError>>;

    /// The snapshot of `stream` at `position`.
    ///
    /// # Errors
    /// [`SnapshotError::Damaged`] when its bytes are not what was stored.
    fn get(&self, stream: &Name, position: Position)
    -> BoxFuture<'_, Result<Bytes, SnapshotError>>;

    /// Deletes the snapshot of `stream` at `position`; nothing happens when there is none.
    ///
    /// # Errors
    /// When it cannot be deleted.
    fn delete(&self, stream: &Name, position: Position)
    -> BoxFuture<'_, Result<(), SnapshotError>>;
}

/// Why a snapshot could not be stored or read.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// There is no such snapshot.
    #[error("there is no snapshot of {stream} at {position}")]
    Missing {
        /// The stream.
        stream: Name,
        /// The position.
        position: Position,
    },
    /// Its bytes are not what was stored, or of a version that this program does not know.
    #[error("{place}: {detail}")]
    Damaged {
        /// The file, or whatever names the place.
        place: String,
        /// What is wrong.
        detail: String,
    },
    /// The medium failed; a repeat may succeed.
    #[error("snapshots cannot be reached: {0}")]
    Unavailable(String),
}
