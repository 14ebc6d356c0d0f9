//! Where a processor is in its life, as others see it.

use tokio::sync::watch;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It replays its entries; what is sent to it waits.
    Recovering,
    Running,
    Ended(Ending),
}

/// Why a processor does not run any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    Drained,
    Halted(String),
    Dropped,
}

impl Stage {
    /// Why whoever is refused at this stage is.
    pub(crate) fn reason(&self) -> String {
        match self {
            Stage::Recovering | Stage::Running => "it is being drained".to_owned(),
            Stage::Ended(ending) => ending.reason(),
        }
    }
}

impl Ending {
    fn reason(&self) -> String {
        match self {
            Ending::Drained => "it was drained".to_owned(),
            Ending::Halted(reason) => reason.clone(),
            Ending::Dropped => "the runtime was dropped".to_owned(),
        }
    }
}

/// Tells others the stage; once dropped, that the processor is gone.
#[derive(Debug)]
pub(crate) struct StageTeller(watch::Sender<Stage>);

impl StageTeller {
    pub(crate) fn new() -> (StageTeller, watch::Receiver<Stage>) {
        let (sender, receiver) = watch::channel(Stage::Recovering);
        (StageTeller(sender), receiver)
    }

    pub(crate) fn tell(&self, stage: Stage) {
        self.0.send_replace(stage);
    }

    /// Tells how the processor ended. The first ending is the one that is told.
    pub(crate) fn end(&self, ending: Ending) {
        self.0.send_if_modified(|stage| match stage {
            Stage::Ended(_) => false,
            Stage::Recovering | Stage::Running => {
                *stage = Stage::Ended(ending);
                true
            }
        });
    }

    pub(crate) fn reason(&self) -> String {
        self.0.borrow().reason()
    }
}

impl Drop for StageTeller {
    fn drop(&mut self) {
        self.end(Ending::Dropped);
    }
}
