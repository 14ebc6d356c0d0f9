//! The stream's secret, and the identities that are derived from it.

use std::hash::Hasher;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use siphasher::sip128::{Hasher128, SipHasher24};

use crate::cause::Cause;
use crate::id::Key;

/// 256 bits that the stream's first writer drew. Not a secret from whoever can read the journal; it
/// keeps outsiders from choosing ids that collide, and makes keys differ between deployments.
#[derive(Clone)]
pub(crate) struct Secret {
    bytes: [u8; 32],
    mac: Hmac<Sha256>,
}

impl Secret {
    pub(crate) fn new(bytes: [u8; 32]) -> Secret {
        let mac = Hmac::new_from_slice(&bytes).expect("HMAC takes keys of any length");
        Secret { bytes, mac }
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
        let (_, key) = self.bytes.split_last_chunk().expect("32 bytes end with 16");
        Key::new(hash(key, identity).to_be_bytes())
    }

    /// What stands for an identity in the memory of handled messages, so that nobody outside
    /// can make two ids meet.
    pub(crate) fn fingerprint(&self, cause: &Cause<'_>, buffer: &mut Vec<u8>) -> u128 {
        buffer.clear();
        cause.encode_identity(buffer);
        let (key, _) = self
            .bytes
            .split_first_chunk()
            .expect("32 bytes begin with 16");
        hash(key, buffer)
    }
}

/// SipHash-2-4 (Aumasson and Bernstein, 2012) with 128 bits.
fn hash(key: &[u8; 16], bytes: &[u8]) -> u128 {
    let mut hasher = SipHasher24::new_with_key(key);
    hasher.write(bytes);
    hasher.finish128().as_u128()
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}
