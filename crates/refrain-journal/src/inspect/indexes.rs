//! Whether the index of a sealed segment says what its segment says.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use super::finding::{Finding, FindingKind, NEWER};
use crate::directory::DIRECTORY_FILE;
use crate::format::Unreadable;
use crate::format::catalogue::Row;
use crate::format::directory::DirectoryHeader;
use crate::format::record::Declaration;
use crate::format::segment_header::SegmentHeader;
use crate::log_index::LogIndex;
use crate::segment::index_name;
use crate::storage::{Access, Disk, read_whole};
use crate::stream_segment::catalogue::Flaw;

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
        match self.declarations.get_mut(&declaration.stream) {
            Some(known) => {
                known.first = known.first.max(declaration.first);
                known.next = known.next.max(declaration.next);
            }
            None => {
                self.declarations.insert(declaration.stream, declaration);
            }
        }
    }

    /// Whether an index says the same.
    fn agrees(&self, rows: &[Row], declarations: &[Declaration]) -> bool {
        let has_row = |row: &Row| {
            self.runs.get(&row.stream)
                == Some(&RunSeen {
                    first: row.first,
                    count: row.count,
                    checksum: row.checksum,
                })
        };
        rows.len() == self.runs.len()
            && declarations.len() == self.declarations.len()
            && rows.iter().all(has_row)
            && declarations
                .iter()
                .all(|one| self.declarations.get(&one.stream) == Some(one))
    }
}

/// Checks the directory file in `dir`, by its own checksums: what it says can be gathered again.
pub(super) fn check_directory(disk: &dyn Disk, dir: &Path) -> Option<Finding> {
    let path = dir.join(DIRECTORY_FILE);
    let read = disk
        .open(&path, Access::Read)
        .and_then(|file| read_whole(file.as_ref(), usize::MAX));
    let (kind, detail) = match read {
        Ok(bytes) => match DirectoryHeader::decode(&bytes) {
            Ok(_) => return None,
            Err(Unreadable::Damaged) => (FindingKind::Index, "the directory is damaged".to_owned()),
            Err(Unreadable::Version(version)) => (
                FindingKind::Version,
                format!("format version {version} is not known to this program"),
            ),
            Err(Unreadable::Newer) => (FindingKind::Version, NEWER.to_owned()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => (FindingKind::Unreadable, error.to_string()),
    };
    Some(Finding {
        kind,
        file: path,
        offset: Some(0),
        detail,
    })
}

/// Checks the index at `path`. `contents` are missing when the segment itself is damaged; then the
/// index is checked by its own checksums alone.
pub(super) fn check(
    disk: &dyn Disk,
    dir: &Path,
    segment: &SegmentHeader,
    contents: Option<&Contents>,
) -> Option<Finding> {
    let path = dir.join(index_name(segment.number));
    let (rows, declarations) = match read(disk, dir, segment) {
        Ok(read) => read,
        Err(flaw) => return Some(finding_of(flaw, &path)),
    };
    match contents {
        Some(contents) if !contents.agrees(&rows, &declarations) => Some(Finding {
            kind: FindingKind::Index,
            file: path,
            offset: Some(0),
            detail: "the index says something else than its segment".to_owned(),
        }),
        Some(_) | None => None,
    }
}

fn finding_of(flaw: Flaw, path: &Path) -> Finding {
    let (kind, offset, detail) = match flaw {
        Flaw::Io(error) if error.kind() == io::ErrorKind::NotFound => (
            FindingKind::IndexMissing,
            None,
            "the index is missing; the next opening makes it".to_owned(),
        ),
        Flaw::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => (
            FindingKind::Index,
            Some(0),
            "the index is cut short".to_owned(),
        ),
        Flaw::Io(error) => (FindingKind::Unreadable, None, error.to_string()),
        Flaw::Damaged { at, detail } => (FindingKind::Index, Some(at), detail.to_owned()),
        Flaw::Version(version) => (
            FindingKind::Index,
            Some(0),
            format!("format version {version} is not known"),
        ),
        Flaw::Newer { at } => (FindingKind::Version, Some(at), NEWER.to_owned()),
    };
    Finding {
        kind,
        file: path.to_path_buf(),
        offset,
        detail,
    }
}

fn read(
    disk: &dyn Disk,
    dir: &Path,
    segment: &SegmentHeader,
) -> Result<(Vec<Row>, Vec<Declaration>), Flaw> {
    let index = LogIndex::open(disk, dir, segment)?;
    let (mut rows, mut declarations) = (Vec::new(), Vec::new());
    for page in index.catalogue.row_pages(index.file.as_ref()) {
        for row in page? {
            index.offsets(&row)?;
            rows.push(row);
        }
    }
    for page in index.catalogue.declaration_pages(index.file.as_ref()) {
        declarations.append(&mut page?);
    }
    Ok((rows, declarations))
}
