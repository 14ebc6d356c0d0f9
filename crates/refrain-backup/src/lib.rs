//! Backups of Refrain's embedded journal: taken while it is written, checked, and put back.
//!
//! A [`Repository`] is a directory or an object store that only ever gains objects: pieces of files,
//! named by their SHA-256 digests, and one manifest per backup, written last. So a backup is there
//! whole or not at all, the next one stores only what is new, and nothing that was stored is
//! overwritten. A manifest says which journal it is of, how far it goes, which pieces its files are
//! made of, and, independent of any file, for each stream its positions and a digest over its
//! entries. Only the note that a backup was checked is written anew by each check.
//!
//! * [`create`] takes a backup; it refuses a damaged journal.
//! * [`verify`] reads one back as if it were a journal, without room for it on any disk.
//! * [`note`] says in the repository that it was whole; a [`BackupHold`] then keeps what the oldest such
//!   backup has not got.
//! * [`restore`] puts one back: aside, checked, and only then renamed to where it shall be.
//! * [`copy`] makes a new journal of the streams of another one, whatever their files are.
//! * [`mend`] proves that segments of a backup can take the place of damaged ones.
//!
//! Against damage, mixing and files gone astray everything is checked by digests. Against somebody
//! who rewrites the whole repository nothing is: its digests have no key.
//!
//! # The feature `aws`
//!
//! It brings S3 and what speaks like it, through `reqwest` with its feature `rustls-no-provider`. Features of
//! a crate hold for all of a program: another user of `reqwest` in the same build, the program itself
//! included, then gets a TLS without a provider of cryptography as well, and its first client panics with
//! "No rustls crypto provider is configured" unless one was installed. [`Repository::open`] installs ring's
//! for an `s3://` place, if there is none yet. A program that makes clients before that, or opens no such
//! place, installs one first thing: `rustls::crypto::ring::default_provider().install_default()`, with
//! `rustls` among its dependencies.

mod aside;
mod copy;
mod create;
mod digest;
mod error;
mod held_files;
mod hold;
mod manifest;
mod mend;
mod note;
mod piece_disk;
mod repository;
mod restore;
mod seen;
mod streams;
mod verify;

use std::sync::Arc;

pub use copy::{Copied, copy};
pub use create::{Created, Source, create};
pub use digest::{StreamDigest, StreamDigests};
pub use error::BackupError;
pub use hold::BackupHold;
pub use manifest::{BackupId, FileRecord, FileSort, Manifest, Piece};
pub use mend::{Mend, mend};
pub use note::{Check, Standing, Verification, note};
pub use repository::Repository;
pub use restore::{Restored, Target, restore};
pub use streams::StreamRecord;
pub use verify::{Verified, verify};

/// Told how far long work is: bytes that are done, of so many.
pub type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// Tells nobody.
#[must_use]
pub fn silent() -> Progress {
    Arc::new(|_, _| {})
}
