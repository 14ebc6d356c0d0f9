//! A walk through one log segment that goes on behind damage.
//!
//! Recovery stops at the first thing that is wrong; whoever inspects wants all of it. A frame's
//! header carries the salt of its segment, so the next whole header behind damaged bytes is one of
//! this segment's own, and what lies between is what was lost.

use std::io;

use crate::format::frame::{FRAME_HEADER_BYTES, FRAME_MAGIC, FrameHeader, Sealed};
use crate::format::record::{self, Declaration, Kind, RecordHeader};
use crate::format::segment_header::SEGMENT_HEADER_BYTES;
use crate::scan::Window;
use crate::segment::Segment;

/// Unit in which the bytes behind damage are looked through.
const PAGE_BYTES: u32 = 4096;

const ZEROS: [u8; PAGE_BYTES as usize] = [0; PAGE_BYTES as usize];

/// The number and the chain that a frame must have to join what is before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Join {
    pub(super) frame: u64,
    pub(super) chain: u32,
}

/// What a walk shows, in the order of the file.
#[derive(Debug)]
pub(super) enum Seen<'a> {
    Entry {
        stream: u32,
        position: u64,
        /// Where its record starts in the segment.
        offset: u32,
        bytes: &'a [u8],
    },
    Declaration {
        offset: u32,
        declaration: Declaration,
    },
    /// A frame that does not join the one before it, which is not in this segment.
    Gap {
        expected: Join,
        found: u64,
    },
    DamagedFrame {
        offset: u32,
        detail: String,
    },
    DamagedRecord {
        offset: u32,
        detail: String,
    },
}

/// The walk.
#[derive(Debug)]
pub(super) struct Frames<'a> {
    segment: &'a Segment,
    window: Window,
    /// Frames end here at the latest.
    limit: u32,
    /// Where the next frame starts.
    pub(super) at: u32,
    /// What it must say; unknown behind damage, and where the log starts in the middle.
    pub(super) expected: Option<Join>,
    pub(super) epoch: u64,
    pub(super) frames: u64,
    /// What the segment's first frame said.
    pub(super) first: Option<Join>,
}

impl<'a> Frames<'a> {
    pub(super) fn new(
        segment: &'a Segment,
        limit: u32,
        expected: Option<Join>,
        epoch: u64,
    ) -> Frames<'a> {
        Frames {
            segment,
            window: Window::default(),
            limit: limit.min(segment.header.segment_bytes),
            at: SEGMENT_HEADER_BYTES,
            expected,
            epoch,
            frames: 0,
            first: None,
        }
    }

    /// Takes the next frame, or says that there is none before the limit.
    pub(super) fn step(&mut self, see: &mut dyn FnMut(Seen<'_>)) -> io::Result<bool> {
        if let Some(sealed) = self.header_at(self.at)? {
            self.frame(&sealed, see)?;
            return Ok(true);
        }
        let Some((offset, sealed)) = self.next_header()? else {
            return Ok(false);
        };
        let lost = match self.expected {
            Some(join) if join.frame + 1 == sealed.header.number => {
                format!("frame {} is damaged", join.frame)
            }
            Some(join) => format!(
                "frames {} to {} are damaged",
                join.frame,
                sealed.header.number - 1
            ),
            None => "what was here is damaged".to_owned(),
        };
        let detail = format!("{lost}; the log goes on at offset {offset}");
        see(Seen::DamagedFrame {
            offset: self.at,
            detail,
        });
        self.at = offset;
        self.expected = None;
        self.frame(&sealed, see)?;
        Ok(true)
    }

    /// The whole header at `offset`, if there is one whose frame ends before the limit.
    fn header_at(&mut self, offset: u32) -> io::Result<Option<Sealed>> {
        let room = self.limit.saturating_sub(offset) as usize;
        if room < FRAME_HEADER_BYTES {
            return Ok(None);
        }
        let bytes = self.window.get(self.segment, offset, FRAME_HEADER_BYTES)?;
        let sealed = FrameHeader::decode(self.segment.salt, bytes);
        Ok(sealed.filter(|sealed| {
            let is_new = self
                .expected
                .is_none_or(|join| sealed.header.number >= join.frame);
            is_new && FRAME_HEADER_BYTES + sealed.header.body_bytes as usize <= room
        }))
    }

    /// The first whole header behind the place.
    fn next_header(&mut self) -> io::Result<Option<(u32, Sealed)>> {
        let mut page = self.at;
        while page + (FRAME_HEADER_BYTES as u32) < self.limit {
            let length = PAGE_BYTES.min(self.limit - page);
            let bytes = self.window.get(self.segment, page, length as usize)?;
            if bytes != &ZEROS[..bytes.len()] {
                let starts: Vec<u32> = (0..length)
                    .filter(|at| bytes[*at as usize..].starts_with(&FRAME_MAGIC[..1]))
                    .collect();
                for start in starts {
                    let offset = page + start;
                    if offset > self.at
                        && let Some(sealed) = self.header_at(offset)?
                    {
                        return Ok(Some((offset, sealed)));
                    }
                }
            }
            page += length;
        }
        Ok(None)
    }

    /// Takes the frame at the place.
    fn frame(&mut self, sealed: &Sealed, see: &mut dyn FnMut(Seen<'_>)) -> io::Result<()> {
        let header = &sealed.header;
        let join = Join {
            frame: header.number,
            chain: header.chain,
        };
        self.check_join(join, header.epoch, see);
        self.first.get_or_insert(join);
        let body_at = self.at + FRAME_HEADER_BYTES as u32;
        let body = self
            .window
            .get(self.segment, body_at, header.body_bytes as usize)?;
        records(self.segment.salt, body, body_at, header, see);
        self.at = body_at + header.body_bytes;
        self.epoch = self.epoch.max(header.epoch);
        self.frames += 1;
        self.expected = Some(Join {
            frame: header.number + 1,
            chain: sealed.checksum,
        });
        Ok(())
    }

    fn check_join(&self, join: Join, epoch: u64, see: &mut dyn FnMut(Seen<'_>)) {
        if let Some(expected) = self.expected
            && expected != join
        {
            if self.frames == 0 && expected.frame < join.frame {
                see(Seen::Gap {
                    expected,
                    found: join.frame,
                });
            } else {
                let detail = if expected.frame == join.frame {
                    format!("frame {} does not follow the one before it", join.frame)
                } else {
                    format!(
                        "frame {} stands where frame {} is expected",
                        join.frame, expected.frame
                    )
                };
                see(Seen::DamagedFrame {
                    offset: self.at,
                    detail,
                });
            }
        }
        if epoch < self.epoch {
            let detail = format!(
                "frame {} is of epoch {epoch}, one before it of {}",
                join.frame, self.epoch
            );
            see(Seen::DamagedFrame {
                offset: self.at,
                detail,
            });
        }
    }
}

/// Shows the records of one frame.
fn records(
    salt: u32,
    body: &[u8],
    body_at: u32,
    header: &FrameHeader,
    see: &mut dyn FnMut(Seen<'_>),
) {
    let mut at = 0;
    let mut count = 0;
    let mut digest = salt;
    let mut is_whole = true;
    while at < body.len() {
        let offset = body_at + crate::format::written(at);
        let Some((record, content)) = record::decode(salt, &body[at..]) else {
            is_whole = false;
            let next = skip(salt, &body[at..]);
            let detail = match next {
                Some(_) => "the record's checksum does not fit".to_owned(),
                None => format!(
                    "the record's checksum does not fit, and the {} bytes of the frame from here on \
                     cannot be told apart",
                    body.len() - at
                ),
            };
            see(Seen::DamagedRecord { offset, detail });
            let Some(bytes) = next else { break };
            at += bytes;
            continue;
        };
        digest = crc32c::crc32c_append(digest, &record.checksum.to_le_bytes());
        count += 1;
        match record.kind {
            Kind::Entry => see(Seen::Entry {
                stream: record.stream,
                position: record.position,
                offset,
                bytes: content,
            }),
            Kind::Stream => match Declaration::decode(&record, content) {
                Some(declaration) => see(Seen::Declaration {
                    offset,
                    declaration,
                }),
                None => see(Seen::DamagedRecord {
                    offset,
                    detail: "the declaration makes no sense".into(),
                }),
            },
        }
        at += record.record_bytes();
    }
    if is_whole && (digest != header.digest || count != header.records) {
        see(Seen::DamagedFrame {
            offset: body_at - FRAME_HEADER_BYTES as u32,
            detail: "the records are whole, but not those that the frame's header speaks of".into(),
        });
    }
}

/// Bytes of a damaged record, if its length can be believed because another record follows it, or
/// the end of the frame.
fn skip(salt: u32, bytes: &[u8]) -> Option<usize> {
    let length = RecordHeader::peek(bytes)?.record_bytes();
    let rest = bytes.get(length..)?;
    (rest.is_empty() || record::decode(salt, rest).is_some()).then_some(length)
}
