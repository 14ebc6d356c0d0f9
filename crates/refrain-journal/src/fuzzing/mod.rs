//! The way for fuzzers to the parsers of stored bytes, without threads and without files.
//!
//! Compiled with the feature `fuzzing` only, hidden, and no part of what this crate promises. Each
//! function takes any bytes, and panics when a parser breaks its word: what it accepts it must write
//! back as it was.

mod format;
mod layout;
mod opening;
mod resealing;

pub use format::{
    block, directory, frame, mark, record, segment_header, segment_index, snapshot, stream_segment,
};
pub use layout::{Part, declaration_pages, layout};
pub use opening::{Kept, Refusal, open, read};
pub use resealing::{
    Draft, log, reseal, reseal_directory, reseal_index, reseal_record, reseal_stream_segment,
    segment_files,
};
