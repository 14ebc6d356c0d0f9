//! A log whose checksums and chains are right, and whose records say anything.

use refrain_journal::fuzzing::{self, Draft};

use super::directory::{Checksums, check};
use crate::disk::Files;
use crate::script::Script;

const SEGMENT_BYTES: u32 = 8192;

/// Bytes of a frame's header, and of a record's.
const FRAME_BYTES: usize = 40;
const RECORD_BYTES: usize = 24;

/// Bytes that frames have in a segment.
const ROOM_BYTES: usize = SEGMENT_BYTES as usize - 4096;

const SEGMENTS_MAX: usize = 4;

pub(super) fn run(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let marked = usize::from(script.u8());
    let mut log = Log::default();
    while !script.is_over() {
        match script.u8() % 8 {
            0 => log.end_frame(),
            1 => log.end_segment(),
            2 => {
                let (stream, position) = (script.u32(), script.u64());
                log.entry(stream, position, b"any");
            }
            3 => {
                let (kind, stream, position) = (script.u32(), script.u32(), script.u64());
                let length = usize::from(script.u8());
                log.record(kind, stream, position, script.bytes(length));
            }
            4 => {
                let (stream, first, next) = (script.u8(), script.u64(), script.u64());
                let name = [b'a' + script.u8() % 6];
                log.declaration(u32::from(stream), first, next, &name);
            }
            5 => {
                let stream = script.u8() % 4;
                log.declare(stream, u64::from(script.u8()));
            }
            _ => {
                let stream = script.u8() % 4;
                let length = usize::from(script.u8());
                log.append(stream, script.bytes(length));
            }
        }
    }
    log.end_segment();
    let files = fuzzing::log(&log.segments, SEGMENT_BYTES, marked);
    check(Files::of(files), Checksums::AsTheyAre);
}

/// A log as it grows, and where four streams in it are.
#[derive(Default)]
struct Log {
    segments: Vec<Vec<Vec<Draft>>>,
    frames: Vec<Vec<Draft>>,
    records: Vec<Draft>,
    used: usize,
    nexts: [u64; 4],
}

impl Log {
    /// The next entry of a stream.
    fn append(&mut self, stream: u8, body: &[u8]) {
        let next = &mut self.nexts[usize::from(stream)];
        *next += 1;
        let position = *next;
        self.entry(u32::from(stream), position, body);
    }

    /// A declaration of a stream as it is, with all below `first` forgotten.
    fn declare(&mut self, stream: u8, first: u64) {
        let next = self.nexts[usize::from(stream)] + 1;
        let name = [b'a' + stream];
        self.declaration(u32::from(stream), first.clamp(1, next), next, &name);
    }

    fn entry(&mut self, stream: u32, position: u64, body: &[u8]) {
        self.record(1, stream, position, body);
    }

    fn declaration(&mut self, stream: u32, first: u64, next: u64, name: &[u8]) {
        let body = [&first.to_le_bytes(), name].concat();
        self.record(2, stream, next, &body);
    }

    fn record(&mut self, kind: u32, stream: u32, position: u64, body: &[u8]) {
        let header = if self.records.is_empty() {
            FRAME_BYTES
        } else {
            0
        };
        let bytes = header + RECORD_BYTES + body.len();
        if self.used + bytes > ROOM_BYTES {
            return;
        }
        self.used += bytes;
        self.records.push(Draft {
            kind,
            stream,
            position,
            body: body.to_vec(),
        });
    }

    fn end_frame(&mut self) {
        if !self.records.is_empty() {
            self.frames.push(std::mem::take(&mut self.records));
        }
    }

    fn end_segment(&mut self) {
        self.end_frame();
        if self.segments.len() < SEGMENTS_MAX {
            self.segments.push(std::mem::take(&mut self.frames));
        }
        self.used = 0;
    }
}
