//! The files of a journal under inspection: what each one is, how much of it is in use, and whether
//! they change meanwhile.

use std::collections::BTreeMap;

use super::Inspector;
use super::finding::{Finding, FindingKind};
use super::marks;
use super::report::{FileRole, FileSeen};
use super::run::Run;
use crate::error::OpenError;
use crate::format::mark::Mark;
use crate::mark::MARK_FILE;
use crate::segment::{FileKind, log_name};
use crate::storage::Access;

impl Run<'_> {
    /// All files of the directory.
    pub(super) fn files(&mut self, is_moving: bool) -> Vec<FileSeen> {
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

    /// Bytes of segment `number` that are looked at.
    pub(super) fn size(&self, number: u64) -> u64 {
        match self.mark {
            Some(mark) if mark.end.segment == number => mark.end.offset.into(),
            Some(_) | None => {
                let path = self.inspector.dir.join(log_name(number));
                let file = self.inspector.disk.open(&path, Access::Read);
                file.and_then(|file| file.size()).unwrap_or(0)
            }
        }
    }

    /// Whether segment `number` may be gone by now.
    pub(super) fn is_retired(&self, number: u64) -> Result<bool, OpenError> {
        let (disk, dir) = (self.inspector.disk.as_ref(), self.inspector.dir.as_path());
        let (mark, _) = marks::read(disk, dir)?;
        Ok(mark.is_some_and(|mark| mark.first_segment > number))
    }

    /// Whether segments were rewritten or removed meanwhile, so that what seems to be damaged may only
    /// be gone.
    pub(super) fn has_changed(&self) -> Result<bool, OpenError> {
        let (disk, dir) = (self.inspector.disk.as_ref(), self.inspector.dir.as_path());
        let (mark, _) = marks::read(disk, dir)?;
        let first = |mark: Option<Mark>| mark.map(|mark| mark.first_segment);
        let now = disk.list(dir).map_err(OpenError::io(dir))?;
        let is_gone = |name: &String| !now.contains(name);
        let is_log = |name: &&String| matches!(FileKind::of(name), FileKind::Log(_));
        Ok(first(mark) != first(self.mark)
            || self.names.iter().filter(is_log).any(is_gone)
            || self.inspector.stream_segments(&now) != self.stream_segments)
    }

    /// Whether somebody writes to the journal meanwhile.
    pub(super) fn is_moving(&self) -> Result<bool, OpenError> {
        let (disk, dir) = (self.inspector.disk.as_ref(), self.inspector.dir.as_path());
        Ok(marks::read(disk, dir)?.0 != self.mark)
    }
}

impl Inspector {
    /// The stream segments among `names`, with their sizes. Compaction may write one anew under its
    /// name, with less in it.
    pub(super) fn stream_segments(&self, names: &[String]) -> BTreeMap<String, u64> {
        let names = names.iter();
        let segments = names.filter(|name| matches!(FileKind::of(name), FileKind::Streams(..)));
        let sizes = segments.filter_map(|name| {
            let file = self.disk.open(&self.dir.join(name), Access::Read).ok()?;
            Some((name.clone(), file.size().ok()?))
        });
        sizes.collect()
    }
}
