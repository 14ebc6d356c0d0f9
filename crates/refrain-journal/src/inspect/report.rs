//! What an inspection answers.

use std::path::PathBuf;

use refrain_core::{Name, Position};

use super::finding::{Finding, Severity};
use super::streams::StreamSeen;
use crate::format::mark::{End, Mark};

/// A journal as it lies on the disk.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Inspection {
    /// The durable mark that was inspected up to; `None` when it cannot be read.
    pub mark: Option<MarkSeen>,
    /// The files of the directory, in the order of their names.
    pub files: Vec<FileSeen>,
    /// The streams, in the order of their names.
    pub streams: Vec<StreamSeen>,
    /// Everything that is not as it should be, in the order in which it was found.
    pub findings: Vec<Finding>,
    /// Whole frames.
    pub frames: u64,
    /// Whole entries, those included that are forgotten and still there.
    pub entries: u64,
    /// The snapshots that were looked at and found whole.
    pub snapshots: Vec<SnapshotSeen>,
    /// Whether the mark moved while the inspection ran: somebody has the journal open.
    pub is_moving: bool,
}

impl Inspection {
    /// Whether nothing is damaged.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damages().next().is_none()
    }

    /// What is damaged.
    pub fn damages(&self) -> impl Iterator<Item = &Finding> {
        let findings = self.findings.iter();
        findings.filter(|finding| finding.severity() == Severity::Damage)
    }

    /// Bytes of all files.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// What the durable mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkSeen {
    /// The identity of the journal, drawn when it was made.
    pub identity: u64,
    /// The opening that wrote it.
    pub epoch: u64,
    /// The oldest log segment that is kept.
    pub first_segment: u64,
    /// How far the log is durable.
    pub end: EndSeen,
}

/// A place between two frames of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndSeen {
    /// Number of the segment.
    pub segment: u64,
    /// Offset in it.
    pub offset: u32,
    /// Number of the next frame.
    pub frame: u64,
    /// What the next frame names as its chain.
    pub chain: u32,
}

impl MarkSeen {
    pub(super) fn of(mark: &Mark) -> MarkSeen {
        let End {
            segment,
            offset,
            frame,
            chain,
        } = mark.end;
        MarkSeen {
            identity: mark.identity,
            epoch: mark.epoch,
            first_segment: mark.first_segment,
            end: EndSeen {
                segment,
                offset,
                frame,
                chain,
            },
        }
    }
}

/// One file of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSeen {
    /// Where it is.
    pub path: PathBuf,
    /// What it is for.
    pub role: FileRole,
    /// Its size.
    pub bytes: u64,
    /// Bytes from its start that mean something; the rest is zeros, or not durable yet.
    pub used: u64,
}

/// A snapshot that was found whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotSeen {
    /// The stream that it is of.
    pub stream: Name,
    /// The last entry that it stands for.
    pub position: Position,
    /// Its file.
    pub file: FileSeen,
}

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FileRole {
    /// The durable mark.
    Mark,
    /// The lock of whoever writes.
    Lock,
    /// The log segment with this number.
    Log(u64),
    /// The index of the log segment with this number.
    Index(u64),
    /// A log segment ahead of the mark.
    Spare(u64),
    /// The stream segment for the log segments from the first to the second number.
    Streams(u64, u64),
    /// The directory.
    Directory,
    /// A snapshot.
    Snapshot,
    /// Never finished.
    Unfinished,
    /// Not the journal's.
    Other,
}

impl FileRole {
    /// The word for it in output that programs read.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            FileRole::Mark => "mark",
            FileRole::Lock => "lock",
            FileRole::Log(_) => "log",
            FileRole::Index(_) => "index",
            FileRole::Spare(_) => "spare",
            FileRole::Streams(..) => "streams",
            FileRole::Directory => "directory",
            FileRole::Snapshot => "snapshot",
            FileRole::Unfinished => "unfinished",
            FileRole::Other => "other",
        }
    }
}
