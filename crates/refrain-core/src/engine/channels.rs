//! What the application or an operator wants of a channel.

use super::lane::{Activity, Turn};
use super::release::Release;
use super::{Command, Engine, Moment, Signal};
use crate::channel::{ChannelKind, SideEffects};
use crate::entry::{Actor, InDoubt, Move};
use crate::id::Position;
use crate::ledger::SetAside;
use crate::name::Name;
use crate::processor::Processor;

impl<P: Processor> Engine<P> {
    /// A command for a channel that does not exist changes nothing: whoever gave it was refused by
    /// the runtime.
    pub(super) fn on_command(
        &mut self,
        moment: Moment,
        channel: &Name,
        by: Actor,
        command: Command,
    ) {
        let Some(number) = self.ledger.channel_number(channel.as_str()) else {
            return;
        };
        match command {
            Command::Deliver => self.deliver(moment, number, by),
            // Timers have no destination but the processor itself.
            Command::Redirect { .. }
                if self.lanes[usize::from(number)].kind == ChannelKind::Timer => {}
            Command::Redirect {
                destination,
                in_doubt,
            } => {
                self.redirect(moment, number, by, &destination, in_doubt);
            }
        }
    }

    fn deliver(&mut self, moment: Moment, channel: u16, by: Actor) {
        let place = usize::from(channel);
        let (recorded, lane) = (&self.ledger.channels[place], &mut self.lanes[place]);
        if lane.activity == Activity::Active && recorded.count_set_aside(SetAside::Parked) == 0 {
            return;
        }
        let parked: Vec<(u64, Option<u64>)> = recorded
            .open
            .iter()
            .filter(|(_, open)| open.is_parked())
            .map(|(number, open)| (*number, open.order_key))
            .collect();
        lane.activity = Activity::Active;
        if lane.kind != ChannelKind::Timer {
            lane.due.hasten(moment.now);
        }
        let gate = self.record(moment.now, channel, by, Move::Delivering);
        for (number, key) in parked {
            let lane = &self.lanes[place];
            if lane.turn(number, key) == Turn::Now && !lane.in_flight.contains_key(&number) {
                self.line_up(moment, channel, number, gate);
            }
        }
        let recorded = &self.ledger.channels[place];
        let (channel, pending) = (recorded.name.clone(), recorded.open_count());
        self.gate(Release::Announce(Signal::DeliveryResumed {
            channel,
            pending,
        }));
    }

    /// From now on the channel delivers elsewhere. What may have reached the destination before
    /// waits there, unless it is harmless to ask twice or somebody takes the responsibility.
    fn redirect(
        &mut self,
        moment: Moment,
        channel: u16,
        by: Actor,
        destination: &Name,
        in_doubt: InDoubt,
    ) {
        let place = usize::from(channel);
        let in_doubt = match self.lanes[place].options.side_effects {
            SideEffects::None => InDoubt::Move,
            SideEffects::Possible => in_doubt,
        };
        let what = Move::Redirected {
            destination: destination.as_str(),
            in_doubt,
        };
        let gate = self.record(moment.now, channel, by, what);
        self.line_up_anew(moment, channel, gate);
    }

    /// Lines every open delivery that is not under way up again, after what may be attempted has
    /// changed.
    fn line_up_anew(&mut self, moment: Moment, channel: u16, gate: Position) {
        let place = usize::from(channel);
        let (recorded, lane) = (&self.ledger.channels[place], &mut self.lanes[place]);
        lane.clear();
        let (mut under_way, mut waiting) = (Vec::new(), Vec::new());
        for (number, open) in recorded.open.iter().chain(&recorded.in_doubt) {
            if lane.in_flight.contains_key(number) || lane.confirmed.contains(number) {
                under_way.push((*number, open.order_key));
            } else if !lane.resting.contains(number) {
                waiting.push(*number);
            }
        }
        for (number, key) in under_way {
            lane.enter_key(number, key);
        }
        for number in waiting {
            self.schedule(moment, channel, number, gate);
        }
    }
}
