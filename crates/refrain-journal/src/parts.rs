//! The files that hold the history, oldest first: stream segments, then sealed log segments.

use std::sync::Arc;

use crate::format::catalogue::Span;
use crate::sealed::SealedSegment;
use crate::stream_segment::StreamSegment;

/// A part of the history.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Streams(Arc<StreamSegment>),
    Log(Arc<SealedSegment>),
}

impl Part {
    pub(crate) fn span(&self) -> &Span {
        match self {
            Part::Streams(segment) => segment.span(),
            Part::Log(segment) => &segment.span,
        }
    }

    pub(crate) fn log(&self) -> Option<&Arc<SealedSegment>> {
        match self {
            Part::Streams(_) => None,
            Part::Log(segment) => Some(segment),
        }
    }

    pub(crate) fn streams(&self) -> Option<&Arc<StreamSegment>> {
        match self {
            Part::Streams(segment) => Some(segment),
            Part::Log(_) => None,
        }
    }
}

/// All parts. A clone is a picture of them that does not change, and costs nothing.
///
/// Invariant: each part has frames, and starts with the one after those before it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parts(Arc<Vec<Part>>);

impl Parts {
    pub(crate) fn all(&self) -> &[Part] {
        &self.0
    }

    /// The parts from the one with `frame` on.
    pub(crate) fn since_frame(&self, frame: u64) -> &[Part] {
        let before = self
            .0
            .partition_point(|part| part.span().next_frame <= frame);
        &self.0[before..]
    }

    pub(crate) fn push(&mut self, part: Part) {
        if let Some(last) = self.0.last() {
            let (end, start) = (last.span(), part.span());
            let ends = (end.next_frame, end.next_chain);
            assert_eq!(ends, (start.first_frame, start.first_chain), "parts join");
        }
        Arc::make_mut(&mut self.0).push(part);
    }

    /// Puts `part` in the place of those whose frames it covers. A log segment does not take the place
    /// of a stream segment: its index file was written too late to matter.
    pub(crate) fn replace(&mut self, part: Part) {
        let span = *part.span();
        let all = self.0.as_slice();
        let start = all.partition_point(|one| one.span().next_frame <= span.first_frame);
        let end = all.partition_point(|one| one.span().first_frame < span.next_frame);
        let covered = all.get(start..end).unwrap_or_default();
        let (Some(first), Some(last)) = (covered.first(), covered.last()) else {
            return;
        };
        let is_same = first.span().first_frame == span.first_frame
            && last.span().next_frame == span.next_frame;
        let is_late = part.log().is_some() && covered.iter().any(|one| one.log().is_none());
        if is_same && !is_late {
            Arc::make_mut(&mut self.0).splice(start..end, [part]);
        }
    }

    /// Puts `streams` in front of the log segments from `segment` on.
    pub(crate) fn set_history(&mut self, streams: Vec<Arc<StreamSegment>>, segment: u64) {
        let is_kept = |one: &&Arc<SealedSegment>| one.header.number >= segment;
        let log = self.0.iter().filter_map(Part::log).filter(is_kept);
        let log: Vec<Part> = log.cloned().map(Part::Log).collect();
        let streams = streams.into_iter().map(Part::Streams);
        self.0 = Arc::new(streams.chain(log).collect());
    }
}
