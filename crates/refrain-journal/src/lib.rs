//! The embedded journal of Refrain: segments in a directory, and a journal in memory for tests.
//!
//! [`FileJournal`] keeps named streams of entries in the files of one directory, for one writing
//! process at a time. An append is acknowledged when it survives a loss of power; what is not yet
//! durable is never shown. [`JournalReader`] reads the same directory from other processes, and
//! [`FileSnapshots`] keeps snapshots in another one.
//!
//! `docs/journal-format.md` describes every byte, and argues why no crash loses what was
//! acknowledged. [`Disk`] is the seam below which tests and simulations replace the file system.

mod buffers;
mod compaction;
mod completion;
mod cursor;
mod directory;
mod error;
mod format;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod growth;
mod held_directory;
mod index;
pub mod inspect;
mod journal;
mod keeper;
mod log;
mod log_index;
mod mark;
mod memory;
mod names;
mod new_directory;
mod open_segment;
mod options;
mod parts;
mod pending;
mod planted;
mod queue;
mod read_side;
mod reader;
mod readers;
mod reading;
mod recovery;
mod running;
mod scan;
mod sealed;
mod segment;
#[cfg(feature = "simulation")]
pub mod simulation;
mod snapshots;
mod source;
mod storage;
mod stream_segment;
mod sync;
mod tail;
mod threads;
mod tracker;
mod writer;

pub use compaction::CompactionProgress;
pub use error::{CompactError, OpenError};
pub use journal::FileJournal;
pub use memory::{AppendFault, MemoryJournal, MemorySnapshots};
pub use new_directory::make_lasting;
pub use options::JournalOptions;
pub use reader::JournalReader;
pub use snapshots::FileSnapshots;
pub use storage::{Access, Disk, DiskFile, DiskLock, FileSystem, read_exact_at};
