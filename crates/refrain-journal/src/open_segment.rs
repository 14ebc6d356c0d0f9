//! What the index knows of the segment that is being written.
//!
//! A record is added in constant time, at the end of one table for all streams: writing must not pay
//! for reading. So the records of a stream are a chain from the last one backwards, with a milestone
//! now and then; they are put together when the segment is sealed, by whoever needs that first.

use std::collections::HashMap;
use std::num::NonZeroU32;

use crate::format::mark::End;
use crate::format::record::Declaration;
use crate::format::segment_header::SegmentHeader;
use crate::format::written;
use crate::sealed::{Extent, OFFSETS_MAX, OffsetRuns};

/// Positions between two milestones of a stream.
const MILESTONE: u64 = 1024;

/// The segment that is being written.
#[derive(Debug)]
pub(crate) struct OpenSegment {
    pub(crate) header: SegmentHeader,
    /// The place behind what is sealed.
    pub(crate) start: End,
    pub(crate) declarations: Vec<Declaration>,
    records: Records,
    /// Records at positions that are multiples of [`MILESTONE`], by run.
    milestones: HashMap<u32, Milestones>,
}

/// All records, and the streams that they are of.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// In the order of the segment.
    all: Vec<Record>,
    /// In the order in which the streams first wrote here: their numbers and first positions.
    runs: Vec<(u32, u64)>,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    run: u32,
    offset: u32,
    /// The record of the same run before this one, counted from 1.
    before: Option<NonZeroU32>,
}

/// A stream's last record here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Last {
    /// Counted from 1.
    record: NonZeroU32,
    run: u32,
}

#[derive(Debug)]
struct Milestones {
    /// Position of the first of them.
    first: u64,
    records: Vec<NonZeroU32>,
}

impl OpenSegment {
    pub(crate) fn new(header: SegmentHeader, start: End) -> OpenSegment {
        OpenSegment {
            header,
            start,
            declarations: Vec::new(),
            records: Records::default(),
            milestones: HashMap::new(),
        }
    }

    /// Adds a record of `stream`, whose last one here is `last`, and gives the new last one.
    pub(crate) fn add(
        &mut self,
        (stream, last): (u32, Option<Last>),
        position: u64,
        offset: u32,
    ) -> Last {
        let Records { all, runs } = &mut self.records;
        let run = last.map_or_else(|| written(runs.len()), |last| last.run);
        if last.is_none() {
            runs.push((stream, position));
        }
        all.push(Record {
            run,
            offset,
            before: last.map(|last| last.record),
        });
        let record = u32::try_from(all.len()).ok().and_then(NonZeroU32::new);
        let record = record.expect("one was just added, and a segment is below 4 GiB");
        if position.is_multiple_of(MILESTONE) {
            let milestones = self.milestones.entry(run).or_insert_with(|| Milestones {
                first: position,
                records: Vec::new(),
            });
            milestones.records.push(record);
        }
        Last { record, run }
    }

    /// The position of the first record of the stream whose last one is `last`.
    pub(crate) fn first(&self, last: Last) -> u64 {
        self.records.runs[last.run as usize].1
    }

    /// Where the records at `position` and after it are, of the stream whose last one is `last`, at
    /// the position before `next`.
    pub(crate) fn locate(&self, last: Last, next: u64, position: u64) -> Option<Extent> {
        let (stream, first) = self.records.runs[last.run as usize];
        if !(first..next).contains(&position) {
            return None;
        }
        let end = next.min(position + OFFSETS_MAX as u64);
        let (mut record, mut at) = self.at_or_after(last, next, end - 1);
        let mut offsets = Vec::with_capacity((end - position) as usize);
        loop {
            let found = self.records.all[record.get() as usize - 1];
            if at < end {
                offsets.push(found.offset);
            }
            if at == position {
                break;
            }
            record = found.before.expect("the first position lies before");
            at -= 1;
        }
        offsets.reverse();
        Some(Extent {
            segment: self.header,
            stream,
            first: position,
            offsets,
        })
    }

    /// A record at or not far after `position`, and its position.
    fn at_or_after(&self, last: Last, next: u64, position: u64) -> (NonZeroU32, u64) {
        let milestones = self.milestones.get(&last.run);
        let found = milestones.and_then(|milestones| {
            let at = position.next_multiple_of(MILESTONE).max(milestones.first);
            let index = usize::try_from((at - milestones.first) / MILESTONE).ok()?;
            Some((*milestones.records.get(index)?, at))
        });
        found.unwrap_or((last.record, next - 1))
    }

    /// The streams that have records here.
    pub(crate) fn streams(&self) -> impl Iterator<Item = u32> {
        self.records.runs.iter().map(|(stream, _)| *stream)
    }

    /// What is kept of it when it is sealed.
    pub(crate) fn into_parts(self) -> (Vec<Declaration>, Records) {
        (self.declarations, self.records)
    }
}

impl Records {
    /// The offsets of the records, by stream.
    pub(crate) fn by_stream(&self) -> OffsetRuns {
        let mut order: Vec<u32> = (0..written(self.runs.len())).collect();
        order.sort_unstable_by_key(|run| self.runs[*run as usize].0);
        let mut counts = vec![0_u32; self.runs.len()];
        for record in &self.all {
            counts[record.run as usize] += 1;
        }
        let mut sorted = OffsetRuns::default();
        // From here on `counts` says where the next offset of each run goes.
        let mut end = 0;
        for run in order {
            let (stream, first) = self.runs[run as usize];
            let count = std::mem::replace(&mut counts[run as usize], end);
            end += count;
            sorted.begin(stream, first, end);
        }
        let offsets = sorted.offsets_mut();
        for record in &self.all {
            let place = &mut counts[record.run as usize];
            offsets[*place as usize] = record.offset;
            *place += 1;
        }
        sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Scan;

    const HEADER: SegmentHeader = SegmentHeader {
        identity: 1,
        number: 1,
        epoch: 1,
        segment_bytes: 1 << 20,
    };

    /// The offset of a stream's record, made so that no two are the same.
    fn offset(stream: u32, position: u64) -> u32 {
        u32::try_from(position).unwrap() * 8 + stream
    }

    /// A segment with the records of `streams`: number, first position, count; mixed.
    fn segment(streams: &[(u32, u64, u64)]) -> (OpenSegment, Vec<Option<Last>>) {
        let mut open = OpenSegment::new(HEADER, Scan::start_of(1, 1, 0));
        let mut lasts = vec![None; streams.len()];
        let rounds = streams
            .iter()
            .map(|(_, _, count)| *count)
            .max()
            .unwrap_or(0);
        for round in 0..rounds {
            for (&(stream, first, count), last) in streams.iter().zip(&mut lasts) {
                if round < count {
                    let at = first + round;
                    *last = Some(open.add((stream, *last), at, offset(stream, at)));
                }
            }
        }
        (open, lasts)
    }

    #[test]
    fn every_record_is_found_with_those_behind_it_and_nothing_else_is() {
        let streams = [
            (5, 1, 3),
            (0, 1_000_000, 1),
            (3, 7, 3 * MILESTONE),
            (2, 1024, 9000),
        ];
        let (open, lasts) = segment(&streams);
        for ((stream, first, count), last) in streams.into_iter().zip(lasts) {
            let (last, next) = (last.unwrap(), first + count);
            assert_eq!(open.first(last), first);
            for position in first..next {
                let found = open.locate(last, next, position).unwrap();
                let end = next.min(position + OFFSETS_MAX as u64);
                let expected: Vec<u32> = (position..end).map(|at| offset(stream, at)).collect();
                assert_eq!((found.stream, found.first), (stream, position));
                assert!(found.offsets == expected, "{stream} at {position}");
            }
            assert_eq!(open.locate(last, next, first - 1), None);
            assert_eq!(open.locate(last, next, next), None);
        }
    }

    #[test]
    fn sealed_records_are_put_in_the_order_of_streams_and_positions() {
        let streams = [(5, 1, 3), (0, 40, 1), (3, 7, 2)];
        let (open, _) = segment(&streams);
        let (_, records) = open.into_parts();
        let runs = records.by_stream();
        let found: Vec<_> = runs
            .iter()
            .map(|run| (run.stream, run.first, run.offsets.to_vec()))
            .collect();
        let offsets = |stream, from, to| (from..=to).map(|at| offset(stream, at)).collect();
        let expected: [(u32, u64, Vec<u32>); 3] = [
            (0, 40, offsets(0, 40, 40)),
            (3, 7, offsets(3, 7, 8)),
            (5, 1, offsets(5, 1, 3)),
        ];
        assert_eq!(found, expected);
        assert_eq!(Records::default().by_stream(), OffsetRuns::default());
    }
}
