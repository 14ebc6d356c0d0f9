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
mod fenced;
mod first_page;
mod lifecycle;
mod orders;
mod overload;
mod recovery;
mod relay;
mod retention;
mod service;
mod snapshots;
mod storm;
mod till;
mod waiting;
