//! What a stream holds as one number, independent of files, segments and journals.

use std::collections::HashMap;
use std::fmt;

use refrain_core::Position;
use refrain_journal::inspect::{SeenEntry, Visitor};
use sha2::{Digest, Sha256};

/// A digest over consecutive entries of one stream.
///
/// It starts as 32 zeros; each entry makes it the SHA-256 of the digest before, the position (eight
/// bytes, little-endian) and the entry's bytes. So it depends on every byte, on every position and
/// on where it began, and on nothing else: a stream that is copied to another journal keeps it.
///
/// ```
/// use refrain_backup::StreamDigest;
/// use refrain_core::Position;
///
/// let mut one = StreamDigest::default();
/// one.push(Position::FIRST, b"submitted");
/// let mut other = StreamDigest::default();
/// other.push(Position::FIRST, b"Submitted");
/// assert_ne!(one, other);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamDigest([u8; 32]);

impl StreamDigest {
    /// Takes the next entry.
    pub fn push(&mut self, position: Position, entry: &[u8]) {
        let mut hasher = Sha256::new();
        hasher.update(self.0);
        hasher.update(position.get().to_le_bytes());
        hasher.update(entry);
        self.0 = hasher.finalize().into();
    }
}

impl fmt::Display for StreamDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

/// The digest of each stream that an inspection shows, by the stream's number.
///
/// ```
/// use refrain_backup::StreamDigests;
/// use refrain_journal::FileJournal;
/// use refrain_journal::inspect::Inspector;
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("orders-data");
/// drop(FileJournal::open(&path)?);
/// let mut digests = StreamDigests::default();
/// Inspector::new(&path).run(&mut digests)?;
/// assert_eq!(digests.of(0), Default::default());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct StreamDigests(HashMap<u32, StreamDigest>);

impl StreamDigests {
    /// The digest of the stream with this number.
    #[must_use]
    pub fn of(&self, stream: u32) -> StreamDigest {
        self.0.get(&stream).copied().unwrap_or_default()
    }
}

impl Visitor for StreamDigests {
    fn entry(&mut self, entry: &SeenEntry<'_>) {
        let digest = self.0.entry(entry.stream).or_default();
        digest.push(entry.position, entry.bytes);
    }

    fn restart(&mut self) {
        self.0.clear();
    }
}

/// The SHA-256 digest of `bytes`, in hexadecimal digits.
pub(crate) fn digest_text(bytes: &[u8]) -> String {
    struct Text([u8; 32]);
    impl fmt::Display for Text {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            hex(&self.0, f)
        }
    }
    Text(Sha256::digest(bytes).into()).to_string()
}

fn hex(bytes: &[u8; 32], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}
