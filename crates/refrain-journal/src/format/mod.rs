//! Bytes to types and back, and nothing else: `docs/journal-format.md` as code.
//!
//! Little-endian, fixed width, checksum before meaning. Every function here is total: any bytes
//! give a value or `None`, never a panic. What is checked against the rest of the journal (numbers,
//! chains, positions) is checked by the callers.

pub(crate) mod catalogue;
pub(crate) mod digest;
pub(crate) mod directory;
pub(crate) mod frame;
pub(crate) mod mark;
pub(crate) mod record;
pub(crate) mod segment_header;
pub(crate) mod segment_index;
pub(crate) mod stream_segment;

/// The version that this program writes, and the only one it reads. Frozen: what a file of this
/// version means never changes.
pub(crate) const VERSION: u32 = 1;

/// Why stored bytes have no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// They are not what was written.
    Damaged,
    /// They are whole, and of a version that this program does not know.
    Version(u32),
    /// They are whole, and say something in bytes that are reserved: zero in what this program
    /// writes, so that a later one can use them and is not misunderstood.
    Newer,
}

/// The first `end` bytes of `bytes`: whole by the checksum that follows them and starts from `salt`, with
/// this magic in front of them, and of the version that is known here.
pub(crate) fn whole_fields<'a>(
    bytes: &'a [u8],
    end: usize,
    magic: &[u8; 8],
    salt: u32,
) -> Result<&'a [u8], Unreadable> {
    let fields = bytes.get(..end).ok_or(Unreadable::Damaged)?;
    let checksum = crc32c::crc32c_append(salt, fields);
    if u32_at(bytes, end) != Some(checksum) || fields[..8] != *magic {
        return Err(Unreadable::Damaged);
    }
    match u32_at(fields, 8) {
        Some(VERSION) => Ok(fields),
        Some(version) => Err(Unreadable::Version(version)),
        None => Err(Unreadable::Damaged),
    }
}

/// Demands that the reserved bytes of what is whole are zero.
pub(crate) fn check_reserved(bytes: &[u8]) -> Result<(), Unreadable> {
    match bytes.iter().all(|byte| *byte == 0) {
        true => Ok(()),
        false => Err(Unreadable::Newer),
    }
}

/// The four bytes of `bytes` at `at` as a number; `None` past the end.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(field.try_into().ok()?))
}

/// The eight bytes of `bytes` at `at` as a number; `None` past the end.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(field.try_into().ok()?))
}

/// Counters (positions, numbers of frames and segments, epochs) stay below this: no journal lives so
/// long, and what follows one, or adds two of them, fits 64 bits. So larger ones are damage.
pub(crate) const COUNTERS_MAX: u64 = 1 << 62;

/// The eight bytes of `bytes` at `at` as a counter; `None` past the end, or when there is none.
pub(crate) fn counter_at(bytes: &[u8], at: usize) -> Option<u64> {
    u64_at(bytes, at).filter(|counter| *counter < COUNTERS_MAX)
}

/// A count of bytes that is known to stay below 4 GiB, as it is written.
pub(crate) fn written(count: usize) -> u32 {
    u32::try_from(count).expect("segments and what is in them stay below 4 GiB")
}
