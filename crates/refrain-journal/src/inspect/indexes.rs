//! Whether the index of a sealed segment says what its segment says.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use super::finding::{Finding, FindingKind};
use crate::format::Unreadable;
use crate::format::record::Declaration;
use crate::format::segment_header::SegmentHeader;
use crate::format::segment_index::{Header, INDEX_HEADER_BYTES, Run, Table};
use crate::storage::{Access, Disk, DiskFile, read_exact_at};

/// Bytes of offsets that are read at once.
const OFFSETS_BYTES: usize = 1024 * 1024;

/// What a walk saw of one segment, as far as its index must say the same.
#[derive(Debug)]
pub(super) struct Contents {
    salt: u32,
    runs: HashMap<u32, RunSeen>,
    declarations: HashMap<u32, Declaration>,
}

#[derive(Debug, PartialEq, Eq)]
struct RunSeen {
    first: u64,
    count: u32,
    checksum: u32,
}

impl Contents {
    pub(super) fn new(segment: &SegmentHeader) -> Contents {
        Contents {
            salt: segment.salt(),
            runs: HashMap::new(),
            declarations: HashMap::new(),
        }
    }

    pub(super) fn entry(&mut self, stream: u32, position: u64, offset: u32) {
        let salt = self.salt;
        let run = self.runs.entry(stream).or_insert(RunSeen {
            first: position,
            count: 0,
            checksum: salt,
        });
        run.count += 1;
        run.checksum = crc32c::crc32c_append(run.checksum, &offset.to_le_bytes());
    }

    pub(super) fn declare(&mut self, declaration: Declaration) {
        self.declarations.insert(declaration.stream, declaration);
    }

    /// Whether `table` says the same.
    fn agrees(&self, table: &Table) -> bool {
        let runs = table.runs.iter().all(|run| {
            self.runs.get(&run.stream)
                == Some(&RunSeen {
                    first: run.first,
                    count: run.count,
                    checksum: run.checksum,
                })
        });
        let mut newest: HashMap<u32, &Declaration> = HashMap::new();
        for declaration in &table.declarations {
            newest.insert(declaration.stream, declaration);
        }
        let declarations = newest
            .iter()
            .all(|(stream, declaration)| self.declarations.get(stream) == Some(*declaration));
        runs && declarations
            && table.runs.len() == self.runs.len()
            && newest.len() == self.declarations.len()
    }
}

/// Checks the index at `path`. `contents` are missing when the segment itself is damaged; then the
/// index is checked by its own checksums alone.
pub(super) fn check(
    disk: &dyn Disk,
    path: &Path,
    segment: &SegmentHeader,
    contents: Option<&Contents>,
) -> Option<Finding> {
    let finding = |kind, offset, detail: String| {
        Some(Finding {
            kind,
            file: path.to_path_buf(),
            offset,
            detail,
        })
    };
    let file = match disk.open(path, Access::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let detail = "the index is missing; the next opening makes it".to_owned();
            return finding(FindingKind::IndexMissing, None, detail);
        }
        Err(error) => return finding(FindingKind::Unreadable, None, error.to_string()),
    };
    let table = match read_table(file.as_ref(), segment) {
        Ok(Ok(table)) => table,
        Ok(Err((offset, detail))) => return finding(FindingKind::Index, Some(offset), detail),
        Err(error) => return finding(FindingKind::Unreadable, None, error.to_string()),
    };
    for run in &table.runs {
        match offsets_are_whole(file.as_ref(), segment, run) {
            Ok(true) => {}
            Ok(false) => {
                let detail = format!("the offsets of stream {} are damaged", run.stream);
                return finding(FindingKind::Index, Some(run.offsets_at.into()), detail);
            }
            Err(error) => return finding(FindingKind::Unreadable, None, error.to_string()),
        }
    }
    match contents {
        Some(contents) if !contents.agrees(&table) => {
            let detail = "the index says something else than its segment".to_owned();
            finding(FindingKind::Index, Some(0), detail)
        }
        Some(_) | None => None,
    }
}

type Placed<T> = Result<T, (u64, String)>;

fn read_table(file: &dyn DiskFile, segment: &SegmentHeader) -> io::Result<Placed<Table>> {
    let damaged = |unreadable| match unreadable {
        Unreadable::Damaged => "the index is damaged".to_owned(),
        Unreadable::Version(version) => format!("format version {version} is not known"),
    };
    let size = file.size()?;
    let mut header = [0; INDEX_HEADER_BYTES];
    if size < INDEX_HEADER_BYTES as u64 {
        return Ok(Err((size, "the file ends in its header".into())));
    }
    read_exact_at(file, &mut header, 0)?;
    let header = match Header::decode(segment, &header) {
        Ok(header) => header,
        Err(reason) => return Ok(Err((0, damaged(reason)))),
    };
    if size < INDEX_HEADER_BYTES as u64 + u64::from(header.table_bytes) {
        return Ok(Err((size, "the file ends in its table".into())));
    }
    let mut table = vec![0; header.table_bytes as usize];
    read_exact_at(file, &mut table, INDEX_HEADER_BYTES as u64)?;
    let table = header.table(segment, &table);
    Ok(table.map_err(|reason| (INDEX_HEADER_BYTES as u64, damaged(reason))))
}

fn offsets_are_whole(file: &dyn DiskFile, segment: &SegmentHeader, run: &Run) -> io::Result<bool> {
    let mut at = u64::from(run.offsets_at);
    let end = at + u64::from(run.count) * 4;
    if file.size()? < end {
        return Ok(false);
    }
    let mut checksum = segment.salt();
    let room = usize::try_from(end - at).unwrap_or(OFFSETS_BYTES);
    let mut buffer = vec![0; room.min(OFFSETS_BYTES)];
    while at < end {
        let left = usize::try_from(end - at).unwrap_or(OFFSETS_BYTES);
        let piece = &mut buffer[..left.min(OFFSETS_BYTES)];
        read_exact_at(file, piece, at)?;
        checksum = crc32c::crc32c_append(checksum, piece);
        at += piece.len() as u64;
    }
    Ok(checksum == run.checksum)
}
