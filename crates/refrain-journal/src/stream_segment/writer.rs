//! Writing a stream segment: entries come by stream and position, blocks and a catalogue go down.

use std::io;
use std::sync::Arc;

use super::catalogue::CatalogueWriter;
use super::output::{Output, Pace};
use crate::format::catalogue::Span;
use crate::format::record::Declaration;
use crate::format::stream_segment::{
    Block, LENGTH_BYTES, Method, StreamSegmentHeader, encode_block,
};
use crate::format::written;
use crate::planted;
use crate::storage::DiskFile;

/// Bytes before compression, beyond which a block takes no further entry. A chunk of a cursor is
/// one such block, so it is as large as a hand-over between threads is worth.
pub(crate) const BLOCK_BYTES: usize = 256 * 1024;

/// Blocks at least this large are taken over as they are when files are merged.
const TAKEN_OVER_BYTES: usize = BLOCK_BYTES / 2;

/// Blocks smaller than this are not compressed.
const COMPRESSED_BYTES_MIN: usize = 64;

/// Writes one stream segment.
pub(crate) struct SegmentWriter<'a> {
    out: Output<'a>,
    salt: u32,
    catalogue: CatalogueWriter,
    block: OpenBlock,
    /// Lengths and entries, as one piece; and what compression made of them.
    raw: Vec<u8>,
    packed: Vec<u8>,
}

/// The block that takes more entries.
#[derive(Debug, Default)]
struct OpenBlock {
    stream: u32,
    first: u64,
    count: u32,
    lengths: Vec<u8>,
    entries: Vec<u8>,
}

impl OpenBlock {
    fn raw_bytes(&self) -> usize {
        self.lengths.len() + self.entries.len()
    }
}

impl<'a> SegmentWriter<'a> {
    /// Starts the file that `header` describes.
    pub(crate) fn new(
        file: Arc<dyn DiskFile>,
        header: &StreamSegmentHeader,
        pace: &'a dyn Pace,
    ) -> io::Result<SegmentWriter<'a>> {
        let salt = header.salt();
        let mut out = Output::new(file, pace);
        out.add(|buffer| buffer.extend_from_slice(&header.encode()))?;
        Ok(SegmentWriter {
            out,
            salt,
            catalogue: CatalogueWriter::new(salt),
            block: OpenBlock::default(),
            raw: Vec::new(),
            packed: Vec::new(),
        })
    }

    /// Adds an entry. Streams come in the order of their numbers, entries in that of positions.
    pub(crate) fn entry(&mut self, stream: u32, position: u64, entry: &[u8]) -> io::Result<()> {
        let block = &self.block;
        let goes_on = block.stream == stream && block.first + u64::from(block.count) == position;
        if block.count > 0 && (!goes_on || block.raw_bytes() >= BLOCK_BYTES) {
            self.flush_block()?;
        }
        let block = &mut self.block;
        if block.count == 0 {
            (block.stream, block.first) = (stream, position);
        }
        block.count += 1;
        block
            .lengths
            .extend_from_slice(&written(entry.len()).to_le_bytes());
        block.entries.extend_from_slice(entry);
        Ok(())
    }

    /// Adds a whole block of another file. Says whether it was worth it; otherwise its entries are
    /// to be added one by one.
    pub(crate) fn block(&mut self, block: &Block<'_>) -> io::Result<bool> {
        let is_small = (block.raw_bytes as usize) < TAKEN_OVER_BYTES;
        let open = &self.block;
        let leaves_crumbs =
            open.count > 0 && open.stream == block.stream && open.raw_bytes() < TAKEN_OVER_BYTES;
        if is_small || leaves_crumbs {
            return Ok(false);
        }
        self.flush_block()?;
        self.put(block)?;
        self.out.worked(block.stored.len())?;
        Ok(true)
    }

    /// Says what is known of a stream at the end of the range. Streams come in order.
    pub(crate) fn declare(&mut self, declaration: &Declaration) -> io::Result<()> {
        self.catalogue.declare(declaration, &mut self.out)
    }

    /// Ends the file, which covers `span`; afterwards it is synced. Gives its number of entries.
    pub(crate) fn finish(mut self, span: Span) -> io::Result<u64> {
        if !planted::is("last-block-left-out") {
            self.flush_block()?;
        }
        let entries = self.catalogue.finish(span, &mut self.out)?;
        self.out.finish()?;
        Ok(entries)
    }

    fn flush_block(&mut self) -> io::Result<()> {
        if self.block.count == 0 {
            return Ok(());
        }
        let mut open = std::mem::take(&mut self.block);
        let mut raw = std::mem::take(&mut self.raw);
        raw.clear();
        raw.extend_from_slice(&open.lengths);
        raw.extend_from_slice(&open.entries);
        let mut packed = std::mem::take(&mut self.packed);
        let packed_bytes = pack(&raw, &mut packed);
        let (method, stored) = match packed_bytes {
            Some(bytes) => (Method::Lz4, &packed[..bytes]),
            None => (Method::None, raw.as_slice()),
        };
        self.put(&Block {
            stream: open.stream,
            count: open.count,
            first: open.first,
            method,
            raw_bytes: written(raw.len()),
            stored,
        })?;
        self.out.worked(raw.len())?;
        open.count = 0;
        open.lengths.clear();
        open.entries.clear();
        (self.block, self.raw, self.packed) = (open, raw, packed);
        Ok(())
    }

    fn put(&mut self, block: &Block<'_>) -> io::Result<()> {
        let (at, salt) = (self.out.at(), self.salt);
        let row = self.out.add(|buffer| encode_block(salt, block, buffer))?;
        self.catalogue
            .row(&crate::format::catalogue::Row { at, ..row }, &mut self.out)
    }
}

/// Compresses `raw` into the start of `packed`, if that saves at least an eighth.
fn pack(raw: &[u8], packed: &mut Vec<u8>) -> Option<usize> {
    if raw.len() < COMPRESSED_BYTES_MIN {
        return None;
    }
    let bytes_max = lz4_flex::block::get_maximum_output_size(raw.len());
    if packed.len() < bytes_max {
        packed.resize(bytes_max, 0);
    }
    let bytes = lz4_flex::block::compress_into(raw, packed).ok()?;
    (bytes <= raw.len() - raw.len() / 8).then_some(bytes)
}

const _: () = assert!(LENGTH_BYTES == size_of::<u32>());
