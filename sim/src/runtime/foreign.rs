//! A snapshot as a build of another version would have left it.

use crate::chance::Chance;

/// Where a snapshot's file says its version, and its checksum; where the stream's name begins.
const VERSION_AT: usize = 8;
const CHECKSUM_AT: usize = 12;
const NAME_BYTES_AT: usize = 24;
const NAME_AT: usize = 32;

/// Makes `file` one of another version, of the file's format or of what the engine wrote in it. The
/// same bytes mean another state there; the checksum is right.
pub(super) fn rewrite(file: &mut [u8], chance: &mut Chance) {
    let name_bytes = file.get(NAME_BYTES_AT).copied().map_or(0, usize::from);
    let engine_at = NAME_AT + name_bytes;
    if file.len() <= engine_at + 2 {
        return;
    }
    let version_at = if chance.one_in(2) {
        VERSION_AT
    } else {
        engine_at
    };
    // Also of one that was made so before: the version stays another one.
    file[version_at] |= 2;
    // What is stored last is the state.
    let last = file.len() - 1;
    file[last - chance.index((last - engine_at - 2).min(12))] ^= 1;
    let checksum = crc32c::crc32c_append(
        crc32c::crc32c(&file[..CHECKSUM_AT]),
        &file[CHECKSUM_AT + 4..],
    );
    file[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&checksum.to_le_bytes());
}
