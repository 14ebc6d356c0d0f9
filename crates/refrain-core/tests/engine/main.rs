//! The engine in virtual time: several processors, their journals, scripted destinations, and a
//! crash at any point. `world` holds the machinery and what it checks at every step; the other
//! files hold the promises, one file for each part of the engine.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on panics, whatever it met"
)]

mod world;

mod backlog;
mod composition;
mod control;
mod default_channel;
mod door;
mod handling;
mod parking;
mod random;
mod recovery;
mod redelivery;
mod redirect;
mod reliable;
mod request_reply;
mod restored;
mod snapshot;
mod timer;
