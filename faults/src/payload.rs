//! The bytes of entries, and what stands for them in a report.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use crate::chance::Chance;

/// What stands for an entry's bytes in a report. It is not the journal's own checksum, so that a bug
/// in the one does not hide in the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest(pub(crate) u64);

impl Digest {
    /// Of `bytes`.
    pub(crate) fn of(bytes: &[u8]) -> Digest {
        let mut hasher = SipHasher24::new();
        hasher.write(bytes);
        Digest(hasher.finish())
    }
}

/// The bytes of one entry: different for every life, stream and position.
pub(crate) fn entry(life: u64, stream: u32, position: u64, bytes_max: u64) -> Vec<u8> {
    let place = (u64::from(stream) << 48) ^ position;
    let mut chance = Chance::new(life ^ place.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let length = chance.below(bytes_max + 1);
    let mut bytes = Vec::with_capacity(usize::try_from(length).expect("entries are small") + 32);
    bytes.extend_from_slice(&life.to_le_bytes());
    bytes.extend_from_slice(&place.to_le_bytes());
    while (bytes.len() as u64) < length {
        bytes.extend_from_slice(&chance.draw().to_le_bytes());
    }
    bytes
}
