//! The catalogue at the end of a stream segment and of an index: what the file holds, by stream.
//!
//! Two sorted tables, one of declarations and one of rows, cut into pages that lie anywhere in the
//! file; then a list of the pages; then the trailer, in the last bytes of the file. So a stream is
//! found by reading one page, and a writer needs memory for the list alone.

use refrain_core::Name;

use super::record::Declaration;
use super::{Unreadable, VERSION, counter_at, u32_at, u64_at, whole_fields, written};

/// Bytes of the trailer.
pub(crate) const TRAILER_BYTES: usize = 80;

/// Bytes of a row.
pub(crate) const ROW_BYTES: usize = 32;

/// Rows in a page.
pub(crate) const PAGE_ROWS: usize = 128;

/// Bytes of a page of declarations, beyond which it takes no further one.
pub(crate) const DECLARATIONS_BYTES: usize = 4096;

/// Bytes that any page has at most.
const PAGE_BYTES_MAX: u32 = 8192;

/// Bytes of an item in the list of pages.
pub(crate) const PAGE_REF_BYTES: usize = 32;

const MAGIC: [u8; 8] = *b"REFRAINC";
const CHECKSUM_AT: usize = 76;
const DECLARATION_BYTES: usize = 24;

/// The least that a declaration takes.
pub(crate) const CATALOGUED_BYTES_MIN: usize = DECLARATION_BYTES + 1;

const _: () = assert!(PAGE_ROWS * ROW_BYTES <= PAGE_BYTES_MAX as usize);
const _: () = assert!(
    DECLARATIONS_BYTES + DECLARATION_BYTES + refrain_core::limit::NAME_BYTES_MAX
        <= PAGE_BYTES_MAX as usize
);

/// What a file covers of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Number of its first frame, and the chain that frame names.
    pub(crate) first_frame: u64,
    pub(crate) first_chain: u32,
    /// Number of the first frame after it, and the chain that frame names.
    pub(crate) next_frame: u64,
    pub(crate) next_chain: u32,
    /// The highest epoch in it.
    pub(crate) epoch: u64,
    /// Where its last frame ends in its log segment; 0 for several segments.
    pub(crate) end: u32,
}

/// Entries of one stream that lie together. Their positions have no gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) stream: u32,
    /// Number of entries, at least one.
    pub(crate) count: u32,
    /// Position of the first.
    pub(crate) first: u64,
    /// What the row speaks of, in this file: a block, or the offsets of the entries' records.
    pub(crate) at: u64,
    pub(crate) bytes: u32,
    /// Salted checksum of those bytes.
    pub(crate) checksum: u32,
}

impl Row {
    /// The position after the last entry.
    pub(crate) fn next(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.stream.to_le_bytes());
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.at.to_le_bytes());
        out.extend_from_slice(&self.bytes.to_le_bytes());
        out.extend_from_slice(&self.checksum.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Row> {
        let row = Row {
            stream: u32_at(bytes, 0)?,
            count: u32_at(bytes, 4)?,
            first: counter_at(bytes, 8)?,
            at: counter_at(bytes, 16)?,
            bytes: u32_at(bytes, 24)?,
            checksum: u32_at(bytes, 28)?,
        };
        let is_sane = row.count > 0 && row.first > 0;
        let is_bounded = row.first.checked_add(u64::from(row.count)).is_some();
        (is_sane && is_bounded).then_some(row)
    }
}

/// The rows of a page whose checksum is right.
pub(crate) fn decode_rows(page: &[u8]) -> Option<Vec<Row>> {
    let (rows, rest) = page.as_chunks::<ROW_BYTES>();
    rest.is_empty()
        .then(|| rows.iter().map(|row| Row::decode(row)).collect())?
}

/// Adds a declaration to a page.
pub(crate) fn encode_declaration(declaration: &Declaration, out: &mut Vec<u8>) {
    let name = declaration.name.as_str().as_bytes();
    out.extend_from_slice(&declaration.stream.to_le_bytes());
    out.extend_from_slice(&written(name.len()).to_le_bytes());
    out.extend_from_slice(&declaration.first.to_le_bytes());
    out.extend_from_slice(&declaration.next.to_le_bytes());
    out.extend_from_slice(name);
}

/// Takes a declaration off the front of `page`.
pub(crate) fn take_declaration(page: &mut &[u8]) -> Option<Declaration> {
    let fields = page.split_off(..DECLARATION_BYTES)?;
    let name = page.split_off(..u32_at(fields, 4)? as usize)?;
    let declaration = Declaration {
        stream: u32_at(fields, 0)?,
        name: Name::new(std::str::from_utf8(name).ok()?).ok()?,
        first: counter_at(fields, 8)?,
        next: counter_at(fields, 16)?,
    };
    declaration.is_possible().then_some(declaration)
}

/// The declarations of a page whose checksum is right.
pub(crate) fn decode_declarations(mut page: &[u8]) -> Option<Vec<Declaration>> {
    let mut declarations = Vec::new();
    while !page.is_empty() {
        declarations.push(take_declaration(&mut page)?);
    }
    Some(declarations)
}

/// Where a page is, and what it starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageRef {
    /// Stream of the first row or declaration.
    pub(crate) stream: u32,
    /// Rows or declarations in it.
    pub(crate) count: u32,
    /// Position of the first row; 0 in a page of declarations.
    pub(crate) first: u64,
    pub(crate) at: u64,
    pub(crate) bytes: u32,
    pub(crate) checksum: u32,
}

impl PageRef {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.stream.to_le_bytes());
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.at.to_le_bytes());
        out.extend_from_slice(&self.bytes.to_le_bytes());
        out.extend_from_slice(&self.checksum.to_le_bytes());
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<PageRef> {
        let page = PageRef {
            stream: u32_at(bytes, 0)?,
            count: u32_at(bytes, 4)?,
            first: u64_at(bytes, 8)?,
            at: u64_at(bytes, 16)?,
            bytes: u32_at(bytes, 24)?,
            checksum: u32_at(bytes, 28)?,
        };
        (page.bytes <= PAGE_BYTES_MAX).then_some(page)
    }
}

/// The last bytes of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trailer {
    pub(crate) span: Span,
    /// Entries that the rows speak of.
    pub(crate) entries: u64,
    /// Where the list of pages starts: those of rows, then those of declarations. The trailer
    /// follows it.
    pub(crate) pages_at: u64,
    pub(crate) row_pages: u32,
    pub(crate) declaration_pages: u32,
    /// Salted checksum of the list.
    pub(crate) pages_checksum: u32,
}

impl Trailer {
    pub(crate) fn encode(&self, salt: u32) -> [u8; TRAILER_BYTES] {
        let mut bytes = [0; TRAILER_BYTES];
        let span = &self.span;
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..20].copy_from_slice(&span.first_frame.to_le_bytes());
        bytes[20..28].copy_from_slice(&span.next_frame.to_le_bytes());
        bytes[28..36].copy_from_slice(&span.epoch.to_le_bytes());
        bytes[36..40].copy_from_slice(&span.first_chain.to_le_bytes());
        bytes[40..44].copy_from_slice(&span.next_chain.to_le_bytes());
        bytes[44..48].copy_from_slice(&span.end.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.entries.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.pages_at.to_le_bytes());
        bytes[64..68].copy_from_slice(&self.row_pages.to_le_bytes());
        bytes[68..72].copy_from_slice(&self.declaration_pages.to_le_bytes());
        bytes[72..76].copy_from_slice(&self.pages_checksum.to_le_bytes());
        let checksum = crc32c::crc32c_append(salt, &bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The trailer in `bytes`, the last ones of a file of `size` bytes.
    pub(crate) fn decode(salt: u32, bytes: &[u8], size: u64) -> Result<Trailer, Unreadable> {
        let fields = whole_fields(bytes, CHECKSUM_AT, &MAGIC, salt)?;
        Trailer::fields(fields, size).ok_or(Unreadable::Damaged)
    }

    fn fields(bytes: &[u8], size: u64) -> Option<Trailer> {
        let trailer = Trailer {
            span: Span {
                first_frame: counter_at(bytes, 12)?,
                next_frame: counter_at(bytes, 20)?,
                epoch: counter_at(bytes, 28)?,
                first_chain: u32_at(bytes, 36)?,
                next_chain: u32_at(bytes, 40)?,
                end: u32_at(bytes, 44)?,
            },
            entries: u64_at(bytes, 48)?,
            pages_at: u64_at(bytes, 56)?,
            row_pages: u32_at(bytes, 64)?,
            declaration_pages: u32_at(bytes, 68)?,
            pages_checksum: u32_at(bytes, 72)?,
        };
        let end = trailer.pages_at.checked_add(trailer.list_bytes())?;
        (end.checked_add(TRAILER_BYTES as u64)? == size).then_some(trailer)
    }

    /// Bytes of the list of pages.
    pub(crate) fn list_bytes(&self) -> u64 {
        (u64::from(self.row_pages) + u64::from(self.declaration_pages)) * PAGE_REF_BYTES as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trailer() -> Trailer {
        Trailer {
            span: Span {
                first_frame: 10,
                first_chain: 11,
                next_frame: 12,
                next_chain: 13,
                epoch: 3,
                end: 5000,
            },
            entries: 9,
            pages_at: 1000,
            row_pages: 2,
            declaration_pages: 1,
            pages_checksum: 99,
        }
    }

    #[test]
    fn trailer_survives_encoding_and_no_flipped_bit_other_salt_or_other_size_does() {
        let bytes = trailer().encode(5);
        let size = 1000 + 96 + TRAILER_BYTES as u64;
        assert_eq!(Trailer::decode(5, &bytes, size), Ok(trailer()));
        assert_eq!(Trailer::decode(6, &bytes, size), Err(Unreadable::Damaged));
        assert_eq!(
            Trailer::decode(5, &bytes, size + 32),
            Err(Unreadable::Damaged)
        );
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Trailer::decode(5, &flipped, size).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn pages_survive_encoding_and_half_of_one_is_none() {
        let row = Row {
            stream: 1,
            count: 2,
            first: 3,
            at: 4,
            bytes: 5,
            checksum: 6,
        };
        let mut page = Vec::new();
        row.encode(&mut page);
        row.encode(&mut page);
        assert_eq!(decode_rows(&page), Some(vec![row, row]));
        assert_eq!(decode_rows(&page[..40]), None);
        let declaration = Declaration {
            stream: 7,
            name: Name::new("orders").unwrap(),
            first: 1,
            next: 9,
        };
        let mut page = Vec::new();
        encode_declaration(&declaration, &mut page);
        assert_eq!(decode_declarations(&page), Some(vec![declaration]));
        assert_eq!(decode_declarations(&page[..page.len() - 1]), None);
    }
}
