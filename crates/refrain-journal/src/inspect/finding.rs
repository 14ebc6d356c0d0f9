//! What an inspection finds wrong, and where.

use std::fmt;
use std::path::PathBuf;

use crate::error::OpenError;

/// What is said of reserved bytes that are used.
pub(super) const NEWER: &str =
    "bytes are used that this format reserves: a newer version of the program wrote this";

/// One thing that is not as it should be.
///
/// ```
/// use refrain_journal::inspect::{Finding, FindingKind, Severity};
///
/// let finding = Finding {
///     kind: FindingKind::Record,
///     file: "orders-data/0000000001.log".into(),
///     offset: Some(4136),
///     detail: "the checksum does not fit".into(),
/// };
/// assert_eq!(finding.severity(), Severity::Damage);
/// assert_eq!(
///     finding.to_string(),
///     "orders-data/0000000001.log at offset 4136: the checksum does not fit"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What sort of thing it is.
    pub kind: FindingKind,
    /// The file that it is in, or that is missing.
    pub file: PathBuf,
    /// Where in the file, if it has a place there.
    pub offset: Option<u64>,
    /// What is wrong.
    pub detail: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is wrong: an opening of the journal clears it up, or a writer is at work.
    Notice,
    /// Stored bytes are not what was written.
    Damage,
}

/// What sort of thing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// The durable mark is missing, or neither of its slots can be read.
    Mark,
    /// One of the two slots of the durable mark cannot be read. The other one serves.
    MarkSlot,
    /// A log segment or a stream segment is missing, or its header is not its own.
    Segment,
    /// A part of a stream segment is damaged.
    Block,
    /// Bytes are damaged where frames of the log were, or frames are missing.
    Frame,
    /// A record is damaged. The frame around it is not.
    Record,
    /// The index of a sealed segment is damaged or says something else than its segment.
    Index,
    /// The index of a sealed segment is missing; the next opening makes it.
    IndexMissing,
    /// A stream has a gap, an entry too many, or no name.
    Stream,
    /// A snapshot is damaged.
    Snapshot,
    /// A file that was never finished; the next opening removes it.
    Unfinished,
    /// Something behind the durable mark that the next opening decides about.
    Tail,
    /// The header of a spare segment is damaged. It holds nothing, and the next opening makes another.
    Spare,
    /// A file of a format that this program does not know.
    Version,
    /// A file could not be read.
    Unreadable,
}

impl FindingKind {
    /// The word for it in output that programs read.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            FindingKind::Mark => "mark",
            FindingKind::MarkSlot => "mark-slot",
            FindingKind::Segment => "segment",
            FindingKind::Block => "block",
            FindingKind::Frame => "frame",
            FindingKind::Record => "record",
            FindingKind::Index => "index",
            FindingKind::IndexMissing => "index-missing",
            FindingKind::Stream => "stream",
            FindingKind::Snapshot => "snapshot",
            FindingKind::Unfinished => "unfinished",
            FindingKind::Tail => "tail",
            FindingKind::Spare => "spare",
            FindingKind::Version => "version",
            FindingKind::Unreadable => "unreadable",
        }
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            FindingKind::IndexMissing | FindingKind::Unfinished | FindingKind::Tail => {
                Severity::Notice
            }
            FindingKind::Mark
            | FindingKind::MarkSlot
            | FindingKind::Segment
            | FindingKind::Block
            | FindingKind::Frame
            | FindingKind::Record
            | FindingKind::Index
            | FindingKind::Stream
            | FindingKind::Snapshot
            | FindingKind::Spare
            | FindingKind::Version
            | FindingKind::Unreadable => Severity::Damage,
        }
    }
}

impl Finding {
    /// Why the log segment `file` cannot be opened. The finding names the file already.
    pub(super) fn unopened(file: PathBuf, error: &OpenError) -> Finding {
        let (kind, detail) = match error {
            OpenError::Corrupt { detail, .. } => (FindingKind::Segment, detail.clone()),
            OpenError::Version { version, .. } => (
                FindingKind::Version,
                format!("format version {version} is not known to this program"),
            ),
            OpenError::Newer { .. } => (FindingKind::Version, NEWER.to_owned()),
            OpenError::Io { source, .. } => (FindingKind::Unreadable, source.to_string()),
            OpenError::Options { .. } | OpenError::Locked { .. } | OpenError::Missing { .. } => {
                (FindingKind::Unreadable, error.to_string())
            }
        };
        Finding {
            kind,
            file,
            offset: Some(0),
            detail,
        }
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.kind.severity()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(offset) = self.offset {
            write!(f, " at offset {offset}")?;
        }
        write!(f, ": {}", self.detail)
    }
}
