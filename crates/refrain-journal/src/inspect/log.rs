//! The log of a journal under inspection: its segments, frame by frame.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use refrain_core::Position;

use super::finding::{Finding, FindingKind};
use super::frames::{Frames, Join, Seen};
use super::indexes::{self, Contents};
use super::run::Run;
use super::{SeenEntry, Visitor};
use crate::error::OpenError;
use crate::format::mark::{Mark, Stage};
use crate::format::segment_header::SegmentHeader;
use crate::segment::{Segment, index_name, log_name, log_numbers};
use crate::storage::{Access, Disk, read_up_to};

/// Bytes after which a visitor is told how far the run is.
const PROGRESS_BYTES: u64 = 4 * 1024 * 1024;

/// Missing segments that are named one by one: a mark, or a file's name, may speak of more than there
/// ever were.
pub(super) const MISSING_MAX: usize = 64;

/// What is known at the end of a segment.
#[derive(Debug)]
pub(super) struct Behind {
    pub(super) path: PathBuf,
    pub(super) at: u32,
    pub(super) expected: Option<Join>,
    pub(super) epoch: u64,
}

/// How a segment was left.
pub(super) enum Left {
    Whole(Behind),
    /// It could not be opened.
    Unknown,
    /// It went away, and was allowed to.
    Retired,
}

impl Run<'_> {
    /// Walks through segment `number`.
    pub(super) fn segment(
        &mut self,
        number: u64,
        before: Option<&Behind>,
        visitor: &mut dyn Visitor,
    ) -> Result<Left, OpenError> {
        let segment = match self.open(number) {
            Ok(segment) => segment,
            Err(error) if self.is_retired(number)? => {
                drop(error);
                return Ok(Left::Retired);
            }
            Err(error) => {
                self.cannot_open(number, &error);
                return Ok(Left::Unknown);
            }
        };
        let limit = self.limit(&segment.header);
        let expected = match (number, before) {
            (1, _) => Some(Join { frame: 1, chain: 0 }),
            (_, Some(before)) => before.expected,
            (_, None) => None,
        };
        let epoch = before.map_or(0, |before| before.epoch);
        let mut frames = Frames::new(&segment, limit, expected, epoch);
        let found_before = self.findings.len();
        let mut contents = Contents::new(&segment.header);
        let mut told = 0;
        loop {
            let mut see = |seen: Seen<'_>| {
                self.take(&segment, before, &mut contents, seen, visitor);
            };
            match frames.step(&mut see) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.note(
                        &segment.path,
                        FindingKind::Unreadable,
                        frames.at,
                        error.to_string(),
                    );
                    break;
                }
            }
            if u64::from(frames.at) >= told + PROGRESS_BYTES {
                told = frames.at.into();
                visitor.progress(self.done + told, self.total);
            }
        }
        self.frames += frames.frames;
        self.ends.insert(number, frames.at);
        self.done += self.size(number);
        visitor.progress(self.done, self.total);
        let left = Behind {
            path: segment.path.clone(),
            at: frames.at,
            expected: frames.expected,
            epoch: frames.epoch,
        };
        let is_whole = self.findings.len() == found_before;
        self.check_index(&segment.header, is_whole.then_some(&contents));
        Ok(Left::Whole(left))
    }

    /// Takes one thing that a walk shows.
    fn take(
        &mut self,
        segment: &Segment,
        before: Option<&Behind>,
        contents: &mut Contents,
        seen: Seen<'_>,
        visitor: &mut dyn Visitor,
    ) {
        match seen {
            Seen::Entry {
                stream,
                position,
                offset,
                bytes,
            } => {
                self.entries += 1;
                contents.entry(stream, position, offset);
                let wrong = self.streams.entry(stream, position, bytes.len());
                if let Some(detail) = wrong {
                    self.note(&segment.path, FindingKind::Stream, offset, detail);
                }
                let is_kept = self
                    .kept_from
                    .get(&stream)
                    .is_none_or(|first| position >= *first);
                if let (true, Some(position)) = (is_kept, Position::new(position)) {
                    visitor.entry(&SeenEntry {
                        stream,
                        position,
                        bytes,
                    });
                }
            }
            Seen::Declaration {
                offset,
                declaration,
            } => {
                if let Some(detail) = self.streams.declare(&declaration) {
                    self.note(&segment.path, FindingKind::Stream, offset, detail);
                }
                contents.declare(declaration);
            }
            Seen::Gap { expected, found } => {
                let (path, at) = match before {
                    Some(before) => (before.path.clone(), before.at),
                    None => (segment.path.clone(), 0),
                };
                let detail = if expected.frame + 1 == found {
                    format!("frame {} was here and is not", expected.frame)
                } else {
                    format!(
                        "frames {} to {} were here and are not",
                        expected.frame,
                        found - 1
                    )
                };
                self.note(&path, FindingKind::Frame, at, detail);
            }
            Seen::DamagedFrame { offset, detail } => {
                self.note(&segment.path, FindingKind::Frame, offset, detail);
            }
            Seen::DamagedRecord { offset, detail } => {
                self.note(&segment.path, FindingKind::Record, offset, detail);
            }
        }
    }

    fn check_index(&mut self, segment: &SegmentHeader, contents: Option<&Contents>) {
        let is_last = self.numbers.last() == Some(&segment.number);
        if is_last && !self.names.contains(&index_name(segment.number)) {
            return;
        }
        // That of the last one is of a journal that was closed: it speaks of the frames of then.
        let contents = contents.filter(|_| !is_last);
        let (disk, dir) = (self.inspector.disk.as_ref(), self.inspector.dir.as_path());
        self.findings
            .extend(indexes::check(disk, dir, segment, contents));
    }

    /// Whether the log ends where the mark says.
    pub(super) fn check_end(&mut self, last: Option<&Behind>) {
        let (Some(mark), Some(last)) = (self.mark, last) else {
            return;
        };
        if last.at != mark.end.offset {
            let detail = format!(
                "what was acknowledged here is damaged, up to the durable mark at offset {}",
                mark.end.offset
            );
            self.note(&last.path, FindingKind::Frame, last.at, detail);
            return;
        }
        let is_marked = last
            .expected
            .is_none_or(|join| (join.frame, join.chain) == (mark.end.frame, mark.end.chain));
        if !is_marked {
            let detail = "the log and the durable mark contradict each other".to_owned();
            self.note(&last.path, FindingKind::Frame, last.at, detail);
        }
    }

    /// Where the frames of a segment end at the latest.
    fn limit(&self, segment: &SegmentHeader) -> u32 {
        match self.mark {
            Some(mark) if mark.end.segment == segment.number => mark.end.offset,
            Some(_) | None => segment.segment_bytes,
        }
    }

    fn open(&self, number: u64) -> Result<Segment, OpenError> {
        let (disk, dir) = (self.inspector.disk.as_ref(), self.inspector.dir.as_path());
        let identity = match self.mark {
            Some(mark) => mark.identity,
            None => identity_in(disk, &dir.join(log_name(number))),
        };
        Segment::open(disk, dir, identity, number, Access::Read)
    }

    fn cannot_open(&mut self, number: u64, error: &OpenError) {
        let path = self.inspector.dir.join(log_name(number));
        self.done += self.size(number);
        self.findings.push(Finding::unopened(path, error));
    }
}

/// The segments that make up the log: those that the mark speaks of, or all there are.
pub(super) fn segments(mark: Option<&Mark>, names: &[String]) -> Vec<u64> {
    match mark {
        Some(mark) if mark.stage == Stage::Founding && log_numbers(names).next().is_none() => {
            Vec::new()
        }
        Some(mark) => {
            let range = mark.first_segment..=mark.end.segment;
            let there: BTreeSet<u64> = log_numbers(names)
                .filter(|number| range.contains(number))
                .collect();
            let missing = range.clone().filter(|number| !there.contains(number));
            let missing: Vec<u64> = missing.take(MISSING_MAX).collect();
            let mut numbers = there;
            numbers.extend(missing);
            numbers.extend([*range.end()]);
            numbers.into_iter().collect()
        }
        None => log_numbers(names)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
    }
}

/// The identity that a segment's header names; 0, which no check accepts, when it is damaged.
fn identity_in(disk: &dyn Disk, path: &Path) -> u64 {
    let mut bytes = [0; 64];
    let header = disk
        .open(path, Access::Read)
        .and_then(|file| read_up_to(file.as_ref(), &mut bytes, 0))
        .ok()
        .and_then(|filled| SegmentHeader::decode(&bytes[..filled]).ok());
    header.map_or(0, |header| header.identity)
}
