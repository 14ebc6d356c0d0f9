//! Conformance suites and test doubles for those who build on Refrain.
//!
//! * [`conformance`] asks a backend for every promise of its port, one named check each.
//! * [`ScriptedDestination`] is a destination that does what a test tells it, call by call.
//!
//! Nothing here needs a particular async runtime.

mod alarm;
pub mod conformance;
mod destination;
mod poll;

pub use destination::{Act, ScriptedDestination};
