//! The embedded journal of Refrain: segments in a directory, and a journal in memory for tests.

mod memory;

pub use memory::{AppendFault, MemoryJournal, MemorySnapshots};
