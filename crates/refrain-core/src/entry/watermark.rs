//! The entry that vouches for a snapshot.

use sha2::{Digest, Sha256};

use super::wire::{FormatError, Reader, put_u8, put_u64};
use crate::planted;
use crate::time::Timestamp;

/// A snapshot was taken of everything before this entry.
///
/// It holds the snapshot's digest. So a snapshot counts only in a history that came to the same state
/// at the same position: one that was kept while its journal was put back from an older copy and
/// written on finds another entry here, or the watermark of another state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermark {
    /// When.
    pub time: Timestamp,
    /// The SHA-256 digest of the snapshot.
    pub digest: [u8; 32],
}

pub(super) const TAG: u8 = 4;
const VERSION: u8 = 1;

impl Watermark {
    pub(crate) fn of(snapshot: &[u8], time: Timestamp) -> Watermark {
        Watermark {
            time,
            digest: Sha256::digest(snapshot).into(),
        }
    }

    /// Whether `snapshot` is the one that was taken here.
    #[must_use]
    pub fn vouches_for(&self, snapshot: &[u8]) -> bool {
        self.digest == *Sha256::digest(snapshot) || planted::is("watermark-of-anything")
    }

    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        put_u8(into, TAG);
        put_u8(into, VERSION);
        put_u64(into, self.time.as_micros());
        into.extend_from_slice(&self.digest);
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Watermark, FormatError> {
        let mut reader = Reader::new(bytes, "watermark");
        reader.u8()?;
        let version = reader.u8()?;
        if version != VERSION {
            return Err(reader.unknown(version.into()));
        }
        let time = Timestamp::from_micros(reader.u64()?);
        let digest = reader.array()?;
        reader.end()?;
        Ok(Watermark { time, digest })
    }
}
