//! The list of streams: what a backup holds, independent of files.

use refrain_journal::inspect::StreamSeen;
use serde::{Deserialize, Serialize};

use crate::digest::StreamDigest;

/// One stream of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamRecord {
    /// Its name.
    pub stream: String,
    /// The position of the first entry; `None` when no entry is kept.
    pub first: Option<u64>,
    /// The position of the last entry, kept or not.
    pub last: Option<u64>,
    /// Kept entries.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The [`StreamDigest`] over them.
    pub digest: String,
}

impl StreamRecord {
    pub(crate) fn of(seen: &StreamSeen, digest: StreamDigest) -> StreamRecord {
        StreamRecord {
            stream: seen.name.to_string(),
            first: seen.first.map(|position| position.get()),
            last: seen.last.map(|position| position.get()),
            entries: seen.entries,
            bytes: seen.bytes,
            digest: digest.to_string(),
        }
    }
}

/// The list as it is stored: one JSON object per line, in the order of the names.
pub(crate) fn encode(streams: &[StreamRecord]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for stream in streams {
        serde_json::to_writer(&mut bytes, stream).expect("a stream has only texts and numbers");
        bytes.push(b'\n');
    }
    bytes
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<StreamRecord>, String> {
    let lines = bytes.split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).map_err(|error| error.to_string()))
        .collect()
}

/// The first stream in which two lists differ, and how.
pub(crate) fn difference(wanted: &[StreamRecord], found: &[StreamRecord]) -> Option<String> {
    for (index, stream) in wanted.iter().enumerate() {
        match found.get(index) {
            Some(other) if other == stream => {}
            Some(other) if other.stream == stream.stream => {
                return Some(format!(
                    "stream {} has entries {:?} to {:?} with digest {}, the manifest says {:?} to \
                     {:?} with {}",
                    stream.stream,
                    other.first,
                    other.last,
                    other.digest,
                    stream.first,
                    stream.last,
                    stream.digest
                ));
            }
            Some(_) | None => return Some(format!("stream {} is missing", stream.stream)),
        }
    }
    let more = found.get(wanted.len())?;
    Some(format!("there is one stream too many: {}", more.stream))
}
