//! From replay to engine: a new epoch, and what is still owed.

use super::commit::Buffers;
use super::lane::{Activity, Lane};
use super::pending::Pending;
use super::{Engine, EngineSettings, Moment, Replay};
use crate::channel::{Activation, ChannelKind, ChannelOptions};
use crate::entry::{Begun, DeclaredChannel, StopReason};
use crate::id::Epoch;
use crate::ledger::{Ledger, STRICT, Status};
use crate::limit::CHANNELS_MAX;
use crate::name::Name;
use crate::outbox::Outbox;
use crate::processor::Processor;

/// Who begins to write.
#[derive(Debug, Clone)]
pub struct Writer {
    /// 128 random bits that name this writer.
    pub id: [u8; 16],
    /// 256 random bits, which become the stream's secret if it has none yet.
    pub secret: [u8; 32],
    /// The version of the code, for people.
    pub code_version: String,
}

impl<P: Processor> Engine<P> {
    /// Ends a replay and begins a new epoch. The first entry to append says so and fences every
    /// writer before; deliveries without a settlement are resumed once it is durable.
    ///
    /// # Panics
    /// When two of the processor's channels have one name, or a name that is none. More channels than
    /// [`CHANNELS_MAX`](crate::limit::CHANNELS_MAX) do not compile.
    pub fn begin(
        replay: Replay<P>,
        settings: EngineSettings,
        writer: &Writer,
        moment: Moment,
    ) -> Engine<P> {
        const { assert!(P::CHANNELS.len() <= CHANNELS_MAX, "too many channels") };
        let Replay { state, mut ledger } = replay;
        let now = moment.now.max(ledger.time);
        let lanes = lanes::<P>(&mut ledger, &settings);
        let begun = begun(&ledger, &lanes, writer, now);
        let mut pending = Pending::new(settings.entry_bytes_max);
        pending.push_with(|bytes| begun.encode(bytes));
        ledger
            .fold_begun(&begun)
            .expect("the engine records only what folds");
        let route_numbers = P::CHANNELS
            .iter()
            .map(|route| ledger.channel_number(route.name()).expect("declared above"))
            .collect();
        let mut engine = Engine {
            settings,
            epoch: begun.epoch,
            state,
            ledger,
            lanes,
            route_numbers,
            outbox: Outbox::new(),
            buffers: Buffers::default(),
            pending,
            durable: None,
            releases: std::collections::VecDeque::new(),
            effects: Vec::new(),
            spoiled: None,
        };
        engine.resume(Moment { now, ..moment });
        engine
    }

    /// Lines up every delivery without a settlement, and announces the channels that are stopped.
    fn resume(&mut self, moment: Moment) {
        for channel in self.channel_numbers() {
            let place = usize::from(channel);
            let (recorded, lane) = (&self.ledger.channels[place], &mut self.lanes[place]);
            lane.durable_highest = recorded.highest;
            lane.activity = activity(recorded.status, lane);
            let numbers: Vec<u64> = recorded.open.keys().copied().collect();
            if let Activity::Stopped(reason) = lane.activity {
                self.announce_stop(channel, reason);
            }
            let gate = self.head();
            for number in numbers {
                self.schedule(moment, channel, number, gate);
            }
        }
        self.pump(moment);
    }
}

fn activity(status: Status, lane: &Lane) -> Activity {
    match status {
        Status::Stopped(reason, _) => Activity::Stopped(reason),
        Status::Active | Status::Restarting(_)
            if lane.options.activation == Activation::ByApplication =>
        {
            Activity::Stopped(StopReason::NotActivated)
        }
        Status::Restarting(since) => {
            Activity::RestartingUntil(since + lane.options.redelivery.restart_delay)
        }
        Status::Active => Activity::Active,
    }
}

/// A lane for every channel that the stream or the code knows. New ones are added to the ledger.
fn lanes<P: Processor>(ledger: &mut Ledger, settings: &EngineSettings) -> Vec<Lane> {
    for (place, route) in P::CHANNELS.iter().enumerate() {
        let others = &P::CHANNELS[..place];
        assert!(
            others.iter().all(|other| other.name() != route.name()),
            "two channels are called {}",
            route.name()
        );
        if ledger.channel_number(route.name()).is_none() {
            let name = Name::new(route.name()).expect("names of channels were checked");
            ledger
                .channels
                .push(crate::ledger::Channel::new(name, STRICT));
        }
    }
    let lane = |channel: &crate::ledger::Channel| {
        let name = channel.name.as_str();
        let route = P::CHANNELS.iter().position(|route| route.name() == name);
        let kind = route.map_or(ChannelKind::Reliable, |route| P::CHANNELS[route].kind());
        let options = settings.channels.iter().find(|(of, _)| *of == name);
        let options = options.map_or_else(ChannelOptions::default, |(_, options)| options.clone());
        Lane::new(route, kind, options)
    };
    ledger.channels.iter().map(lane).collect()
}

fn begun(ledger: &Ledger, lanes: &[Lane], writer: &Writer, now: crate::time::Timestamp) -> Begun {
    let declare = |(channel, lane): (&crate::ledger::Channel, &Lane)| DeclaredChannel {
        name: channel.name.clone(),
        run_ahead: lane.run_ahead(),
    };
    let secret = if ledger.epoch.is_some() {
        *ledger.secret.bytes()
    } else {
        writer.secret
    };
    Begun {
        epoch: ledger.epoch.map_or(Epoch::FIRST, Epoch::next),
        time: now,
        writer: writer.id,
        secret,
        code_version: writer.code_version.clone(),
        channels: ledger.channels.iter().zip(lanes).map(declare).collect(),
    }
}
