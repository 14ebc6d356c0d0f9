//! What the journal must hold, as a few lists: the reference that every run is compared with.
//!
//! The model knows what was submitted, what was acknowledged or shown, and what was forgotten. Its
//! checks are the promises: acknowledged is kept, nothing is invented, batches are whole, positions
//! are not used again, and what survives of all submissions is a prefix of them.

mod stream;

use std::sync::Arc;

use refrain_core::Name;

pub use self::stream::Stream;
use crate::chance::Chance;
use crate::sometimes::{Sometimes, note};

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{promise}: {detail}")]
pub struct Violation {
    /// Which one.
    pub promise: &'static str,
    /// What was seen.
    pub detail: String,
}

impl Violation {
    /// A broken promise.
    pub fn new(promise: &'static str, detail: impl Into<String>) -> Violation {
        let detail = detail.into();
        Violation { promise, detail }
    }
}

/// What was submitted and not rejected, in order.
#[derive(Debug, Clone)]
struct Submission {
    ticket: u64,
    stream: usize,
    last: u64,
}

/// All streams.
#[derive(Debug, Clone)]
pub struct Model {
    /// The disk lied: entries may be missing, but none may be wrong.
    is_lenient: bool,
    streams: Vec<Stream>,
    submissions: Vec<Submission>,
    tickets: u64,
}

const KEPT: &str = "what was acknowledged or shown is kept";
const INVENTED: &str = "nothing is invented";
const WHOLE: &str = "batches are whole";
const ORDER: &str = "what survives is a prefix of what was submitted";
const BYTES: &str = "entries are what was submitted";
const FORGOTTEN: &str = "what was forgotten stays forgotten, and nothing else";
const LISTED: &str = "streams with durable entries are listed, and no others";

impl Model {
    /// A model of a new journal with `count` streams.
    #[must_use]
    pub fn new(count: usize) -> Model {
        let stream = |number| Stream {
            name: Name::new(&format!("stream-{number}")).expect("a short name"),
            entries: Vec::new(),
            ends: Vec::new(),
            certain: 0,
            first: 1,
            first_wanted: 1,
        };
        Model {
            is_lenient: false,
            streams: (0..count).map(stream).collect(),
            submissions: Vec::new(),
            tickets: 0,
        }
    }

    /// Number of streams.
    #[must_use]
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether there are no streams.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// The last ticket that was given.
    #[must_use]
    pub fn tickets(&self) -> u64 {
        self.tickets
    }

    /// One stream.
    #[must_use]
    pub fn stream(&self, number: usize) -> &Stream {
        &self.streams[number]
    }

    /// Entries as a user could write them, each unlike all others.
    pub fn draw_entries(
        &self,
        stream: usize,
        count: usize,
        len: usize,
        chance: &mut Chance,
    ) -> Vec<Arc<[u8]>> {
        let next = self.streams[stream].next();
        let entry = |index: usize| {
            let head = format!("{stream}:{}:{:x};", next + index as u64, chance.draw());
            let mut bytes = head.into_bytes();
            bytes.resize(bytes.len().max(len), b'.');
            bytes.into()
        };
        (0..count).map(entry).collect()
    }

    /// Notes an append that was submitted, and gives it a ticket.
    pub fn submit(&mut self, stream: usize, entries: &[Arc<[u8]>]) -> u64 {
        let state = &mut self.streams[stream];
        state.entries.extend_from_slice(entries);
        let last = state.entries.len() as u64;
        state.ends.push(last);
        self.tickets += 1;
        let ticket = self.tickets;
        self.submissions.push(Submission {
            ticket,
            stream,
            last,
        });
        ticket
    }

    /// Notes that the append `ticket` of `stream`, whose first entry was at `at`, did not happen,
    /// and none after it.
    pub fn reject(&mut self, ticket: u64, stream: usize, at: u64) -> Result<(), Violation> {
        let state = &mut self.streams[stream];
        if state.certain >= at {
            let detail = format!("{} was rejected at {at} and is there", state.name);
            return Err(Violation::new(KEPT, detail));
        }
        state
            .entries
            .truncate(usize::try_from(at).unwrap_or(usize::MAX) - 1);
        state.ends.retain(|end| *end < at);
        self.submissions.retain(|one| one.ticket != ticket);
        Ok(())
    }

    /// Notes that the append `ticket` of `stream`, whose last entry is at `last`, was acknowledged.
    pub fn acknowledge(&mut self, ticket: u64, stream: usize, last: u64) -> Result<(), Violation> {
        self.submissions.retain(|one| one.ticket != ticket);
        self.reader_saw_head(stream, last)
    }

    /// Notes that `stream` is there up to `last`: it was acknowledged, or somebody saw it.
    pub fn saw_head(&mut self, stream: usize, last: u64) -> Result<(), Violation> {
        if self.is_lenient {
            return self.streams[stream].saw_any_head(last);
        }
        self.streams[stream].saw_head(last)
    }

    /// Compares entries from position `from` on with what was submitted there, and notes that they
    /// were shown.
    pub fn saw_entry(
        &mut self,
        stream: usize,
        position: u64,
        bytes: &[u8],
    ) -> Result<(), Violation> {
        let state = &mut self.streams[stream];
        let index = usize::try_from(position).unwrap_or(usize::MAX) - 1;
        let Some(wanted) = state.entries.get(index) else {
            let detail = format!("{} shows an entry at {position}", state.name);
            return Err(Violation::new(INVENTED, detail));
        };
        if wanted.as_ref() != bytes {
            let detail = format!(
                "{} at {position}: {:?} instead of {:?}",
                state.name,
                String::from_utf8_lossy(&bytes[..bytes.len().min(24)]),
                String::from_utf8_lossy(&wanted[..wanted.len().min(24)])
            );
            return Err(Violation::new(BYTES, detail));
        }
        if position <= state.certain {
            return Ok(());
        }
        // A chunk may end within a batch, so what is certain is the batch it belongs to.
        let end = state.ends.iter().find(|end| **end >= position).copied();
        state.certain = state.certain.max(end.unwrap_or(position));
        Ok(())
    }

    /// Notes that somebody asked to forget `stream` below `below`.
    pub fn ask_forget(&mut self, stream: usize, below: u64) {
        let state = &mut self.streams[stream];
        state.first_wanted = state.first_wanted.max(below.min(state.next()));
    }

    /// Notes that `stream` starts at `first`, which was acknowledged or shown.
    pub fn saw_first(&mut self, stream: usize, first: u64) -> Result<(), Violation> {
        let state = &mut self.streams[stream];
        let is_early = first < state.first && !self.is_lenient;
        if is_early || first > state.first_wanted {
            let detail = format!(
                "{} starts at {first}, not between {} and {}",
                state.name, state.first, state.first_wanted
            );
            return Err(Violation::new(FORGOTTEN, detail));
        }
        state.first = first;
        Ok(())
    }

    /// Compares a list of streams with those that must be there and those that may be.
    pub fn saw_streams(&self, names: &[Name]) -> Result<(), Violation> {
        for state in self.streams.iter().filter(|_| !self.is_lenient) {
            let is_listed = names.contains(&state.name);
            if state.certain > 0 && !is_listed || state.entries.is_empty() && is_listed {
                let detail = format!("{} is {is_listed} in the list", state.name);
                return Err(Violation::new(LISTED, detail));
            }
        }
        if names.len() > self.streams.len() {
            return Err(Violation::new(LISTED, format!("{names:?}")));
        }
        Ok(())
    }

    /// Notes what a recovered journal holds: `heads` and firsts of all streams. What is not there
    /// never will be.
    pub fn recovered(&mut self, heads: &[u64], firsts: &[u64]) -> Result<(), Violation> {
        for (stream, head) in heads.iter().enumerate() {
            self.saw_head(stream, *head)?;
            self.saw_first(stream, firsts[stream])?;
        }
        let mut missing: Option<&Submission> = None;
        for one in &self.submissions {
            let is_there = heads[one.stream] >= one.last;
            note(if is_there {
                Sometimes::UnknownKept
            } else {
                Sometimes::UnknownLost
            });
            if is_there
                && !self.is_lenient
                && let Some(before) = missing
            {
                let detail = format!(
                    "{} at {} is there, {} at {} is not",
                    self.streams[one.stream].name,
                    one.last,
                    self.streams[before.stream].name,
                    before.last
                );
                return Err(Violation::new(ORDER, detail));
            }
            if !is_there {
                missing = missing.or(Some(one));
            }
        }
        self.submissions.clear();
        for (stream, head) in self.streams.iter_mut().zip(heads) {
            stream
                .entries
                .truncate(usize::try_from(*head).unwrap_or(usize::MAX));
            stream.ends.clear();
            stream.first_wanted = stream.first;
        }
        Ok(())
    }

    /// From here on entries may be missing, because the disk lied; wrong ones may not be shown.
    pub fn excuse_losses(&mut self) {
        self.is_lenient = true;
    }

    /// Whether losses are excused.
    #[must_use]
    pub fn is_lenient(&self) -> bool {
        self.is_lenient
    }

    /// Notes that a reader that may lag saw `stream` end at `last`.
    pub fn reader_saw_head(&mut self, stream: usize, last: u64) -> Result<(), Violation> {
        if last <= self.streams[stream].certain {
            return Ok(());
        }
        self.saw_head(stream, last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> (Model, Vec<u64>) {
        let mut model = Model::new(2);
        let mut chance = Chance::new(1, "test");
        let tickets = [(0, 2), (1, 1), (0, 1)].map(|(stream, count)| {
            let entries = model.draw_entries(stream, count, 0, &mut chance);
            model.submit(stream, &entries)
        });
        (model, tickets.to_vec())
    }

    fn promise(result: Result<(), Violation>) -> &'static str {
        result.unwrap_err().promise
    }

    #[test]
    fn each_broken_promise_is_named() {
        let first = [1, 1];
        let (mut one, _) = model();
        one.saw_head(0, 2).unwrap();
        assert_eq!(promise(one.recovered(&[0, 0], &first)), KEPT);
        assert_eq!(promise(model().0.recovered(&[4, 1], &first)), INVENTED);
        assert_eq!(promise(model().0.recovered(&[1, 0], &first)), WHOLE);
        assert_eq!(promise(model().0.recovered(&[3, 0], &first)), ORDER);
        assert_eq!(promise(model().0.recovered(&[3, 1], &[2, 1])), FORGOTTEN);
        assert_eq!(promise(model().0.saw_entry(1, 1, b"else")), BYTES);
        assert_eq!(promise(model().0.saw_entry(1, 2, b"else")), INVENTED);
    }

    #[test]
    fn every_prefix_of_what_was_submitted_is_accepted() {
        for heads in [[0, 0], [2, 0], [2, 1], [3, 1]] {
            let (mut one, _) = model();
            one.recovered(&heads, &[1, 1]).unwrap();
            assert_eq!(one.stream(0).next(), heads[0] + 1);
        }
    }

    #[test]
    fn a_rejected_append_leaves_its_position_free() {
        let (mut one, tickets) = model();
        one.reject(tickets[2], 0, 3).unwrap();
        assert_eq!(one.stream(0).next(), 3);
        assert_eq!(promise(one.saw_entry(0, 3, b"x")), INVENTED);
    }
}
