//! Channels: the reliable paths from a processor to its destinations.

mod policy;
mod route;

pub use policy::{
    Activation, ChannelOptions, Delay, Order, PolicyError, RedeliveryPolicy, SideEffects,
};
pub(crate) use route::sealed::{Came, Unreadable};
pub use route::{
    ChannelKind, Channels, OneWay, OutcomeHandler, RequestReply, Route, Timer, TimerHandler,
};
