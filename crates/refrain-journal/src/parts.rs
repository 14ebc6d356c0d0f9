//! The files that hold the history, oldest first: stream segments, then sealed log segments.

use std::sync::Arc;

use crate::format::catalogue::Span;
use crate::format::mark::End;
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

/// A stream segment has other frames than the log segments that it is to stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misfit {
    #[error("frame {said} is said to be the first from log segment {number} on, which is {known}")]
    Frames { number: u64, said: u64, known: u64 },
    #[error("log segment {number} takes more frames")]
    Open { number: u64 },
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

    /// Checks that `span` has all frames of the log segments with `numbers`, first and last, and no
    /// others. `open` is the place behind all parts.
    pub(crate) fn check_fit(
        &self,
        open: End,
        (first, last): (u64, u64),
        span: &Span,
    ) -> Result<(), Misfit> {
        if open.segment <= last {
            return Err(Misfit::Open {
                number: open.segment,
            });
        }
        let starts = (span.first_frame, span.first_chain);
        let ends = (span.next_frame, span.next_chain);
        for (number, said) in [(first, starts), (last + 1, ends)] {
            let known = self.start_of(number, open);
            if known != said {
                let (said, known) = (said.0, known.0);
                return Err(Misfit::Frames {
                    number,
                    said,
                    known,
                });
            }
        }
        Ok(())
    }

    /// The number and the chain of the first frame in the log segments from `number` on.
    fn start_of(&self, number: u64, open: End) -> (u64, u32) {
        let mut log = self.0.iter().filter_map(Part::log);
        let first = log.find(|part| part.header.number >= number);
        first.map_or((open.frame, open.chain), |part| {
            (part.span.first_frame, part.span.first_chain)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::segment_header::SegmentHeader;
    use crate::sealed::Content;

    fn span(first: u64, next: u64) -> Span {
        Span {
            first_frame: first,
            first_chain: first as u32 * 7,
            next_frame: next,
            next_chain: next as u32 * 7,
            epoch: 1,
            end: 8192,
        }
    }

    /// Segment 3 was left and gone on with by another opening, so it has two parts.
    fn parts() -> Parts {
        let mut parts = Parts::default();
        for (number, first, next) in [(2, 5, 9), (3, 9, 10), (3, 10, 14), (4, 14, 15)] {
            let header = SegmentHeader {
                identity: 1,
                number,
                epoch: 1,
                segment_bytes: 8192,
            };
            parts.push(Part::Log(Arc::new(SealedSegment {
                header,
                span: span(first, next),
                content: Content::InIndexFile,
            })));
        }
        parts
    }

    fn fit(open: u64, numbers: (u64, u64), span: Span) -> Result<(), Misfit> {
        let end = End {
            segment: open,
            offset: 4096,
            frame: 15,
            chain: 15 * 7,
        };
        parts().check_fit(end, numbers, &span)
    }

    #[test]
    fn what_stands_for_log_segments_has_all_of_their_frames() {
        assert_eq!(fit(5, (2, 2), span(5, 9)), Ok(()));
        assert_eq!(fit(5, (2, 3), span(5, 14)), Ok(()));
        assert_eq!(fit(5, (2, 4), span(5, 15)), Ok(()));
        let frames = |number, said, known| {
            Err(Misfit::Frames {
                number,
                said,
                known,
            })
        };
        assert_eq!(fit(5, (2, 3), span(5, 10)), frames(4, 10, 14));
        assert_eq!(fit(5, (2, 4), span(5, 14)), frames(5, 14, 15));
        assert_eq!(fit(5, (3, 3), span(10, 14)), frames(3, 10, 9));
    }

    #[test]
    fn the_first_part_of_a_segment_that_takes_more_frames_is_not_the_whole() {
        assert_eq!(fit(4, (2, 4), span(5, 15)), Err(Misfit::Open { number: 4 }));
        let mut other = span(5, 14);
        other.next_chain += 1;
        assert!(fit(5, (2, 3), other).is_err());
    }
}
