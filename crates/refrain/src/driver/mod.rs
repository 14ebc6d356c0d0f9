//! The driver of one processor: the impure loop round its engine.
//!
//! It drains the inbox in batches, passes everything to the engine, submits what the engine wants
//! appended, and performs the engine's effects. It owns every task that it starts.

mod appender;
mod callers;
mod courier;
mod effects;
mod inbox;
mod snapshots;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use refrain_core::limit::{BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, WINDOW_MAX};
use refrain_core::port::destination::Destination;
use refrain_core::port::journal::{AppendError, RejectReason};
use refrain_core::{
    AskError, Engine, EngineSettings, Input, Moment, Name, Position, Processor, Ticket,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::progress::Progress;
use crate::recover::{RecoverError, Source};
use crate::runtime::Stage;
use crate::signal::{Signal, Signals};
use crate::snapshot_policy::SnapshotPolicy;

use appender::Appender;
use callers::{Callers, Waiting};
use courier::Errand;
pub(crate) use inbox::{Control, Look, TellSeen, Told, Work};

/// Work that is taken from the inbox at once.
const DRAIN_MAX: usize = 1024;

/// Where a channel's deliveries go.
#[derive(Clone)]
pub(crate) struct Outlet {
    pub(crate) main: Arc<dyn Destination>,
    pub(crate) others: HashMap<Name, Arc<dyn Destination>>,
}

/// All that a driver is made of.
pub(crate) struct Parts<P: Processor> {
    pub(crate) settings: EngineSettings,
    pub(crate) source: Source<P>,
    pub(crate) outlets: HashMap<&'static str, Outlet>,
    pub(crate) snapshots: SnapshotPolicy,
    pub(crate) clock: Clock,
    pub(crate) signals: Signals,
    pub(crate) progress: Arc<Progress>,
    pub(crate) permits: Arc<tokio::sync::Semaphore>,
    pub(crate) work: mpsc::Receiver<Work<P>>,
    pub(crate) control: mpsc::Receiver<Control<P>>,
    pub(crate) control_sender: mpsc::Sender<Control<P>>,
    pub(crate) stage: watch::Sender<Stage>,
}

/// Why a driver ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    Drained,
    Halted(String),
}

struct Driver<P: Processor> {
    engine: Engine<P>,
    appender: Appender,
    callers: Callers<P>,
    /// Taken from the inbox and not handled yet, because appends must catch up first.
    taken: VecDeque<Taken<P>>,
    couriers: HashMap<u16, mpsc::Sender<Errand>>,
    tasks: JoinSet<()>,
    snapshots: snapshots::Snapshotting,
    /// Effects on their way; a buffer that is used again.
    effects: Vec<refrain_core::Effect<P>>,
    /// Attempts that couriers make.
    under_way: usize,
    /// Attempts that ended before they began.
    early: Vec<inbox::Ended>,
    /// Why the processor cannot go on, found out by a task of this driver.
    trouble: Option<String>,
    chance: SmallRng,
    is_draining: bool,
    parts: Parts<P>,
}

/// One piece of work.
enum Taken<P: Processor> {
    Message {
        id: refrain_core::MessageId,
        message: P::Message,
        waiting: Option<Waiting<P>>,
    },
    Look(Look<P>),
}

/// What interrupts a driver's loop.
enum Interruption {
    Append(AppendError),
    Spoiled,
    Trouble(String),
}

/// Recovers the processor and runs it until it is drained or halts.
pub(crate) async fn run<P>(parts: Parts<P>) -> Ending
where
    P: Processor + Clone + Serialize + DeserializeOwned + Sync,
{
    let name = parts.settings.name.clone();
    let signals = parts.signals.clone();
    let ending = match Driver::start(parts).await {
        Ok(mut driver) => driver.run().await,
        Err(error) => Ending::Halted(crate::error::chain(&error)),
    };
    if let Ending::Halted(reason) = &ending {
        tracing::error!(processor = %name, %reason, "processor halted");
        signals.tell(Signal::ProcessorHalted {
            processor: name,
            reason: reason.clone(),
        });
    }
    ending
}

impl<P> Driver<P>
where
    P: Processor + Clone + Serialize + DeserializeOwned + Sync,
{
    async fn start(parts: Parts<P>) -> Result<Driver<P>, RecoverError> {
        let (engine, durable) = recover(&parts).await?;
        let appender = Appender::new(parts.source.journal.clone(), parts.settings.name.clone());
        let mut driver = Driver {
            snapshots: snapshots::Snapshotting::new(engine.head()),
            engine,
            appender,
            callers: Callers::new(),
            taken: VecDeque::new(),
            couriers: HashMap::new(),
            tasks: JoinSet::new(),
            chance: SmallRng::from_rng(&mut rand::rng()),
            effects: Vec::new(),
            under_way: 0,
            early: Vec::new(),
            trouble: None,
            is_draining: false,
            parts,
        };
        driver.input(Input::Durable(durable));
        driver.parts.stage.send_replace(Stage::Running);
        Ok(driver)
    }

    fn moment(&mut self) -> Moment {
        Moment {
            now: self.parts.clock.now(),
            seed: self.chance.next_u64(),
        }
    }

    fn input(&mut self, input: Input<P>) {
        let moment = self.moment();
        self.engine.step(moment, input);
    }

    async fn run(&mut self) -> Ending {
        loop {
            self.perform_effects();
            let early = std::mem::take(&mut self.early);
            if !early.is_empty() {
                self.control(Control::Ended(early));
            }
            self.submit();
            if self.is_done() {
                return Ending::Drained;
            }
            if let Err(interruption) = self.round().await
                && let Err(reason) = self.rebuild(interruption).await
            {
                self.callers.fail(|_| AskError::NotRunning {
                    processor: self.parts.settings.name.clone(),
                    reason: reason.clone(),
                });
                return Ending::Halted(reason);
            }
        }
    }

    /// Whether everything in flight is finished, after a drain was asked for.
    fn is_done(&self) -> bool {
        self.is_draining
            && self.taken.is_empty()
            && self.parts.work.is_empty()
            && self.appender.is_idle()
            && self.engine.is_settled()
            && self.under_way == 0
    }

    /// Waits for something to happen, and handles it.
    async fn round(&mut self) -> Result<(), Interruption> {
        if !self.appender.is_idle() {
            // While an append is under way more messages may come: let them, so that they share one.
            tokio::task::yield_now().await;
        }
        let wants_work = self.taken.is_empty() && self.has_room();
        let due = if self.is_draining {
            None
        } else {
            self.engine.next_due()
        };
        let mut work = Vec::new();
        let mut control = Vec::new();
        tokio::select! {
            appended = self.appender.next() => {
                let position = appended.map_err(Interruption::Append)?;
                self.input(Input::Durable(position));
            }
            _ = self.parts.control.recv_many(&mut control, DRAIN_MAX) => {}
            count = self.parts.work.recv_many(&mut work, DRAIN_MAX), if wants_work => {
                // Every handle is gone, and with them all who could want anything but what is owed.
                self.is_draining |= count == 0;
            }
            () = self.parts.clock.until(due) => self.input(Input::Tick),
        }
        for control in control {
            self.control(control);
        }
        for work in work {
            self.take(work);
        }
        self.handle_taken();
        self.check()
    }

    /// Whether the engine may collect more: what is pending fits the next append.
    fn has_room(&self) -> bool {
        let (entries, bytes) = self.engine.pending();
        entries < BATCH_ENTRIES_MAX && bytes < BATCH_BYTES_MAX / 2
    }

    fn check(&mut self) -> Result<(), Interruption> {
        if let Some(trouble) = self.trouble.take() {
            return Err(Interruption::Trouble(trouble));
        }
        match self.engine.spoiled() {
            Some(_) => Err(Interruption::Spoiled),
            None => Ok(()),
        }
    }

    fn submit(&mut self) {
        if self.appender.has_room()
            && let Some((at, batch)) = self.engine.take_batch(self.parts.clock.now())
        {
            self.appender.submit(at, batch);
        }
        self.snapshot_if_due();
    }

    fn take(&mut self, work: Work<P>) {
        match work {
            Work::Message { id, message, reply } => {
                let waiting = reply.map(Waiting::One);
                self.taken.push_back(Taken::Message {
                    id,
                    message,
                    waiting,
                });
            }
            Work::Batch {
                messages,
                reply: None,
            } => {
                let taken = |(id, message)| Taken::Message {
                    id,
                    message,
                    waiting: None,
                };
                self.taken.extend(messages.into_iter().map(taken));
            }
            Work::Batch {
                messages,
                reply: Some(reply),
            } => {
                let group = self.callers.group(messages.len(), reply);
                for (place, (id, message)) in messages.into_iter().enumerate() {
                    let waiting = Some(Waiting::OneOf { group, place });
                    self.taken.push_back(Taken::Message {
                        id,
                        message,
                        waiting,
                    });
                }
            }
            Work::Look(look) => self.taken.push_back(Taken::Look(look)),
        }
    }

    /// Handles what was taken from the inbox, as far as the next append has room.
    fn handle_taken(&mut self) {
        let now = self.parts.clock.now();
        while self.has_room() && self.engine.spoiled().is_none() {
            let Some(taken) = self.taken.pop_front() else {
                return;
            };
            let moment = Moment {
                now,
                seed: self.chance.next_u64(),
            };
            let input = match taken {
                Taken::Message {
                    id,
                    message,
                    waiting,
                } => {
                    let ticket = waiting.map(|waiting| self.callers.asked(&id, waiting));
                    Input::Message {
                        id,
                        message,
                        ticket,
                    }
                }
                Taken::Look(look) => Input::Looked {
                    ticket: self.look(look),
                },
            };
            self.engine.step(moment, input);
        }
    }

    fn look(&mut self, look: Look<P>) -> Ticket {
        let tell = look(self.engine.state(), self.engine.head());
        self.callers.looked(tell)
    }

    fn control(&mut self, control: Control<P>) {
        match control {
            Control::Ended(ended) => {
                self.under_way -= ended.len();
                for ended in ended {
                    let inbox::Ended {
                        channel,
                        number,
                        attempt,
                        attempted,
                    } = ended;
                    if self.engine.spoiled().is_some() {
                        // The rebuilt engine finds the delivery in doubt and asks again.
                        return;
                    }
                    self.input(Input::Attempted {
                        channel,
                        number,
                        attempt,
                        ended: attempted,
                    });
                }
            }
            Control::Loaded { channel, entries } => self.loaded(channel, entries),
            Control::Recalled {
                waiting,
                id,
                answer,
            } => {
                self.callers.tell(waiting, effects::recalled(id, answer));
            }
            Control::SnapshotTaken(result) => self.snapshot_taken(result),
            Control::Channels(reply) => {
                _ = reply.send(self.engine.channels(self.parts.clock.now()));
            }
            Control::Command {
                channel,
                by,
                command,
                done,
            } => {
                if self.engine.spoiled().is_none() {
                    self.input(Input::Command {
                        channel,
                        by,
                        command,
                    });
                    _ = done.send(());
                }
            }
            Control::Snapshot(reply) => self.snapshots.want(reply),
            Control::Drain => {
                self.is_draining = true;
                self.parts.work.close();
            }
        }
    }

    /// Recovers from an append that failed or a state that cannot be trusted: what is durable is
    /// told, everybody else is told why not, and the state is rebuilt from the journal.
    ///
    /// # Errors
    /// The reason why the processor halts.
    async fn rebuild(&mut self, interruption: Interruption) -> Result<(), String> {
        let spoiled = match interruption {
            Interruption::Trouble(reason) => return Err(reason),
            Interruption::Spoiled => {
                self.settle().await?;
                self.engine.spoiled().map(|spoiled| spoiled.clone())
            }
            Interruption::Append(error) => {
                self.fail_callers(&error);
                if let AppendError::Fenced { .. } = error {
                    return Err(crate::error::chain(&error));
                }
                None
            }
        };
        let name = self.parts.settings.name.clone();
        tracing::warn!(processor = %name, "the state is rebuilt from the journal");
        self.appender = Appender::new(self.parts.source.journal.clone(), name);
        self.couriers.clear();
        let (engine, durable) = recover(&self.parts)
            .await
            .map_err(|error| crate::error::chain(&error))?;
        self.engine = engine;
        if let Some(spoiled) = spoiled {
            let moment = self.moment();
            self.engine.after_spoiled(moment, spoiled);
        }
        self.input(Input::Durable(durable));
        Ok(())
    }

    /// Appends what was recorded before the state was spoiled, and tells what that makes durable.
    async fn settle(&mut self) -> Result<(), String> {
        while !(self.engine.is_settled() && self.appender.is_idle()) {
            self.submit();
            match self.appender.next().await {
                Ok(position) => self.input(Input::Durable(position)),
                Err(error) => {
                    self.fail_callers(&error);
                    return Ok(());
                }
            }
        }
        self.perform_effects();
        Ok(())
    }

    fn fail_callers(&mut self, error: &AppendError) {
        tracing::error!(%error, "an append failed");
        let processor = &self.parts.settings.name;
        self.callers.fail(|id| match error {
            AppendError::Rejected {
                reason: RejectReason::Overloaded,
                ..
            } => AskError::Overloaded {
                processor: processor.clone(),
            },
            AppendError::Rejected { .. } | AppendError::Fenced { .. } => AskError::NotRecorded {
                id,
                cause: Box::new(error.clone()),
            },
            AppendError::Unknown { .. } | _ => AskError::Unknown {
                id,
                cause: Box::new(error.clone()),
            },
        });
    }
}

async fn recover<P>(parts: &Parts<P>) -> Result<(Engine<P>, Position), RecoverError>
where
    P: Processor + Clone + Serialize + DeserializeOwned,
{
    let permit = parts
        .permits
        .acquire()
        .await
        .expect("permits are never closed");
    let begun = parts
        .source
        .begin(&parts.settings, &parts.clock, &parts.progress)
        .await?;
    drop(permit);
    let status = parts.progress.status();
    let (processor, entries) = (parts.settings.name.clone(), status.entries);
    let position = begun.1.before();
    tracing::info!(%processor, entries, epoch = %begun.0.epoch(), "recovered");
    parts.signals.tell(Signal::Recovered {
        processor,
        entries,
        position,
    });
    Ok(begun)
}
