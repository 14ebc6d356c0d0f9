//! A state's fingerprint, for comparing two replays.

use refrain_core::{Position, Processor};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// A state by its position and the SHA-256 digest of its encoded form.
///
/// Two replays of one stream give the same digest at the same position, if the state's encoded form
/// is canonical: ordered maps, no addresses, no time of day. Shown as `position:digest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateDigest {
    /// The last entry that the state contains.
    pub position: Position,
    /// The digest.
    pub digest: [u8; 32],
}

impl StateDigest {
    pub(crate) fn of<P: Processor + Serialize>(state: &P, position: Position) -> StateDigest {
        let mut bytes = Vec::new();
        // A state that cannot be encoded has no snapshots either, and says so there.
        let _ = P::ENCODING.encode(state, &mut bytes);
        StateDigest {
            position,
            digest: Sha256::digest(&bytes).into(),
        }
    }
}

impl std::fmt::Display for StateDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:", self.position)?;
        self.digest
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
