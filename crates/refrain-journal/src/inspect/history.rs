//! The stream segments: every block of them, and whether they join each other.

use std::io;

use refrain_core::Position;

use super::finding::{Finding, FindingKind, NEWER};
use super::frames::Join;
use super::log::Behind;
use super::run::Run;
use super::{SeenEntry, Visitor};
use crate::format::catalogue::Row;
use crate::format::stream_segment::{LENGTH_BYTES, ends};
use crate::recovery::history::{Range, Verdict, sort_out};
use crate::storage::Access;
use crate::stream_segment::catalogue::Flaw;
use crate::stream_segment::{StreamSegment, segment_name};

/// Rows after which a visitor is told how far the run is.
const PROGRESS_ROWS: u64 = 256;

/// A file went away: it was merged meanwhile.
#[derive(Debug)]
pub(super) struct Vanished;

impl Run<'_> {
    /// Looks through the stream segments. Gives how the history before the log ends, if that is
    /// known.
    pub(super) fn history(
        &mut self,
        visitor: &mut dyn Visitor,
    ) -> Result<Option<Behind>, Vanished> {
        let Some(mark) = self.mark else {
            return Ok(None);
        };
        let mut behind = None;
        let mut next = 1;
        for (range, verdict) in sort_out(&mark, &self.names) {
            let name = segment_name(range.0, range.1);
            match verdict {
                Verdict::Keep => {
                    self.check_gap(next, range.0);
                    let is_joined = next == range.0;
                    next = range.1 + 1;
                    behind = self.stream_segment(range, behind.filter(|_| is_joined), visitor)?;
                }
                Verdict::Remove => {
                    let detail = "another file says the same; the next opening removes it";
                    self.note_at(&name, FindingKind::Unfinished, None, detail);
                }
                Verdict::Refuse => {
                    let detail = "it shares log segments with another file";
                    self.note_at(&name, FindingKind::Segment, None, detail);
                }
            }
        }
        self.check_gap(next, mark.first_segment);
        Ok(behind.filter(|_| next == mark.first_segment))
    }

    fn check_gap(&mut self, next: u64, found: u64) {
        if next < found {
            let detail = "the stream segments for these log segments are missing";
            let name = segment_name(next, found - 1);
            self.note_at(&name, FindingKind::Segment, None, detail);
        }
    }

    fn stream_segment(
        &mut self,
        range: Range,
        before: Option<Behind>,
        visitor: &mut dyn Visitor,
    ) -> Result<Option<Behind>, Vanished> {
        let inspector = self.inspector;
        let (disk, dir) = (inspector.disk.as_ref(), inspector.dir.as_path());
        let identity = self.mark.map_or(0, |mark| mark.identity);
        let name = segment_name(range.0, range.1);
        let path = dir.join(&name);
        let opened = disk.open(&path, Access::Read).map_err(Flaw::Io);
        let segment = match opened.and_then(|file| StreamSegment::read(file, path, identity, range))
        {
            Ok(segment) => segment,
            Err(Flaw::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Vanished);
            }
            Err(flaw) => {
                self.note_flaw(&name, FindingKind::Segment, flaw);
                return Ok(None);
            }
        };
        let span = *segment.span();
        let expected = match (&before, range.0) {
            (Some(before), _) => before.expected.map(|join| (join.frame, join.chain)),
            (None, 1) => Some((1, 0)),
            (None, _) => None,
        };
        if expected.is_some_and(|expected| expected != (span.first_frame, span.first_chain)) {
            let detail = "it does not go on where the one before it ends";
            self.note_at(&name, FindingKind::Segment, Some(0), detail);
        }
        self.declared_and_rows(&segment, &name, visitor);
        self.done += segment.bytes;
        Ok(Some(Behind {
            path: segment.path,
            at: 0,
            expected: Some(Join {
                frame: span.next_frame,
                chain: span.next_chain,
            }),
            epoch: span.epoch,
        }))
    }

    fn declared_and_rows(
        &mut self,
        segment: &StreamSegment,
        name: &str,
        visitor: &mut dyn Visitor,
    ) {
        let mut declared = Vec::new();
        for declaration in segment.declarations() {
            match declaration {
                Ok(declaration) => {
                    if let Some(detail) = self.streams.declare_kept(&declaration) {
                        self.note_at(name, FindingKind::Stream, None, &detail);
                    }
                    declared.push(declaration);
                }
                Err(flaw) => self.note_flaw(name, FindingKind::Block, flaw),
            }
        }
        let (mut stored, mut raw) = (Vec::new(), Vec::new());
        for (count, row) in (1..).zip(segment.rows()) {
            match row {
                Ok(row) => {
                    let read = self.block(segment, &row, (&mut stored, &mut raw), visitor);
                    if let Err(flaw) = read {
                        self.note_flaw(name, FindingKind::Block, flaw);
                    }
                    if u64::is_multiple_of(count, PROGRESS_ROWS) {
                        visitor.progress(self.done + row.at, self.total);
                    }
                }
                Err(flaw) => self.note_flaw(name, FindingKind::Block, flaw),
            }
        }
        for declaration in &declared {
            self.streams.end_kept(declaration);
        }
    }

    fn block(
        &mut self,
        segment: &StreamSegment,
        row: &Row,
        (stored, raw): (&mut Vec<u8>, &mut Vec<u8>),
        visitor: &mut dyn Visitor,
    ) -> Result<(), Flaw> {
        let block = segment.block(row, stored)?;
        let damaged = || Flaw::damaged(row.at, "the block is damaged");
        block.unpack(raw).ok_or_else(damaged)?;
        let raw = &raw[..block.raw_bytes as usize];
        let ends = ends(raw, row.count as usize).ok_or_else(damaged)?;
        let data = &raw[row.count as usize * LENGTH_BYTES..];
        let first = self.kept_from.get(&row.stream).copied().unwrap_or(1);
        let mut start = 0;
        for (position, end) in (row.first..).zip(ends) {
            let bytes = &data[start..end as usize];
            start = end as usize;
            self.entries += 1;
            if let Some(detail) = self.streams.entry(row.stream, position, bytes.len()) {
                let name = segment_name(segment.header.first, segment.header.last);
                self.note_at(&name, FindingKind::Stream, Some(row.at), &detail);
            }
            if let (true, Some(position)) = (position >= first, Position::new(position)) {
                visitor.entry(&SeenEntry {
                    stream: row.stream,
                    position,
                    bytes,
                });
            }
        }
        Ok(())
    }

    /// Notes what is wrong; `damage` is the kind of damage that it is, if it is damage.
    fn note_flaw(&mut self, name: &str, damage: FindingKind, flaw: Flaw) {
        match flaw {
            Flaw::Io(error) => {
                self.note_at(name, FindingKind::Unreadable, None, &error.to_string());
            }
            Flaw::Damaged { at, detail } => {
                self.note_at(name, damage, Some(at), detail);
            }
            Flaw::Version(version) => {
                let detail = format!("format version {version} is not known to this program");
                self.note_at(name, FindingKind::Version, Some(0), &detail);
            }
            Flaw::Newer { at } => {
                self.note_at(name, FindingKind::Version, Some(at), NEWER);
            }
        }
    }

    fn note_at(&mut self, name: &str, kind: FindingKind, offset: Option<u64>, detail: &str) {
        self.findings.push(Finding {
            kind,
            file: self.inspector.dir.join(name),
            offset,
            detail: detail.to_owned(),
        });
    }
}
