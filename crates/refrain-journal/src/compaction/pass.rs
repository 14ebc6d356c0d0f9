//! One pass of compaction: looks for what is worth rewriting until there is nothing left.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::compactor::Compactor;
use super::failure::CompactionFailure;
use super::gather::{self, LogRange};
use super::plan::{self, Extent, Size};
use super::{Compaction, merge};
use crate::format::catalogue::Span;
use crate::format::stream_segment::StreamSegmentHeader;
use crate::log_index::LogIndex;
use crate::parts::Part;
use crate::planted;
use crate::sealed::{Content, SealedSegment};
use crate::storage::Access;
use crate::stream_segment::catalogue::Flaw;
use crate::stream_segment::output::Pace;
use crate::stream_segment::{SegmentWriter, StreamSegment, segment_name};

/// Sealed log segments, of which the background waits for so many...
const RANGE_SEGMENTS_MIN: usize = 4;

/// ... or so many bytes, so that no file is made for little.
const RANGE_BYTES_MIN: u64 = 32 * 1024 * 1024;

/// Bytes of log that are rewritten as one file, unless a single segment has more.
const RANGE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// All that is to be done at one time.
pub(super) struct Pass<'a> {
    pub(super) of: &'a Compaction,
    pub(super) extent: Extent,
    pub(super) has_forgotten: bool,
    /// Files made in this epoch.
    pub(super) serial: u64,
}

impl Pass<'_> {
    pub(super) fn run(&mut self) -> Result<(), CompactionFailure> {
        loop {
            self.of
                .compactor
                .pause(Duration::ZERO)
                .map_err(|_| CompactionFailure::Ending)?;
            let (log, streams) = self.look();
            if let Some(range) = self.next_range(log)? {
                self.rewrite(&range)?;
            } else if let Some(segments) = self.next_merge(streams)? {
                self.merge(&segments)?;
            } else {
                return Ok(());
            }
        }
    }

    /// The log segments that take no more frames, and the stream segments. Both are of one moment:
    /// the first part of a segment that is sealed meanwhile must not be taken for the whole.
    fn look(&self) -> (Vec<Arc<SealedSegment>>, Vec<Arc<StreamSegment>>) {
        let index = self.of.read_side.index();
        let (parts, open) = (index.parts().clone(), index.open_start().segment);
        drop(index);
        let log = parts.all().iter().filter_map(Part::log);
        // The first part of the segment that is written is in front of what comes in it.
        let log: Vec<_> = log
            .filter(|part| part.header.number < open || planted::is("part-taken-for-whole"))
            .cloned()
            .collect();
        let streams = parts.all().iter().filter_map(Part::streams);
        let streams: Vec<_> = streams.cloned().collect();
        self.of.compactor.note(|progress| {
            progress.log_segments = log.len() as u64;
            progress.stream_segments = streams.len() as u64;
        });
        (log, streams)
    }

    /// The log segments that are rewritten next, if there are enough of them.
    fn next_range(
        &self,
        mut log: Vec<Arc<SealedSegment>>,
    ) -> Result<Option<LogRange>, CompactionFailure> {
        let sizes: Vec<u64> = log
            .iter()
            .map(|segment| u64::from(segment.span.end))
            .collect();
        let is_enough =
            log.len() >= RANGE_SEGMENTS_MIN || sizes.iter().sum::<u64>() >= RANGE_BYTES_MIN;
        let mut count = match self.extent {
            Extent::All => plan::log_segments(&sizes, RANGE_BYTES_MAX),
            Extent::Background if is_enough && self.of.bytes_per_second > 0 => {
                plan::log_segments(&sizes, RANGE_BYTES_MAX)
            }
            Extent::Background if self.has_forgotten => self.forgotten(&log)?,
            Extent::Background => 0,
        };
        // A segment is rewritten as a whole.
        while count > 0
            && log.get(count).map(|part| part.header.number) == Some(log[count - 1].header.number)
        {
            count += 1;
        }
        log.truncate(count);
        Ok((count > 0).then_some(LogRange {
            segments: log,
            identity: self.of.identity,
        }))
    }

    /// How many of `log` from the first on have nothing that is still needed.
    fn forgotten(&self, log: &[Arc<SealedSegment>]) -> Result<usize, CompactionFailure> {
        for (count, segment) in log.iter().enumerate() {
            if !self.is_forgotten(segment)? {
                return Ok(count);
            }
        }
        Ok(log.len())
    }

    fn is_forgotten(&self, segment: &SealedSegment) -> Result<bool, CompactionFailure> {
        let side = &self.of.read_side;
        if let Content::InMemory(known) = &segment.content {
            let runs = known.runs();
            let index = side.index();
            return Ok(runs.iter().all(|run| run.next() <= index.first(run.stream)));
        }
        let disk = self.of.disk.as_ref();
        let path = self
            .of
            .dir
            .join(crate::segment::index_name(segment.header.number));
        let index = LogIndex::open(disk, &self.of.dir, &segment.header);
        let index = index.map_err(Flaw::opening(&path))?;
        for page in index.catalogue.row_pages(index.file.as_ref()) {
            let page = page.map_err(Flaw::opening(&path))?;
            let known = side.index();
            if page.iter().any(|row| row.next() > known.first(row.stream)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn next_merge(
        &self,
        mut streams: Vec<Arc<StreamSegment>>,
    ) -> Result<Option<Vec<Arc<StreamSegment>>>, CompactionFailure> {
        if self.of.bytes_per_second == 0 && self.extent == Extent::Background {
            return Ok(None);
        }
        let mut sizes = Vec::new();
        for segment in &streams {
            sizes.push(Size {
                bytes: segment.bytes,
                is_half_forgotten: self.has_forgotten && self.is_half_forgotten(segment)?,
            });
        }
        let Some(run) = plan::merge(&sizes, self.extent) else {
            return Ok(None);
        };
        Ok(Some(streams.drain(run).collect()))
    }

    fn is_half_forgotten(&self, segment: &StreamSegment) -> Result<bool, CompactionFailure> {
        let mut forgotten = 0;
        for row in segment.rows() {
            let row = row.map_err(Flaw::opening(&segment.path))?;
            let first = self.of.read_side.index().first(row.stream);
            forgotten += first.saturating_sub(row.first).min(u64::from(row.count));
        }
        Ok(forgotten > 0 && 2 * forgotten >= segment.catalogue.trailer.entries)
    }

    /// Rewrites log segments as a stream segment, and has the mark let go of them.
    fn rewrite(&mut self, range: &LogRange) -> Result<(), CompactionFailure> {
        let (first, last) = range.numbers();
        let side = &self.of.read_side;
        if planted::is("retired-before-rewritten") {
            self.of.queue.retire(last + 1);
        }
        let segment = self.write((first, last), range.bytes(), range.span(), |writer| {
            gather::gather(side, range, writer)
        })?;
        let prepared = side.index().prepare(Arc::new(segment));
        if let Err(misfit) = prepared {
            // The log stays what counts; the next opening removes it as well.
            let _ = StreamSegment::remove(self.of.disk.as_ref(), &self.of.dir, (first, last));
            return Err(misfit.into());
        }
        self.of.queue.retire(last + 1);
        self.of.compactor.until_adopted(last + 1)
    }

    /// Puts one stream segment in the place of several, or of one of which much is forgotten.
    fn merge(&mut self, segments: &[Arc<StreamSegment>]) -> Result<(), CompactionFailure> {
        let side = &self.of.read_side;
        let ranges = segments
            .iter()
            .map(|one| (one.header.first, one.header.last));
        let ranges: Vec<(u64, u64)> = ranges.collect();
        let range = (ranges[0].0, ranges[ranges.len() - 1].1);
        let bytes = segments.iter().map(|one| one.bytes).sum();
        let merged = self.write(range, bytes, merge::span(segments), |writer| {
            merge::merge(side, segments, writer)
        })?;
        side.index().use_merged(Arc::new(merged));
        for old in ranges.into_iter().filter(|old| *old != range) {
            StreamSegment::remove(self.of.disk.as_ref(), &self.of.dir, old)?;
        }
        self.of.disk.sync_dir(&self.of.dir)?;
        Ok(())
    }

    /// Makes the stream segment for `range` of what `fill` adds, at most about `bytes`.
    fn write(
        &mut self,
        (first, last): (u64, u64),
        bytes: u64,
        span: Span,
        fill: impl FnOnce(&mut SegmentWriter<'_>) -> Result<u64, CompactionFailure>,
    ) -> Result<StreamSegment, CompactionFailure> {
        let (disk, dir) = (self.of.disk.as_ref(), self.of.dir.as_path());
        let spares = 2 * u64::from(self.of.segment_bytes);
        if disk.space(dir)? < bytes + spares {
            return Err(CompactionFailure::Full);
        }
        self.serial += 1;
        let header = StreamSegmentHeader {
            identity: self.of.identity,
            first,
            last,
            epoch: self.of.epoch,
            serial: self.serial,
        };
        let name = segment_name(first, last);
        let temporary = dir.join(format!("{name}.new"));
        let budget = Budget {
            compactor: &self.of.compactor,
            bytes_per_second: match self.extent {
                Extent::Background => Some(self.of.bytes_per_second.max(1)),
                Extent::All => None,
            },
        };
        let written = (|| {
            let file = disk.open(&temporary, Access::Create)?;
            let mut writer = SegmentWriter::new(file, &header, &budget)?;
            let expected = fill(&mut writer)?;
            let entries = writer.finish(span)?;
            if entries != expected {
                let reason = format!("{entries} entries were written of {expected}");
                return Err(CompactionFailure::Failed(reason));
            }
            disk.rename(&temporary, &dir.join(&name))?;
            disk.sync_dir(dir)?;
            let segment = StreamSegment::open(disk, dir, self.of.identity, (first, last))?;
            check(&segment)?;
            Ok(segment)
        })();
        if written.is_err() {
            // Only to give the space back; the next opening removes it as well.
            let _ = disk.remove(&temporary);
        }
        self.of
            .compactor
            .note(|progress| progress.files_written += u64::from(written.is_ok()));
        match self.of.compactor.pause(Duration::ZERO) {
            Ok(()) => written,
            Err(_) => Err(CompactionFailure::Ending),
        }
    }
}

/// Reads a stream segment from front to back: soon it is all that is left of what it holds.
fn check(segment: &StreamSegment) -> Result<(), CompactionFailure> {
    let (mut entries, mut buffer) = (0, Vec::new());
    for row in segment.rows() {
        let row = row.map_err(Flaw::opening(&segment.path))?;
        let block = segment.block(&row, &mut buffer);
        block.map_err(Flaw::opening(&segment.path))?;
        entries += u64::from(row.count);
    }
    if entries == segment.catalogue.trailer.entries {
        return Ok(());
    }
    let reason = format!("{} lacks entries", segment.path.display());
    Err(CompactionFailure::Failed(reason))
}

/// Keeps to a budget.
#[derive(Debug)]
struct Budget<'a> {
    compactor: &'a Compactor,
    bytes_per_second: Option<u64>,
}

impl Pace for Budget<'_> {
    fn written(&self, bytes: usize) -> io::Result<()> {
        self.compactor
            .note(|progress| progress.bytes_written += bytes as u64);
        self.compactor.pause(Duration::ZERO)
    }

    fn worked(&self, bytes: usize) -> io::Result<()> {
        let span = self.bytes_per_second.map_or(Duration::ZERO, |rate| {
            Duration::from_secs_f64(bytes as f64 / rate as f64)
        });
        self.compactor.pause(span)
    }
}
