//! Where the deliveries of a channel go.

use std::collections::HashMap;
use std::sync::Arc;

use refrain_core::Name;
use refrain_core::port::destination::Destination;
use tokio::sync::watch;

use crate::stage::Stage;

/// The destinations of one channel.
pub(crate) struct Outlet {
    main: Target,
    others: HashMap<Name, Target>,
}

/// One destination.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) destination: Arc<dyn Destination>,
    /// Of a processor: where it is in its life.
    pub(crate) stage: Option<watch::Receiver<Stage>>,
}

impl Outlet {
    pub(crate) fn new(main: Target, others: HashMap<Name, Target>) -> Outlet {
        Outlet { main, others }
    }

    /// The destination called `name`. The channel's own, the one that it begins with, has the name
    /// of the channel.
    pub(super) fn find(&self, channel: &str, name: Option<&Name>) -> Option<&Target> {
        match name {
            None => Some(&self.main),
            Some(name) => match self.others.get(name) {
                None if name.as_str() == channel => Some(&self.main),
                found => found,
            },
        }
    }
}

impl Target {
    pub(super) fn is_recovering(&self) -> bool {
        let stage = self.stage.as_ref();
        stage.is_some_and(|stage| *stage.borrow() == Stage::Recovering)
    }

    /// Waits until the target, if it is a processor, has recovered.
    pub(super) async fn recovered(&self) {
        if let Some(mut stage) = self.stage.clone() {
            // One that is gone takes nothing, and the attempt will say so.
            let _ = stage.wait_for(|stage| *stage != Stage::Recovering).await;
        }
    }
}
