//! What the application or an operator wants of a channel.

use super::lane::Activity;
use super::release::Release;
use super::{Command, Engine, Moment, Signal};
use crate::channel::SideEffects;
use crate::entry::{Actor, InDoubt, Move};
use crate::id::Name;
use crate::ledger::SetAside;
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
        let parked: Vec<u64> = self.ledger.channels[place]
            .open
            .iter()
            .filter(|(_, open)| open.progress.set_aside == Some(SetAside::Parked))
            .map(|(number, _)| *number)
            .collect();
        let lane = &mut self.lanes[place];
        if lane.activity == Activity::Active && parked.is_empty() {
            return;
        }
        lane.activity = Activity::Active;
        lane.due = lane
            .due
            .iter()
            .map(|(due, number)| (*due.min(&moment.now), *number))
            .collect();
        let gate = self.record(moment.now, channel, by, Move::Delivering);
        for number in parked {
            self.record(moment.now, channel, by, Move::Released { number });
            self.schedule(moment, channel, number, gate);
        }
        let recorded = &self.ledger.channels[place];
        let (channel, pending) = (recorded.name.clone(), recorded.open_count);
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
    fn line_up_anew(&mut self, moment: Moment, channel: u16, gate: crate::id::Position) {
        let place = usize::from(channel);
        let lane = &mut self.lanes[place];
        lane.fresh.clear();
        lane.due.clear();
        lane.announced.clear();
        lane.busy_keys.clear();
        let open = &self.ledger.channels[place].open;
        let under_way: Vec<(u64, Option<u64>)> = lane
            .in_flight
            .keys()
            .filter_map(|number| Some((*number, open.get(number)?.order_key)))
            .collect();
        for (number, key) in &under_way {
            lane.enter_key(*number, *key);
        }
        let waiting: Vec<u64> = open
            .keys()
            .copied()
            .filter(|number| !lane.in_flight.contains_key(number))
            .filter(|number| !lane.confirmed.contains(number))
            .collect();
        for number in waiting {
            self.schedule(moment, channel, number, gate);
        }
    }
}
