//! Describing a runtime: the journal, the processors, where their channels lead. Everything is
//! checked once, before anything starts.

use std::sync::Arc;

use refrain_core::port::destination::Destination;
use refrain_core::port::hold::Hold;
use refrain_core::port::journal::Journal;
use refrain_core::port::snapshots::Snapshots;
use refrain_core::{
    ChannelOptions, Name, OneWay, Processor, Remember, RequestReply, Route, Timestamp,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::description::{Describes, Description, Surroundings};
use crate::entropy::Entropy;
use crate::error::{BuildError, StartError};
use crate::lead::{End, Lead};
use crate::processor_destination::ProcessorDestination;
use crate::retention::RetentionPolicy;
use crate::runtime::{Refrain, Registry};
use crate::signal::Signals;
use crate::snapshot_policy::SnapshotPolicy;

/// Messages that wait for one processor, unless set otherwise.
const INBOX_DEFAULT: usize = 8192;

/// Bytes of those messages, unless set otherwise.
const INBOX_BYTES_DEFAULT: u32 = 64 * 1024 * 1024;

/// Processors that recover at the same time, unless set otherwise.
const RECOVERING_DEFAULT: usize = 4;

/// Describes a runtime. Made by [`Refrain::builder`].
#[derive(Debug)]
pub struct Builder {
    journal: Option<Arc<dyn Journal>>,
    snapshots: Option<Arc<dyn Snapshots>>,
    snapshot_policy: SnapshotPolicy,
    recovering_max: usize,
    holds: Vec<Arc<dyn Hold>>,
    clock: Option<Clock>,
    entropy: Entropy,
    members: Vec<Box<dyn Describes>>,
}

impl Builder {
    pub(crate) fn new() -> Builder {
        Builder {
            journal: None,
            snapshots: None,
            snapshot_policy: SnapshotPolicy::on_request(),
            recovering_max: RECOVERING_DEFAULT,
            holds: Vec::new(),
            clock: None,
            entropy: Entropy::System,
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

    /// Somebody else who needs old entries: none is forgotten while `hold` needs it, or cannot be
    /// asked. See [`ProcessorBuilder::retention`].
    #[must_use]
    pub fn hold(mut self, hold: impl Hold) -> Builder {
        self.holds.push(Arc::new(hold));
        self
    }

    /// For a simulation that repeats byte by byte: whatever is drawn at random follows from `seed`, and
    /// it is `time` now. Identities of messages that are given none are still drawn from the system.
    ///
    /// Never outside of tests: two runs with one seed draw the same secrets, and so the same keys.
    ///
    /// ```
    /// use refrain::{MemoryJournal, Refrain, Timestamp};
    ///
    /// let builder = Refrain::builder()
    ///     .simulated(7, Timestamp::EPOCH)
    ///     .journal(MemoryJournal::new());
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    /// # let _inside = runtime.enter();
    /// # builder.launch().unwrap();
    /// ```
    ///
    /// # Panics
    /// Outside of a tokio runtime with a timer.
    #[must_use]
    pub fn simulated(mut self, seed: u64, time: Timestamp) -> Builder {
        self.clock = Some(Clock::start_at(time));
        self.entropy = Entropy::seeded(seed);
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
                inbox_bytes_max: INBOX_BYTES_DEFAULT,
                retention: RetentionPolicy::everything(),
                leads: Vec::new(),
            },
        }
    }

    /// Starts everything and returns at once; recovery goes on in the background. Messages that are
    /// sent meanwhile wait. [`Refrain::events`] and [`Refrain::recovery`] tell how far it is;
    /// a processor that cannot be recovered halts, and the others go on.
    ///
    /// # Errors
    /// [`StartError::Build`] says what makes no sense; nothing was started.
    ///
    /// # Panics
    /// Outside of a tokio runtime with a timer.
    pub fn launch(self) -> Result<Refrain, StartError> {
        if cfg!(panic = "abort") {
            return Err(BuildError::PanicAborts.into());
        }
        let around = Surroundings {
            journal: self.journal.ok_or(BuildError::NoJournal)?,
            snapshots: self.snapshots,
            snapshot_policy: self.snapshot_policy,
            clock: self.clock.unwrap_or_else(Clock::start),
            entropy: self.entropy,
            signals: Signals::new(),
            holds: self.holds,
            permits: Arc::new(Semaphore::new(self.recovering_max)),
            drain: CancellationToken::new(),
        };
        let mut registry = Registry::default();
        let mut launches = Vec::new();
        let mut tasks = JoinSet::new();
        for description in self.members {
            let (name, member, launch) = description.prepare(&around)?;
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
        for task in launches.into_iter().flatten() {
            tasks.spawn(task);
        }
        Ok(Refrain {
            registry,
            signals: around.signals,
            drain: around.drain,
            tasks: Mutex::new(tasks),
        })
    }

    /// Starts everything and waits until every processor has recovered: for as long as that takes,
    /// also for a journal that cannot be reached or is full. [`Builder::launch`] does not wait.
    ///
    /// # Errors
    /// [`StartError`]; when a processor halted during recovery, the others are stopped again.
    ///
    /// # Panics
    /// As [`Builder::launch`].
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

    /// Messages that may wait for the processor. 8,192 unless set, and no more than fit
    /// [`inbox_bytes`](ProcessorBuilder::inbox_bytes).
    #[must_use]
    pub fn inbox(mut self, messages_max: usize) -> ProcessorBuilder<P> {
        self.description.inbox_max = messages_max.max(1);
        self
    }

    /// Bytes of messages that may wait for the processor, as they are in memory, about. 64 MiB unless
    /// set. A message that is larger than that waits until it is alone.
    #[must_use]
    pub fn inbox_bytes(mut self, bytes_max: u32) -> ProcessorBuilder<P> {
        self.description.inbox_bytes_max = bytes_max.max(1);
        self
    }

    /// How much of the processor's stream is kept: everything, unless set. Needs
    /// [`snapshots`](Builder::snapshots).
    ///
    /// After each snapshot, and when [`Handle::retain`](crate::Handle::retain) asks for it, entries
    /// are forgotten that the policy does not keep and nobody needs any more:
    ///
    /// * no recovery, from any of the snapshots that are kept and valid. Each is read back to know;
    ///   unless there are as many valid ones as [`SnapshotPolicy`] keeps, nothing is forgotten;
    /// * no delivery that waits in the journal alone;
    /// * no message that is [remembered](crate::Remember), for its answer;
    /// * no [`hold`](Builder::hold).
    ///
    /// Positions are never used again. A state of the past before the first kept entry cannot be
    /// looked at any more.
    #[must_use]
    pub fn retention(mut self, policy: RetentionPolicy) -> ProcessorBuilder<P> {
        self.description.retention = policy;
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
    /// [redirected](crate::Handle::redirect).
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
