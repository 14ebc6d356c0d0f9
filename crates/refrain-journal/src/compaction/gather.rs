//! From log segments to a stream segment: entries are sorted by stream, with bounded memory.
//!
//! What does not fit the memory at once is gathered in several passes over the segments, each for
//! some of the streams.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::CompactionFailure;
use crate::format::catalogue::Span;
use crate::format::record::Declaration;
use crate::log_index::newest;
use crate::names::STREAMS_MAX;
use crate::planted;
use crate::read_side::ReadSide;
use crate::recovery::table::Found;
use crate::scan::{Item, Scan};
use crate::sealed::SealedSegment;
use crate::segment::Segment;
use crate::storage::{Access, Disk};
use crate::stream_segment::SegmentWriter;

/// Bytes of entries that are held in memory at once.
pub(crate) const GATHERED_BYTES: usize = 64 * 1024 * 1024;

/// Consecutive log segments, as one range of frames.
#[derive(Debug)]
pub(crate) struct LogRange {
    /// Parts that belong to one segment follow each other.
    pub(crate) segments: Vec<Arc<SealedSegment>>,
    pub(crate) identity: u64,
}

impl LogRange {
    /// The numbers of the first and the last segment.
    pub(crate) fn numbers(&self) -> (u64, u64) {
        let number = |segment: Option<&Arc<SealedSegment>>| {
            segment.expect("a range is not empty").header.number
        };
        (number(self.segments.first()), number(self.segments.last()))
    }

    pub(crate) fn span(&self) -> Span {
        let (first, last) = (&self.segments[0], &self.segments[self.segments.len() - 1]);
        let epochs = self.segments.iter().map(|segment| segment.span.epoch);
        Span {
            first_frame: first.span.first_frame,
            first_chain: first.span.first_chain,
            next_frame: last.span.next_frame,
            next_chain: last.span.next_chain,
            epoch: epochs.max().unwrap_or(0),
            end: 0,
        }
    }

    /// At most the bytes of all entries in it.
    pub(crate) fn bytes(&self) -> u64 {
        let bytes = self.segments.iter().map(|segment| segment.span.end);
        bytes.map(u64::from).sum()
    }

    /// Gives every record to `take`, in the order of the log.
    fn each(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        mut take: impl FnMut(&Item, &Scan) -> Result<(), CompactionFailure>,
    ) -> Result<(), CompactionFailure> {
        let mut at = self.span();
        let mut last = None;
        for sealed in &self.segments {
            let number = sealed.header.number;
            if last == Some(number) {
                continue;
            }
            last = Some(number);
            let segment = Segment::open(disk, dir, self.identity, number, Access::Read)?;
            let start = Scan::start_of(number, at.first_frame, at.first_chain);
            let path = segment.path.clone();
            let mut scan = Scan::new(segment, start, 0);
            let mut parts = self.segments.iter();
            let last = parts.rfind(|part| part.header.number == number);
            let end = last.expect("it is one of them").span.next_frame;
            while scan.at.frame < end {
                let looked = scan.look(None).map_err(crate::OpenError::io(&path))?;
                let (Found::Frame, Some(frame)) = looked else {
                    let offset = u64::from(scan.at.offset);
                    let detail = "what was acknowledged here is damaged";
                    return Err(crate::OpenError::corrupt(&path, offset, detail).into());
                };
                for item in &scan.items {
                    take(item, &scan)?;
                }
                scan.take(&frame);
            }
            (at.first_frame, at.first_chain) = (scan.at.frame, scan.at.chain);
        }
        Ok(())
    }
}

/// Adds all of `range` that is still needed to `writer`. Gives the number of entries that are.
pub(crate) fn gather(
    side: &ReadSide,
    range: &LogRange,
    writer: &mut SegmentWriter<'_>,
) -> Result<u64, CompactionFailure> {
    let mut kept = Kept::default();
    for streams in groups(side, range)? {
        gather_group(side, range, &streams, &mut kept, writer)?;
    }
    let (entries, declarations) = kept.declarations(side, range)?;
    for declaration in declarations {
        writer.declare(&declaration)?;
    }
    Ok(entries)
}

/// What was seen of each stream.
#[derive(Debug, Default)]
struct Kept {
    entries: u64,
    /// Of streams of which something was left out: the first kept position, the one after the last.
    cut: BTreeMap<u32, (u64, u64)>,
}

impl Kept {
    /// What the file says of streams: what the log says in this range, and where streams start whose
    /// entries were left out.
    fn declarations(
        &self,
        side: &ReadSide,
        range: &LogRange,
    ) -> Result<(u64, Vec<Declaration>), CompactionFailure> {
        let mut all = Vec::new();
        range.each(side.disk.as_ref(), &side.dir, |item, _| {
            if let Item::Stream(declaration) = item {
                all.push(declaration.clone());
            }
            Ok(())
        })?;
        let cut = self.cut.iter().filter_map(|(stream, (first, next))| {
            let known = side.index().declaration(*stream)?;
            Some(Declaration {
                first: *first,
                next: *next,
                ..known
            })
        });
        all.extend(cut);
        if planted::is("removed-before-declared") {
            all.clear();
        }
        Ok((self.entries, newest(&all)))
    }
}

/// The streams of each pass, in order; all in one if their entries fit the memory.
fn groups(side: &ReadSide, range: &LogRange) -> Result<Vec<Range<u32>>, CompactionFailure> {
    if range.bytes() <= GATHERED_BYTES as u64 {
        return Ok(std::iter::once(0..STREAMS_MAX).collect());
    }
    let mut totals: BTreeMap<u32, usize> = BTreeMap::new();
    range.each(side.disk.as_ref(), &side.dir, |item, scan| {
        if let Item::Entry { stream, offset, .. } = item {
            *totals.entry(*stream).or_default() += scan.entry(*offset).len();
        }
        Ok(())
    })?;
    let mut groups = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (stream, total) in totals {
        if bytes > 0 && bytes + total > GATHERED_BYTES {
            groups.push(start..stream);
            (start, bytes) = (stream, 0);
        }
        bytes += total;
    }
    groups.push(start..STREAMS_MAX);
    Ok(groups)
}

/// An entry in memory.
struct Gathered {
    stream: u32,
    position: u64,
    at: usize,
    length: usize,
}

fn gather_group(
    side: &ReadSide,
    range: &LogRange,
    streams: &Range<u32>,
    kept: &mut Kept,
    writer: &mut SegmentWriter<'_>,
) -> Result<(), CompactionFailure> {
    let mut bytes = Vec::new();
    let mut entries: Vec<Gathered> = Vec::new();
    let mut firsts = Firsts::default();
    range.each(side.disk.as_ref(), &side.dir, |item, scan| {
        let Item::Entry {
            stream,
            position,
            offset,
        } = item
        else {
            return Ok(());
        };
        if !streams.contains(stream) {
            return Ok(());
        }
        let first = firsts.of(side, *stream);
        if *position < first + u64::from(planted::is("segment-removed-too-early")) {
            let next = position + 1;
            kept.cut.insert(*stream, (first.min(next), next));
            return Ok(());
        }
        if let Some((_, next)) = kept.cut.get_mut(stream) {
            *next = position + 1;
        }
        if planted::is("entry-left-out") && entries.len() == 1 {
            return Ok(());
        }
        kept.entries += 1;
        let entry = scan.entry(*offset);
        // A single stream that is larger than the memory comes in order already.
        if bytes.len() + entry.len() > GATHERED_BYTES {
            flush(&mut entries, &mut bytes, writer)?;
        }
        entries.push(Gathered {
            stream: *stream,
            position: *position,
            at: bytes.len(),
            length: entry.len(),
        });
        bytes.extend_from_slice(entry);
        Ok(())
    })?;
    flush(&mut entries, &mut bytes, writer)
}

fn flush(
    entries: &mut Vec<Gathered>,
    bytes: &mut Vec<u8>,
    writer: &mut SegmentWriter<'_>,
) -> Result<(), CompactionFailure> {
    entries.sort_unstable_by_key(|entry| (entry.stream, entry.position));
    if planted::is("neighbour-taken-instead") && entries.len() > 1 {
        entries[1].at = entries[0].at;
        entries[1].length = entries[0].length;
    }
    for entry in entries.drain(..) {
        let content = &bytes[entry.at..entry.at + entry.length];
        writer.entry(entry.stream, entry.position, content)?;
    }
    bytes.clear();
    Ok(())
}

/// The first kept position of streams, as it was when it was first asked for: a later one would
/// leave a gap.
#[derive(Debug, Default)]
pub(crate) struct Firsts(BTreeMap<u32, u64>);

impl Firsts {
    pub(crate) fn of(&mut self, side: &ReadSide, stream: u32) -> u64 {
        *self
            .0
            .entry(stream)
            .or_insert_with(|| side.index().first(stream))
    }
}
