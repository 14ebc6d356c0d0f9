//! What is known without going through the log: from the directory, or from what stream segments say.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{Walk, contradicted, frame_at};
use crate::directory;
use crate::error::OpenError;
use crate::format::catalogue::{CATALOGUED_BYTES_MIN, Span};
use crate::format::directory::{DirectoryHeader, State};
use crate::format::frame::FrameHeader;
use crate::format::mark::End;
use crate::format::record::DECLARATION_BYTES_MIN;
use crate::format::segment_header::SegmentHeader;
use crate::index::{Contradiction, Index};
use crate::log_index::LogIndex;
use crate::parts::Part;
use crate::planted;
use crate::recovery::history::History;
use crate::scan::Scan;
use crate::sealed::{Content, SealedSegment};
use crate::segment::{FileKind, Segment, index_name, log_name};
use crate::storage::Access;
use crate::stream_segment::StreamSegment;
use crate::stream_segment::catalogue::Flaw;

/// What is known without going through the log, and where that starts.
#[derive(Debug)]
pub(super) struct Footing {
    pub(super) index: Index,
    pub(super) segment: Segment,
    pub(super) at: End,
    /// The highest epoch before.
    pub(super) epoch: u64,
    pub(super) state: State,
    pub(super) leftovers: Vec<(u64, u64)>,
}

impl Walk<'_> {
    /// What the walk starts with: the directory when it is of use, otherwise what the stream
    /// segments say.
    pub(super) fn footing(&self) -> Result<Footing, OpenError> {
        let history = History::open(self.disk, self.dir, &self.mark, &self.names)?;
        if let Some(footing) = self.footing_in_directory(&history)? {
            return Ok(footing);
        }
        let segment = self.open(self.mark.first_segment)?;
        let (frame, chain) = history.end();
        let at = Scan::start_of(self.mark.first_segment, frame, chain);
        let mut index = Index::new(segment.header, at);
        index.bound_streams(self.streams_max()?);
        let mut epoch = 0;
        for streams in history.segments {
            let added = add_history(&mut index, &streams);
            added.map_err(|flaw| flaw.opening(&streams.path))?;
            epoch = streams.span().epoch;
            index.add_part(Part::Streams(streams));
        }
        Ok(Footing {
            index,
            segment,
            at,
            epoch,
            state: State::Running,
            leftovers: history.leftovers,
        })
    }

    fn footing_in_directory(&self, history: &History) -> Result<Option<Footing>, OpenError> {
        let mut bytes = Vec::new();
        let read = directory::read(self.disk, self.dir, &self.mark, &mut bytes);
        let Some((header, streams)) = read else {
            return Ok(None);
        };
        let Some(sealed) = self.sealed(&header, history) else {
            tracing::info!("journal: the directory is behind what is kept, and not used");
            return Ok(None);
        };
        let segment = self.open(header.end.segment)?;
        if !self.goes_on(&segment, &header)? {
            tracing::warn!("journal: the directory and the log do not join, it is not used");
            return Ok(None);
        }
        let mut index = Index::new(segment.header, header.end);
        index.bound_streams(header.streams);
        for stream in streams {
            let added = stream.map(|stream| index.add_stream(&stream));
            if !matches!(added, Some(Ok(()))) {
                tracing::warn!("journal: the directory's streams have no meaning, it is not used");
                return Ok(None);
            }
        }
        // A file's name may say any number; the walk finds out that those before it are missing.
        let segments = (self.last - header.end.segment).saturating_add(1);
        let behind = segments.saturating_mul(segment.header.segment_bytes.into());
        let born = u32::try_from(behind / DECLARATION_BYTES_MIN as u64).unwrap_or(u32::MAX);
        index.bound_streams(header.streams.saturating_add(born));
        let streams = history.segments.iter().cloned().map(Part::Streams);
        for part in streams.chain(sealed) {
            index.add_part(part);
        }
        let is_of_last = header.epoch == self.mark.epoch || planted::is("directory-of-earlier");
        let is_end = header.end == self.mark.end && is_of_last
            || planted::is("directory-believed-after-more");
        let state = if is_end { header.state } else { State::Running };
        Ok(Some(Footing {
            index,
            segment,
            at: header.end,
            epoch: header.frame_epoch,
            state,
            leftovers: history.leftovers.clone(),
        }))
    }

    /// The sealed log segments of a directory, if they are all there and join.
    fn sealed(&self, header: &DirectoryHeader, history: &History) -> Option<Vec<Part>> {
        let first = self.mark.first_segment;
        let (mut at, mut number) = (history.end(), first);
        let mut sealed = Vec::new();
        let kept = header.segments.iter();
        for (segment, span) in kept.filter(|(segment, _)| segment.number >= first) {
            let joins = segment.number == number && (span.first_frame, span.first_chain) == at;
            let has_files = [log_name(number), index_name(number)]
                .iter()
                .all(|name| self.names.contains(name));
            let is_part = number == header.end.segment;
            let is_covered = !is_part || {
                let known = LogIndex::open(self.disk, self.dir, segment);
                known.is_ok_and(|known| known.span() == span)
            };
            if !joins || !has_files || !is_covered {
                return None;
            }
            at = (span.next_frame, span.next_chain);
            number += u64::from(!is_part);
            sealed.push(in_index_file(*segment, *span));
        }
        let is_reached = at == (header.end.frame, header.end.chain) && number == header.end.segment;
        is_reached.then_some(sealed)
    }

    /// Whether the log goes on at the place of the directory, as the directory says.
    fn goes_on(&self, segment: &Segment, header: &DirectoryHeader) -> Result<bool, OpenError> {
        let (end, mark) = (header.end, self.mark.end);
        if (end.segment, end.offset) == (mark.segment, mark.offset) {
            return Ok((end.frame, end.chain) == (mark.frame, mark.chain));
        }
        let joins = |frame: Option<FrameHeader>| {
            frame.is_some_and(|frame| (frame.number, frame.chain) == (end.frame, end.chain))
        };
        let found = frame_at(segment, end.offset).map_err(OpenError::io(&segment.path))?;
        if joins(found) {
            return Ok(true);
        }
        Ok(end.segment < mark.segment && self.next_if_starts(end.segment, end)?.is_some())
    }

    /// How many streams the history can be about: each is declared in it.
    fn streams_max(&self) -> Result<u32, OpenError> {
        let mut log_bytes = 0;
        for name in self.disk.list(self.dir).map_err(OpenError::io(self.dir))? {
            if let FileKind::Log(_) | FileKind::Streams(..) = FileKind::of(&name) {
                let path = self.dir.join(name);
                let file = self.disk.open(&path, Access::Read);
                match file.and_then(|file| file.size()) {
                    Ok(size) => log_bytes += size,
                    // A writer may have removed it meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(OpenError::io(&path)(error)),
                }
            }
        }
        let declarations = log_bytes / DECLARATION_BYTES_MIN.min(CATALOGUED_BYTES_MIN) as u64;
        Ok(u32::try_from(declarations).unwrap_or(u32::MAX))
    }
}

pub(super) fn in_index_file(header: SegmentHeader, span: Span) -> Part {
    Part::Log(Arc::new(SealedSegment {
        header,
        span,
        content: Content::InIndexFile,
    }))
}

/// What is wrong with what a file says.
pub(super) enum Wrong {
    Flaw(Flaw),
    Contradiction(Contradiction),
}

impl Wrong {
    pub(super) fn opening(self, path: &Path) -> OpenError {
        match self {
            Wrong::Flaw(flaw) => Flaw::opening(path)(flaw),
            Wrong::Contradiction(error) => contradicted(path, 0, &error),
        }
    }
}

impl From<Flaw> for Wrong {
    fn from(flaw: Flaw) -> Wrong {
        Wrong::Flaw(flaw)
    }
}

impl From<Contradiction> for Wrong {
    fn from(error: Contradiction) -> Wrong {
        Wrong::Contradiction(error)
    }
}

/// Takes what an index file says into the index.
pub(super) fn add_index(index: &mut Index, known: &LogIndex) -> Result<(), Wrong> {
    let (file, catalogue) = (known.file.as_ref(), &known.catalogue);
    for page in catalogue.row_pages(file) {
        for row in page? {
            index.add_row(&row)?;
        }
    }
    for page in catalogue.declaration_pages(file) {
        for declaration in page? {
            index.add_declaration(&declaration)?;
        }
    }
    Ok(())
}

/// Takes what a stream segment says into the index.
fn add_history(index: &mut Index, streams: &StreamSegment) -> Result<(), Wrong> {
    let mut declared = Vec::new();
    for declaration in streams.declarations() {
        let declaration = declaration?;
        index.add_kept(&declaration)?;
        declared.push(declaration);
    }
    for row in streams.rows() {
        index.add_row(&row?)?;
    }
    for declaration in &declared {
        index.end_kept(declaration);
    }
    Ok(())
}
