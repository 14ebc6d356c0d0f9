//! The stream's secret, and the identities that are derived from it.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use siphasher::sip128::SipHasher24;

use crate::id::Key;

/// 256 bits that the stream's first writer drew. Not a secret from whoever can read the journal; it
/// keeps outsiders from choosing ids that collide, and makes keys differ between deployments.
#[derive(Clone)]
pub(crate) struct Secret {
    bytes: [u8; 32],
    mac: Hmac<Sha256>,
    fingerprints: SipHasher24,
    correlations: SipHasher24,
}

impl Secret {
    pub(crate) fn new(bytes: [u8; 32]) -> Secret {
        let half = |start: usize| {
            let (key, _) = bytes[start..].split_first_chunk().expect("there are 32");
            SipHasher24::new_with_key(key)
        };
        Secret {
            bytes,
            mac: Hmac::new_from_slice(&bytes).expect("HMAC takes keys of any length"),
            fingerprints: half(0),
            correlations: half(16),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// HMAC-SHA-256 (RFC 2104) over `parts`, each behind its length, cut to 128 bits.
    pub(crate) fn key(&self, parts: &[&[u8]]) -> Key {
        let mut mac = self.mac.clone();
        for part in parts {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        let tag = mac.finalize().into_bytes();
        let (key, _) = tag.split_first_chunk().expect("a SHA-256 tag has 32 bytes");
        Key::new(*key)
    }

    /// What all that follows from the message with this identity has in common. It is told to
    /// destinations, so it has nothing in common with the fingerprint of the same identity.
    pub(crate) fn correlation(&self, identity: &[u8]) -> Key {
        Key::new(hash(&self.correlations, identity).to_be_bytes())
    }

    /// What stands for an identity in the memory of handled messages, so that nobody outside
    /// can make two ids meet.
    #[inline(always)]
    pub(crate) fn fingerprint(&self, identity: &[u8]) -> u128 {
        hash(&self.fingerprints, identity)
    }
}

/// SipHash-2-4 (Aumasson and Bernstein, 2012) with 128 bits. Inlined, for one length that is known
/// beforehand takes a quarter fewer instructions.
#[inline(always)]
fn hash(hasher: &SipHasher24, bytes: &[u8]) -> u128 {
    hasher.hash(bytes).as_u128()
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::Cause;
    use crate::entry::drawn_identity;

    /// Stored in snapshots: it must stay what it is. The reference implementation's value for the key
    /// 00 .. 0f and the message 00 .. 0e.
    #[test]
    fn fingerprint_is_the_published_siphash_under_the_first_half_of_the_secret() {
        let secret = Secret::new(std::array::from_fn(|place| place as u8));
        let message: [u8; 15] = std::array::from_fn(|place| place as u8);
        let tag = 0xd9c3_cf97_0fec_087e_11a8_b033_99e9_9354;
        assert_eq!(secret.fingerprint(&message), tag);
        assert_ne!(secret.correlation(&message).bytes(), &tag.to_be_bytes());
    }

    #[test]
    fn drawn_identity_has_the_fingerprint_of_what_is_stored_of_it() {
        let (secret, bits) = (Secret::new([7; 32]), [3; 16]);
        let mut stored = Vec::new();
        Cause::Drawn(bits).encode_identity(&mut stored);
        let fingerprint = secret.fingerprint(&stored);
        assert_eq!(secret.fingerprint(&drawn_identity(bits)), fingerprint);
        assert_eq!(stored.len(), 17);
    }
}
