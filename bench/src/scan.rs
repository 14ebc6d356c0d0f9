//! The bare sequential scan: the same bytes without anything between them, word by word.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes that are read at a time.
const SCAN_BYTES: usize = 1024 * 1024;

/// Scans the file at `path` through a buffer.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn scan_file(path: &Path) -> io::Result<u64> {
    let file = File::open(path)?;
    let mut buffer = vec![0; SCAN_BYTES];
    let (mut offset, mut total) = (0, 0_u64);
    loop {
        let count = file.read_at(&mut buffer, offset)?;
        if count == 0 {
            return Ok(total);
        }
        total = total.wrapping_add(sum(&buffer[..count]));
        offset += count as u64;
    }
}

/// Looks at every byte.
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    let rest = rest.iter().map(|byte| u64::from(*byte));
    words.chain(rest).fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_depends_on_every_byte() {
        let bytes = [1_u8; 19];
        for place in 0..bytes.len() {
            let mut changed = bytes;
            changed[place] = 2;
            assert_ne!(sum(&changed), sum(&bytes), "byte {place}");
        }
    }
}
