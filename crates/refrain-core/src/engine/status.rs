//! What people and the admin API see of a processor's channels.

use std::time::Duration;

use super::Engine;
use super::lane::Activity;
use crate::channel::ChannelKind;
use crate::entry::StopReason;
use crate::ledger::SetAside;
use crate::name::Name;
use crate::processor::Processor;
use crate::time::Timestamp;

/// One channel as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelStatus {
    /// Its name.
    pub name: Name,
    /// What it does with what is sent through it.
    pub kind: ChannelKind,
    /// Whether it delivers.
    pub state: ChannelState,
    /// Deliveries without a settlement.
    pub pending: u64,
    /// Attempts under way.
    pub in_flight: usize,
    /// Attempts made since the processor started.
    pub attempts: u64,
    /// Activations that were used up since the last success.
    pub restarts: u32,
    /// Deliveries that were set aside and wait for `deliver`.
    pub parked: usize,
    /// Deliveries that may have reached another destination before a switch, and wait.
    pub in_doubt: usize,
    /// Outcomes that came after their delivery was settled, since the processor started.
    pub late_outcomes: u64,
    /// The destination that the channel was redirected to, if it was.
    pub destination: Option<Name>,
}

/// Whether a channel delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelState {
    /// It delivers.
    Active,
    /// A delivery used up an activation; the next one begins after this time.
    Restarting(Duration),
    /// It waits for `deliver`.
    Stopped(StopReason),
}

impl<P: Processor> Engine<P> {
    /// Every channel as it stands at `now`.
    pub fn channels(&self, now: Timestamp) -> Vec<ChannelStatus> {
        let status = |(lane, recorded): (&super::Lane, &crate::ledger::Channel)| ChannelStatus {
            name: recorded.name.clone(),
            kind: lane.kind,
            state: match lane.activity {
                Activity::Active => ChannelState::Active,
                Activity::RestartingUntil(until) => ChannelState::Restarting(until.since(now)),
                Activity::Stopped(reason) => ChannelState::Stopped(reason),
            },
            pending: recorded.open_count(),
            in_flight: lane.in_flight.len(),
            attempts: lane.counts.attempts,
            restarts: recorded.restarts,
            parked: recorded.count_set_aside(SetAside::Parked),
            in_doubt: recorded.count_set_aside(SetAside::InDoubt),
            late_outcomes: lane.counts.late,
            destination: recorded.destination.clone(),
        };
        self.lanes
            .iter()
            .zip(&self.ledger.channels)
            .map(status)
            .collect()
    }
}
