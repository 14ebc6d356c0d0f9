//! The directory: all streams, and which log segments are sealed, at one place of the log.
//!
//! A convenience, never the truth: what it says can be gathered again from the other files. With it,
//! opening needs to read only what lies behind that place.

use std::ops::Range;

use super::catalogue::{Span, encode_declaration, take_declaration};
use super::mark::End;
use super::record::Declaration;
use super::segment_header::SegmentHeader;
use super::{
    Unreadable, VERSION, check_reserved, counter_at, u32_at, u64_at, whole_fields, written,
};

/// Bytes of the header.
pub(crate) const DIRECTORY_HEADER_BYTES: usize = 80;

const MAGIC: [u8; 8] = *b"REFRAIND";
const RESERVED: Range<usize> = 72..CHECKSUM_AT;
const CHECKSUM_AT: usize = 76;
/// Bytes of a log segment in it.
pub(crate) const SEGMENT_BYTES: usize = 56;
const STATE_RUNNING: u32 = 0;
const STATE_CLOSED: u32 = 1;

/// Whether anything follows the place of the directory in its epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The log may go on there.
    Running,
    /// The log ended there when the journal was closed, and nothing lies behind.
    Closed,
}

/// What the directory says, besides the streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DirectoryHeader {
    pub(crate) identity: u64,
    /// The opening that wrote it.
    pub(crate) epoch: u64,
    pub(crate) state: State,
    /// The place that it speaks of.
    pub(crate) end: End,
    /// The highest epoch of a frame before it.
    pub(crate) frame_epoch: u64,
    /// The log segments before the place, and the part of the one that it lies in.
    pub(crate) segments: Vec<(SegmentHeader, Span)>,
    pub(crate) streams: u32,
}

impl DirectoryHeader {
    /// Adds header and segments to `out`; the streams follow, each by [`encode_stream`].
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let mut bytes = [0; DIRECTORY_HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.identity.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.end.segment.to_le_bytes());
        bytes[36..44].copy_from_slice(&self.end.frame.to_le_bytes());
        bytes[44..48].copy_from_slice(&self.end.offset.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.end.chain.to_le_bytes());
        let state = match self.state {
            State::Running => STATE_RUNNING,
            State::Closed => STATE_CLOSED,
        };
        bytes[52..56].copy_from_slice(&state.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.frame_epoch.to_le_bytes());
        bytes[64..68].copy_from_slice(&written(self.segments.len()).to_le_bytes());
        bytes[68..72].copy_from_slice(&self.streams.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        out.extend_from_slice(&bytes);
        assert_eq!(out.len() - start, DIRECTORY_HEADER_BYTES, "it has a width");
        for (segment, span) in &self.segments {
            out.extend_from_slice(&segment.number.to_le_bytes());
            out.extend_from_slice(&segment.epoch.to_le_bytes());
            out.extend_from_slice(&segment.segment_bytes.to_le_bytes());
            out.extend_from_slice(&span.end.to_le_bytes());
            out.extend_from_slice(&span.first_frame.to_le_bytes());
            out.extend_from_slice(&span.next_frame.to_le_bytes());
            out.extend_from_slice(&span.first_chain.to_le_bytes());
            out.extend_from_slice(&span.next_chain.to_le_bytes());
            out.extend_from_slice(&span.epoch.to_le_bytes());
        }
    }

    /// The directory in a whole file: header and streams.
    pub(crate) fn decode(file: &[u8]) -> Result<(DirectoryHeader, Streams<'_>), Unreadable> {
        let fields = whole_fields(file, CHECKSUM_AT, &MAGIC, 0)?;
        check_reserved(&fields[RESERVED])?;
        // The last bytes are the checksum of all between the header and them.
        let body = file.get(DIRECTORY_HEADER_BYTES..).unwrap_or_default();
        let (body, checksum) = body.split_last_chunk().ok_or(Unreadable::Damaged)?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*checksum) {
            return Err(Unreadable::Damaged);
        }
        DirectoryHeader::fields(fields, body).ok_or(Unreadable::Damaged)
    }

    fn fields<'a>(bytes: &[u8], mut body: &'a [u8]) -> Option<(DirectoryHeader, Streams<'a>)> {
        let identity = u64_at(bytes, 12)?;
        let mut segments = Vec::new();
        for _ in 0..u32_at(bytes, 64)? {
            segments.push(decode_segment(identity, body.split_off(..SEGMENT_BYTES)?)?);
        }
        let header = DirectoryHeader {
            identity,
            epoch: counter_at(bytes, 20)?,
            state: match u32_at(bytes, 52)? {
                STATE_RUNNING => State::Running,
                STATE_CLOSED => State::Closed,
                _ => return None,
            },
            end: End {
                segment: counter_at(bytes, 28)?,
                frame: counter_at(bytes, 36)?,
                offset: u32_at(bytes, 44)?,
                chain: u32_at(bytes, 48)?,
            },
            frame_epoch: counter_at(bytes, 56)?,
            segments,
            streams: u32_at(bytes, 68)?,
        };
        let left = header.streams;
        Some((header, Streams { left, body }))
    }
}

fn decode_segment(identity: u64, bytes: &[u8]) -> Option<(SegmentHeader, Span)> {
    let segment = SegmentHeader {
        identity,
        number: counter_at(bytes, 0)?,
        epoch: counter_at(bytes, 8)?,
        segment_bytes: u32_at(bytes, 16)?,
    };
    let span = Span {
        end: u32_at(bytes, 20)?,
        first_frame: counter_at(bytes, 24)?,
        next_frame: counter_at(bytes, 32)?,
        first_chain: u32_at(bytes, 40)?,
        next_chain: u32_at(bytes, 44)?,
        epoch: counter_at(bytes, 48)?,
    };
    Some((segment, span))
}

/// Adds a stream to a directory that is written.
pub(crate) fn encode_stream(stream: &Declaration, out: &mut Vec<u8>) {
    encode_declaration(stream, out);
}

/// The streams of a directory, in the order of their numbers. Each item is `None` when the bytes have
/// no meaning.
#[derive(Debug)]
pub(crate) struct Streams<'a> {
    left: u32,
    body: &'a [u8],
}

impl Iterator for Streams<'_> {
    type Item = Option<Declaration>;

    fn next(&mut self) -> Option<Option<Declaration>> {
        match self.left {
            0 if self.body.is_empty() => None,
            0 => {
                self.body = &[];
                Some(None)
            }
            _ => {
                self.left -= 1;
                let stream = take_declaration(&mut self.body);
                if stream.is_none() {
                    (self.left, self.body) = (0, &[]);
                }
                Some(stream)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use refrain_core::Name;

    fn file() -> (DirectoryHeader, Declaration, Vec<u8>) {
        let header = DirectoryHeader {
            identity: 1,
            epoch: 2,
            state: State::Closed,
            end: End {
                segment: 3,
                offset: 4,
                frame: 5,
                chain: 6,
            },
            frame_epoch: 2,
            segments: vec![(
                SegmentHeader {
                    identity: 1,
                    number: 3,
                    epoch: 1,
                    segment_bytes: 8192,
                },
                Span {
                    first_frame: 1,
                    first_chain: 0,
                    next_frame: 5,
                    next_chain: 6,
                    epoch: 2,
                    end: 4,
                },
            )],
            streams: 1,
        };
        let stream = Declaration {
            stream: 0,
            name: Name::new("orders").unwrap(),
            first: 1,
            next: 9,
        };
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        encode_stream(&stream, &mut bytes);
        let checksum = crc32c::crc32c(&bytes[DIRECTORY_HEADER_BYTES..]);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        (header, stream, bytes)
    }

    #[test]
    fn directory_survives_encoding_and_no_flipped_bit_or_cut_does() {
        let (header, stream, bytes) = file();
        let (read, streams) = DirectoryHeader::decode(&bytes).unwrap();
        assert_eq!(read, header);
        assert_eq!(streams.collect::<Vec<_>>(), [Some(stream)]);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(DirectoryHeader::decode(&flipped).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(DirectoryHeader::decode(&bytes[..length]).is_err());
        }
    }

    #[test]
    fn more_or_fewer_streams_than_there_are_have_no_meaning() {
        let (header, _, _) = file();
        for streams in [0, 2] {
            let header = DirectoryHeader {
                streams,
                ..header.clone()
            };
            let mut bytes = Vec::new();
            header.encode(&mut bytes);
            encode_stream(&file().1, &mut bytes);
            let checksum = crc32c::crc32c(&bytes[DIRECTORY_HEADER_BYTES..]);
            bytes.extend_from_slice(&checksum.to_le_bytes());
            let (_, mut all) = DirectoryHeader::decode(&bytes).unwrap();
            assert!(all.any(|stream| stream.is_none()), "{streams}");
        }
    }
}
