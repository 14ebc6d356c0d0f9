//! What an inspection learns of each stream, and whether its positions have gaps.

use std::collections::HashMap;

use refrain_core::{Name, Position};

use crate::format::record::Declaration;

/// One stream, as an inspection saw it.
///
/// ```
/// use refrain_journal::FileJournal;
/// use refrain_journal::inspect::Inspector;
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("orders-data");
/// drop(FileJournal::open(&path)?);
/// assert!(Inspector::new(&path).run(&mut ())?.streams.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSeen {
    /// Its name.
    pub name: Name,
    /// Its number in this journal.
    pub number: u32,
    /// The position of the first entry that is kept; `None` when none is.
    pub first: Option<Position>,
    /// The position of the last entry, whether it is kept or not.
    pub last: Option<Position>,
    /// Kept entries that were read and found whole.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// All streams of a journal, as far as the log was read.
#[derive(Debug, Default)]
pub(super) struct Streams {
    all: HashMap<u32, Stream>,
    /// The first kept position of each stream, where that is known in advance.
    kept_from: HashMap<u32, u64>,
}

#[derive(Debug)]
struct Stream {
    name: Option<Name>,
    first: u64,
    next: u64,
    entries: u64,
    bytes: u64,
    /// Whether an entry or a declaration was seen.
    is_seen: bool,
}

impl Default for Stream {
    fn default() -> Stream {
        Stream {
            name: None,
            first: 1,
            next: 1,
            entries: 0,
            bytes: 0,
            is_seen: false,
        }
    }
}

impl Streams {
    pub(super) fn new(kept_from: HashMap<u32, u64>) -> Streams {
        Streams {
            all: HashMap::new(),
            kept_from,
        }
    }

    /// Takes an entry in the order of the log. Says what contradicts the entries before.
    pub(super) fn entry(&mut self, number: u32, position: u64, bytes: usize) -> Option<String> {
        let kept_from = self.kept_from.get(&number).copied().unwrap_or(1);
        let stream = self.all.entry(number).or_default();
        let wrong = if !stream.is_seen {
            stream.first = position;
            None
        } else if position > stream.next {
            Some(missing(stream, number, position))
        } else if position < stream.next {
            let last = stream.next - 1;
            Some(format!(
                "{}: entry {position} follows entry {last}",
                named(stream, number)
            ))
        } else {
            None
        };
        stream.is_seen = true;
        if position >= stream.next {
            stream.next = position + 1;
        }
        if position >= kept_from {
            stream.entries += 1;
            stream.bytes += bytes as u64;
        }
        wrong
    }

    /// Takes a declaration in the order of the log. Says what it contradicts.
    pub(super) fn declare(&mut self, new: &Declaration) -> Option<String> {
        let stream = self.all.entry(new.stream).or_default();
        let mut wrong = None;
        match &stream.name {
            Some(name) if *name != new.name => {
                wrong = Some(format!("{name}: it is called {} as well", new.name));
            }
            Some(_) => {}
            None => stream.name = Some(new.name.clone()),
        }
        if stream.is_seen && new.next > stream.next {
            wrong = Some(missing(stream, new.stream, new.next));
        } else if stream.is_seen && new.next < stream.next {
            wrong = Some(format!(
                "{}: declared at {}, is at {}",
                new.name, new.next, stream.next
            ));
        }
        stream.first = stream.first.max(new.first);
        stream.next = stream.next.max(new.next);
        stream.is_seen = true;
        wrong
    }

    /// What was seen, in the order of the names, and the streams that have none.
    pub(super) fn finish(self) -> (Vec<StreamSeen>, Vec<String>) {
        let mut seen = Vec::new();
        let mut nameless = Vec::new();
        for (number, stream) in self.all {
            let Some(name) = stream.name else {
                nameless.push(format!("stream {number} was never declared"));
                continue;
            };
            let first = stream
                .first
                .max(self.kept_from.get(&number).copied().unwrap_or(1));
            seen.push(StreamSeen {
                name,
                number,
                first: Position::new(first).filter(|_| first < stream.next),
                last: Position::new(stream.next - 1),
                entries: stream.entries,
                bytes: stream.bytes,
            });
        }
        seen.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        nameless.sort_unstable();
        (seen, nameless)
    }
}

fn missing(stream: &Stream, number: u32, found: u64) -> String {
    let name = named(stream, number);
    if stream.next + 1 == found {
        return format!("{name}: entry {} is missing", stream.next);
    }
    format!(
        "{name}: entries {} to {} are missing",
        stream.next,
        found - 1
    )
}

fn named(stream: &Stream, number: u32) -> String {
    match &stream.name {
        Some(name) => name.to_string(),
        None => format!("stream {number}"),
    }
}
