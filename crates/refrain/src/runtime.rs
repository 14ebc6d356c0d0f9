//! A running set of processors, and the tasks behind them.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use refrain_core::{Name, Processor};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::builder::Builder;
use crate::error::StartError;
use crate::handle::Handle;
use crate::progress::{Progress, RecoveryStatus};
use crate::retention::{RetainError, Retained, Retains, retain};
use crate::signal::{Signals, Subscription};
use crate::stage::{Ending, Stage};

/// Running processors.
///
/// Owns every task that it starts. Dropping it stops them where they are, soon after, which loses
/// nothing that was acknowledged; [`Refrain::drain`] lets them finish first, and returns when all of
/// them are gone.
/// Handles do not keep it alive: whoever still has one is told
/// [`NotRunning`](crate::AskError::NotRunning).
#[derive(Debug)]
pub struct Refrain {
    pub(crate) registry: Arc<Registry>,
    pub(crate) signals: Signals,
    pub(crate) drain: CancellationToken,
    pub(crate) tasks: Mutex<JoinSet<()>>,
}

/// The processors of a runtime, by name.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(crate) members: BTreeMap<Name, Member>,
}

/// One processor, whatever its type.
pub(crate) struct Member {
    /// A `Handle<P>`.
    pub(crate) handle: Box<dyn Any + Send + Sync>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) retention: Weak<dyn Retains>,
    pub(crate) stage: watch::Receiver<Stage>,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member")
            .field("stage", &*self.stage.borrow())
            .finish_non_exhaustive()
    }
}

impl Registry {
    pub(crate) fn handle<P: Processor>(&self, name: &str) -> Option<Handle<P>> {
        let member = self.members.iter().find(|(of, _)| of.as_str() == name)?.1;
        member.handle.downcast_ref::<Handle<P>>().cloned()
    }
}

impl Refrain {
    /// Begins to describe a runtime.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The handle of the processor called `name`.
    ///
    /// # Panics
    /// When there is none of that name and type: which processors there are is decided where the
    /// runtime is built. See [`Refrain::find_processor`] for names that come from elsewhere.
    #[must_use]
    pub fn processor<P: Processor>(&self, name: &str) -> Handle<P> {
        let kind = std::any::type_name::<P>();
        self.find_processor(name)
            .unwrap_or_else(|| panic!("this runtime has no processor {name} of type {kind}"))
    }

    /// The handle of the processor called `name`, if there is one of that name and type.
    #[must_use]
    pub fn find_processor<P: Processor>(&self, name: &str) -> Option<Handle<P>> {
        self.registry.handle(name)
    }

    /// How far each processor's recovery is, or how it went.
    #[must_use]
    pub fn recovery(&self) -> Vec<RecoveryStatus> {
        self.registry
            .members
            .values()
            .map(|member| member.progress.status())
            .collect()
    }

    /// Waits until every processor has recovered and takes messages, or has ended.
    ///
    /// # Errors
    /// [`StartError::Halted`] names the first processor that could not; the others go on.
    pub async fn recovered(&self) -> Result<(), StartError> {
        for (name, member) in &self.registry.members {
            let mut stage = member.stage.clone();
            let reached = stage.wait_for(|stage| *stage != Stage::Recovering).await;
            if let Ok(stage) = reached
                && let Stage::Ended(Ending::Halted(reason)) = &*stage
            {
                return Err(StartError::Halted {
                    processor: name.clone(),
                    reason: reason.clone(),
                });
            }
        }
        Ok(())
    }

    /// Forgets now what each processor's [retention](crate::ProcessorBuilder::retention) lets go and
    /// nobody needs any more, one processor after the other.
    ///
    /// Of each it says what is left, or why nothing was forgotten; a repeat is safe.
    pub async fn retain(&self) -> Vec<Result<Retained, RetainError>> {
        let mut retained = Vec::new();
        for member in self.registry.members.values() {
            retained.push(retain(&member.retention).await);
        }
        retained
    }

    /// What happens from now on, after the channels that are stopped now.
    #[must_use]
    pub fn events(&self) -> Subscription {
        self.signals.subscribe()
    }

    /// Takes no further message, handles those that wait, lets attempts under way end, and returns
    /// once all of it is durable and every task has ended. Then nothing of this runtime uses the
    /// journal any more: one of files is closed, unless somebody else shares it. Deliveries that are
    /// still owed are resumed by the next start.
    ///
    /// Takes as long as the slowest attempt under way, at most its timeout. A processor that waits
    /// for its journal gives up, and tells those who wait.
    pub async fn drain(&self) {
        self.drain.cancel();
        let mut tasks = self.tasks.lock().await;
        while tasks.join_next().await.is_some() {}
    }
}
