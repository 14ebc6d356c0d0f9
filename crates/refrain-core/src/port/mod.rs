//! The traits that connect the engine with the outside. Anyone may implement them.

pub mod asks;
pub mod destination;
pub mod hold;
pub mod journal;
pub mod snapshots;

use std::future::Future;
use std::pin::Pin;

/// A boxed future, as the ports return it: a dynamic call is nothing beside a disk or a network.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
