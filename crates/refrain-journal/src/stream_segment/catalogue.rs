//! Reading and writing the catalogue of a file: its pages, their list, and the trailer.

use std::io;
use std::path::Path;

use refrain_core::port::journal::ReadError;

use super::output::Output;
use crate::error::OpenError;
use crate::format::catalogue::{
    DECLARATIONS_BYTES, PAGE_REF_BYTES, PAGE_ROWS, PageRef, Row, Span, TRAILER_BYTES, Trailer,
    decode_declarations, decode_rows, encode_declaration,
};
use crate::format::record::Declaration;
use crate::format::{Unreadable, written};
use crate::storage::{DiskFile, read_exact_at};

/// What is wrong with a file that has a catalogue.
#[derive(Debug)]
pub(crate) enum Flaw {
    Io(io::Error),
    Damaged {
        at: u64,
        detail: &'static str,
    },
    Version(u32),
    /// Bytes are used that are reserved.
    Newer {
        at: u64,
    },
}

impl Flaw {
    pub(crate) fn damaged(at: u64, detail: &'static str) -> Flaw {
        Flaw::Damaged { at, detail }
    }

    /// What is wrong at a place that is unreadable; `detail` says it when it is damaged.
    pub(crate) fn of(at: u64, detail: &'static str) -> impl FnOnce(Unreadable) -> Flaw {
        move |error| match error {
            Unreadable::Damaged => Flaw::damaged(at, detail),
            Unreadable::Version(version) => Flaw::Version(version),
            Unreadable::Newer => Flaw::Newer { at },
        }
    }

    /// As it is told to whoever opens the journal.
    pub(crate) fn opening(path: &Path) -> impl FnOnce(Flaw) -> OpenError {
        move |flaw| match flaw {
            Flaw::Io(error) => OpenError::io(path)(error),
            Flaw::Damaged { at, detail } => OpenError::corrupt(path, at, detail),
            Flaw::Version(version) => OpenError::Version {
                path: path.to_path_buf(),
                version,
            },
            Flaw::Newer { at } => OpenError::newer(path, at),
        }
    }

    /// As it is told to whoever reads.
    pub(crate) fn reading(path: &Path) -> impl FnOnce(Flaw) -> ReadError {
        move |flaw| match flaw {
            Flaw::Io(error) => ReadError::Unavailable(format!("{}: {error}", path.display())),
            Flaw::Damaged { at, detail } => ReadError::Corrupt {
                place: format!("{} at offset {at}", path.display()),
                detail: detail.to_owned(),
            },
            Flaw::Version(version) => {
                ReadError::Unavailable(format!("{}: version {version}", path.display()))
            }
            Flaw::Newer { at } => ReadError::Unavailable(OpenError::newer(path, at).to_string()),
        }
    }
}

impl From<io::Error> for Flaw {
    fn from(error: io::Error) -> Flaw {
        Flaw::Io(error)
    }
}

/// The catalogue of one file: the trailer and the list of pages. The pages are read when needed.
#[derive(Debug)]
pub(crate) struct Catalogue {
    pub(crate) trailer: Trailer,
    salt: u32,
    rows: Vec<PageRef>,
    declarations: Vec<PageRef>,
}

/// Some rows of a file, and which of them was looked for.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) rows: Vec<Row>,
    pub(crate) at: usize,
    number: usize,
}

impl Catalogue {
    /// Reads the catalogue of `file`.
    pub(crate) fn read(file: &dyn DiskFile, salt: u32) -> Result<Catalogue, Flaw> {
        let size = file.size()?;
        let trailer_at = size.checked_sub(TRAILER_BYTES as u64);
        let trailer_at = trailer_at.ok_or(Flaw::damaged(0, "the file is too short"))?;
        let mut bytes = [0; TRAILER_BYTES];
        read_exact_at(file, &mut bytes, trailer_at)?;
        let trailer = Trailer::decode(salt, &bytes, size)
            .map_err(Flaw::of(trailer_at, "this is not the file's trailer"))?;
        let damaged = || Flaw::damaged(trailer.pages_at, "the list of pages is damaged");
        // Checked to lie in the file, so what is allocated is bounded by what is there.
        let list_bytes = usize::try_from(trailer.list_bytes()).map_err(|_| damaged())?;
        let mut list = vec![0; list_bytes];
        read_exact_at(file, &mut list, trailer.pages_at)?;
        if crc32c::crc32c_append(salt, &list) != trailer.pages_checksum {
            return Err(damaged());
        }
        let (refs, _) = list.as_chunks::<PAGE_REF_BYTES>();
        let pages: Option<Vec<PageRef>> = refs.iter().map(|page| PageRef::decode(page)).collect();
        let mut rows = pages.ok_or_else(damaged)?;
        let declarations = rows.split_off(trailer.row_pages as usize);
        let is_sorted = rows.is_sorted_by_key(|page| (page.stream, page.first))
            && declarations.is_sorted_by_key(|page| page.stream);
        if !is_sorted {
            return Err(damaged());
        }
        Ok(Catalogue {
            trailer,
            salt,
            rows,
            declarations,
        })
    }

    pub(crate) fn span(&self) -> &Span {
        &self.trailer.span
    }

    /// The row with the entry of `stream` at `position`, among its neighbours.
    pub(crate) fn find(
        &self,
        file: &dyn DiskFile,
        stream: u32,
        position: u64,
    ) -> Result<Option<Page>, Flaw> {
        let wanted = (stream, position);
        let after = self
            .rows
            .partition_point(|page| (page.stream, page.first) <= wanted);
        let Some(number) = after.checked_sub(1) else {
            return Ok(None);
        };
        let rows = self.page(file, number)?;
        let after = rows.partition_point(|row| (row.stream, row.first) <= wanted);
        let Some(at) = after.checked_sub(1) else {
            return Ok(None);
        };
        let row = rows[at];
        let is_there = row.stream == stream && (row.first..row.next()).contains(&position);
        Ok(is_there.then_some(Page { rows, at, number }))
    }

    /// Moves on to the row after, which may be of another stream.
    pub(crate) fn step(&self, file: &dyn DiskFile, page: &mut Page) -> Result<Option<Row>, Flaw> {
        page.at += 1;
        if page.at == page.rows.len() && page.number + 1 < self.rows.len() {
            page.number += 1;
            page.at = 0;
            page.rows = self.page(file, page.number)?;
        }
        Ok(page.rows.get(page.at).copied())
    }

    /// All rows, a page at a time.
    pub(crate) fn row_pages<'a>(
        &'a self,
        file: &'a dyn DiskFile,
    ) -> impl Iterator<Item = Result<Vec<Row>, Flaw>> + 'a {
        (0..self.rows.len()).map(move |number| self.page(file, number))
    }

    /// All declarations, a page at a time.
    pub(crate) fn declaration_pages<'a>(
        &'a self,
        file: &'a dyn DiskFile,
    ) -> impl Iterator<Item = Result<Vec<Declaration>, Flaw>> + 'a {
        self.declarations.iter().map(move |page| {
            let bytes = self.bytes(file, page)?;
            let declarations = decode_declarations(&bytes).filter(|all| {
                let first = all.first().map(|declaration| declaration.stream);
                let is_sorted = all.is_sorted_by(|a, b| a.stream < b.stream);
                is_sorted
                    && first == Some(page.stream)
                    && all.len() == page.count as usize
                    && page.first == 0
            });
            declarations.ok_or(Flaw::damaged(page.at, "the declarations are damaged"))
        })
    }

    fn page(&self, file: &dyn DiskFile, number: usize) -> Result<Vec<Row>, Flaw> {
        let page = &self.rows[number];
        let rows = decode_rows(&self.bytes(file, page)?).filter(|rows| {
            let is_sorted = rows.is_sorted_by(|a, b| (a.stream, a.first) < (b.stream, b.first));
            let first = rows.first().map(|row| (row.stream, row.first));
            let is_counted = rows.len() == page.count as usize;
            is_sorted && is_counted && first == Some((page.stream, page.first))
        });
        rows.ok_or(Flaw::damaged(page.at, "the rows are damaged"))
    }

    fn bytes(&self, file: &dyn DiskFile, page: &PageRef) -> Result<Vec<u8>, Flaw> {
        let mut bytes = vec![0; page.bytes as usize];
        read_exact_at(file, &mut bytes, page.at)?;
        if crc32c::crc32c_append(self.salt, &bytes) != page.checksum {
            return Err(Flaw::damaged(page.at, "the page's checksum does not fit"));
        }
        Ok(bytes)
    }
}

/// Writes a catalogue while its file grows.
#[derive(Debug)]
pub(crate) struct CatalogueWriter {
    salt: u32,
    entries: u64,
    rows: Pages,
    declarations: Pages,
}

/// Pages of one kind.
#[derive(Debug, Default)]
struct Pages {
    /// The page that takes more.
    open: Vec<u8>,
    /// Its stream, position and count.
    first: (u32, u64),
    count: u32,
    written: Vec<PageRef>,
}

impl Pages {
    fn begin(&mut self, stream: u32, position: u64) {
        if self.count == 0 {
            self.first = (stream, position);
        }
        self.count += 1;
    }

    fn flush(&mut self, salt: u32, out: &mut Output<'_>) -> io::Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        let (stream, first) = self.first;
        self.written.push(PageRef {
            stream,
            count: self.count,
            first,
            at: out.at(),
            bytes: written(self.open.len()),
            checksum: crc32c::crc32c_append(salt, &self.open),
        });
        self.count = 0;
        out.add(|buffer| buffer.append(&mut self.open))
    }
}

impl CatalogueWriter {
    pub(crate) fn new(salt: u32) -> CatalogueWriter {
        CatalogueWriter {
            salt,
            entries: 0,
            rows: Pages::default(),
            declarations: Pages::default(),
        }
    }

    /// Adds a row; they come in order.
    pub(crate) fn row(&mut self, row: &Row, out: &mut Output<'_>) -> io::Result<()> {
        self.entries += u64::from(row.count);
        self.rows.begin(row.stream, row.first);
        row.encode(&mut self.rows.open);
        if self.rows.count as usize == PAGE_ROWS {
            self.rows.flush(self.salt, out)?;
        }
        Ok(())
    }

    /// Adds a declaration; they come in order.
    pub(crate) fn declare(
        &mut self,
        declaration: &Declaration,
        out: &mut Output<'_>,
    ) -> io::Result<()> {
        self.declarations.begin(declaration.stream, 0);
        encode_declaration(declaration, &mut self.declarations.open);
        if self.declarations.open.len() >= DECLARATIONS_BYTES {
            self.declarations.flush(self.salt, out)?;
        }
        Ok(())
    }

    /// Writes what is left, the list and the trailer. Gives the number of entries.
    pub(crate) fn finish(mut self, span: Span, out: &mut Output<'_>) -> io::Result<u64> {
        self.rows.flush(self.salt, out)?;
        self.declarations.flush(self.salt, out)?;
        let mut list = Vec::new();
        for page in self.rows.written.iter().chain(&self.declarations.written) {
            page.encode(&mut list);
        }
        let trailer = Trailer {
            span,
            entries: self.entries,
            pages_at: out.at(),
            row_pages: written(self.rows.written.len()),
            declaration_pages: written(self.declarations.written.len()),
            pages_checksum: crc32c::crc32c_append(self.salt, &list),
        };
        out.add(|buffer| {
            buffer.append(&mut list);
            buffer.extend_from_slice(&trailer.encode(self.salt));
        })?;
        Ok(self.entries)
    }
}
