//! Whether snapshots are what was stored.

use std::io;
use std::path::Path;

use refrain_core::{Name, Position};

use super::finding::{Finding, FindingKind};
use super::report::{FileRole, FileSeen, SnapshotSeen};
use crate::error::OpenError;
use crate::snapshots::{HEADER_BYTES, Header, subject};
use crate::storage::{Access, Disk, read_exact_at, read_up_to};

/// Bytes that are read at once.
const PIECE_BYTES: usize = 1024 * 1024;

/// Looks at every snapshot in `dir`.
pub(super) fn look(
    disk: &dyn Disk,
    dir: &Path,
) -> Result<(Vec<SnapshotSeen>, Vec<Finding>), OpenError> {
    let mut names = disk.list(dir).map_err(OpenError::io(dir))?;
    names.sort_unstable();
    let mut seen = Vec::new();
    let mut findings = Vec::new();
    for name in names {
        let path = dir.join(&name);
        if name.ends_with(".snap.new") {
            findings.push(Finding {
                kind: FindingKind::Unfinished,
                file: path,
                offset: None,
                detail: "this snapshot was never finished".into(),
            });
            continue;
        }
        let Some((stream, position)) = subject(&name) else {
            continue;
        };
        let (kind, detail) = match check(disk, &path, &stream, position) {
            Ok(Ok(bytes)) => {
                let file = FileSeen {
                    path,
                    role: FileRole::Snapshot,
                    bytes,
                    used: bytes,
                };
                seen.push(SnapshotSeen {
                    stream,
                    position,
                    file,
                });
                continue;
            }
            Ok(Err(detail)) => (FindingKind::Snapshot, detail),
            // It was deleted meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => (FindingKind::Unreadable, error.to_string()),
        };
        findings.push(Finding {
            kind,
            file: path,
            offset: Some(0),
            detail,
        });
    }
    Ok((seen, findings))
}

/// The size of a snapshot that is whole and the one that its name says, or what is wrong.
fn check(
    disk: &dyn Disk,
    path: &Path,
    stream: &Name,
    position: Position,
) -> io::Result<Result<u64, String>> {
    let file = disk.open(path, Access::Read)?;
    let size = file.size()?;
    let mut start = [0; HEADER_BYTES];
    if read_up_to(file.as_ref(), &mut start, 0)? < HEADER_BYTES {
        return Ok(Err("the file ends in its header".into()));
    }
    let header = match Header::decode(&start) {
        Ok(header) => header,
        Err(detail) => return Ok(Err(detail)),
    };
    let mut checksum = header.checksum_start(&start);
    let mut at = HEADER_BYTES as u64;
    let mut buffer = vec![0; PIECE_BYTES];
    let mut name = Vec::new();
    while at < size {
        let left = usize::try_from(size - at).unwrap_or(PIECE_BYTES);
        let piece = &mut buffer[..left.min(PIECE_BYTES)];
        read_exact_at(file.as_ref(), piece, at)?;
        checksum = crc32c::crc32c_append(checksum, piece);
        if name.is_empty() {
            name.extend_from_slice(&piece[..piece.len().min(header.name_bytes)]);
        }
        at += piece.len() as u64;
    }
    if checksum != header.checksum {
        return Ok(Err("the checksum does not fit".into()));
    }
    let is_wanted = name == stream.as_str().as_bytes()
        && header.position == position.get()
        && size == (HEADER_BYTES + header.name_bytes + header.content_bytes) as u64;
    if !is_wanted {
        return Ok(Err("it is a snapshot of something else".into()));
    }
    Ok(Ok(size))
}
