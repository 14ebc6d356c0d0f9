//! Describing a runtime: the journal, the processors, where their channels lead. Everything is
//! checked once, before anything starts.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use refrain_core::limit::ENTRY_BYTES_MAX;
use refrain_core::port::destination::Destination;
use refrain_core::port::journal::Journal;
use refrain_core::port::snapshots::Snapshots;
use refrain_core::{
    ChannelKind, ChannelOptions, EngineSettings, Name, OneWay, Processor, Remember, RequestReply,
    Route,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::driver::{self, Inlets, Outlet, Parts, Target};
use crate::error::{BuildError, StartError};
use crate::handle::{BATCH_MAX, Handle, Shared};
use crate::processor_destination::ProcessorDestination;
use crate::progress::Progress;
use crate::recover::Source;
use crate::runtime::{Member, Refrain, Registry};
use crate::signal::Signals;
use crate::snapshot_policy::SnapshotPolicy;
use crate::stage::StageTeller;

/// Messages that wait for one processor, unless set otherwise.
const INBOX_DEFAULT: usize = 8192;

/// Reports of a driver's own tasks that wait for it.
const CONTROL_MAX: usize = 256;

/// Processors that recover at the same time, unless set otherwise.
const RECOVERING_DEFAULT: usize = 4;

/// Describes a runtime. Made by [`Refrain::builder`].
#[derive(Debug)]
pub struct Builder {
    journal: Option<Arc<dyn Journal>>,
    snapshots: Option<Arc<dyn Snapshots>>,
    snapshot_policy: SnapshotPolicy,
    recovering_max: usize,
    members: Vec<Box<dyn Describes>>,
}

impl Builder {
    pub(crate) fn new() -> Builder {
        Builder {
            journal: None,
            snapshots: None,
            snapshot_policy: SnapshotPolicy::on_request(),
            recovering_max: RECOVERING_DEFAULT,
            members: Vec::new(),
        }
    }

    /// The journal that all processors write to.
    #[must_use]
    pub fn journal(mut self, journal: impl Journal) -> Builder {
        self.journal = Some(Arc::new(journal));
        self
    }

    /// As [`Builder::journal`], for a journal that is shared already.
    #[must_use]
    pub fn shared_journal(mut self, journal: Arc<dyn Journal>) -> Builder {
        self.journal = Some(journal);
        self
    }

    /// Where snapshots are kept, and when they are taken. Without any, every recovery replays the
    /// whole stream.
    #[must_use]
    pub fn snapshots(mut self, snapshots: impl Snapshots, policy: SnapshotPolicy) -> Builder {
        self.snapshots = Some(Arc::new(snapshots));
        self.snapshot_policy = policy;
        self
    }

    /// How many processors recover at the same time. 4 unless set.
    #[must_use]
    pub fn recovering_at_once(mut self, count: usize) -> Builder {
        self.recovering_max = count.max(1);
        self
    }

    /// Adds the processor called `name`, whose state before its first event is `initial`. What
    /// follows on the returned builder is about this processor, until the next one is added.
    #[must_use]
    pub fn processor<P>(self, name: &str, initial: P) -> ProcessorBuilder<P>
    where
        P: Processor + Clone + Serialize + DeserializeOwned + Sync,
    {
        ProcessorBuilder {
            builder: self,
            description: Description {
                name: Name::new(name).map_err(|cause| BuildError::Name {
                    text: name.to_owned(),
                    cause,
                }),
                initial,
                remember: Remember::default(),
                inbox_max: INBOX_DEFAULT,
                leads: Vec::new(),
            },
        }
    }

    /// Starts everything and returns at once; recovery goes on in the background. Messages that are
    /// sent meanwhile wait.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`StartError::Build`] says what makes no sense; nothing was started.
    pub fn launch(self) -> Result<Refrain, StartError> {
        if cfg!(panic = "abort") {
            return Err(BuildError::PanicAborts.into());
        }
        let journal = self.journal.ok_or(BuildError::NoJournal)?;
        let common = Common {
            journal: journal.clone(),
            snapshots: self.snapshots,
            snapshot_policy: self.snapshot_policy,
            clock: Clock::start(),
            signals: Signals::new(),
            permits: Arc::new(Semaphore::new(self.recovering_max)),
            drain: CancellationToken::new(),
        };
        let mut registry = Registry::default();
        let mut launches = Vec::new();
        for description in self.members {
            let (name, member, launch) = description.prepare(&common)?;
            if registry.members.insert(name.clone(), member).is_some() {
                return Err(BuildError::DuplicateProcessor { name }.into());
            }
            launches.push(launch);
        }
        let registry = Arc::new(registry);
        let launches: Vec<_> = launches
            .into_iter()
            .map(|launch| launch(&registry))
            .collect::<Result<_, BuildError>>()?;
        let mut tasks = JoinSet::new();
        for task in launches {
            tasks.spawn(task);
        }
        Ok(Refrain {
            registry,
            signals: common.signals,
            journal,
            drain: common.drain,
            tasks: Mutex::new(tasks),
        })
    }

    /// Starts everything and waits until every processor has recovered.
    ///
    /// # Errors
    /// [`StartError`]; when a processor halted during recovery, the others are stopped again.
    pub async fn start(self) -> Result<Refrain, StartError> {
        let refrain = self.launch()?;
        refrain.recovered().await?;
        Ok(refrain)
    }
}

/// Describes a processor of a runtime. Made by [`Builder::processor`].
#[derive(Debug)]
pub struct ProcessorBuilder<P: Processor> {
    builder: Builder,
    description: Description<P>,
}

impl<P> ProcessorBuilder<P>
where
    P: Processor + Clone + Serialize + DeserializeOwned + Sync,
{
    /// How long identities from outside are remembered.
    #[must_use]
    pub fn remember(mut self, remember: Remember) -> ProcessorBuilder<P> {
        self.description.remember = remember;
        self
    }

    /// Messages that may wait for the processor. 8,192 unless set.
    #[must_use]
    pub fn inbox(mut self, messages_max: usize) -> ProcessorBuilder<P> {
        self.description.inbox_max = messages_max.max(1);
        self
    }

    /// Where `channel` leads, and how it delivers.
    #[must_use]
    pub fn destination(
        mut self,
        channel: &'static dyn Route<P>,
        destination: impl Destination,
        options: impl Into<ChannelOptions>,
    ) -> ProcessorBuilder<P> {
        let end = End::Outside(Arc::new(destination));
        self.lead(channel, None, end, Some(options.into()));
        self
    }

    /// Another destination of `channel`, called `name`, to which it can be
    /// [redirected](Handle::redirect).
    #[must_use]
    pub fn alternative(
        mut self,
        channel: &'static dyn Route<P>,
        name: &str,
        destination: impl Destination,
    ) -> ProcessorBuilder<P> {
        let end = End::Outside(Arc::new(destination));
        self.lead(channel, Some(name.to_owned()), end, None);
        self
    }

    /// Leads a one-way channel to another processor of this runtime. A delivery is confirmed when
    /// that processor's step is durable; a rejection is recorded there and confirms as well.
    #[must_use]
    pub fn connect<Q>(
        mut self,
        channel: &'static OneWay<P, Q::Message>,
        processor: &str,
        options: impl Into<ChannelOptions>,
    ) -> ProcessorBuilder<P>
    where
        Q: Processor,
    {
        let end = End::Processor(processor.to_owned(), ProcessorDestination::<Q>::one_way);
        self.lead(channel, None, end, Some(options.into()));
        self
    }

    /// Leads a request-reply channel to another processor of this runtime, whose answer is the
    /// reply. A rejection is a destination failure.
    #[must_use]
    pub fn connect_request<Q>(
        mut self,
        channel: &'static RequestReply<P, Q::Message, Q::Answer>,
        processor: &str,
        options: impl Into<ChannelOptions>,
    ) -> ProcessorBuilder<P>
    where
        Q: Processor,
    {
        let end = End::Processor(processor.to_owned(), ProcessorDestination::<Q>::request);
        self.lead(channel, None, end, Some(options.into()));
        self
    }

    fn lead(
        &mut self,
        channel: &'static dyn Route<P>,
        alternative: Option<String>,
        end: End,
        options: Option<ChannelOptions>,
    ) {
        let channel = channel.name();
        self.description.leads.push(Lead {
            channel,
            alternative,
            end,
            options,
        });
    }

    fn finish(self) -> Builder {
        let mut builder = self.builder;
        builder.members.push(Box::new(self.description));
        builder
    }

    /// Adds another processor; see [`Builder::processor`].
    #[must_use]
    pub fn processor<Q>(self, name: &str, initial: Q) -> ProcessorBuilder<Q>
    where
        Q: Processor + Clone + Serialize + DeserializeOwned + Sync,
    {
        self.finish().processor(name, initial)
    }

    /// Starts everything; see [`Builder::launch`].
    ///
    /// # Errors
    /// As [`Builder::launch`].
    pub fn launch(self) -> Result<Refrain, StartError> {
        self.finish().launch()
    }

    /// Starts everything and waits for recovery; see [`Builder::start`].
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub async fn start(self) -> Result<Refrain, StartError> {
        self.finish().start().await
    }
}

/// What all processors of a runtime share.
struct Common {
    journal: Arc<dyn Journal>,
    snapshots: Option<Arc<dyn Snapshots>>,
    snapshot_policy: SnapshotPolicy,
    clock: Clock,
    signals: Signals,
    permits: Arc<Semaphore>,
    drain: CancellationToken,
}

/// What runs a processor.
type Task = refrain_core::port::BoxFuture<'static, ()>;

/// Makes a processor's task once all handles are known.
type Launch = Box<dyn FnOnce(&Arc<Registry>) -> Result<Task, BuildError>>;

/// A described processor, whatever its type.
trait Describes: std::fmt::Debug {
    fn prepare(self: Box<Self>, common: &Common) -> Result<(Name, Member, Launch), BuildError>;
}

struct Description<P> {
    name: Result<Name, BuildError>,
    initial: P,
    remember: Remember,
    inbox_max: usize,
    leads: Vec<Lead>,
}

/// Where a channel leads.
struct Lead {
    channel: &'static str,
    /// The name of the destination, if it is not the channel's own.
    alternative: Option<String>,
    end: End,
    options: Option<ChannelOptions>,
}

enum End {
    Outside(Arc<dyn Destination>),
    Processor(String, fn(&Registry, &str) -> Option<Target>),
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
    fn prepare(self: Box<Self>, common: &Common) -> Result<(Name, Member, Launch), BuildError> {
        let Description {
            name,
            initial,
            remember,
            inbox_max,
            leads,
        } = *self;
        let name = name?;
        let channels = check_channels::<P>(&name, &leads)?;
        let (work_sender, work) = mpsc::channel(inbox_max);
        let (control_sender, control) = mpsc::channel(CONTROL_MAX);
        let inlets = Inlets {
            work,
            control,
            control_sender: control_sender.clone(),
        };
        let (stage_teller, stage) = StageTeller::new();
        let progress = Arc::new(Progress::new(name.clone(), &common.signals));
        let handle = Handle::<P>::new(Shared {
            name: name.clone(),
            work: work_sender,
            batches: Arc::new(Semaphore::new(inbox_max)),
            batch_max: inbox_max.min(BATCH_MAX),
            control: control_sender,
            progress: progress.clone(),
            stage: stage.clone(),
        });
        let member = Member {
            handle: Box::new(handle),
            progress: progress.clone(),
            stage,
        };
        let parts = Parts {
            stage: stage_teller,
            settings: settings(&name, channels, remember, &*common.journal),
            source: Source {
                journal: common.journal.clone(),
                snapshots: common.snapshots.clone(),
                initial,
                remember,
            },
            outlets: HashMap::new(),
            snapshots: common.snapshot_policy,
            clock: common.clock,
            signals: common.signals.clone(),
            progress,
            permits: common.permits.clone(),
            drain: common.drain.clone(),
            inlets,
        };
        let launch: Launch = Box::new(move |registry| {
            let outlets = outlets(&parts.settings.name, leads, registry)?;
            Ok(Box::pin(driver::run(Parts { outlets, ..parts })))
        });
        Ok((name, member, launch))
    }
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

/// Checks that channels and destinations match, and gives each channel's options.
fn check_channels<P: Processor>(
    processor: &Name,
    leads: &[Lead],
) -> Result<Vec<(&'static str, ChannelOptions)>, BuildError> {
    for lead in leads {
        if !P::CHANNELS.iter().any(|route| route.name() == lead.channel) {
            let (processor, channel) = (processor.clone(), lead.channel);
            return Err(BuildError::UnknownChannel { processor, channel });
        }
    }
    let mut channels: BTreeMap<&'static str, ChannelOptions> = BTreeMap::new();
    for route in P::CHANNELS {
        let channel = route.name();
        Name::new(channel).map_err(|cause| BuildError::Name {
            text: channel.to_owned(),
            cause,
        })?;
        let options = match route.kind() {
            ChannelKind::Timer => ChannelOptions::default(),
            ChannelKind::Default | ChannelKind::Reliable | ChannelKind::RequestReply => {
                let main = leads
                    .iter()
                    .find(|lead| lead.channel == channel && lead.is_main());
                let Some(options) = main.and_then(|lead| lead.options.clone()) else {
                    let processor = processor.clone();
                    return Err(BuildError::NoDestination { processor, channel });
                };
                options
            }
        };
        options
            .check(route.kind())
            .map_err(|cause| BuildError::Policy {
                processor: processor.clone(),
                channel,
                cause,
            })?;
        if channels.insert(channel, options).is_some() {
            let processor = processor.clone();
            return Err(BuildError::DuplicateChannel { processor, channel });
        }
    }
    Ok(channels.into_iter().collect())
}

impl Lead {
    fn is_main(&self) -> bool {
        self.alternative.is_none()
    }
}

/// The destinations of every channel, now that all processors are known.
fn outlets(
    processor: &Name,
    leads: Vec<Lead>,
    registry: &Registry,
) -> Result<HashMap<&'static str, Outlet>, BuildError> {
    let mut mains: HashMap<&'static str, Target> = HashMap::new();
    let mut others: HashMap<&'static str, HashMap<Name, Target>> = HashMap::new();
    for lead in leads {
        let target = resolve(processor, &lead, registry)?;
        let text = lead.alternative.as_deref().unwrap_or(lead.channel);
        let name = Name::new(text).map_err(|cause| BuildError::Name {
            text: text.to_owned(),
            cause,
        })?;
        let is_main_again = name.as_str() == lead.channel && !lead.is_main();
        let before = match lead.is_main() {
            true => mains.insert(lead.channel, target),
            false => others.entry(lead.channel).or_default().insert(name, target),
        };
        if before.is_some() || is_main_again {
            return Err(BuildError::DuplicateDestination {
                processor: processor.clone(),
                channel: lead.channel,
                destination: text.to_owned(),
            });
        }
    }
    let outlet = |(channel, main)| {
        let others = others.remove(channel).unwrap_or_default();
        (channel, Outlet::new(main, others))
    };
    Ok(mains.into_iter().map(outlet).collect())
}

fn resolve(processor: &Name, lead: &Lead, registry: &Registry) -> Result<Target, BuildError> {
    match &lead.end {
        End::Outside(destination) => Ok(Target {
            destination: destination.clone(),
            stage: None,
        }),
        End::Processor(target, find) => {
            find(registry, target).ok_or_else(|| match Name::new(target) {
                Ok(target) => BuildError::UnknownProcessor {
                    processor: processor.clone(),
                    channel: lead.channel,
                    target,
                },
                Err(cause) => BuildError::Name {
                    text: target.clone(),
                    cause,
                },
            })
        }
    }
}
