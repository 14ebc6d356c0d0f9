//! The command line as its users meet it: the real binary, on real directories.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod backup;
mod compact;
mod copy;
mod errors;
mod guide;
mod help;
mod hold;
mod killed;
mod look;
mod repair;
mod s3;
mod support;
mod verify;
