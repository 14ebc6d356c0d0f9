//! The digest of a frame: what its header says of its records.

/// Checksums that are taken in at once. A call for the four bytes of each takes longer than the
/// bytes do.
const HELD_BYTES: usize = 512;

/// The salted checksum of the records' checksums, in order.
#[derive(Debug)]
pub(crate) struct Digest {
    /// Of what is not held any more.
    checksum: u32,
    held: [u8; HELD_BYTES],
    held_bytes: usize,
}

impl Digest {
    /// Of no records, in a segment with this salt.
    pub(crate) fn new(salt: u32) -> Digest {
        Digest {
            checksum: salt,
            held: [0; HELD_BYTES],
            held_bytes: 0,
        }
    }

    /// Adds the checksum of the next record.
    pub(crate) fn add(&mut self, checksum: u32) {
        if self.held_bytes == HELD_BYTES {
            self.checksum = self.value();
            self.held_bytes = 0;
        }
        let end = self.held_bytes + size_of::<u32>();
        self.held[self.held_bytes..end].copy_from_slice(&checksum.to_le_bytes());
        self.held_bytes = end;
    }

    /// What the header says when there are no more.
    pub(crate) fn value(&self) -> u32 {
        crc32c::crc32c_append(self.checksum, &self.held[..self.held_bytes])
    }
}

const _: () = assert!(HELD_BYTES.is_multiple_of(size_of::<u32>()));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_the_checksum_of_all_checksums_however_many_there_are() {
        for count in [0, 1, 127, 128, 129, 256, 1000] {
            let checksums = (0..count).map(|number: u32| number.wrapping_mul(0x9e37_79b9));
            let mut digest = Digest::new(7);
            for checksum in checksums.clone() {
                digest.add(checksum);
            }
            let bytes: Vec<u8> = checksums.flat_map(u32::to_le_bytes).collect();
            assert_eq!(digest.value(), crc32c::crc32c_append(7, &bytes), "{count}");
        }
    }
}
