//! The runtime's promises, each under the number that `docs/behaviours.md` gives it.
//!
//! Time is tokio's paused clock: a wait of an hour takes none. One binary, so that it links once.

#![allow(clippy::unwrap_used, reason = "this is test code")]
#![allow(dead_code, reason = "more tests follow")]

mod containment;
mod desk;
mod durability;
mod first_page;
mod orders;
mod till;
mod waiting;
