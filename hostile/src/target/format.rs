//! Each stored format by itself: as the bytes are, and with their checksums made right.

use refrain_core::{Name, Position};
use refrain_journal::fuzzing;

use crate::script::Script;

/// Any salt: the formats take it as given.
const SALT: u32 = 0x5eed;

pub(super) fn mark(bytes: &[u8]) {
    fuzzing::mark(bytes);
    fuzzing::mark(&sealed(bytes, 0, 0..76, 76));
}

pub(super) fn segment_header(bytes: &[u8]) {
    fuzzing::segment_header(bytes);
    fuzzing::segment_header(&sealed(bytes, 0, 0..44, 44));
}

pub(super) fn frame(bytes: &[u8]) {
    fuzzing::frame(SALT, bytes);
    fuzzing::frame(SALT, &sealed(bytes, SALT, 8..40, 4));
}

pub(super) fn record(bytes: &[u8]) {
    fuzzing::record(SALT, bytes);
    let mut sealed = bytes.to_vec();
    fuzzing::reseal_record(SALT, &mut sealed);
    fuzzing::record(SALT, &sealed);
}

pub(super) fn segment_index(bytes: &[u8]) {
    fuzzing::segment_index(bytes);
    let mut sealed = sealed(bytes, 0, 0..44, 44);
    fuzzing::reseal_index(&mut sealed);
    fuzzing::segment_index(&sealed);
}

pub(super) fn stream_segment(bytes: &[u8]) {
    fuzzing::stream_segment(bytes);
    let mut sealed = bytes.to_vec();
    fuzzing::reseal_stream_segment(&mut sealed);
    fuzzing::stream_segment(&sealed);
}

/// Nine bytes say what is said of the rest: as it is, or compressed.
pub(super) fn block(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let fields = [u32::from(script.u8()), script.u32(), script.u32()];
    fuzzing::block(SALT, fields, script.rest());
}

pub(super) fn directory(bytes: &[u8]) {
    fuzzing::directory(bytes);
    let mut sealed = bytes.to_vec();
    fuzzing::reseal_directory(&mut sealed);
    fuzzing::directory(&sealed);
}

pub(super) fn snapshot(bytes: &[u8]) {
    let stream = Name::new("orders").expect("it is a name");
    fuzzing::snapshot(&stream, Position::FIRST, bytes);
    let Some((head, rest)) = bytes.split_at_checked(16) else {
        return;
    };
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&head[..12]), rest);
    let whole = [&head[..12], &checksum.to_le_bytes(), rest].concat();
    fuzzing::snapshot(&stream, Position::FIRST, &whole);
}

/// The bytes with the checksum of those `of` them written at `at`, if both are there.
fn sealed(bytes: &[u8], salt: u32, of: std::ops::Range<usize>, at: usize) -> Vec<u8> {
    let mut sealed = bytes.to_vec();
    if let Some(covered) = bytes.get(of)
        && let Some(field) = sealed.get_mut(at..at + 4)
    {
        field.copy_from_slice(&crc32c::crc32c_append(salt, covered).to_le_bytes());
    }
    sealed
}
