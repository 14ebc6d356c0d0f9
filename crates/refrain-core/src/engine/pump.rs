//! Which attempts start now: first attempts, redeliveries, timers that are due, and what is read
//! again from the journal for them.

use super::lane::{Activity, Loading, Turn};
use super::release::Release;
use super::{Effect, Engine, Moment, Signal};
use crate::channel::ChannelKind;
use crate::entry::{Actor, Entry, Move};
use crate::id::Position;
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
            if self.spoiled.is_some() {
                return;
            }
        }
    }

    fn pump_channel(&mut self, moment: Moment, channel: u16) {
        let place = usize::from(channel);
        if let Activity::RestartingUntil(until) = self.lanes[place].activity
            && until <= moment.now
        {
            self.lanes[place].activity = Activity::Active;
        }
        while self.spoiled.is_none() {
            let lane = &mut self.lanes[place];
            if let Some(number) = lane.due_now(moment.now) {
                lane.due.pop_first();
                self.on_due(moment, channel, number);
            } else if let Some(number) = lane.take_fresh(&self.ledger.channels[place], self.durable)
            {
                self.start(moment, channel, number, 1);
            } else {
                break;
            }
        }
        self.load(channel);
    }

    /// Lines up an open delivery that no writer has settled: where, its recorded progress says.
    /// `gate` must be durable before a first attempt.
    pub(super) fn schedule(&mut self, moment: Moment, channel: u16, number: u64, gate: Position) {
        let place = usize::from(channel);
        let Some(open) = self.ledger.channels[place].open.get(&number) else {
            return;
        };
        if open.progress.set_aside.is_some() {
            return;
        }
        if self.lanes[place].enter_key(number, open.order_key) == Turn::Now {
            self.line_up(moment, channel, number, gate);
        }
    }

    /// As [`Engine::schedule`], for a delivery that has its order key already.
    pub(super) fn line_up(&mut self, moment: Moment, channel: u16, number: u64, gate: Position) {
        let place = usize::from(channel);
        let (recorded, lane) = (&self.ledger.channels[place], &mut self.lanes[place]);
        let open = recorded
            .open
            .get(&number)
            .expect("only open deliveries are lined up");
        let progress = open.progress;
        let due = match (lane.kind, progress.failed_at) {
            (ChannelKind::Timer, _) => open.due,
            (ChannelKind::Reliable | ChannelKind::RequestReply, Some(failed_at)) => {
                let delay = lane.options.redelivery.redelivery_delay;
                Some(failed_at + delay.after(progress.tries, moment.seed))
            }
            (ChannelKind::Default, Some(_)) => Some(moment.now),
            (_, None) if progress.attempt > 0 || number <= lane.doubtful_up_to => Some(moment.now),
            (_, None) => None,
        };
        match due {
            Some(due) => _ = lane.due.insert((due, number)),
            None => lane.fresh.push_back((number, gate)),
        }
    }

    /// The delivery behind a settled one of the same order key has its turn. It waits until that
    /// settlement is durable, so that a crash cannot turn the order round.
    pub(super) fn next_of_key(&mut self, moment: Moment, channel: u16, key: Option<u64>) {
        let gate = self.head();
        let place = usize::from(channel);
        while let Some(number) = self.lanes[place].leave_key(key) {
            let open = self.ledger.channels[place].open.get(&number);
            if open.is_some_and(|open| open.progress.set_aside.is_none()) {
                // The key stays occupied, by this one now.
                self.line_up(moment, channel, number, gate);
                return;
            }
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
        self.record(
            moment.now,
            channel,
            Actor::Policy,
            Move::Redelivering { number, attempt },
        );
        self.lanes[place].announced.insert(number);
        self.gate(Release::Start {
            channel,
            number,
            attempt,
        });
    }

    /// A delivery failed as often as one activation allows: the channel restarts later, or stops.
    fn on_used_up(&mut self, moment: Moment, channel: u16, number: u64) {
        let place = usize::from(channel);
        let redelivery = &self.lanes[place].options.redelivery;
        if self.ledger.channels[place].restarts < redelivery.restart_max {
            let until = moment.now + redelivery.restart_delay;
            self.record(
                moment.now,
                channel,
                Actor::Policy,
                Move::Restarting { number },
            );
            self.lanes[place].activity = Activity::RestartingUntil(until);
        } else {
            let reason = self.lanes[place].last_failure;
            self.record(
                moment.now,
                channel,
                Actor::Policy,
                Move::Stopped { number, reason },
            );
            self.lanes[place].activity = Activity::Stopped(reason);
            let recorded = &self.ledger.channels[place];
            let (channel, pending) = (recorded.name.clone(), recorded.open_count);
            self.gate(Release::Announce(Signal::DeliveryStopped {
                channel,
                reason,
                pending,
            }));
        }
        self.lanes[place].due.insert((moment.now, number));
    }

    /// The entry of a redelivery is durable.
    pub(super) fn start_again(&mut self, moment: Moment, channel: u16, number: u64, attempt: u32) {
        let lane = &mut self.lanes[usize::from(channel)];
        if !lane.announced.remove(&number) {
            return;
        }
        if lane.activity == Activity::Active {
            self.start(moment, channel, number, attempt);
        } else {
            lane.due.insert((moment.now, number));
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
        let delivery = Delivery {
            sender: self.settings.name.clone(),
            channel: P::CHANNELS[route].name(),
            number,
            settled_below: recorded.settled_below(),
            key: open.key,
            attempt,
            epoch: self.epoch,
            deadline: moment.now + timeout,
            timeout,
            correlation: open.correlation,
            causation: open.causation,
            encoding: open.encoding,
            request: open.payload.clone(),
        };
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
        let place = usize::from(channel);
        self.lanes[place].loading = Loading::Idle;
        for (position, entry) in entries.iter().flat_map(Chunk::entries) {
            let recorded = &mut self.ledger.channels[place];
            let Some(backlog) = &mut recorded.backlog else {
                return;
            };
            if backlog.from.is_none_or(|from| position < from) {
                continue;
            }
            let step = match Entry::decode(entry).expect("these entries were folded before") {
                Entry::Step(step) => step,
                Entry::Begun(_) | Entry::ChannelMoved(_) => {
                    backlog.from = Some(position.next());
                    continue;
                }
            };
            let loaded = recorded
                .load(position, &step, channel)
                .expect("folded before");
            let is_full = recorded
                .backlog
                .as_ref()
                .is_some_and(|left| left.from == Some(position));
            for number in loaded {
                self.schedule(moment, channel, number, position);
            }
            if is_full {
                return;
            }
        }
    }
}
