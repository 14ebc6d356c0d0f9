//! What workers said, and what must therefore be in the journal.
//!
//! The checker's half: it knows nothing of files. After each fault it compares what it was told with
//! what an opened journal shows, and remembers what was shown: that must stay as well.

use std::collections::BTreeMap;
use std::fmt;

use crate::line::{Batch, Line};
use crate::payload::Digest;

/// What is known of a journal.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    streams: BTreeMap<u32, Stream>,
    /// Entries that were ever acknowledged.
    pub(crate) acknowledged: u64,
}

#[derive(Debug, Clone, Default)]
struct Stream {
    /// The entries that a check has shown, from position 1 on; `None` for one that nobody saw before
    /// it was forgotten.
    shown: Vec<Option<Digest>>,
    /// Acknowledged since then, by position.
    acknowledged: BTreeMap<u64, Digest>,
    /// Submitted since then and not rejected.
    submitted: Vec<Batch>,
    /// The highest head that a worker was shown.
    head: u64,
    /// The first position that must be kept, and the first that may be.
    forgotten: u64,
    forgetting: u64,
}

/// One stream as an opened journal shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its number.
    pub(crate) stream: u32,
    /// Position of the first entry that is left.
    pub(crate) first: u64,
    /// Position of the last entry.
    pub(crate) head: u64,
    /// What stands for each entry from `first` to `head`.
    pub(crate) digests: Vec<Digest>,
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation(pub(crate) String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn broken<T>(what: impl Into<String>) -> Result<T, Violation> {
    Err(Violation(what.into()))
}

impl History {
    /// Takes in what one worker said, from its start to its end.
    ///
    /// # Errors
    /// When it was told something that cannot be true.
    pub(crate) fn take(&mut self, lines: &[Line]) -> Result<(), Violation> {
        for line in lines {
            match line {
                Line::Process(_) | Line::Opened | Line::NotOpened(_) | Line::Closed => {}
                Line::Head { stream, head } => self.stream(*stream).see_head(*stream, *head)?,
                Line::Submitted(batch) => self.stream(batch.stream).submit(batch)?,
                Line::Acknowledged(batch) => {
                    self.stream(batch.stream).acknowledge(batch)?;
                    self.acknowledged += batch.digests.len() as u64;
                }
                Line::Rejected { stream, first, .. } => self.stream(*stream).reject(*first),
                Line::Unknown { .. } => {}
                Line::Forgetting { stream, below } => {
                    let stream = self.stream(*stream);
                    stream.forgetting = stream.forgetting.max(*below);
                }
                Line::Forgotten { stream, below } => {
                    let stream = self.stream(*stream);
                    stream.forgotten = stream.forgotten.max(*below);
                }
            }
        }
        Ok(())
    }

    /// Compares with what a journal shows, and remembers it.
    ///
    /// # Errors
    /// When a promise was broken.
    pub(crate) fn check(&mut self, found: &[Found]) -> Result<(), Violation> {
        for shown in found {
            if !self.streams.contains_key(&shown.stream) {
                return broken(format!("nobody made stream {}", shown.stream));
            }
        }
        for (number, stream) in &mut self.streams {
            let nothing = Found {
                stream: *number,
                first: 1,
                head: 0,
                digests: Vec::new(),
            };
            let found = found.iter().find(|found| found.stream == *number);
            stream.check(found.unwrap_or(&nothing))?;
        }
        Ok(())
    }

    fn stream(&mut self, number: u32) -> &mut Stream {
        self.streams.entry(number).or_default()
    }
}

impl Stream {
    /// The last position that must be there.
    fn due(&self) -> u64 {
        let acknowledged = self.acknowledged.keys().next_back().copied().unwrap_or(0);
        acknowledged.max(self.head).max(self.shown.len() as u64)
    }

    fn see_head(&mut self, number: u32, head: u64) -> Result<(), Violation> {
        if head < self.due() {
            let due = self.due();
            return broken(format!("stream {number} went back from {due} to {head}"));
        }
        self.head = head;
        Ok(())
    }

    fn submit(&mut self, batch: &Batch) -> Result<(), Violation> {
        if batch.first <= self.due() {
            let Batch { stream, first, .. } = batch;
            return broken(format!(
                "position {first} of stream {stream} was given out again"
            ));
        }
        self.submitted.push(batch.clone());
        Ok(())
    }

    fn acknowledge(&mut self, batch: &Batch) -> Result<(), Violation> {
        let Batch { stream, first, .. } = batch;
        if self.submitted.iter().rev().all(|known| known != batch) {
            return broken(format!(
                "{first} of stream {stream} was acknowledged and not submitted"
            ));
        }
        if *first <= self.acknowledged.keys().next_back().copied().unwrap_or(0) {
            return broken(format!(
                "{first} of stream {stream} was acknowledged after a later one"
            ));
        }
        for (position, digest) in (*first..).zip(&batch.digests) {
            self.acknowledged.insert(position, *digest);
        }
        Ok(())
    }

    fn reject(&mut self, first: u64) {
        if let Some(index) = self
            .submitted
            .iter()
            .rposition(|batch| batch.first == first)
        {
            self.submitted.remove(index);
        }
    }

    fn check(&mut self, found: &Found) -> Result<(), Violation> {
        let number = found.stream;
        let due = self.due();
        if found.head < due {
            let head = found.head;
            return broken(format!(
                "stream {number} ends at {head}; {due} was acknowledged or shown"
            ));
        }
        let first_latest = self.forgetting.max(1);
        if found.first > first_latest || found.first < self.forgotten {
            let Stream {
                forgotten,
                forgetting,
                ..
            } = self;
            return broken(format!(
                "stream {number} begins at {}; forgotten below {forgotten}, asked below {forgetting}",
                found.first
            ));
        }
        for (position, digest) in (found.first..).zip(&found.digests) {
            self.check_entry(number, position, *digest)?;
        }
        if !self.may_end_at(found) {
            return broken(format!(
                "stream {number} ends at {}, in the middle of a batch",
                found.head
            ));
        }
        self.remember(found);
        Ok(())
    }

    fn check_entry(&self, number: u32, position: u64, digest: Digest) -> Result<(), Violation> {
        let index = usize::try_from(position - 1).expect("positions fit");
        let known = match self.shown.get(index) {
            Some(Some(shown)) => *shown == digest,
            Some(None) => return broken(format!("{position} of stream {number} came back")),
            None => match self.acknowledged.get(&position) {
                Some(acknowledged) => *acknowledged == digest,
                None => self.was_submitted(position, digest),
            },
        };
        if known {
            return Ok(());
        }
        broken(format!(
            "{position} of stream {number} holds other bytes than were acknowledged or submitted"
        ))
    }

    fn was_submitted(&self, position: u64, digest: Digest) -> bool {
        self.submitted
            .iter()
            .any(|batch| at(batch, position) == Some(digest))
    }

    /// Whether a batch that was submitted ends at the head, with what is found there.
    fn may_end_at(&self, found: &Found) -> bool {
        if found.head == self.shown.len() as u64 || found.first > found.head {
            return true;
        }
        self.submitted
            .iter()
            .any(|batch| batch.last() == found.head && batch.digests.last() == found.digests.last())
    }

    fn remember(&mut self, found: &Found) {
        let before = self.shown.len() as u64;
        for position in before + 1..=found.head {
            let visible = position
                .checked_sub(found.first)
                .and_then(|index| found.digests.get(usize::try_from(index).ok()?));
            let acknowledged = self.acknowledged.get(&position);
            self.shown.push(visible.or(acknowledged).copied());
        }
        self.acknowledged.clear();
        self.submitted.clear();
        self.head = found.head;
    }
}

/// What stands for the entry of `batch` at `position`.
fn at(batch: &Batch, position: u64) -> Option<Digest> {
    let index = position.checked_sub(batch.first)?;
    batch.digests.get(usize::try_from(index).ok()?).copied()
}

#[cfg(test)]
mod tests;
