//! The driver of one processor: the impure loop round its engine.
//!
//! It drains the inbox in batches, passes everything to the engine, submits what the engine wants
//! appended, and performs the engine's effects. It owns every task that it starts. Whoever waits for
//! something is told, however the driver ends: drained, halted, or dropped in the middle.

mod appender;
mod arrivals;
mod attempts;
mod beginning;
mod callers;
mod courier;
mod effects;
mod inbox;
mod outlet;
mod reading;
mod rebuild;
mod recalls;
mod snapshots;
mod work;

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use refrain_core::port::journal::AppendError;
use refrain_core::{AskError, Engine, EngineSettings, Input, Moment, Processor, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::error::panic_text;
use crate::progress::Progress;
use crate::recover::Source;
use crate::retention::Retention;
use crate::signal::{Signal, Signals};
use crate::snapshot_policy::SnapshotPolicy;
use crate::stage::{Ending, Stage, StageTeller};

use appender::Appender;
use arrivals::Arrivals;
use beginning::Begun;
use callers::Callers;
use courier::Couriers;
pub(crate) use inbox::{Control, Inlets, TellSeen, Told, Work};
pub(crate) use outlet::{Outlet, Target};
use rebuild::Interruption;
use recalls::Recalls;
use snapshots::Snapshotting;
use work::TakenBatch;

/// All that a driver is made of.
pub(crate) struct Parts<P: Processor> {
    /// First, so that others hear that the processor is gone before its queues close.
    pub(crate) stage: StageTeller,
    pub(crate) settings: EngineSettings,
    pub(crate) source: Source<P>,
    pub(crate) retention: Arc<Retention<P>>,
    pub(crate) outlets: HashMap<&'static str, Outlet>,
    pub(crate) snapshots: SnapshotPolicy,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    pub(crate) signals: Signals,
    pub(crate) progress: Arc<Progress>,
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) drain: CancellationToken,
    pub(crate) inlets: Inlets<P>,
}

struct Driver<P: Processor> {
    engine: Engine<P>,
    appender: Appender,
    callers: Callers<P>,
    recalls: Recalls<P>,
    arrivals: Arrivals<P>,
    /// Taken from the inbox and not handled yet, because appends must catch up first.
    taken: VecDeque<Work<P>>,
    /// What is left of the batch that was taken out of `taken`.
    batch: Option<TakenBatch<P>>,
    /// The room of messages that were handled, in bytes, to be given back.
    room_back: u64,
    couriers: Couriers,
    snapshots: Snapshotting,
    tasks: JoinSet<()>,
    /// Effects on their way; a buffer that is used again.
    effects: Vec<refrain_core::Effect<P>>,
    /// Attempts that ended before they began.
    impossible: Vec<inbox::Ended>,
    /// Why the processor cannot go on, found out by a task of this driver.
    trouble: Option<String>,
    chance: SmallRng,
    /// When the present round began: the clock is asked once for all that came together.
    now: Timestamp,
    is_draining: bool,
    parts: Parts<P>,
}

/// Recovers the processor and runs it until it is drained or halts.
pub(crate) async fn run<P>(parts: Parts<P>)
where
    P: Processor + Clone + Serialize + DeserializeOwned + Sync,
{
    let begun = contained(beginning::begin(&parts, None)).await;
    let begun = begun.and_then(|begun| begun.map_err(|error| rebuild::ending(&error)));
    match begun {
        Err(ending) => end(&parts, ending),
        Ok(begun) => {
            let mut driver = Driver::new(parts, begun);
            let ran = contained(driver.run()).await;
            let ending = ran.unwrap_or_else(|ending| ending);
            end(&driver.parts, ending);
        }
    }
}

/// Tells how the processor ended, before its queues close.
fn end<P: Processor>(parts: &Parts<P>, ending: Ending) {
    let processor = parts.settings.name.clone();
    if let Ending::Halted(reason) = &ending {
        let reason = reason.clone();
        tracing::error!(%processor, reason, "processor halted");
        parts
            .signals
            .tell(Signal::ProcessorHalted { processor, reason });
    }
    parts.stage.end(ending);
}

/// What `work` gives. A panic in it halts this processor and no other.
async fn contained<T>(work: impl Future<Output = T>) -> Result<T, Ending> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .map_err(|panic| {
            let text = panic_text(&*panic);
            Ending::Halted(format!("a panic outside of handlers and `apply`: {text}"))
        })
}

fn announce_recovered<P: Processor>(parts: &Parts<P>, begun: &Begun<P>) {
    let (processor, entries) = (parts.settings.name.clone(), parts.progress.status().entries);
    tracing::info!(%processor, entries, epoch = %begun.engine.epoch(), "recovered");
    parts.signals.tell(Signal::Recovered {
        processor,
        entries,
        position: begun.durable.before(),
    });
}

impl<P> Driver<P>
where
    P: Processor + Clone + Serialize + DeserializeOwned + Sync,
{
    fn new(mut parts: Parts<P>, begun: Begun<P>) -> Driver<P> {
        announce_recovered(&parts, &begun);
        parts.clock = begun.clock;
        let (journal, name) = (parts.source.journal.clone(), parts.settings.name.clone());
        let appender = Appender::new(journal, name, parts.clock);
        let snapshot = parts.progress.status().snapshot;
        let mut driver = Driver {
            snapshots: Snapshotting::new(snapshot, parts.clock.now()),
            engine: begun.engine,
            appender,
            callers: Callers::new(),
            recalls: Recalls::new(),
            arrivals: Arrivals::new(parts.drain.clone()),
            taken: VecDeque::new(),
            batch: None,
            room_back: 0,
            couriers: Couriers::default(),
            tasks: JoinSet::new(),
            now: parts.clock.now(),
            chance: SmallRng::seed_from_u64(parts.entropy.draw()),
            effects: Vec::new(),
            impossible: Vec::new(),
            trouble: None,
            is_draining: false,
            parts,
        };
        driver.input(Input::Durable(begun.durable));
        driver.parts.stage.tell(Stage::Running);
        driver
    }

    async fn run(&mut self) -> Ending {
        loop {
            self.perform_effects();
            self.submit();
            if self.is_done() {
                return Ending::Drained;
            }
            if let Err(interruption) = self.round().await
                && let Err(ending) = self.rebuild(interruption).await
            {
                return ending;
            }
        }
    }

    /// Waits for something to happen, and handles it.
    async fn round(&mut self) -> Result<(), Interruption> {
        if !self.has_more() {
            self.give_way().await;
        }
        self.arrive().await.map_err(Interruption::Append)?;
        self.handle_reports();
        self.handle_taken();
        match (self.trouble.take(), self.engine.spoiled()) {
            (Some(trouble), _) => Err(Interruption::Trouble(trouble)),
            (None, Some(_)) => Err(Interruption::Spoiled),
            (None, None) => Ok(()),
        }
    }

    /// Lets other tasks run, now that all that had come is handled.
    async fn give_way(&mut self) {
        if self.appender.is_idle() {
            // Messages that lead to no entry do not keep other tasks from running.
            tokio::task::coop::consume_budget().await;
        } else {
            // While an append is under way more messages may come: let them, so that they share one.
            tokio::task::yield_now().await;
        }
    }

    /// Whether everything in flight is finished, after a drain was asked for.
    fn is_done(&self) -> bool {
        self.is_draining
            && self.has_handled_all()
            && self.parts.inlets.work.is_empty()
            && self.arrivals.are_handled()
            && self.appender.is_idle()
            && self.engine.is_settled()
            && self.callers.len() + self.recalls.len() == 0
            && self.couriers.are_idle()
            && self.snapshots.is_idle()
    }

    fn submit(&mut self) {
        self.snapshot_if_due();
        if self.appender.has_room()
            && let Some((at, batch)) = self.engine.take_batch(self.now)
        {
            self.appender.submit(at, batch);
        }
    }

    fn moment(&mut self) -> Moment {
        Moment {
            now: self.now,
            seed: self.chance.next_u64(),
        }
    }

    fn input(&mut self, input: Input<P>) {
        let moment = self.moment();
        self.engine.step(moment, input);
    }

    /// Starts a task of this driver. Those that have ended are cleared away.
    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        while let Some(ended) = self.tasks.try_join_next() {
            if let Err(error) = ended {
                self.trouble = Some(format!("a task of the driver failed: {error}"));
            }
        }
        self.tasks.spawn(task);
    }
}

impl<P: Processor> Drop for Driver<P> {
    /// Tells everybody who still waits, in whatever way the driver ended.
    fn drop(&mut self) {
        self.parts.stage.end(Ending::Dropped);
        self.parts.inlets.work.close();
        let reason = self.parts.stage.reason();
        let processor = self.parts.settings.name.clone();
        let at = self.engine.durable();
        let unknown = AppendError::Unknown {
            stream: processor.clone(),
            at: at.map_or(refrain_core::Position::FIRST, |durable| durable.next()),
            reason: reason.clone(),
        };
        // What was decided may have been submitted, and may still become durable.
        self.callers.fail(|id| AskError::Unknown {
            id,
            cause: Box::new(unknown.clone()),
        });
        let not_running = || AskError::NotRunning {
            processor: processor.clone(),
            reason: reason.clone(),
        };
        // Whoever waits for what was not begun hears it when that is dropped.
        for message in self.batch.take().into_iter().flatten() {
            if let Some(waiting) = message.waiting {
                self.callers.tell(waiting, Err(not_running()));
            }
        }
        self.recalls.fail(&mut self.callers, not_running);
    }
}
