//! What lies behind the durable mark, which the next opening decides about.

use std::path::Path;

use super::finding::{Finding, FindingKind};
use super::log::MISSING_MAX;
use crate::error::OpenError;
use crate::format::mark::Mark;
use crate::recovery::is_void_spare;
use crate::recovery::table::Found;
use crate::scan::Scan;
use crate::segment::{Segment, log_name};
use crate::storage::{Access, Disk};
use crate::tail::Tail;

/// Looks behind `mark`, up to segment `last`.
pub(super) fn look(
    disk: &dyn Disk,
    dir: &Path,
    mark: &Mark,
    last: u64,
) -> Result<Vec<Finding>, OpenError> {
    let mut findings = Vec::new();
    let mut segments = Vec::new();
    for number in mark.end.segment..=last {
        match Segment::open(disk, dir, mark.identity, number, Access::Read) {
            Ok(segment) => segments.push(segment),
            Err(_) if number == last && is_void_spare(disk, dir, mark, number)? => {
                findings.push(void_spare(dir, number));
            }
            Err(error) if number > mark.end.segment => {
                findings.push(Finding::unopened(dir.join(log_name(number)), &error));
                if findings.len() == MISSING_MAX {
                    break;
                }
            }
            // The walk up to the mark has said so.
            Err(_) => return Ok(findings),
        }
    }
    let ends_beyond = |segment: &Segment| mark.end.offset > segment.header.segment_bytes;
    if segments.first().is_some_and(ends_beyond) {
        // The walk has said so here, too: it did not get to the mark.
        return Ok(findings);
    }
    let mut frames = 0;
    let mut at = mark.end;
    for (index, segment) in segments.iter().enumerate() {
        let number = segment.header.number;
        if number != at.segment {
            at = Scan::start_of(number, at.frame, at.chain);
        }
        let mut scan = Scan::new(segment.clone(), at, 0);
        let failed = |error| OpenError::io(&segment.path)(error);
        while let (Found::Frame, Some(frame)) = scan.look(None).map_err(failed)? {
            scan.take(&frame);
            frames += 1;
        }
        let is_first = index == 0;
        let goes_on = is_first || scan.at.frame > at.frame;
        at = scan.at;
        let tail = Tail::of(segment, at.offset).map_err(failed)?;
        let dirty = tail.dirty_end - at.offset;
        let finding = |kind, detail| Finding {
            kind,
            file: segment.path.clone(),
            offset: Some(at.offset.into()),
            detail,
        };
        if tail.has_later_frame(at.frame) {
            let detail = "a later frame proves that what was here is damaged".to_owned();
            findings.push(finding(FindingKind::Frame, detail));
        } else if dirty > 0 && goes_on {
            let detail = format!(
                "{dirty} bytes of a write that was never finished; the next opening cuts them off"
            );
            findings.push(finding(FindingKind::Tail, detail));
        }
    }
    if frames > 0 {
        findings.push(taken_next(dir, mark, frames));
    }
    Ok(findings)
}

fn taken_next(dir: &Path, mark: &Mark, frames: u64) -> Finding {
    Finding {
        kind: FindingKind::Tail,
        file: dir.join(log_name(mark.end.segment)),
        offset: Some(mark.end.offset.into()),
        detail: format!(
            "{frames} whole frames lie behind the durable mark; the next opening takes them"
        ),
    }
}

fn void_spare(dir: &Path, number: u64) -> Finding {
    let detail = "the header of this spare segment is damaged; it holds nothing, and the next \
                  opening makes another";
    Finding {
        kind: FindingKind::Spare,
        file: dir.join(log_name(number)),
        offset: Some(0),
        detail: detail.to_owned(),
    }
}
