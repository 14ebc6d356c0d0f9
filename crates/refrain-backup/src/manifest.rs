//! What a backup is: which journal, how far, and the pieces that its files are made of.

use std::fmt;
use std::str::FromStr;

use refrain_core::{Name, Position};
use refrain_journal::inspect::{EndSeen, FileRole, MarkSeen};
use serde::{Deserialize, Serialize};

use crate::digest::digest_text;
use crate::error::BackupError;

/// The format that this program writes, and the only one it reads.
pub(crate) const FORMAT: u32 = 1;

/// Bytes of a piece, except for the last one of a file. A file only grows at its end, so pieces of
/// equal size are what two backups of it have in common.
pub(crate) const PIECE_BYTES: usize = 4 * 1024 * 1024;

/// Bytes that the files of a backup may have together, an exbibyte: whoever adds sizes up need not think
/// of what a number holds.
const FILE_BYTES_MAX: u64 = 1 << 60;

/// One backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Manifest {
    /// The format of this manifest.
    pub format: u32,
    /// When it was taken, in microseconds since 1970-01-01T00:00:00Z.
    pub taken_at: u64,
    /// The identity of the journal, in hexadecimal digits.
    pub identity: String,
    /// The epoch of its writer.
    pub epoch: u64,
    /// The oldest log segment.
    pub first_segment: u64,
    /// The segment that the backup ends in.
    pub end_segment: u64,
    /// Where in it.
    pub end_offset: u32,
    /// Number of the first frame that is not in the backup.
    pub end_frame: u64,
    /// The chain that this frame will name.
    pub end_chain: u32,
    /// Entries of all streams.
    pub entries: u64,
    /// Their bytes.
    pub entry_bytes: u64,
    /// Number of streams.
    pub streams: u64,
    /// The pieces of the list of streams, one JSON object per line.
    pub stream_list: Vec<Piece>,
    /// The files.
    pub files: Vec<FileRecord>,
}

/// Part of a file: an object named by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Piece {
    /// SHA-256, in hexadecimal digits.
    pub sha256: String,
    /// Its bytes.
    pub bytes: u64,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// What it is; its name follows from that.
    pub is: FileSort,
    /// Its size. What the pieces do not cover is zeros.
    pub bytes: u64,
    /// Its pieces, from its start.
    pub pieces: Vec<Piece>,
}

/// What a file of a backup is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FileSort {
    /// A log segment.
    Log(u64),
    /// The index of a log segment.
    Index(u64),
    /// The stream segment for the log segments from the first to the second number.
    Streams(u64, u64),
    /// A snapshot.
    Snapshot {
        /// Of this stream.
        stream: String,
        /// At this position.
        position: u64,
    },
}

impl FileSort {
    pub(crate) fn role(&self) -> Option<FileRole> {
        match self {
            FileSort::Log(number) => Some(FileRole::Log(*number)),
            FileSort::Index(number) => Some(FileRole::Index(*number)),
            FileSort::Streams(first, last) => Some(FileRole::Streams(*first, *last)),
            FileSort::Snapshot { .. } => None,
        }
    }

    /// The name of a snapshot's file; `None` for other files and for names that no stream has.
    pub(crate) fn snapshot_name(&self) -> Option<String> {
        let FileSort::Snapshot { stream, position } = self else {
            return None;
        };
        let (stream, position) = (Name::new(stream).ok()?, Position::new(*position)?);
        Some(format!("{stream}@{position:020}.snap"))
    }
}

/// A manifest as it is stored: with the digest of what it says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    sha256: String,
    backup: Manifest,
}

/// Read before anything else, so that a later format is called one.
#[derive(Deserialize)]
struct Probe {
    backup: ProbeFormat,
}

#[derive(Deserialize)]
struct ProbeFormat {
    format: u32,
}

impl Manifest {
    /// The mark that the journal had.
    ///
    /// # Errors
    /// When the identity is not one.
    pub(crate) fn mark(&self) -> Result<MarkSeen, String> {
        let identity = u64::from_str_radix(&self.identity, 16);
        Ok(MarkSeen {
            identity: identity.map_err(|_| "the identity is not a number".to_owned())?,
            epoch: self.epoch,
            first_segment: self.first_segment,
            end: EndSeen {
                segment: self.end_segment,
                offset: self.end_offset,
                frame: self.end_frame,
                chain: self.end_chain,
            },
        })
    }

    /// The name of this backup.
    #[must_use]
    pub fn id(&self) -> BackupId {
        BackupId::new(&self.identity, self.epoch, self.end_frame)
    }

    /// Bytes of all pieces.
    #[must_use]
    pub fn piece_bytes(&self) -> u64 {
        let files = self.files.iter().flat_map(|file| &file.pieces);
        files
            .chain(&self.stream_list)
            .fold(0, |sum: u64, piece| sum.saturating_add(piece.bytes))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let stored = Stored {
            sha256: self.digest(),
            backup: self.clone(),
        };
        serde_json::to_vec_pretty(&stored).expect("a manifest has only texts and numbers")
    }

    /// The manifest of backup `id` in `bytes`.
    pub(crate) fn decode(id: &BackupId, bytes: &[u8]) -> Result<Manifest, BackupError> {
        let damaged = |detail: String| BackupError::Damaged {
            backup: id.to_string(),
            place: id.place(),
            detail,
        };
        let probe: Probe =
            serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        if probe.backup.format != FORMAT {
            return Err(BackupError::Format {
                backup: id.to_string(),
                format: probe.backup.format,
                known: FORMAT,
            });
        }
        let stored: Stored =
            serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        if stored.backup.digest() != stored.sha256 {
            return Err(damaged("it is not what its digest says".into()));
        }
        if stored.backup.id() != *id {
            let other = stored.backup.id();
            return Err(damaged(format!("it is the manifest of backup {other}")));
        }
        stored.backup.mark().map_err(damaged)?;
        if stored.backup.file_bytes().is_none() {
            return Err(damaged("no disk has as many bytes as its files".into()));
        }
        Ok(stored.backup)
    }

    /// Bytes of all files; `None` when they are more than [`FILE_BYTES_MAX`].
    fn file_bytes(&self) -> Option<u64> {
        let mut files = self.files.iter();
        let sum = files.try_fold(0, |sum: u64, file| sum.checked_add(file.bytes));
        sum.filter(|sum| *sum <= FILE_BYTES_MAX)
    }

    /// The digest of what it says.
    pub(crate) fn digest(&self) -> String {
        let bytes = serde_json::to_vec(self).expect("a manifest has only texts and numbers");
        digest_text(&bytes)
    }
}

/// The name of a backup: the journal's identity, its epoch and the number of the first frame that is
/// not in it. Those of one journal sort by age.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BackupId(String);

impl BackupId {
    fn new(identity: &str, epoch: u64, end_frame: u64) -> BackupId {
        BackupId(format!("{identity}-{epoch:010}-{end_frame:020}"))
    }

    /// That of a backup of a journal with this mark.
    pub(crate) fn of(mark: &MarkSeen) -> BackupId {
        let identity = format!("{:016x}", mark.identity);
        BackupId::new(&identity, mark.epoch, mark.end.frame)
    }

    /// The object that holds its manifest.
    pub(crate) fn place(&self) -> String {
        format!("backups/{}.json", self.0)
    }

    /// The backup whose manifest has this file name.
    pub(crate) fn of_file(name: &str) -> Option<BackupId> {
        name.strip_suffix(".json")?.parse().ok()
    }

    /// The identity of the journal, in hexadecimal digits.
    pub(crate) fn identity(&self) -> &str {
        self.0.split_once('-').map_or("", |(identity, _)| identity)
    }

    /// The epoch of the journal's writer, in digits of which there is always the same number.
    pub(crate) fn epoch(&self) -> &str {
        self.age().split_once('-').map_or("", |(epoch, _)| epoch)
    }

    /// How new it is among those of one journal.
    pub(crate) fn age(&self) -> &str {
        self.0.split_once('-').map_or("", |(_, age)| age)
    }
}

impl FromStr for BackupId {
    type Err = String;

    fn from_str(text: &str) -> Result<BackupId, String> {
        let parts: Vec<&str> = text.split('-').collect();
        let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        match parts[..] {
            [identity, epoch, frame]
                if (identity.len(), epoch.len(), frame.len()) == (16, 10, 20)
                    && is_hex(identity)
                    && is_number(epoch)
                    && is_number(frame) =>
            {
                Ok(BackupId(text.to_owned()))
            }
            _ => Err("a backup is called by 16, 10 and 20 digits with '-' between them".into()),
        }
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
