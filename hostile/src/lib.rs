//! Bytes that nobody of ours wrote.
//!
//! Every parser of stored or received bytes is total: any input gives a value or a typed refusal,
//! within bounds of memory and time. This crate holds what it takes to ask for that: the
//! [`TARGETS`] that a fuzzer drives and that the tests repeat over the committed corpus, a
//! [`disk`] in memory, and the [`damage`] of small journals, bit by bit and file by file.
//!
//! `docs/fuzzing.md` says how it is run.

pub mod allowance;
pub mod damage;
pub mod disk;
pub mod script;
pub mod seed;
pub mod specimen;
mod target;

pub use target::{TARGETS, Target, target};
