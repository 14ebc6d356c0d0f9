//! One run of an inspection: from the mark through the log segments to the streams.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::finding::{Finding, FindingKind, Severity};
use super::history::Vanished;
use super::log::{Left, segments};
use super::report::{Inspection, MarkSeen};
use super::streams::Streams;
use super::{Inspector, Visitor, indexes, marks, snapshots, tail};
use crate::error::OpenError;
use crate::format::mark::Mark;
use crate::mark::MARK_FILE;
use crate::recovery::{Reach, Walk};
use crate::segment::{FileKind, log_name, log_numbers};
use crate::storage::Disk;

/// A run, with what it has learned.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) inspector: &'a Inspector,
    pub(super) mark: Option<Mark>,
    pub(super) names: Vec<String>,
    /// The segments that belong to the log, oldest first.
    pub(super) numbers: Vec<u64>,
    pub(super) findings: Vec<Finding>,
    pub(super) streams: Streams,
    pub(super) kept_from: HashMap<u32, u64>,
    /// The stream segments and their sizes, before anything was read of them.
    pub(super) stream_segments: BTreeMap<String, u64>,
    pub(super) frames: u64,
    pub(super) entries: u64,
    /// Where each log segment's frames end.
    pub(super) ends: HashMap<u64, u32>,
    pub(super) done: u64,
    pub(super) total: u64,
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
        let stream_segments = inspector.stream_segments(&names);
        let kept_from = mark.map_or_else(HashMap::new, |mark| kept_from(disk, inspector, mark));
        let mut run = Run {
            inspector,
            mark,
            numbers,
            findings,
            streams: Streams::new(kept_from.clone()),
            kept_from,
            stream_segments,
            frames: 0,
            entries: 0,
            ends: HashMap::new(),
            done: 0,
            total: 0,
            names,
        };
        let log: u64 = run.numbers.iter().map(|number| run.size(*number)).sum();
        run.total = log + run.stream_segments.values().sum::<u64>();
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

    pub(super) fn note(&mut self, file: &Path, kind: FindingKind, offset: u32, detail: String) {
        self.findings.push(Finding {
            kind,
            file: file.to_path_buf(),
            offset: Some(offset.into()),
            detail,
        });
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
