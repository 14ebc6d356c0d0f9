//! A spare segment whose header is damaged.
//!
//! A segment gets its name when its header is synced, and the log goes on in it only behind a whole
//! frame; so behind the header of a spare there are zeros. Where the header of the last segment is
//! damaged, and behind it there is nothing but zeros, nothing is lost with it: with its header whole
//! the same zeros would be the end of the log. It is made again.

use std::io;
use std::path::Path;

use crate::error::OpenError;
use crate::format::Unreadable;
use crate::format::mark::Mark;
use crate::format::segment_header::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::segment::log_name;
use crate::storage::{Access, Disk, DiskFile, read_up_to};

/// Bytes that are looked at at once.
const PIECE_BYTES: usize = 256 * 1024;

/// Whether segment `number`, which is the last one, lies beyond `mark`, has a damaged header, and
/// holds nothing. One of a later version or of another journal is none of ours to judge.
pub(crate) fn is_void_spare(
    disk: &dyn Disk,
    dir: &Path,
    mark: &Mark,
    number: u64,
) -> Result<bool, OpenError> {
    if number <= mark.end.segment {
        return Ok(false);
    }
    let path = dir.join(log_name(number));
    let looked = disk
        .open(&path, Access::Read)
        .and_then(|file| is_void(file.as_ref()));
    match looked {
        // Whoever opens it says that it is missing.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        looked => looked.map_err(OpenError::io(&path)),
    }
}

fn is_void(file: &dyn DiskFile) -> io::Result<bool> {
    let mut header = [0; 64];
    let filled = read_up_to(file, &mut header, 0)?;
    match SegmentHeader::decode(&header[..filled]) {
        Err(Unreadable::Damaged) => {}
        Ok(_) | Err(Unreadable::Version(_) | Unreadable::Newer) => return Ok(false),
    }
    let mut piece = vec![0; PIECE_BYTES];
    let mut at = u64::from(SEGMENT_HEADER_BYTES);
    loop {
        let filled = read_up_to(file, &mut piece, at)?;
        if piece[..filled].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        if filled < piece.len() {
            return Ok(true);
        }
        at += filled as u64;
    }
}
