//! What a driver does when it cannot simply go on: an append failed, or the state cannot be trusted.
//!
//! What is durable is told, everybody else is told why not, and the state is rebuilt from the
//! journal. Messages that were not looked at yet wait and are handled afterwards.

use refrain_core::port::journal::AppendError;
use refrain_core::{AskError, Input, Processor, Spoiled};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::courier::Couriers;
use super::{Begun, Driver, announce_recovered, beginning};
use crate::error::chain;
use crate::planted;
use crate::recover::RecoverError;
use crate::signal::Signal;
use crate::stage::{Ending, Stage};

/// What interrupts a driver's loop.
pub(super) enum Interruption {
    Append(AppendError),
    Spoiled,
    /// The processor cannot go on.
    Trouble(String),
}

impl<P> Driver<P>
where
    P: Processor + Clone + Serialize + DeserializeOwned + Sync,
{
    /// # Errors
    /// How the processor ends instead.
    pub(super) async fn rebuild(&mut self, interruption: Interruption) -> Result<(), Ending> {
        self.perform_effects();
        let (reason, spoiled) = match interruption {
            Interruption::Trouble(reason) => return Err(Ending::Halted(reason)),
            Interruption::Append(error) => (self.not_durable(&error)?, None),
            Interruption::Spoiled => match self.settle().await {
                Ok(()) => self.spoiled(),
                // Whoever waited was told; what spoiled the state is met again, and parked then.
                Err(error) => (self.not_durable(&error)?, None),
            },
        };
        self.announce_rebuilding(reason);
        self.parts.stage.tell(Stage::Recovering);
        self.appender.forget();
        self.couriers = Couriers::default();
        self.impossible.clear();
        let mine = self.engine.epoch();
        let begun = beginning::begin(&self.parts, Some(mine)).await;
        let begun = begun.map_err(|error| ending(&error))?;
        self.continue_with(begun, spoiled);
        Ok(())
    }

    fn continue_with(&mut self, begun: Begun<P>, spoiled: Option<Spoiled>) {
        announce_recovered(&self.parts, &begun);
        self.engine = begun.engine;
        self.parts.clock = begun.clock;
        self.now = begun.clock.now();
        let newest = self.parts.progress.status().snapshot;
        self.snapshots.rebuilt(newest, self.engine.head());
        if let Some(spoiled) = spoiled {
            let moment = self.moment();
            self.engine.after_spoiled(moment, spoiled);
        }
        self.input(Input::Durable(begun.durable));
        self.parts.stage.tell(Stage::Running);
    }

    /// Appends what was recorded before the state was spoiled, and tells what that makes durable.
    async fn settle(&mut self) -> Result<(), AppendError> {
        while !(self.engine.is_settled() && self.appender.is_idle()) {
            self.submit();
            let position = self.appender.next().await?;
            self.input(Input::Durable(position));
            self.perform_effects();
        }
        Ok(())
    }

    /// Tells everybody who waits that what they wait for is not durable, as far as known.
    /// Gives the reason for a rebuild.
    ///
    /// # Errors
    /// When somebody else writes the stream: then the processor ends, without a fight.
    fn not_durable(&mut self, error: &AppendError) -> Result<String, Ending> {
        self.callers.fail(|id| match error {
            AppendError::Rejected { .. } | AppendError::Fenced { .. } => AskError::NotRecorded {
                id,
                cause: Box::new(error.clone()),
            },
            AppendError::Unknown { .. } if planted::is("unknown-told-as-not-recorded") => {
                AskError::NotRecorded {
                    id,
                    cause: Box::new(error.clone()),
                }
            }
            AppendError::Unknown { .. } | _ => AskError::Unknown {
                id,
                cause: Box::new(error.clone()),
            },
        });
        match error {
            AppendError::Fenced { .. } => Err(Ending::Halted(chain(error))),
            AppendError::Rejected { .. } | AppendError::Unknown { .. } | _ => Ok(chain(error)),
        }
    }

    /// What spoiled the state, with everything before it told.
    fn spoiled(&mut self) -> (String, Option<Spoiled>) {
        let spoiled = self.engine.spoiled().map(|spoiled| spoiled.clone());
        let text = spoiled.as_ref().map_or("", |spoiled| &spoiled.text);
        (
            format!("`apply` panicked on a fresh event: {text}"),
            spoiled,
        )
    }

    fn announce_rebuilding(&self, reason: String) {
        let processor = self.parts.settings.name.clone();
        tracing::warn!(%processor, reason, "the state is rebuilt from the journal");
        self.parts
            .signals
            .tell(Signal::Rebuilding { processor, reason });
    }
}

/// How a processor ends that could not be recovered.
pub(super) fn ending(error: &RecoverError) -> Ending {
    match error {
        RecoverError::Drained { .. } => Ending::Drained,
        RecoverError::Read { .. }
        | RecoverError::Replay { .. }
        | RecoverError::NoSnapshot { .. }
        | RecoverError::Forgotten { .. }
        | RecoverError::Ended { .. }
        | RecoverError::Begin { .. }
        | RecoverError::Overtaken { .. } => Ending::Halted(chain(error)),
    }
}
