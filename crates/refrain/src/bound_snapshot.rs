//! A snapshot, bound to the history that it was taken of.
//!
//! A stored snapshot begins with the SHA-256 digest of the entry at its position. A journal that was
//! put back from an older copy and written on has another entry there: its snapshots of the lost
//! line look newer than they are, and must not be used. What is compared is one entry: two lines whose
//! entries are the same there, to the microsecond, and not before, are not told apart.

use bytes::{BufMut, Bytes, BytesMut};
use refrain_core::port::journal::{Journal, ReadError};
use refrain_core::{Name, Position};
use sha2::{Digest, Sha256};

const DIGEST_BYTES: usize = 32;

/// The digest of the entry at `position`; `None` when it is not there.
pub(crate) async fn entry_digest(
    journal: &dyn Journal,
    stream: &Name,
    position: Position,
) -> Result<Option<[u8; DIGEST_BYTES]>, ReadError> {
    let chunk = journal.read(stream, position).await?.next().await?;
    let entry = chunk.and_then(|chunk| chunk.entry(position));
    Ok(entry.map(|entry| Sha256::digest(&entry).into()))
}

/// The stored form of `snapshot`.
pub(crate) fn bind(entry: &[u8; DIGEST_BYTES], snapshot: &[u8]) -> Bytes {
    let mut bound = BytesMut::with_capacity(DIGEST_BYTES + snapshot.len());
    bound.put_slice(entry);
    bound.put_slice(snapshot);
    bound.freeze()
}

/// The digest and the snapshot in a stored form; `None` when it is too short to be one.
pub(crate) fn unbind(stored: &[u8]) -> Option<(&[u8; DIGEST_BYTES], &[u8])> {
    stored.split_first_chunk()
}
