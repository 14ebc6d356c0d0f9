//! The command line as its users meet it: the real binary, on real directories.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod backup;
mod copy;
mod guide;
mod look;
mod repair;
mod support;
mod verify;
