//! The seeded world: a simulated disk, a reference model of the journal, and checkers that compare
//! them after every crash and recovery.
//!
//! A run is a function of its seed. [`plan::Plan`] says what a seed means, [`world::run`] carries it
//! out, [`model::Model`] holds what must be true. `docs/simulation.md` says what is simulated, what
//! is checked and what is not.

pub mod baton;
pub mod chance;
pub mod disk;
pub mod exhaustive;
mod life;
pub mod model;
pub mod nth;
pub mod order;
pub mod plan;
pub mod planted;
pub mod runner;
pub mod runtime;
pub mod shrink;
pub mod sometimes;
mod wait;
pub mod world;
