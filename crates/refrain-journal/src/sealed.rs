//! Sealed log segments, as the index knows them.

use std::sync::OnceLock;

use crate::format::catalogue::Span;
use crate::format::record::Declaration;
use crate::format::segment_header::SegmentHeader;
use crate::format::written;
use crate::open_segment::Records;

/// Offsets that an [`Extent`] holds at most.
pub(crate) const OFFSETS_MAX: usize = 4096;

/// A segment, or the first part of one, that takes no more frames.
#[derive(Debug)]
pub(crate) struct SealedSegment {
    pub(crate) header: SegmentHeader,
    pub(crate) span: Span,
    pub(crate) content: Content,
}

/// Where it is known what a sealed segment holds. Nothing of it stays in memory once the index file
/// is written, so memory does not grow with the history.
#[derive(Debug)]
pub(crate) enum Content {
    /// Until the index file is written.
    InMemory(InMemory),
    InIndexFile,
}

/// What a segment held when it was sealed.
#[derive(Debug)]
pub(crate) struct InMemory {
    pub(crate) declarations: Vec<Declaration>,
    records: Records,
    /// Made by whoever needs it first: not by the writer, which has no time for it.
    runs: OnceLock<OffsetRuns>,
}

impl InMemory {
    pub(crate) fn new(declarations: Vec<Declaration>, records: Records) -> InMemory {
        InMemory {
            declarations,
            records,
            runs: OnceLock::new(),
        }
    }

    pub(crate) fn runs(&self) -> &OffsetRuns {
        self.runs.get_or_init(|| self.records.by_stream())
    }
}

/// The entries of one stream in one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OffsetRun<'a> {
    pub(crate) stream: u32,
    /// Position of the first of them.
    pub(crate) first: u64,
    /// Where their records are.
    pub(crate) offsets: &'a [u32],
}

impl OffsetRun<'_> {
    /// The position after the last of them.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.offsets.len() as u64
    }
}

/// The entries of all streams in one segment, in the order of the streams' numbers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct OffsetRuns {
    runs: Vec<Run>,
    offsets: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    stream: u32,
    /// Where its offsets end.
    end: u32,
    first: u64,
}

impl OffsetRuns {
    /// Begins a run whose offsets end at `end` of all.
    pub(crate) fn begin(&mut self, stream: u32, first: u64, end: u32) {
        let is_next = self.runs.last().is_none_or(|last| last.stream < stream);
        assert!(is_next, "runs are in the order of the streams");
        self.runs.push(Run { stream, end, first });
    }

    /// The offsets of all runs that were begun.
    pub(crate) fn offsets_mut(&mut self) -> &mut [u32] {
        let end = self.runs.last().map_or(0, |run| run.end as usize);
        self.offsets.resize(end, 0);
        &mut self.offsets
    }

    /// Adds a run behind the others. One of the same stream as the last is that one's end.
    pub(crate) fn push(&mut self, run: OffsetRun<'_>) {
        self.offsets.extend_from_slice(run.offsets);
        let end = written(self.offsets.len());
        match self.runs.last_mut() {
            Some(last) if last.stream == run.stream => last.end = end,
            Some(_) | None => self.begin(run.stream, run.first, end),
        }
    }

    /// What is in `self`, and what came after it in the same segment.
    pub(crate) fn join(&self, later: &OffsetRuns) -> OffsetRuns {
        let mut joined = OffsetRuns::default();
        let (mut ours, mut theirs) = (self.iter().peekable(), later.iter().peekable());
        loop {
            let run = match (ours.peek(), theirs.peek()) {
                (Some(own), Some(later)) if own.stream <= later.stream => ours.next(),
                (Some(_), None) => ours.next(),
                (_, Some(_)) => theirs.next(),
                (None, None) => return joined,
            };
            joined.push(run.expect("it was peeked at"));
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = OffsetRun<'_>> {
        (0..self.runs.len()).map(|place| self.run(place))
    }

    /// Where the entry of `stream` at `position` is.
    pub(crate) fn locate(
        &self,
        segment: SegmentHeader,
        stream: u32,
        position: u64,
    ) -> Option<Extent> {
        let place = self.runs.binary_search_by_key(&stream, |run| run.stream);
        let run = self.run(place.ok()?);
        let skip = usize::try_from(position.checked_sub(run.first)?).ok()?;
        let rest = run.offsets.get(skip..).filter(|rest| !rest.is_empty())?;
        Some(Extent {
            segment,
            stream,
            first: position,
            offsets: rest[..rest.len().min(OFFSETS_MAX)].to_vec(),
        })
    }

    fn run(&self, place: usize) -> OffsetRun<'_> {
        let run = self.runs[place];
        let before = place
            .checked_sub(1)
            .map_or(0, |before| self.runs[before].end);
        OffsetRun {
            stream: run.stream,
            first: run.first,
            offsets: &self.offsets[before as usize..run.end as usize],
        }
    }
}

impl SealedSegment {
    /// Whether its index file says all of it.
    pub(crate) fn is_in_index_file(&self) -> bool {
        matches!(self.content, Content::InIndexFile)
    }
}

/// Where entries of one stream lie in one log segment, from a wanted position on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) segment: SegmentHeader,
    pub(crate) stream: u32,
    /// Position of the entry at the first of the offsets.
    pub(crate) first: u64,
    pub(crate) offsets: Vec<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(all: &[(u32, u64, &[u32])]) -> OffsetRuns {
        let mut runs = OffsetRuns::default();
        for &(stream, first, offsets) in all {
            runs.push(OffsetRun {
                stream,
                first,
                offsets,
            });
        }
        runs
    }

    #[test]
    fn what_came_later_is_joined_stream_by_stream() {
        let earlier = runs(&[(1, 5, &[10, 20]), (4, 1, &[30])]);
        let later = runs(&[(0, 9, &[70]), (1, 7, &[40, 60]), (9, 1, &[50])]);
        let joined = runs(&[
            (0, 9, &[70]),
            (1, 5, &[10, 20, 40, 60]),
            (4, 1, &[30]),
            (9, 1, &[50]),
        ]);
        assert_eq!(earlier.join(&later), joined);
        assert_eq!(OffsetRuns::default().join(&later), later);
        assert_eq!(later.join(&OffsetRuns::default()), later);
    }

    #[test]
    fn an_entry_is_located_in_the_run_of_its_stream_alone() {
        let header = SegmentHeader {
            identity: 1,
            number: 1,
            epoch: 1,
            segment_bytes: 8192,
        };
        let runs = runs(&[(1, 5, &[10, 20]), (4, 1, &[30])]);
        let found = |stream, position| {
            let extent = runs.locate(header, stream, position)?;
            Some((extent.stream, extent.first, extent.offsets))
        };
        assert_eq!(found(1, 5), Some((1, 5, vec![10, 20])));
        assert_eq!(found(1, 6), Some((1, 6, vec![20])));
        assert_eq!(found(4, 1), Some((4, 1, vec![30])));
        for (stream, position) in [(1, 4), (1, 7), (2, 5), (4, 2)] {
            assert_eq!(found(stream, position), None, "{stream} at {position}");
        }
    }
}
