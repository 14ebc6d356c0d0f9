//! One run of an inspection: from the mark through the log segments to the streams.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use refrain_core::Position;

use super::finding::{Finding, FindingKind, NEWER, Severity};
use super::frames::{Frames, Join, Seen};
use super::history::Vanished;
use super::indexes::{self, Contents};
use super::report::{FileRole, FileSeen, Inspection, MarkSeen};
use super::streams::Streams;
use super::{Inspector, SeenEntry, Visitor, marks, snapshots, tail};
use crate::error::OpenError;
use crate::format::mark::{Mark, Stage};
use crate::format::segment_header::SegmentHeader;
use crate::mark::MARK_FILE;
use crate::recovery::{Reach, Walk};
use crate::segment::{FileKind, Segment, index_name, log_name, log_numbers};
use crate::storage::{Access, Disk, read_up_to};

/// Bytes after which a visitor is told how far the run is.
const PROGRESS_BYTES: u64 = 4 * 1024 * 1024;

/// Missing segments that are named one by one: a mark, or a file's name, may speak of more than there
/// ever were.
pub(super) const MISSING_MAX: usize = 64;

/// A run, with what it has learned.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) inspector: &'a Inspector,
    pub(super) mark: Option<Mark>,
    pub(super) names: Vec<String>,
    /// The segments that belong to the log, oldest first.
    numbers: Vec<u64>,
    pub(super) findings: Vec<Finding>,
    pub(super) streams: Streams,
    pub(super) kept_from: HashMap<u32, u64>,
    frames: u64,
    pub(super) entries: u64,
    /// Where each log segment's frames end.
    ends: HashMap<u64, u32>,
    pub(super) done: u64,
    pub(super) total: u64,
}

/// What is known at the end of a segment.
#[derive(Debug)]
pub(super) struct Behind {
    pub(super) path: PathBuf,
    pub(super) at: u32,
    pub(super) expected: Option<Join>,
    pub(super) epoch: u64,
}

/// How a segment was left.
enum Left {
    Whole(Behind),
    /// It could not be opened.
    Unknown,
    /// It went away, and was allowed to.
    Retired,
}

/// Whether a directory with a file of this name is a journal, or what is left of one.
pub(crate) fn tells_a_journal(name: &str) -> bool {
    name == MARK_FILE || matches!(FileKind::of(name), FileKind::Log(_))
}

impl<'a> Run<'a> {
    pub(super) fn new(inspector: &'a Inspector) -> Result<Run<'a>, OpenError> {
        let (disk, dir) = (inspector.disk.as_ref(), inspector.dir.as_path());
        let missing = || OpenError::Missing {
            dir: dir.to_path_buf(),
        };
        // The mark first: what it speaks of may be rewritten before the names are read, and is then
        // found to be gone. The other way round it would seem to be missing.
        let read = marks::read(disk, dir);
        let mut names = match disk.list(dir) {
            Ok(names) => names,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(missing()),
            Err(error) => return Err(OpenError::io(dir)(error)),
        };
        names.sort_unstable();
        if !names.iter().any(|name| tells_a_journal(name)) {
            return Err(missing());
        }
        let (mark, findings) = read?;
        let numbers = segments(mark.as_ref(), &names);
        let kept_from = mark.map_or_else(HashMap::new, |mark| kept_from(disk, inspector, mark));
        let mut run = Run {
            inspector,
            mark,
            numbers,
            findings,
            streams: Streams::new(kept_from.clone()),
            kept_from,
            frames: 0,
            entries: 0,
            ends: HashMap::new(),
            done: 0,
            total: 0,
            names,
        };
        let log: u64 = run.numbers.iter().map(|number| run.size(*number)).sum();
        run.total = log + run.stream_segment_bytes();
        Ok(run)
    }

    /// Looks at everything; `None` when files that it needs went away meanwhile.
    pub(super) fn go(mut self, visitor: &mut dyn Visitor) -> Result<Option<Inspection>, OpenError> {
        let mut behind = match self.history(visitor) {
            Ok(behind) => behind,
            Err(Vanished) => return Ok(None),
        };
        for number in self.numbers.clone() {
            match self.segment(number, behind.as_ref(), visitor)? {
                Left::Whole(left) => behind = Some(left),
                Left::Unknown => behind = None,
                Left::Retired => return Ok(None),
            }
        }
        self.check_end(behind.as_ref());
        let (disk, dir) = (self.inspector.disk.as_ref(), self.inspector.dir.as_path());
        self.findings.extend(indexes::check_directory(disk, dir));
        self.look_behind()?;
        let is_damaged = |finding: &Finding| finding.severity() == Severity::Damage;
        if self.findings.iter().any(is_damaged) && self.has_changed()? {
            return Ok(None);
        }
        visitor.progress(self.total, self.total);
        self.report().map(Some)
    }

    /// Walks through segment `number`.
    fn segment(
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
    fn check_end(&mut self, last: Option<&Behind>) {
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

    /// What lies behind the mark, if nobody moves it meanwhile.
    fn look_behind(&mut self) -> Result<(), OpenError> {
        let Some(mark) = self.mark else {
            return Ok(());
        };
        let (disk, dir) = (self.inspector.disk.as_ref(), self.inspector.dir.as_path());
        let last = log_numbers(&self.names).max().unwrap_or(0);
        let findings = match tail::look(disk, dir, &mark, last) {
            Ok(findings) => findings,
            Err(_) if self.is_moving()? => return Ok(()),
            Err(error) => return Err(error),
        };
        if !self.is_moving()? {
            self.findings.extend(findings);
        }
        Ok(())
    }

    fn report(mut self) -> Result<Inspection, OpenError> {
        let disk = self.inspector.disk.as_ref();
        let mut snapshots_seen = Vec::new();
        if let Some(dir) = &self.inspector.snapshots {
            let (seen, findings) = snapshots::look(disk, dir)?;
            snapshots_seen = seen;
            self.findings.extend(findings);
        }
        let is_moving = self.is_moving()?;
        let files = self.files(is_moving);
        let (streams, nameless) = self.streams.finish();
        let log = self
            .inspector
            .dir
            .join(log_name(self.numbers.first().copied().unwrap_or_default()));
        self.findings
            .extend(nameless.into_iter().map(|detail| Finding {
                kind: FindingKind::Stream,
                file: log.clone(),
                offset: None,
                detail,
            }));
        Ok(Inspection {
            mark: self.mark.as_ref().map(MarkSeen::of),
            files,
            streams,
            findings: self.findings,
            frames: self.frames,
            entries: self.entries,
            snapshots: snapshots_seen,
            is_moving,
        })
    }

    fn files(&mut self, is_moving: bool) -> Vec<FileSeen> {
        let mut files = Vec::new();
        for name in &self.names {
            let path = self.inspector.dir.join(name);
            let file = self.inspector.disk.open(&path, Access::Read);
            let Ok(bytes) = file.and_then(|file| file.size()) else {
                continue;
            };
            let role = match FileKind::of(name) {
                FileKind::Log(number) if self.numbers.contains(&number) => FileRole::Log(number),
                FileKind::Log(number) => FileRole::Spare(number),
                FileKind::Index(number) => FileRole::Index(number),
                FileKind::Streams(first, last) => FileRole::Streams(first, last),
                FileKind::Directory => FileRole::Directory,
                FileKind::Temporary => FileRole::Unfinished,
                FileKind::Other if name == MARK_FILE => FileRole::Mark,
                FileKind::Other if name == crate::journal::LOCK_FILE => FileRole::Lock,
                FileKind::Other => FileRole::Other,
            };
            if role == FileRole::Unfinished && !is_moving {
                self.findings.push(Finding {
                    kind: FindingKind::Unfinished,
                    file: path.clone(),
                    offset: None,
                    detail: "this file was never finished; the next opening removes it".into(),
                });
            }
            let used = match role {
                FileRole::Log(number) => self.ends.get(&number).copied().unwrap_or(0).into(),
                FileRole::Spare(_) | FileRole::Unfinished => 0,
                FileRole::Mark
                | FileRole::Lock
                | FileRole::Index(_)
                | FileRole::Streams(..)
                | FileRole::Directory
                | FileRole::Snapshot
                | FileRole::Other => bytes,
            };
            files.push(FileSeen {
                path,
                role,
                bytes,
                used,
            });
        }
        files
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
        let (kind, detail) = match error {
            OpenError::Corrupt { detail, .. } => (FindingKind::Segment, detail.clone()),
            OpenError::Version { version, .. } => (
                FindingKind::Version,
                format!("format version {version} is not known to this program"),
            ),
            OpenError::Newer { .. } => (FindingKind::Version, NEWER.to_owned()),
            OpenError::Options { .. }
            | OpenError::Locked { .. }
            | OpenError::Io { .. }
            | OpenError::Missing { .. } => (FindingKind::Unreadable, error.to_string()),
        };
        self.done += self.size(number);
        self.note(&path, kind, 0, detail);
    }

    /// Whether segment `number` may be gone by now.
    fn is_retired(&self, number: u64) -> Result<bool, OpenError> {
        let (disk, dir) = (self.inspector.disk.as_ref(), self.inspector.dir.as_path());
        let (mark, _) = marks::read(disk, dir)?;
        Ok(mark.is_some_and(|mark| mark.first_segment > number))
    }

    /// Whether segments were rewritten or removed meanwhile, so that what seems to be damaged may only
    /// be gone.
    fn has_changed(&self) -> Result<bool, OpenError> {
        let (disk, dir) = (self.inspector.disk.as_ref(), self.inspector.dir.as_path());
        let (mark, _) = marks::read(disk, dir)?;
        let first = |mark: Option<Mark>| mark.map(|mark| mark.first_segment);
        let now = disk.list(dir).map_err(OpenError::io(dir))?;
        let is_gone = |name: &String| !now.contains(name);
        let is_streams = |name: &String| matches!(FileKind::of(name), FileKind::Streams(..));
        let is_made = |name: &String| is_streams(name) && !self.names.contains(name);
        let is_segment =
            |name: &&String| is_streams(name) || matches!(FileKind::of(name), FileKind::Log(_));
        Ok(first(mark) != first(self.mark)
            || self.names.iter().filter(is_segment).any(is_gone)
            || now.iter().any(is_made))
    }

    fn is_moving(&self) -> Result<bool, OpenError> {
        let (disk, dir) = (self.inspector.disk.as_ref(), self.inspector.dir.as_path());
        Ok(marks::read(disk, dir)?.0 != self.mark)
    }

    fn stream_segment_bytes(&self) -> u64 {
        let names = self.names.iter();
        let files = names.filter(|name| matches!(FileKind::of(name), FileKind::Streams(..)));
        let sizes = files.filter_map(|name| {
            let path = self.inspector.dir.join(name);
            let file = self.inspector.disk.open(&path, Access::Read).ok()?;
            file.size().ok()
        });
        sizes.sum()
    }

    /// Bytes of segment `number` that are looked at.
    fn size(&self, number: u64) -> u64 {
        match self.mark {
            Some(mark) if mark.end.segment == number => mark.end.offset.into(),
            Some(_) | None => {
                let path = self.inspector.dir.join(log_name(number));
                let file = self.inspector.disk.open(&path, Access::Read);
                file.and_then(|file| file.size()).unwrap_or(0)
            }
        }
    }

    fn note(&mut self, file: &std::path::Path, kind: FindingKind, offset: u32, detail: String) {
        self.findings.push(Finding {
            kind,
            file: file.to_path_buf(),
            offset: Some(offset.into()),
            detail,
        });
    }
}

/// The segments that make up the log: those that the mark speaks of, or all there are.
fn segments(mark: Option<&Mark>, names: &[String]) -> Vec<u64> {
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

/// The first kept position of each stream. Nothing is known of them where the log is so damaged
/// that a reader would refuse it: then every entry counts that is still there.
fn kept_from(disk: &dyn Disk, inspector: &Inspector, mark: Mark) -> HashMap<u32, u64> {
    let walk = Walk::new(disk, &inspector.dir, mark, Reach::Mark);
    let Ok(walked) = walk.and_then(|walk| walk.run()) else {
        return HashMap::new();
    };
    (0..walked.index.stream_count())
        .map(|number| (number, walked.index.bounds(Some(number)).0))
        .collect()
}

/// The identity that a segment's header names; 0, which no check accepts, when it is damaged.
fn identity_in(disk: &dyn Disk, path: &std::path::Path) -> u64 {
    let mut bytes = [0; 64];
    let header = disk
        .open(path, Access::Read)
        .and_then(|file| read_up_to(file.as_ref(), &mut bytes, 0))
        .ok()
        .and_then(|filled| SegmentHeader::decode(&bytes[..filled]).ok());
    header.map_or(0, |header| header.identity)
}
