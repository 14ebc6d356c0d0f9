//! Looking at both slots of the durable mark.

use std::io;
use std::path::Path;

use super::finding::{Finding, FindingKind, NEWER};
use crate::error::OpenError;
use crate::format::Unreadable;
use crate::format::mark::{MARK_FILE_BYTES, Mark, SLOTS_AT};
use crate::mark::MARK_FILE;
use crate::storage::{Access, Disk, read_whole};

/// How often the slots are read again because a writer may have been overwriting one.
const READS_MAX: usize = 16;

/// The mark in `dir`, if it can be read, and what is wrong with it.
pub(super) fn read(disk: &dyn Disk, dir: &Path) -> Result<(Option<Mark>, Vec<Finding>), OpenError> {
    let path = dir.join(MARK_FILE);
    let finding = |kind, offset, detail: &str| Finding {
        kind,
        file: path.clone(),
        offset,
        detail: detail.to_owned(),
    };
    let mut last = (None, Vec::new());
    for _ in 0..READS_MAX {
        let file = match disk.open(&path, Access::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let detail = "the durable mark is missing, its log is there";
                return Ok((None, vec![finding(FindingKind::Mark, None, detail)]));
            }
            Err(error) => return Err(OpenError::io(&path)(error)),
        };
        let bytes = match read_whole(file.as_ref(), MARK_FILE_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let found = finding(FindingKind::Mark, None, &error.to_string());
                return Ok((None, vec![found]));
            }
            Err(error) => return Err(OpenError::io(&path)(error)),
        };
        let slots = SLOTS_AT.map(|at| Mark::decode(bytes.get(at..).unwrap_or_default()));
        let mut findings = Vec::new();
        for (slot, at) in slots.iter().zip(SLOTS_AT) {
            if let Err(unreadable) = slot {
                let (kind, detail) = match unreadable {
                    Unreadable::Damaged => (
                        FindingKind::MarkSlot,
                        "this slot of the durable mark is damaged".to_owned(),
                    ),
                    Unreadable::Version(version) => (
                        FindingKind::Version,
                        format!("format version {version} is not known to this program"),
                    ),
                    Unreadable::Newer => (FindingKind::Version, NEWER.to_owned()),
                };
                findings.push(finding(kind, Some(at as u64), &detail));
            }
        }
        if findings.len() == SLOTS_AT.len() {
            let detail = "neither slot of the durable mark can be read";
            findings.push(finding(FindingKind::Mark, None, detail));
        }
        let newest = slots.into_iter().filter_map(Result::ok);
        let is_whole = findings.is_empty();
        last = (newest.max_by_key(|mark| mark.sequence), findings);
        if is_whole {
            break;
        }
    }
    Ok(last)
}
