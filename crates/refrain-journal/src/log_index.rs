//! The index files of log segments: where in a segment the records of each stream are.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::format::catalogue::{Row, Span};
use crate::format::record::Declaration;
use crate::format::segment_header::SegmentHeader;
use crate::format::segment_index::{
    INDEX_HEADER_BYTES, check_header, decode_offsets, encode_header,
};
use crate::format::written;
use crate::sealed::{Content, OffsetRun, OffsetRuns, SealedSegment};
use crate::segment::index_name;
use crate::storage::{Access, Disk, DiskFile, read_exact_at};
use crate::stream_segment::catalogue::{Catalogue, CatalogueWriter, Flaw};
use crate::stream_segment::output::{AtOnce, Output};

/// An index file, open for reading.
#[derive(Debug)]
pub(crate) struct LogIndex {
    pub(crate) path: PathBuf,
    pub(crate) catalogue: Catalogue,
    pub(crate) file: Arc<dyn DiskFile>,
    salt: u32,
    bytes: u64,
}

impl LogIndex {
    /// Opens the index of `segment`. It may speak of the first frames of the segment alone.
    pub(crate) fn open(
        disk: &dyn Disk,
        dir: &Path,
        segment: &SegmentHeader,
    ) -> Result<LogIndex, Flaw> {
        let path = dir.join(index_name(segment.number));
        let file = disk.open(&path, Access::Read)?;
        LogIndex::read(file, path, segment)
    }

    /// As [`LogIndex::open`], of a file that is open.
    pub(crate) fn read(
        file: Arc<dyn DiskFile>,
        path: PathBuf,
        segment: &SegmentHeader,
    ) -> Result<LogIndex, Flaw> {
        let mut header = [0; INDEX_HEADER_BYTES];
        read_exact_at(file.as_ref(), &mut header, 0)?;
        let flaw = Flaw::of(0, "this is not the segment's index");
        check_header(segment, &header).map_err(flaw)?;
        let salt = segment.salt();
        Ok(LogIndex {
            catalogue: Catalogue::read(file.as_ref(), salt)?,
            bytes: file.size()?,
            path,
            file,
            salt,
        })
    }

    pub(crate) fn span(&self) -> &Span {
        self.catalogue.span()
    }

    /// The offsets of the records that `row` speaks of.
    pub(crate) fn offsets(&self, row: &Row) -> Result<Vec<u32>, Flaw> {
        let damaged = || Flaw::damaged(row.at, "the offsets are damaged");
        let end = row.at.checked_add(u64::from(row.bytes));
        if end.is_none_or(|end| end > self.bytes) {
            return Err(damaged());
        }
        let mut bytes = vec![0; row.bytes as usize];
        read_exact_at(self.file.as_ref(), &mut bytes, row.at)?;
        let is_whole = crc32c::crc32c_append(self.salt, &bytes) == row.checksum;
        let offsets = decode_offsets(&bytes).filter(|all| all.len() == row.count as usize);
        let is_sorted = |all: &Vec<u32>| all.is_sorted_by(|a, b| a < b);
        offsets
            .filter(|all| is_whole && is_sorted(all))
            .ok_or_else(damaged)
    }

    /// Whether every page is readable.
    pub(crate) fn is_whole(&self) -> bool {
        let file = self.file.as_ref();
        self.catalogue.row_pages(file).all(|page| page.is_ok())
            && self
                .catalogue
                .declaration_pages(file)
                .all(|page| page.is_ok())
    }

    /// All that the index says, in memory.
    fn load(&self) -> Result<(Vec<Declaration>, OffsetRuns), Flaw> {
        let file = self.file.as_ref();
        let (mut declarations, mut runs) = (Vec::new(), OffsetRuns::default());
        for page in self.catalogue.declaration_pages(file) {
            declarations.append(&mut page?);
        }
        for page in self.catalogue.row_pages(file) {
            for row in page? {
                let offsets = self.offsets(&row)?;
                runs.push(OffsetRun {
                    stream: row.stream,
                    first: row.first,
                    offsets: &offsets,
                });
            }
        }
        Ok((declarations, runs))
    }
}

/// Writes the index file of `sealed`, unless that is where its content is known from. An index that
/// is there and speaks of the frames before is taken in. Gives what the file covers.
pub(crate) fn write(
    disk: &dyn Disk,
    dir: &Path,
    sealed: &SealedSegment,
) -> io::Result<Option<Span>> {
    let Content::InMemory(known) = &sealed.content else {
        return Ok(None);
    };
    if sealed.span.first_frame == sealed.span.next_frame {
        // The index that is there speaks of the whole segment.
        return Ok(None);
    }
    let before = LogIndex::open(disk, dir, &sealed.header)
        .ok()
        .filter(|before| {
            let (end, start) = (before.span(), &sealed.span);
            (end.next_frame, end.next_chain) == (start.first_frame, start.first_chain)
        });
    let Some(before) = before else {
        let content = (known.declarations.as_slice(), known.runs());
        write_file(disk, dir, &sealed.header, sealed.span, content)?;
        return Ok(Some(sealed.span));
    };
    let (earlier, older) = before
        .load()
        .map_err(|flaw| io::Error::other(format!("{flaw:?}")))?;
    let declarations = [earlier, known.declarations.clone()].concat();
    let runs = older.join(known.runs());
    let span = Span {
        first_frame: before.span().first_frame,
        first_chain: before.span().first_chain,
        ..sealed.span
    };
    write_file(disk, dir, &sealed.header, span, (&declarations, &runs))?;
    Ok(Some(span))
}

fn write_file(
    disk: &dyn Disk,
    dir: &Path,
    segment: &SegmentHeader,
    span: Span,
    (declarations, runs): (&[Declaration], &OffsetRuns),
) -> io::Result<()> {
    let name = index_name(segment.number);
    let temporary = dir.join(format!("{name}.new"));
    let salt = segment.salt();
    let file = disk.open(&temporary, Access::Create)?;
    let mut out = Output::new(file, &AtOnce);
    let mut catalogue = CatalogueWriter::new(salt);
    out.add(|buffer| buffer.extend_from_slice(&encode_header(segment)))?;
    for run in runs.iter() {
        let at = out.at();
        let row = out.add(|buffer| {
            let start = buffer.len();
            buffer.extend(run.offsets.iter().flat_map(|offset| offset.to_le_bytes()));
            Row {
                stream: run.stream,
                count: written(run.offsets.len()),
                first: run.first,
                at,
                bytes: written(buffer.len() - start),
                checksum: crc32c::crc32c_append(salt, &buffer[start..]),
            }
        })?;
        catalogue.row(&row, &mut out)?;
    }
    for declaration in newest(declarations) {
        catalogue.declare(&declaration, &mut out)?;
    }
    catalogue.finish(span, &mut out)?;
    out.finish()?;
    disk.rename(&temporary, &dir.join(name))?;
    disk.sync_dir(dir)
}

/// What `declarations`, oldest first, come to: one for each stream, in the order of their numbers.
pub(crate) fn newest(declarations: &[Declaration]) -> Vec<Declaration> {
    let mut sorted: Vec<&Declaration> = declarations.iter().collect();
    sorted.sort_by_key(|declaration| declaration.stream);
    let mut newest: Vec<Declaration> = Vec::new();
    for declaration in sorted {
        match newest.last_mut() {
            Some(last) if last.stream == declaration.stream => {
                last.first = last.first.max(declaration.first);
                last.next = last.next.max(declaration.next);
            }
            Some(_) | None => newest.push(declaration.clone()),
        }
    }
    newest
}
