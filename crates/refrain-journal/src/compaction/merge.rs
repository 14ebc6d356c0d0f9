//! From neighbouring stream segments to one: all are read and the new one is written in the order of
//! streams and positions, so memory holds one block of each.

use super::CompactionFailure;
use super::gather::Firsts;
use crate::format::catalogue::{Row, Span};
use crate::format::record::Declaration;
use crate::format::stream_segment::{LENGTH_BYTES, ends};
use crate::planted;
use crate::read_side::ReadSide;
use crate::stream_segment::catalogue::Flaw;
use crate::stream_segment::{SegmentWriter, StreamSegment};
use std::iter::Peekable;
use std::sync::Arc;

/// What all of `segments` together cover.
pub(crate) fn span(segments: &[Arc<StreamSegment>]) -> Span {
    let (first, last) = (segments[0].span(), segments[segments.len() - 1].span());
    let epochs = segments.iter().map(|segment| segment.span().epoch);
    Span {
        first_frame: first.first_frame,
        first_chain: first.first_chain,
        next_frame: last.next_frame,
        next_chain: last.next_chain,
        epoch: epochs.max().unwrap_or(0),
        end: 0,
    }
}

/// Adds all of `segments` that is still needed to `writer`. Gives the number of entries that are.
pub(crate) fn merge(
    side: &ReadSide,
    segments: &[Arc<StreamSegment>],
    writer: &mut SegmentWriter<'_>,
) -> Result<u64, CompactionFailure> {
    let mut merge = Merge {
        side,
        firsts: Firsts::default(),
        cuts: Vec::new(),
        entries: 0,
        stored: Vec::new(),
        raw: Vec::new(),
    };
    let left_out = usize::from(planted::is("merge-input-left-out"));
    let mut inputs: Vec<_> = segments
        .iter()
        .skip(left_out)
        .map(|segment| (segment, segment.rows().peekable()))
        .collect();
    while let Some(input) = next_input(&mut inputs)? {
        let (segment, rows) = &mut inputs[input];
        let row = rows.next().expect("it was peeked at");
        let row = row.map_err(Flaw::opening(&segment.path))?;
        merge.block(segment, &row, writer)?;
    }
    declare(segments, merge.cuts, writer)?;
    Ok(merge.entries)
}

/// The input with the lowest stream; of several, the oldest.
fn next_input<R: Iterator<Item = Result<Row, Flaw>>>(
    inputs: &mut [(&Arc<StreamSegment>, Peekable<R>)],
) -> Result<Option<usize>, CompactionFailure> {
    let mut best: Option<(u32, usize)> = None;
    for (index, (segment, rows)) in inputs.iter_mut().enumerate() {
        let stream = match rows.peek() {
            Some(Ok(row)) => row.stream,
            Some(Err(_)) => {
                let flaw = rows.next().and_then(Result::err).expect("it was peeked at");
                return Err(Flaw::opening(&segment.path)(flaw).into());
            }
            None => continue,
        };
        let is_lower =
            |(lowest, _)| stream < lowest || stream == lowest && planted::is("merge-newest-first");
        if best.is_none_or(is_lower) {
            best = Some((stream, index));
        }
    }
    Ok(best.map(|(_, index)| index))
}

struct Merge<'a> {
    side: &'a ReadSide,
    firsts: Firsts,
    /// Streams of which something was left out: the first kept position, the one after the last.
    /// In the order of their numbers.
    cuts: Vec<Declaration>,
    entries: u64,
    stored: Vec<u8>,
    raw: Vec<u8>,
}

impl Merge<'_> {
    fn block(
        &mut self,
        segment: &StreamSegment,
        row: &Row,
        writer: &mut SegmentWriter<'_>,
    ) -> Result<(), CompactionFailure> {
        let first = self.firsts.of(self.side, row.stream);
        if first > row.first {
            self.cut(row, first);
        } else if let Some(cut) = self.cuts.last_mut().filter(|cut| cut.stream == row.stream) {
            cut.next = row.next();
        }
        let kept = row.next().saturating_sub(first.max(row.first));
        self.entries += kept;
        if kept == 0 {
            return Ok(());
        }
        let flaw = Flaw::opening(&segment.path);
        let block = segment.block(row, &mut self.stored).map_err(flaw)?;
        if first <= row.first && writer.block(&block)? {
            return Ok(());
        }
        let raw_bytes = block.raw_bytes as usize;
        let unpacked = block.unpack(&mut self.raw);
        let ends = unpacked.and_then(|()| ends(&self.raw[..raw_bytes], row.count as usize));
        let ends = ends.ok_or_else(|| {
            Flaw::opening(&segment.path)(Flaw::damaged(row.at, "the block is damaged"))
        })?;
        let data = &self.raw[row.count as usize * LENGTH_BYTES..raw_bytes];
        let mut start = 0;
        for (position, end) in (row.first..).zip(ends) {
            if position >= first {
                writer.entry(row.stream, position, &data[start..end as usize])?;
            }
            start = end as usize;
        }
        Ok(())
    }

    fn cut(&mut self, row: &Row, first: u64) {
        let next = row.next();
        let first = first.min(next);
        match self.cuts.last_mut().filter(|cut| cut.stream == row.stream) {
            Some(cut) => (cut.first, cut.next) = (first, next),
            None => {
                let known = self.side.index().declaration(row.stream);
                self.cuts.extend(known.map(|known| Declaration {
                    first,
                    next,
                    ..known
                }));
            }
        }
    }
}

/// Writes the newest declaration of each stream, page by page.
fn declare(
    segments: &[Arc<StreamSegment>],
    cuts: Vec<Declaration>,
    writer: &mut SegmentWriter<'_>,
) -> Result<(), CompactionFailure> {
    let mut inputs: Vec<_> = segments
        .iter()
        .map(|segment| (segment, segment.declarations().peekable()))
        .collect();
    let mut cuts = cuts.into_iter().peekable();
    loop {
        let mut lowest = cuts.peek().map(|cut| cut.stream);
        for (segment, declarations) in &mut inputs {
            let stream = match declarations.peek() {
                Some(Ok(declaration)) => Some(declaration.stream),
                Some(Err(_)) => {
                    let flaw = declarations.next().and_then(Result::err);
                    let flaw = flaw.expect("it was peeked at");
                    return Err(Flaw::opening(&segment.path)(flaw).into());
                }
                None => None,
            };
            lowest = match (lowest, stream) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
        let Some(stream) = lowest else {
            return Ok(());
        };
        let same =
            |one: &Result<Declaration, Flaw>| one.as_ref().is_ok_and(|one| one.stream == stream);
        let of_inputs = inputs
            .iter_mut()
            .filter_map(|(_, declarations)| declarations.next_if(same)?.ok());
        let mut all: Vec<Declaration> = of_inputs.collect();
        all.extend(cuts.next_if(|cut| cut.stream == stream));
        for declaration in crate::log_index::newest(&all) {
            writer.declare(&declaration)?;
        }
    }
}
