//! Suites that ask a backend for every promise of its port.
//!
//! A suite is a table of [`Check`]s, each of which gets an instance of the backend that holds
//! nothing, and proves one promise. `run_all` of a suite runs them all and panics with the promises
//! that were broken; a backend calls it from one short test. Whoever wants a test per promise runs
//! the checks of the table one by one.

mod check;
pub mod destination;
mod failure;
pub mod journal;
pub mod snapshots;

pub use check::{Broken, Check};
