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
use crate::format::written;
use crate::log_index::newest;
use crate::planted;
use crate::read_side::ReadSide;
use crate::recovery::table::Found;
use crate::scan::{Item, Scan};
use crate::sealed::SealedSegment;
use crate::segment::Segment;
use crate::storage::{Access, Disk};
use crate::stream_segment::SegmentWriter;

/// Memory for entries that are held at once. A range that has more is gone through several times, so
/// less memory costs more reading.
const GATHERED_BYTES: usize = 16 * 1024 * 1024;

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
    let survey = Survey::of(side, range)?;
    let mut kept = Kept::default();
    for group in divide(&survey.totals, GATHERED_BYTES) {
        gather_group(side, range, &group, &mut kept, writer)?;
    }
    for declaration in kept.declarations(side, survey.declarations) {
        writer.declare(&declaration)?;
    }
    Ok(kept.entries)
}

/// What was seen of each stream.
#[derive(Debug, Default)]
struct Kept {
    entries: u64,
    /// Of streams of which something was left out: the first kept position, the one after the last.
    cut: BTreeMap<u32, (u64, u64)>,
}

impl Kept {
    /// What the file says of streams: what the log says in this range, which is `all`, and where
    /// streams start whose entries were left out.
    fn declarations(&self, side: &ReadSide, mut all: Vec<Declaration>) -> Vec<Declaration> {
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
        newest(&all)
    }
}

/// Entries, and the bytes that they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Total {
    entries: usize,
    bytes: usize,
}

impl Total {
    /// Memory that they take.
    fn memory(self) -> usize {
        self.bytes + self.entries * size_of::<Gathered>()
    }

    fn and(self, other: Total) -> Total {
        Total {
            entries: self.entries + other.entries,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// Streams whose entries are gathered in one pass.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    streams: Range<u32>,
    total: Total,
}

/// What a range of the log holds.
#[derive(Debug, Default)]
struct Survey {
    /// By stream.
    totals: BTreeMap<u32, Total>,
    /// In the order of the log.
    declarations: Vec<Declaration>,
}

impl Survey {
    fn of(side: &ReadSide, range: &LogRange) -> Result<Survey, CompactionFailure> {
        let mut survey = Survey::default();
        range.each(side.disk.as_ref(), &side.dir, |item, scan| {
            match item {
                Item::Entry { stream, offset, .. } => {
                    let total = survey.totals.entry(*stream).or_default();
                    *total = total.and(Total {
                        entries: 1,
                        bytes: scan.entry(*offset).len(),
                    });
                }
                Item::Stream(declaration) => survey.declarations.push(declaration.clone()),
            }
            Ok(())
        })?;
        Ok(survey)
    }
}

/// The streams of each pass, in order: as many as fit the memory, but at least one.
fn divide(totals: &BTreeMap<u32, Total>, memory_max: usize) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (&stream, &total) in totals {
        match groups.last_mut() {
            Some(last) if last.total.and(total).memory() <= memory_max => {
                last.streams.end = stream + 1;
                last.total = last.total.and(total);
            }
            Some(_) | None => groups.push(Group {
                streams: stream..stream + 1,
                total,
            }),
        }
    }
    groups
}

/// An entry in memory.
#[derive(Debug)]
struct Gathered {
    stream: u32,
    length: u32,
    position: u64,
    at: usize,
}

/// Entries that are put in the order of streams and positions. What they take is reserved before the
/// first one, so that nothing grows by doubling.
#[derive(Debug)]
struct Heap {
    bytes: Vec<u8>,
    entries: Vec<Gathered>,
}

impl Heap {
    /// Room for `total`, or for as much of it as fits the memory.
    fn new(total: Total) -> Heap {
        let memory = total.memory().max(GATHERED_BYTES) as u128;
        let share = |part: usize| {
            let share = part as u128 * GATHERED_BYTES as u128 / memory;
            usize::try_from(share).expect("it is a part of a usize")
        };
        Heap {
            bytes: Vec::with_capacity(share(total.bytes)),
            entries: Vec::with_capacity(share(total.entries)),
        }
    }

    fn has_room(&self, entry: &[u8]) -> bool {
        self.bytes.capacity() - self.bytes.len() >= entry.len()
            && self.entries.capacity() > self.entries.len()
    }

    fn push(&mut self, stream: u32, position: u64, entry: &[u8]) {
        self.entries.push(Gathered {
            stream,
            length: written(entry.len()),
            position,
            at: self.bytes.len(),
        });
        self.bytes.extend_from_slice(entry);
    }

    fn flush(&mut self, writer: &mut SegmentWriter<'_>) -> Result<(), CompactionFailure> {
        self.entries
            .sort_unstable_by_key(|entry| (entry.stream, entry.position));
        if planted::is("neighbour-taken-instead")
            && let [first, second, ..] = self.entries.as_mut_slice()
        {
            (second.at, second.length) = (first.at, first.length);
        }
        for entry in self.entries.drain(..) {
            let content = &self.bytes[entry.at..entry.at + entry.length as usize];
            writer.entry(entry.stream, entry.position, content)?;
        }
        self.bytes.clear();
        Ok(())
    }
}

fn gather_group(
    side: &ReadSide,
    range: &LogRange,
    group: &Group,
    kept: &mut Kept,
    writer: &mut SegmentWriter<'_>,
) -> Result<(), CompactionFailure> {
    let mut heap = Heap::new(group.total);
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
        if !group.streams.contains(stream) {
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
        if planted::is("entry-left-out") && heap.entries.len() == 1 {
            return Ok(());
        }
        kept.entries += 1;
        let entry = scan.entry(*offset);
        if !heap.has_room(entry) {
            assert_eq!(group.streams.len(), 1, "several streams fit the memory");
            // The entries of a single stream come in order already.
            heap.flush(writer)?;
        }
        heap.push(*stream, *position, entry);
        Ok(())
    })?;
    heap.flush(writer)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn groups_of(streams: &[(u32, usize)], memory_max: usize) -> Vec<Range<u32>> {
        let total = |bytes| Total { entries: 0, bytes };
        let totals = streams
            .iter()
            .map(|(stream, bytes)| (*stream, total(*bytes)));
        let groups = divide(&totals.collect(), memory_max);
        groups.into_iter().map(|group| group.streams).collect()
    }

    #[test]
    fn streams_are_gathered_together_as_they_fit_the_memory_and_a_large_one_alone() {
        assert_eq!(groups_of(&[], 10), []);
        assert_eq!(groups_of(&[(3, 4), (5, 6), (9, 1)], 10), [3..6, 9..10]);
        assert_eq!(
            groups_of(&[(1, 1), (2, 30), (3, 1)], 10),
            [1..2, 2..3, 3..4]
        );
    }

    #[test]
    fn room_is_reserved_for_all_that_fits_and_never_for_more_than_the_memory() {
        let entries = 1000;
        let few = Heap::new(Total {
            entries,
            bytes: 70_000,
        });
        assert_eq!(few.bytes.capacity(), 70_000);
        assert_eq!(few.entries.capacity(), entries);
        let many = Heap::new(Total {
            entries: 10_000_000,
            bytes: 1 << 40,
        });
        let memory = many.bytes.capacity() + many.entries.capacity() * size_of::<Gathered>();
        assert!(memory <= GATHERED_BYTES, "{memory} bytes");
        assert!(memory > GATHERED_BYTES - 100, "{memory} bytes");
    }
}
