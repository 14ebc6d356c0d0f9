//! One processor in the world: its engine while it runs, its stream always.

use std::collections::{HashMap, HashSet};

use refrain_core::{
    ChannelOptions, Engine, EngineSettings, Moment, Name, Position, Remember, Replay, ReplayError,
    Spoiled, Writer,
};

use super::stream::{Stream, Which};
use super::{Fault, Tested};

pub(crate) struct Node<P: Tested> {
    pub(crate) settings: EngineSettings,
    pub(crate) engine: Option<Engine<P>>,
    pub(crate) stream: Stream,
    /// Engines that this node has had.
    pub(crate) incarnation: u64,
    /// Snapshots whose position was durable.
    pub(crate) snapshots: Vec<(Position, Vec<u8>)>,
    /// Snapshots whose position is not durable yet.
    pub(crate) pending_snapshots: Vec<(Position, Vec<u8>)>,
    /// The last attempt of each delivery that left, whatever engine sent it.
    pub(crate) attempts: HashMap<Which, u32>,
    /// Whether more is sent than a channel keeps in memory.
    pub(crate) has_backlog: bool,
    /// The last entry that something was told of.
    pub(crate) told_up_to: u64,
    /// Attempts of the present engine that were not heard of.
    pub(crate) under_way: HashSet<Which>,
}

impl<P: Tested> Node<P> {
    pub(crate) fn new(name: &str, channels: Vec<(&'static str, ChannelOptions)>) -> Node<P> {
        Node {
            settings: EngineSettings {
                name: Name::new(name).unwrap(),
                channels,
                entry_bytes_max: 8 * 1024 * 1024,
                remember: Remember::default(),
            },
            engine: None,
            stream: Stream::default(),
            incarnation: 0,
            snapshots: Vec::new(),
            pending_snapshots: Vec::new(),
            attempts: HashMap::new(),
            has_backlog: false,
            told_up_to: 0,
            under_way: HashSet::new(),
        }
    }

    pub(crate) fn engine(&mut self) -> &mut Engine<P> {
        self.engine.as_mut().expect("the node runs")
    }

    pub(crate) fn options(&self, channel: &str) -> ChannelOptions {
        let options = self.settings.channels.iter().find(|(of, _)| *of == channel);
        options.map(|(_, o)| o.clone()).unwrap_or_default()
    }

    /// Rebuilds from all entries that are there, from a snapshot if one is given.
    pub(crate) fn replay(
        &self,
        snapshot: Option<&[u8]>,
        fault: Option<Fault>,
    ) -> Result<Replay<P>, ReplayError> {
        let remember = match fault {
            Some(Fault::ForgetInbox) => Remember {
                count: 0,
                ..self.settings.remember
            },
            _ => self.settings.remember,
        };
        let mut replay = match snapshot {
            Some(snapshot) => Replay::from_snapshot(snapshot, remember, load::<P>).unwrap(),
            None => Replay::new(P::default(), remember),
        };
        let from = usize::try_from(replay.next().get() - 1).unwrap();
        let entries = self.stream.entries()[from..].iter();
        let middle = from + (self.stream.len() - from) / 2;
        for (index, entry) in (from..).zip(entries) {
            let times = match fault {
                Some(Fault::DropEntry) if index == middle => 0,
                Some(Fault::ReplayTwice) if index == middle => 2,
                _ => 1,
            };
            for _ in 0..times {
                replay.entry(replay.next(), entry)?;
            }
        }
        Ok(replay)
    }

    /// Begins a new epoch with what is left.
    pub(crate) fn start(
        &mut self,
        replay: Replay<P>,
        moment: Moment,
        spoiled: Option<Spoiled>,
        fault: Option<Fault>,
    ) {
        self.incarnation += 1;
        self.under_way.clear();
        let mut settings = self.settings.clone();
        if fault == Some(Fault::WiderWindow) {
            let wide = |(name, options): (_, ChannelOptions)| (name, options.unordered(64));
            settings.channels = settings.channels.into_iter().map(wide).collect();
        }
        let mut engine = Engine::begin(replay, settings, &self.writer(), moment);
        if let Some(spoiled) = spoiled {
            engine.after_spoiled(moment, spoiled);
        }
        self.engine = Some(engine);
    }

    pub(crate) fn writer(&self) -> Writer {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.incarnation.to_le_bytes());
        let name = self.settings.name.as_str().as_bytes();
        let mut secret = [0x5e; 32];
        secret[..name.len()].copy_from_slice(name);
        Writer {
            id,
            secret,
            code_version: "test".to_owned(),
        }
    }

    /// The state and ledger as one value to compare.
    pub(crate) fn image(&self) -> Vec<u8> {
        let engine = self.engine.as_ref().expect("the node runs");
        engine.image(save::<P>).unwrap()
    }
}

pub(crate) fn image<P: Tested>(replay: &Replay<P>) -> Vec<u8> {
    replay.image(save::<P>).unwrap()
}

pub(crate) fn save<P: Tested>(
    state: &P,
    into: &mut Vec<u8>,
) -> Result<(), refrain_core::CodecError> {
    P::ENCODING.encode(state, into)
}

fn load<P: Tested>(bytes: &[u8]) -> Result<P, refrain_core::CodecError> {
    P::ENCODING.decode(bytes)
}
