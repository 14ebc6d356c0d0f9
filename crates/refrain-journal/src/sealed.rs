//! Sealed log segments, as the index knows them.

use crate::format::catalogue::Span;
use crate::format::record::Declaration;
use crate::format::segment_header::SegmentHeader;

/// Offsets that an [`Extent`] holds at most.
const OFFSETS_MAX: usize = 4096;

/// The entries of one stream in one segment: stream, first position, offsets of the records.
pub(crate) type OffsetRun = (u32, u64, Vec<u32>);

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
    /// Until the index file is written. Runs are in the order of the streams' numbers.
    InMemory {
        declarations: Vec<Declaration>,
        runs: Vec<OffsetRun>,
    },
    InIndexFile,
}

impl SealedSegment {
    /// Whether its index file says all of it.
    pub(crate) fn is_in_index_file(&self) -> bool {
        matches!(self.content, Content::InIndexFile)
    }

    /// Where the entry of stream `id` at `position` is, if that is known in memory.
    pub(crate) fn locate(&self, id: u32, position: u64) -> Option<Extent> {
        match &self.content {
            Content::InMemory { runs, .. } => {
                let found = runs.binary_search_by_key(&id, |(stream, _, _)| *stream);
                extent(self.header, &runs[found.ok()?], position)
            }
            Content::InIndexFile => None,
        }
    }
}

/// Where entries of one stream lie in one log segment, from a wanted position on.
#[derive(Debug)]
pub(crate) struct Extent {
    pub(crate) segment: SegmentHeader,
    pub(crate) stream: u32,
    /// Position of the entry at the first of the offsets.
    pub(crate) first: u64,
    pub(crate) offsets: Vec<u32>,
}

/// The part of a run from `position` on, if it is in there.
pub(crate) fn extent(
    segment: SegmentHeader,
    (stream, first, offsets): &OffsetRun,
    position: u64,
) -> Option<Extent> {
    let skip = usize::try_from(position.checked_sub(*first)?).ok()?;
    let rest = offsets.get(skip..).filter(|rest| !rest.is_empty())?;
    Some(Extent {
        segment,
        stream: *stream,
        first: position,
        offsets: rest[..rest.len().min(OFFSETS_MAX)].to_vec(),
    })
}
