//! Taking turns: only so many processors recover at the same time, and none for long.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use refrain_core::Timestamp;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::clock::Clock;

/// Entries that are applied in one turn, and the longest time that one takes: then whoever has waited
/// longest has the next.
const TURN_ENTRIES_MAX: u64 = 16_384;
const TURN_TIME_MAX: Duration = Duration::from_millis(100);

/// The longest time that a turn is kept by somebody who waits for the journal.
const PATIENCE: Duration = Duration::from_secs(1);

/// The right to recover now. Given back when it is dropped.
pub(crate) struct Turn<'a> {
    pub(crate) clock: Clock,
    /// `None` for those who need no right.
    permits: Option<&'a Semaphore>,
    permit: Option<SemaphorePermit<'a>>,
    began: Timestamp,
    entries: u64,
}

impl<'a> Turn<'a> {
    /// Waits for a turn.
    pub(crate) async fn among(permits: &'a Semaphore, clock: Clock) -> Turn<'a> {
        let mut turn = Turn {
            permits: Some(permits),
            ..Turn::alone(clock)
        };
        turn.wait().await;
        turn
    }

    /// The turn of somebody who does not share.
    pub(crate) fn alone(clock: Clock) -> Turn<'a> {
        Turn {
            clock,
            permits: None,
            permit: None,
            began: clock.now(),
            entries: 0,
        }
    }

    /// The result of `work`. Others have the turn meanwhile if it takes long.
    pub(crate) async fn lend<T>(&mut self, work: impl Future<Output = T>) -> T {
        if self.permits.is_none() {
            return work.await;
        }
        let mut work = pin!(work);
        tokio::select! {
            biased;
            done = work.as_mut() => return done,
            () = self.clock.wait(PATIENCE) => {}
        }
        self.permit = None;
        let done = work.await;
        self.wait().await;
        done
    }

    /// So many entries were applied: somebody else may have a turn now.
    pub(crate) async fn applied(&mut self, entries: u64) {
        self.entries += entries;
        let is_over =
            self.entries >= TURN_ENTRIES_MAX || self.clock.now().since(self.began) >= TURN_TIME_MAX;
        if is_over {
            self.permit = None;
            // Whatever else this thread has to do comes first.
            tokio::task::yield_now().await;
            self.wait().await;
        }
    }

    async fn wait(&mut self) {
        if let Some(permits) = self.permits {
            let permit = permits.acquire().await;
            self.permit = Some(permit.expect("permits are never closed"));
        }
        self.began = self.clock.now();
        self.entries = 0;
    }
}
