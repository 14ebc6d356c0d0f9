//! The runtime's promises, each under the number that `docs/behaviours.md` gives it.
//!
//! Time is tokio's paused clock: a wait of an hour takes none. One binary, so that it links once.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod batches;
mod channels;
mod containment;
mod cycle;
mod desk;
mod door;
mod durability;
mod faults;
mod fenced;
mod first_page;
mod lifecycle;
mod orders;
mod overload;
mod past;
mod recovery;
mod relay;
mod retention;
mod service;
mod snapshots;
mod storm;
#[path = "../../../refrain-journal/tests/support/mod.rs"]
mod support;
mod till;
mod waiting;
mod watched;
