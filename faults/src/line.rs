//! What a worker reports, one line each: what it is about to do, and what it was told.

use std::fmt;
use std::str::FromStr;

use crate::payload::Digest;

/// One line of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    /// The worker's process.
    Process(i32),
    /// The journal is open.
    Opened,
    /// It could not be opened.
    NotOpened(String),
    /// A stream's head as the journal showed it.
    Head {
        /// The stream.
        stream: u32,
        /// Position of its last entry; 0 without one.
        head: u64,
    },
    /// A batch is about to be appended.
    Submitted(Batch),
    /// Its append was acknowledged.
    Acknowledged(Batch),
    /// Its append certainly did not happen.
    Rejected {
        /// The stream.
        stream: u32,
        /// Where it would have begun.
        first: u64,
        /// Why.
        reason: String,
    },
    /// Its append may have happened.
    Unknown {
        /// The stream.
        stream: u32,
        /// Where it would begin.
        first: u64,
    },
    /// Entries below are about to be forgotten.
    Forgetting {
        /// The stream.
        stream: u32,
        /// The first one to be kept.
        below: u64,
    },
    /// They are forgotten.
    Forgotten {
        /// The stream.
        stream: u32,
        /// The first one that is kept.
        below: u64,
    },
    /// The journal was closed in good order.
    Closed,
}

/// Entries of one append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    /// The stream.
    pub(crate) stream: u32,
    /// Position of the first one.
    pub(crate) first: u64,
    /// What stands for each.
    pub(crate) digests: Vec<Digest>,
}

impl Batch {
    /// Position of the last one.
    pub(crate) fn last(&self) -> u64 {
        self.first + self.digests.len() as u64 - 1
    }
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.stream, self.first)?;
        for Digest(digest) in &self.digests {
            write!(f, " {digest:016x}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Process(id) => write!(f, "process {id}"),
            Line::Opened => f.write_str("opened"),
            Line::NotOpened(reason) => write!(f, "not-opened {}", reason.replace('\n', " ")),
            Line::Head { stream, head } => write!(f, "head {stream} {head}"),
            Line::Submitted(batch) => write!(f, "submitted {batch}"),
            Line::Acknowledged(batch) => write!(f, "acknowledged {batch}"),
            Line::Rejected {
                stream,
                first,
                reason,
            } => write!(f, "rejected {stream} {first} {}", reason.replace('\n', " ")),
            Line::Unknown { stream, first } => write!(f, "unknown {stream} {first}"),
            Line::Forgetting { stream, below } => write!(f, "forgetting {stream} {below}"),
            Line::Forgotten { stream, below } => write!(f, "forgotten {stream} {below}"),
            Line::Closed => f.write_str("closed"),
        }
    }
}

impl FromStr for Line {
    type Err = String;

    fn from_str(text: &str) -> Result<Line, String> {
        read(text).ok_or_else(|| format!("not a line of a report: {text}"))
    }
}

fn read(text: &str) -> Option<Line> {
    let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
    let mut words = rest.split(' ');
    let line = match kind {
        "process" => Line::Process(rest.parse().ok()?),
        "opened" => Line::Opened,
        "not-opened" => Line::NotOpened(rest.to_owned()),
        "closed" => Line::Closed,
        "submitted" => Line::Submitted(batch(words)?),
        "acknowledged" => Line::Acknowledged(batch(words)?),
        _ => {
            let stream = words.next()?.parse().ok()?;
            let number = words.next()?.parse().ok()?;
            match kind {
                "head" => Line::Head {
                    stream,
                    head: number,
                },
                "rejected" => Line::Rejected {
                    stream,
                    first: number,
                    reason: words.collect::<Vec<_>>().join(" "),
                },
                "unknown" => Line::Unknown {
                    stream,
                    first: number,
                },
                "forgetting" => Line::Forgetting {
                    stream,
                    below: number,
                },
                "forgotten" => Line::Forgotten {
                    stream,
                    below: number,
                },
                _ => return None,
            }
        }
    };
    Some(line)
}

fn batch<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Batch> {
    let stream = words.next()?.parse().ok()?;
    let first = words.next()?.parse().ok()?;
    let digests = words
        .map(|word| u64::from_str_radix(word, 16).ok().map(Digest))
        .collect::<Option<Vec<_>>>()?;
    (!digests.is_empty()).then_some(Batch {
        stream,
        first,
        digests,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read_as_it_was_written() {
        let batch = Batch {
            stream: 3,
            first: 17,
            digests: vec![Digest(1), Digest(u64::MAX)],
        };
        let (stream, first, below) = (2, 9, 8);
        let lines = [
            Line::Process(77),
            Line::Opened,
            Line::NotOpened("R0104: x cannot be used".to_owned()),
            Line::Head { stream, head: 0 },
            Line::Submitted(batch.clone()),
            Line::Acknowledged(batch),
            Line::Rejected {
                stream,
                first,
                reason: "there is no room for it".to_owned(),
            },
            Line::Unknown { stream, first },
            Line::Forgetting { stream, below },
            Line::Forgotten { stream, below },
            Line::Closed,
        ];
        for line in lines {
            assert_eq!(line.to_string().parse(), Ok(line));
        }
        for half in [
            "",
            "acknowledged 3 17",
            "acknowledged 3",
            "head 1",
            "head 1 x",
        ] {
            assert!(half.parse::<Line>().is_err(), "{half}");
        }
    }
}
