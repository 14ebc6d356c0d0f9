//! Which attempts start now: first attempts, redeliveries, timers that are due, and what is read
//! again from the journal for them.

use super::lane::{Activity, Loading, Ready, Turn};
use super::release::Release;
use super::{Effect, Engine, Moment, Signal};
use crate::channel::ChannelKind;
use crate::entry::{Actor, Entry, Move, StopReason};
use crate::id::Position;
use crate::ledger::Room;
use crate::planted;
use crate::port::destination::Delivery;
use crate::port::journal::Chunk;
use crate::processor::Processor;

impl<P: Processor> Engine<P> {
    /// The numbers of all channels.
    pub(super) fn channel_numbers(&self) -> impl Iterator<Item = u16> + use<P> {
        0..u16::try_from(self.lanes.len()).expect("CHANNELS_MAX fits 16 bits")
    }

    /// Starts everything that may start.
    pub(super) fn pump(&mut self, moment: Moment) {
        for channel in self.channel_numbers() {
            self.pump_channel(moment, channel);
        }
    }

    fn pump_channel(&mut self, moment: Moment, channel: u16) {
        let place = usize::from(channel);
        if let Activity::RestartingUntil(until) = self.lanes[place].activity
            && until <= moment.now
        {
            self.lanes[place].activity = Activity::Active;
        }
        if self.lanes[place].kind == ChannelKind::Timer {
            self.look_at_timers(channel);
        }
        while self.spoiled.is_none() && !self.pending.is_full() {
            let (recorded, lane) = (&self.ledger.channels[place], &mut self.lanes[place]);
            match lane.ready(recorded, self.durable, moment.now) {
                Some(Ready::Due(number)) => {
                    lane.due.remove(number);
                    self.on_due(moment, channel, number);
                }
                Some(Ready::Fresh(number)) => {
                    lane.fresh.remove(&number);
                    self.start(moment, channel, number, 1);
                }
                Some(Ready::FarAhead(number)) => {
                    lane.fresh.remove(&number);
                    self.announce(moment, channel, number, 1);
                }
                None => break,
            }
        }
        self.load(channel);
        self.stop_if_clogged(moment, channel);
    }

    /// Timers whose entry is durable come due by their time.
    fn look_at_timers(&mut self, channel: u16) {
        let place = usize::from(channel);
        let (recorded, lane) = (&self.ledger.channels[place], &mut self.lanes[place]);
        while let Some(first) = lane.fresh.first_entry()
            && self.durable >= Some(*first.get())
        {
            let number = first.remove_entry().0;
            if let Some(due) = recorded.open.get(&number).and_then(|open| open.due) {
                lane.due.set(number, due);
            }
        }
    }

    /// Lines up an open delivery: where, its recorded progress says. `gate` must be durable before a
    /// first attempt.
    pub(super) fn schedule(&mut self, moment: Moment, channel: u16, number: u64, gate: Position) {
        let place = usize::from(channel);
        let Some(open) = self.ledger.channels[place].open.get(&number) else {
            return;
        };
        let turn = self.lanes[place].enter_key(number, open.order_key);
        if turn == Turn::Now && !open.is_parked() {
            self.line_up(moment, channel, number, gate);
        }
    }

    /// As [`Engine::schedule`], for a delivery that has its order key already.
    pub(super) fn line_up(&mut self, moment: Moment, channel: u16, number: u64, gate: Position) {
        let place = usize::from(channel);
        let (recorded, lane) = (&self.ledger.channels[place], &mut self.lanes[place]);
        let progress = recorded.open[&number].progress;
        let is_doubtful = number <= recorded.doubtful_up_to && !planted::is("doubt-forgotten");
        let may_have_been_sent = progress.attempt > 0 || is_doubtful;
        let due = match (lane.kind, progress.failed_at) {
            (ChannelKind::Timer, _) => None,
            (ChannelKind::Reliable | ChannelKind::RequestReply, Some(failed_at)) => {
                Some(failed_at + lane.delay(progress.tries, moment.seed, number))
            }
            (ChannelKind::Default, Some(_)) => Some(moment.now),
            (_, None) => may_have_been_sent.then_some(moment.now),
        };
        match due {
            Some(due) => lane.due.set(number, due),
            None => _ = lane.fresh.insert(number, gate),
        }
    }

    /// The delivery leaves the line of its order key, and the one behind it has its turn. That one
    /// waits until what happened to this one is durable, so that a crash cannot turn the order round.
    pub(super) fn next_of_key(
        &mut self,
        moment: Moment,
        channel: u16,
        number: u64,
        key: Option<u64>,
    ) {
        let mut gate = self.head();
        if planted::is("next-of-key-before-settled") {
            gate = Position::FIRST;
        }
        let place = usize::from(channel);
        let mut number = number;
        while let Some(next) = self.lanes[place].leave_key(number, key) {
            if let Some(open) = self.ledger.channels[place].open.get(&next) {
                // The key stays occupied, by this one now.
                if !open.is_parked() {
                    self.line_up(moment, channel, next, gate);
                }
                return;
            }
            number = next;
        }
    }

    fn on_due(&mut self, moment: Moment, channel: u16, number: u64) {
        let place = usize::from(channel);
        let (recorded, lane) = (&self.ledger.channels[place], &self.lanes[place]);
        let Some(open) = recorded.open.get(&number) else {
            return;
        };
        if lane.kind == ChannelKind::Timer {
            return self.on_timer(moment, channel, number);
        }
        if open.progress.tries > lane.options.redelivery.redelivery_max {
            return self.on_used_up(moment, channel, number);
        }
        // A first attempt has no entry, so one in doubt counts as made.
        let attempt = open.progress.attempt.max(1) + 1;
        self.announce(moment, channel, number, attempt);
    }

    /// Records an attempt; it starts once that is durable.
    fn announce(&mut self, moment: Moment, channel: u16, number: u64, attempt: u32) {
        let what = Move::Redelivering { number, attempt };
        self.record(moment.now, channel, Actor::Policy, what);
        if planted::is("redelivery-before-record") {
            return self.start(moment, channel, number, attempt);
        }
        self.lanes[usize::from(channel)].announced.insert(number);
        self.gate(Release::Start {
            channel,
            number,
            attempt,
        });
    }

    /// A delivery failed as often as one activation allows: the channel restarts later, or stops.
    fn on_used_up(&mut self, moment: Moment, channel: u16, number: u64) {
        let place = usize::from(channel);
        let (recorded, lane) = (&self.ledger.channels[place], &mut self.lanes[place]);
        lane.due.set(number, moment.now);
        let redelivery = &lane.options.redelivery;
        if recorded.restarts < redelivery.restart_max {
            lane.activity = Activity::RestartingUntil(moment.now + redelivery.restart_delay);
            let what = Move::Restarting { number };
            self.record(moment.now, channel, Actor::Policy, what);
        } else {
            let reason = recorded.last_failure;
            self.stop(moment, channel, number, reason);
        }
    }

    fn stop(&mut self, moment: Moment, channel: u16, number: u64, reason: StopReason) {
        let what = Move::Stopped { number, reason };
        self.record(moment.now, channel, Actor::Policy, what);
        self.lanes[usize::from(channel)].activity = Activity::Stopped(reason);
        self.announce_stop(channel, reason);
    }

    pub(super) fn announce_stop(&mut self, channel: u16, reason: StopReason) {
        let recorded = &self.ledger.channels[usize::from(channel)];
        let (channel, pending) = (recorded.name.clone(), recorded.open_count());
        self.gate(Release::Announce(Signal::DeliveryStopped {
            channel,
            reason,
            pending,
        }));
    }

    /// A channel that waits for a parked delivery alone says so: it stops.
    fn stop_if_clogged(&mut self, moment: Moment, channel: u16) {
        let place = usize::from(channel);
        let (recorded, lane) = (&self.ledger.channels[place], &self.lanes[place]);
        if lane.activity != Activity::Active {
            return;
        }
        let first = recorded.open.first_key_value();
        let is_blocked = lane.is_strict() && first.is_some_and(|(_, open)| open.is_parked());
        if let Some((number, _)) = first
            && (is_blocked || (lane.is_idle() && recorded.is_clogged()))
        {
            self.stop(moment, channel, *number, StopReason::Parked);
        }
    }

    /// The entry of an attempt is durable.
    pub(super) fn start_again(&mut self, moment: Moment, channel: u16, number: u64, attempt: u32) {
        let lane = &mut self.lanes[usize::from(channel)];
        lane.durable_highest = lane.durable_highest.max(number);
        if !lane.announced.remove(&number) {
            return;
        }
        if lane.activity == Activity::Active {
            self.start(moment, channel, number, attempt);
        } else {
            lane.due.set(number, moment.now);
        }
    }

    fn start(&mut self, moment: Moment, channel: u16, number: u64, attempt: u32) {
        let place = usize::from(channel);
        let (recorded, lane) = (&self.ledger.channels[place], &mut self.lanes[place]);
        let Some(open) = recorded.open.get(&number) else {
            return;
        };
        let route = lane.route.expect("a lane without a route has no slot");
        let timeout = lane.options.redelivery.attempt_timeout(lane.kind);
        lane.in_flight.insert(number, attempt);
        lane.counts.attempts += 1;
        let delivery = Box::new(Delivery {
            sender: self.settings.name.clone(),
            channel: P::CHANNELS[route].name(),
            number,
            settled_below: recorded.settled_below(),
            key: if planted::is("key-changes-on-redelivery") {
                let attempt = attempt.to_le_bytes();
                self.ledger.secret.key(&[open.key.bytes(), &attempt])
            } else {
                open.key
            },
            attempt,
            epoch: self.epoch,
            deadline: moment.now + timeout,
            timeout,
            correlation: open.correlation,
            causation: open.causation,
            encoding: open.encoding,
            request: open.payload.clone(),
        });
        let destination = recorded.destination.clone();
        self.effects.push(Effect::Deliver {
            channel,
            destination,
            delivery,
        });
    }

    /// Asks for the backlog's next entries when there is room for them and they are durable.
    fn load(&mut self, channel: u16) {
        let place = usize::from(channel);
        let (recorded, lane) = (&self.ledger.channels[place], &mut self.lanes[place]);
        let Some(from) = recorded.wants_loading() else {
            return;
        };
        if lane.loading == Loading::Idle && self.durable >= Some(from) {
            lane.loading = Loading::Asked;
            self.effects.push(Effect::Load { channel, from });
        }
    }

    pub(super) fn on_loaded(&mut self, moment: Moment, channel: u16, entries: Option<Chunk>) {
        self.take_loaded(moment, channel, entries);
        self.handle_early(moment, channel);
    }

    fn take_loaded(&mut self, moment: Moment, channel: u16, entries: Option<Chunk>) {
        let place = usize::from(channel);
        self.lanes[place].loading = Loading::Idle;
        let mut loaded = Vec::new();
        for (position, entry) in entries.iter().flat_map(Chunk::entries) {
            let recorded = &mut self.ledger.channels[place];
            let from = recorded.backlog.as_ref().map(|backlog| backlog.from);
            if from.is_none_or(|from| position < from) {
                continue;
            }
            let entry = Entry::decode(entry).expect("these entries were folded before");
            let Entry::Step(step) = entry else {
                recorded.passed(position);
                continue;
            };
            let room = recorded.load(position, &step, channel, &mut loaded);
            for number in loaded.drain(..) {
                self.schedule(moment, channel, number, position);
            }
            match room.expect("these entries were folded before") {
                Room::Left => {}
                Room::Full | Room::NoneWanted => return,
            }
        }
    }
}
