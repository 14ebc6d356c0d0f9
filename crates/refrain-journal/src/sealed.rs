//! Sealed segments, as the index knows them.

use crate::format::record::Declaration;
use crate::format::segment_header::SegmentHeader;
use crate::format::segment_index::{Draft, Run, Span};

/// Offsets that an [`Extent`] holds at most.
const OFFSETS_MAX: usize = 4096;

/// The entries of one stream in one segment: stream, first position, offsets of the records.
pub(crate) type OffsetRun = (u32, u64, Vec<u32>);

/// A segment that takes no more frames.
#[derive(Debug)]
pub(crate) struct SealedSegment {
    pub(crate) header: SegmentHeader,
    pub(crate) span: Span,
    runs: Runs,
}

#[derive(Debug)]
enum Runs {
    /// Until its index file is written.
    InMemory {
        declarations: Vec<Declaration>,
        runs: Vec<OffsetRun>,
    },
    OnDisk(Vec<Run>),
}

impl SealedSegment {
    /// A segment that was just sealed. `runs` are in the order of the streams' numbers.
    pub(crate) fn in_memory(
        header: SegmentHeader,
        span: Span,
        declarations: Vec<Declaration>,
        runs: Vec<OffsetRun>,
    ) -> SealedSegment {
        SealedSegment {
            header,
            span,
            runs: Runs::InMemory { declarations, runs },
        }
    }

    /// A segment with an index file.
    pub(crate) fn on_disk(header: SegmentHeader, span: Span, runs: Vec<Run>) -> SealedSegment {
        SealedSegment {
            header,
            span,
            runs: Runs::OnDisk(runs),
        }
    }

    /// Where the entry of stream `id` at `position` is, if it is in this segment.
    pub(crate) fn locate(&self, id: u32, position: u64) -> Option<Extent> {
        match &self.runs {
            Runs::InMemory { runs, .. } => {
                let found = runs.binary_search_by_key(&id, |(stream, _, _)| *stream);
                let (_, first, offsets) = &runs[found.ok()?];
                extent(self.header, *first, offsets, position)
            }
            Runs::OnDisk(runs) => {
                let found = runs.binary_search_by_key(&id, |run| run.stream);
                let run = runs[found.ok()?];
                let covers = run.first..run.first + u64::from(run.count);
                let segment = self.header;
                covers
                    .contains(&position)
                    .then_some(Extent::InFile { segment, run })
            }
        }
    }

    /// The bytes of its index file; `None` when there is one already.
    pub(crate) fn draft(&self) -> Option<Vec<u8>> {
        match &self.runs {
            Runs::InMemory { declarations, runs } => {
                let span = self.span;
                let draft = Draft {
                    span,
                    declarations,
                    runs,
                };
                Some(draft.encode(&self.header))
            }
            Runs::OnDisk(_) => None,
        }
    }

    /// Each stream in it, with the position of its last entry there.
    pub(crate) fn last_positions(&self) -> Vec<(u32, u64)> {
        match &self.runs {
            Runs::InMemory { runs, .. } => {
                let last = |(stream, first, offsets): &OffsetRun| {
                    (*stream, first + offsets.len() as u64 - 1)
                };
                runs.iter().map(last).collect()
            }
            Runs::OnDisk(runs) => {
                let last = |run: &Run| (run.stream, run.first + u64::from(run.count) - 1);
                runs.iter().map(last).collect()
            }
        }
    }
}

/// Where entries of one stream lie, from a wanted position on.
#[derive(Debug)]
pub(crate) enum Extent {
    /// At these offsets of the segment.
    Offsets {
        segment: SegmentHeader,
        first: u64,
        offsets: Vec<u32>,
    },
    /// At the offsets that the segment's index file holds.
    InFile { segment: SegmentHeader, run: Run },
}

/// The part of a run from `position` on, if it is in there.
pub(crate) fn extent(
    segment: SegmentHeader,
    first: u64,
    offsets: &[u32],
    position: u64,
) -> Option<Extent> {
    let skip = usize::try_from(position.checked_sub(first)?).ok()?;
    let rest = offsets.get(skip..).filter(|rest| !rest.is_empty())?;
    Some(Extent::Offsets {
        segment,
        first: position,
        offsets: rest[..rest.len().min(OFFSETS_MAX)].to_vec(),
    })
}
