//! A described processor: from what the builder was told to the task that runs it.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use refrain_core::limit::ENTRY_BYTES_MAX;
use refrain_core::port::BoxFuture;
use refrain_core::port::hold::Hold;
use refrain_core::port::journal::Journal;
use refrain_core::port::snapshots::Snapshots;
use refrain_core::{ChannelOptions, EngineSettings, Name, Processor, Remember};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, Notify, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::driver::{self, Inlets, Parts};
use crate::entropy::Entropy;
use crate::error::BuildError;
use crate::handle::{BATCH_MAX, Handle, Past, Shared};
use crate::lead::{Lead, check_channels, outlets};
use crate::progress::Progress;
use crate::queue::queue;
use crate::recover::Source;
use crate::retention::{Retains, Retention, RetentionPolicy};
use crate::runtime::{Member, Registry};
use crate::signal::Signals;
use crate::snapshot_policy::SnapshotPolicy;
use crate::stage::StageTeller;

/// Reports of a driver's own tasks that wait for it.
const CONTROL_MAX: usize = 256;

/// What all processors of a runtime share.
pub(crate) struct Surroundings {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) snapshots: Option<Arc<dyn Snapshots>>,
    pub(crate) snapshot_policy: SnapshotPolicy,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    pub(crate) signals: Signals,
    pub(crate) holds: Vec<Arc<dyn Hold>>,
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) drain: CancellationToken,
}

impl Surroundings {
    fn source<P>(&self, initial: P, remember: Remember) -> Source<P> {
        Source {
            journal: self.journal.clone(),
            snapshots: self.snapshots.clone(),
            initial,
            remember,
        }
    }

    fn retention<P>(
        &self,
        stream: &Name,
        source: Source<P>,
        policy: RetentionPolicy,
    ) -> Retention<P> {
        Retention {
            stream: stream.clone(),
            source,
            policy,
            snapshots_kept: self.snapshot_policy.keep,
            holds: self.holds.clone(),
            clock: self.clock,
            signals: self.signals.downgrade(),
            stored: Notify::new(),
            turn: Mutex::new(()),
        }
    }
}

/// What runs a processor, or a part of it.
pub(crate) type Task = BoxFuture<'static, ()>;

/// Makes a processor's tasks once all handles are known.
pub(crate) type Launch = Box<dyn FnOnce(&Arc<Registry>) -> Result<Vec<Task>, BuildError>>;

/// A described processor, whatever its type.
pub(crate) trait Describes: std::fmt::Debug {
    fn prepare(
        self: Box<Self>,
        around: &Surroundings,
    ) -> Result<(Name, Member, Launch), BuildError>;
}

pub(crate) struct Description<P> {
    pub(crate) name: Result<Name, BuildError>,
    pub(crate) initial: P,
    pub(crate) remember: Remember,
    pub(crate) inbox_max: usize,
    pub(crate) inbox_bytes_max: u32,
    pub(crate) retention: RetentionPolicy,
    pub(crate) leads: Vec<Lead>,
}

impl<P> std::fmt::Debug for Description<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let channels: Vec<_> = self.leads.iter().map(|lead| lead.channel).collect();
        f.debug_struct("Description")
            .field("name", &self.name)
            .field("channels", &channels)
            .finish_non_exhaustive()
    }
}

impl<P> Describes for Description<P>
where
    P: Processor + Clone + Serialize + DeserializeOwned + Sync,
{
    fn prepare(
        self: Box<Self>,
        around: &Surroundings,
    ) -> Result<(Name, Member, Launch), BuildError> {
        let Description {
            name,
            initial,
            remember,
            inbox_max,
            inbox_bytes_max,
            retention: policy,
            leads,
        } = *self;
        let name = name?;
        if !policy.is_everything() && around.snapshots.is_none() {
            return Err(BuildError::RetentionWithoutSnapshots { processor: name });
        }
        let channels = check_channels::<P>(&name, &leads)?;
        let (work_sender, work) = queue(inbox_max, inbox_bytes_max);
        let (control_sender, control) = mpsc::channel(CONTROL_MAX);
        let inlets = Inlets {
            work,
            control,
            control_sender: control_sender.clone(),
        };
        let (stage_teller, stage) = StageTeller::new();
        let progress = Arc::new(Progress::new(name.clone(), &around.signals));
        let source = around.source(initial, remember);
        let retention = Arc::new(around.retention(&name, source.clone(), policy));
        let weak: Weak<dyn Retains> = Arc::downgrade(&(retention.clone() as Arc<dyn Retains>));
        let handle = Handle::<P>::new(Shared {
            name: name.clone(),
            work: work_sender,
            batches: Arc::new(Semaphore::new(inbox_max)),
            batch_max: inbox_max.min(BATCH_MAX),
            room_max: inbox_bytes_max,
            control: control_sender,
            progress: progress.clone(),
            past: Arc::downgrade(&(retention.clone() as Arc<dyn Past<P>>)),
            stage: stage.clone(),
        });
        let member = Member {
            handle: Box::new(handle),
            progress: progress.clone(),
            retention: weak,
            stage,
        };
        let parts = Parts {
            stage: stage_teller,
            settings: settings(&name, channels, remember, &*around.journal),
            source,
            retention,
            outlets: HashMap::new(),
            snapshots: around.snapshot_policy,
            clock: around.clock,
            entropy: around.entropy.clone(),
            signals: around.signals.clone(),
            progress,
            permits: around.permits.clone(),
            drain: around.drain.clone(),
            inlets,
        };
        let launch: Launch = Box::new(move |registry| tasks(parts, leads, registry));
        Ok((name, member, launch))
    }
}

/// The tasks of a processor, now that all handles are known.
fn tasks<P>(
    parts: Parts<P>,
    leads: Vec<Lead>,
    registry: &Arc<Registry>,
) -> Result<Vec<Task>, BuildError>
where
    P: Processor + Clone + Serialize + DeserializeOwned + Sync,
{
    let outlets = outlets(&parts.settings.name, leads, registry)?;
    let mut tasks: Vec<Task> = Vec::new();
    if !parts.retention.policy.is_everything() {
        let retention = parts.retention.clone();
        tasks.push(Box::pin(retention.run(parts.drain.clone())));
    }
    tasks.push(Box::pin(driver::run(Parts { outlets, ..parts })));
    Ok(tasks)
}

fn settings(
    name: &Name,
    channels: Vec<(&'static str, ChannelOptions)>,
    remember: Remember,
    journal: &dyn Journal,
) -> EngineSettings {
    EngineSettings {
        name: name.clone(),
        channels,
        entry_bytes_max: journal.entry_bytes_max().min(ENTRY_BYTES_MAX),
        remember,
    }
}
