//! Right checksums over changed bytes, so that what lies behind the checksums is reached.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::format::catalogue::{PAGE_REF_BYTES, ROW_BYTES, TRAILER_BYTES};
use crate::format::directory::{DIRECTORY_HEADER_BYTES, SEGMENT_BYTES as DIRECTORY_SEGMENT_BYTES};
use crate::format::frame::{FRAME_HEADER_BYTES, FRAME_MAGIC, FrameHeader};
use crate::format::mark::{End, MARK_FILE_BYTES, Mark, SLOT_BYTES, SLOTS_AT, Stage};
use crate::format::record::{self, RECORD_HEADER_BYTES};
use crate::format::segment_header::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::format::stream_segment::StreamSegmentHeader;
use crate::format::{u32_at, u64_at, written};
use crate::mark::MARK_FILE;
use crate::segment::{FileKind, index_name, log_name};

const FRAMES_AT: usize = SEGMENT_HEADER_BYTES as usize;

/// A record as its fields say, whatever they say.
#[derive(Debug, Clone)]
pub struct Draft {
    /// 1 an entry, 2 a declaration.
    pub kind: u32,
    /// The stream's number.
    pub stream: u32,
    /// The entry's position; the next one in a declaration.
    pub position: u64,
    /// What follows the header.
    pub body: Vec<u8>,
}

/// The chains that the frames of the log name, by the place where a frame ends.
type Chains = BTreeMap<(u64, usize), u32>;

/// The files of a journal that was never opened since it wrote these frames into these segments; of
/// `marked` frames the durable mark knows.
///
/// # Panics
/// When a segment has no room for its frames.
#[must_use]
pub fn log(
    segments: &[Vec<Vec<Draft>>],
    segment_bytes: u32,
    marked: usize,
) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut end = End {
        segment: 1,
        offset: SEGMENT_HEADER_BYTES,
        frame: 1,
        chain: 0,
    };
    let mut mark = end;
    for (number, frames) in (1..).zip(segments) {
        let header = SegmentHeader {
            identity: 7,
            number,
            epoch: 1,
            segment_bytes,
        };
        let mut file = vec![0; segment_bytes as usize];
        file[..48].copy_from_slice(&header.encode());
        end = End {
            segment: number,
            offset: SEGMENT_HEADER_BYTES,
            ..end
        };
        for records in frames {
            end = write_frame(header.salt(), records, &mut file, end);
            if end.frame <= marked as u64 + 1 {
                mark = end;
            }
        }
        files.insert(log_name(number), file);
    }
    let mark = Mark {
        stage: Stage::Running,
        identity: 7,
        sequence: 0,
        epoch: 1,
        first_segment: 1,
        end: mark,
    };
    let mut file = vec![0; MARK_FILE_BYTES];
    file[..SLOT_BYTES].copy_from_slice(&mark.encode());
    files.insert(MARK_FILE.to_owned(), file);
    files
}

fn write_frame(salt: u32, records: &[Draft], file: &mut [u8], end: End) -> End {
    let mut body = Vec::new();
    for draft in records {
        body.extend_from_slice(&[0; 4]);
        body.extend_from_slice(&written(draft.body.len()).to_le_bytes());
        body.extend_from_slice(&draft.stream.to_le_bytes());
        body.extend_from_slice(&draft.kind.to_le_bytes());
        body.extend_from_slice(&draft.position.to_le_bytes());
        body.extend_from_slice(&draft.body);
    }
    let (digest, records) = seal_records(salt, &mut body);
    let header = FrameHeader {
        number: end.frame,
        epoch: 1,
        chain: end.chain,
        digest,
        body_bytes: written(body.len()),
        records,
    };
    let at = end.offset as usize;
    let mut bytes = [0; FRAME_HEADER_BYTES];
    let chain = header.encode(salt, &mut bytes);
    file[at..at + FRAME_HEADER_BYTES].copy_from_slice(&bytes);
    file[at + FRAME_HEADER_BYTES..][..body.len()].copy_from_slice(&body);
    End {
        offset: written(at + FRAME_HEADER_BYTES + body.len()),
        frame: end.frame + 1,
        chain,
        ..end
    }
}

/// Makes all checksums and chains of a journal's files right again.
pub fn reseal(files: &mut BTreeMap<String, Vec<u8>>) {
    let mut chains = Chains::new();
    let mut salts = BTreeMap::new();
    let mut chain = 0;
    for (name, file) in files.iter_mut() {
        let FileKind::Log(number) = FileKind::of(name) else {
            continue;
        };
        put_checksum(file, 0, 0..44, 44);
        if let Ok(header) = SegmentHeader::decode(file) {
            salts.insert(number, header.salt());
            chain = seal_segment(number, header.salt(), chain, file, &mut chains);
        }
    }
    for (name, file) in files.iter_mut() {
        match FileKind::of(name) {
            FileKind::Index(number) => {
                let salt = salts.get(&number).copied().unwrap_or_default();
                seal_index(number, salt, file, &chains);
            }
            FileKind::Streams(..) => reseal_stream_segment(file),
            FileKind::Directory => seal_directory(file, &chains),
            FileKind::Log(_) | FileKind::Temporary => {}
            FileKind::Other => {
                if name == MARK_FILE {
                    seal_mark(file, &chains);
                }
            }
        }
    }
}

/// Makes the checksum right of a record that `bytes` are.
pub fn reseal_record(salt: u32, bytes: &mut [u8]) {
    if bytes.len() >= RECORD_HEADER_BYTES {
        record::seal(salt, 0, bytes);
    }
}

/// Makes the checksums right of an index that follows the 48 bytes of its segment's header.
pub fn reseal_index(bytes: &mut [u8]) {
    if let Ok(header) = SegmentHeader::decode(bytes)
        && let Some(file) = bytes.get_mut(48..)
    {
        seal_index(header.number, header.salt(), file, &Chains::new());
    }
}

/// Makes the checksums right of a stream segment.
pub fn reseal_stream_segment(file: &mut [u8]) {
    put_checksum(file, 0, 0..60, 60);
    let Ok(header) = StreamSegmentHeader::decode(file) else {
        return;
    };
    let salt = header.salt();
    // A block has its checksum itself, too.
    seal_catalogue(salt, file, &|file, row| {
        let (at, bytes) = (place(file, row + 16), u32_at(file, row + 24));
        let end = at.saturating_add(bytes.unwrap_or_default() as usize);
        let content = at.saturating_add(8).min(end);
        put_checksum(file, salt, content..end, at.saturating_add(4));
        put_checksum(file, salt, content..end, row + 28);
    });
}

/// Makes the checksums right of a directory.
pub fn reseal_directory(file: &mut [u8]) {
    put_checksum(file, 0, 0..76, 76);
    if let Some(end) = file.len().checked_sub(4) {
        put_checksum(file, 0, DIRECTORY_HEADER_BYTES..end, end);
    }
}

/// The names of a segment's two files.
#[must_use]
pub fn segment_files(number: u64) -> [String; 2] {
    [log_name(number), index_name(number)]
}

fn seal_mark(file: &mut [u8], chains: &Chains) {
    for at in SLOTS_AT {
        let slot = file.get_mut(at..).unwrap_or_default();
        let end = u64_at(slot, 48).zip(u32_at(slot, 64));
        let chain = end.and_then(|(segment, offset)| chains.get(&(segment, offset as usize)));
        if let Some(chain) = chain {
            put(slot, 68, *chain);
        }
        put_checksum(slot, 0, 0..76, 76);
    }
}

/// The chains of the directory's place and segments, and then its checksums.
fn seal_directory(file: &mut [u8], chains: &Chains) {
    let end = u64_at(file, 28).zip(u32_at(file, 44));
    let chain = end.and_then(|(segment, offset)| chains.get(&(segment, offset as usize)));
    if let Some(chain) = chain {
        put(file, 48, *chain);
    }
    let count = u32_at(file, 64).unwrap_or_default() as usize;
    for at in (DIRECTORY_HEADER_BYTES..)
        .step_by(DIRECTORY_SEGMENT_BYTES)
        .take(count)
    {
        let Some((number, end)) = u64_at(file, at).zip(u32_at(file, at + 20)) else {
            break;
        };
        let before = chains.range(..=(number, FRAMES_AT)).next_back();
        if let (Some((_, first)), Some(next)) = (before, chains.get(&(number, end as usize))) {
            put(file, at + 40, *first);
            put(file, at + 44, *next);
        }
    }
    reseal_directory(file);
}

fn seal_index(number: u64, salt: u32, file: &mut [u8], chains: &Chains) {
    put_checksum(file, salt, 0..28, 28);
    let mut within = chains.range((number, 0)..=(number, usize::MAX));
    let mut before = chains.range(..=(number, FRAMES_AT));
    if let (Some((_, first)), Some((_, last)), Some(trailer)) = (
        before.next_back(),
        within.next_back(),
        file.len().checked_sub(TRAILER_BYTES),
    ) {
        put(file, trailer + 36, *first);
        put(file, trailer + 40, *last);
    }
    seal_catalogue(salt, file, &|file, row| {
        let start = place(file, row + 16);
        let bytes = u32_at(file, row + 24).unwrap_or_default() as usize;
        put_checksum(file, salt, start..start.saturating_add(bytes), row + 28);
    });
}

/// Makes the checksums of a catalogue right, after `seal_row` did so for what the row at a place
/// speaks of.
fn seal_catalogue(salt: u32, file: &mut [u8], seal_row: &dyn Fn(&mut [u8], usize)) {
    let Some(trailer) = file.len().checked_sub(TRAILER_BYTES) else {
        return;
    };
    let pages_at = place(file, trailer + 56).min(trailer);
    let row_pages = u32_at(file, trailer + 64).unwrap_or_default() as usize;
    for (number, item) in (pages_at..trailer).step_by(PAGE_REF_BYTES).enumerate() {
        let (at, bytes) = (place(file, item + 16), u32_at(file, item + 24));
        let end = at.saturating_add(bytes.unwrap_or_default() as usize);
        if number < row_pages && end <= file.len() {
            for row in (at..end).step_by(ROW_BYTES) {
                seal_row(file, row);
            }
        }
        put_checksum(file, salt, at..end, item + 28);
    }
    put_checksum(file, salt, pages_at..trailer, trailer + 72);
    put_checksum(file, salt, trailer..trailer + 76, trailer + 76);
}

/// The place in a file that eight bytes at `at` name.
fn place(file: &[u8], at: usize) -> usize {
    let place = u64_at(file, at).unwrap_or_default();
    usize::try_from(place).unwrap_or(usize::MAX)
}

fn seal_segment(
    number: u64,
    salt: u32,
    mut chain: u32,
    file: &mut [u8],
    chains: &mut Chains,
) -> u32 {
    let mut at = FRAMES_AT;
    let starts_log = chains.is_empty();
    while file.get(at..at + FRAME_MAGIC.len()) == Some(&FRAME_MAGIC[..]) {
        let Some(body_bytes) = u32_at(file, at + 32) else {
            break;
        };
        let body = at + FRAME_HEADER_BYTES..at + FRAME_HEADER_BYTES + body_bytes as usize;
        if let Some(body) = file.get_mut(body.clone()) {
            let (digest, _) = seal_records(salt, body);
            put(file, at + 28, digest);
        }
        if !starts_log || at > FRAMES_AT {
            put(file, at + 24, chain);
        } else {
            chain = u32_at(file, at + 24).unwrap_or_default();
            chains.insert((number, at), chain);
        }
        put_checksum(file, salt, at + 8..at + FRAME_HEADER_BYTES, at + 4);
        chain = u32_at(file, at + 4).unwrap_or_default();
        chains.insert((number, body.end), chain);
        at = body.end;
    }
    chain
}

/// Writes the checksums of the records in a frame's body; gives their digest and number.
fn seal_records(salt: u32, body: &mut [u8]) -> (u32, u32) {
    let (mut at, mut digest, mut count) = (0, salt, 0);
    while let Some(length) = u32_at(body, at + 4) {
        let end = at + RECORD_HEADER_BYTES + length as usize;
        if end > body.len() {
            break;
        }
        record::seal(salt, at, &mut body[..end]);
        digest = crc32c::crc32c_append(digest, &body[at..at + 4]);
        count += 1;
        at = end;
    }
    (digest, count)
}

/// Writes the checksum of `of` to `at`, if both are there.
fn put_checksum(bytes: &mut [u8], salt: u32, of: Range<usize>, at: usize) {
    if let Some(covered) = bytes.get(of) {
        let checksum = crc32c::crc32c_append(salt, covered);
        put(bytes, at, checksum);
    }
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(field) = bytes.get_mut(at..).and_then(|rest| rest.get_mut(..4)) {
        field.copy_from_slice(&value.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(stream: u32, position: u64) -> Draft {
        Draft {
            kind: 1,
            stream,
            position,
            body: b"paid".to_vec(),
        }
    }

    #[test]
    fn files_that_were_right_stay_as_they_are() {
        let frames = vec![vec![entry(0, 1), entry(0, 2)], vec![entry(0, 3)]];
        let mut files = log(&[frames.clone(), vec![vec![entry(1, 1)]]], 8192, 1);
        let before = files.clone();
        reseal(&mut files);
        let mark = |files: &BTreeMap<String, Vec<u8>>| Mark::newest(&files[MARK_FILE]);
        assert_eq!(mark(&files), mark(&before));
        for name in [log_name(1), log_name(2)] {
            assert_eq!(files[&name], before[&name], "{name}");
        }
    }
}
