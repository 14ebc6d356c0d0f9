//! The record of a run: a hash of every operation, and their text when somebody will read it.

use std::collections::VecDeque;
use std::fmt::Write;

/// Lines that are kept.
const LINES_MAX: usize = 120;

/// What happened on the disk.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    hash: u64,
    lines: Option<VecDeque<String>>,
    length: u64,
}

/// One operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) thread: usize,
    pub(crate) op: &'a str,
    pub(crate) path: &'a str,
    pub(crate) offset: u64,
    pub(crate) len: u64,
    /// A checksum of the bytes.
    pub(crate) content: u32,
    pub(crate) outcome: &'a str,
}

impl Trace {
    /// A trace that keeps its last lines.
    #[must_use]
    pub fn with_lines() -> Trace {
        Trace {
            lines: Some(VecDeque::new()),
            ..Trace::default()
        }
    }

    /// The same for the same operations.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The last operations and remarks.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.iter().flatten().cloned().collect()
    }

    /// Adds a remark between operations.
    pub fn remark(&mut self, text: impl FnOnce() -> String) {
        if self.lines.is_some() {
            self.keep(text());
        }
    }

    pub(crate) fn add(&mut self, line: Line<'_>) {
        self.length += 1;
        for text in [line.op, line.path, line.outcome] {
            self.mix(u64::from(crc32c::crc32c(text.as_bytes())));
        }
        self.mix(line.thread as u64);
        self.mix(line.offset);
        self.mix(line.len << 32 | u64::from(line.content));
        if self.lines.is_some() {
            self.keep(text(self.length, &line));
        }
    }

    fn mix(&mut self, value: u64) {
        self.hash = (self.hash.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn keep(&mut self, line: String) {
        let lines = self.lines.get_or_insert_default();
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

fn text(number: u64, line: &Line<'_>) -> String {
    let Line {
        thread,
        op,
        path,
        offset,
        len,
        outcome,
        ..
    } = line;
    let mut text = format!("{number:>5} t{thread} {op:<8} {path}");
    if *len > 0 {
        write!(text, " {offset}+{len}").expect("a string takes everything");
    }
    if *outcome != "ok" {
        write!(text, " -> {outcome}").expect("a string takes everything");
    }
    text
}
