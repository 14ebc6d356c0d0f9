//! A journal and a snapshot store in memory, for tests and for state that may be lost.
//!
//! Both keep every promise of their ports, and both let a test decide what real ones leave to
//! chance: when an append becomes durable, how one fails, and what a crash leaves behind. Nothing
//! here survives the process.

mod cursor;
mod journal;
mod snapshots;
mod state;
mod stream;

pub use journal::MemoryJournal;
pub use snapshots::MemorySnapshots;
pub use state::AppendFault;
