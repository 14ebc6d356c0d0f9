//! Which snapshots are valid, what they leave to the journal, and which ones may go.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use refrain_core::{Position, Processor, Replay};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::claim::{Claim, KeptFor};
use super::{Answers, RetainError, Retention};
use crate::error::panic_text;

impl<P> Retention<P>
where
    P: Processor + Clone + Serialize + DeserializeOwned + Sync,
{
    /// What a recovery needs, whichever of the kept snapshots it has to begin with.
    pub(super) async fn snapshot_claims(&self) -> Result<Vec<Claim>, RetainError> {
        let replay = || Claim::from(Position::FIRST, KeptFor::Replay);
        let Some(snapshots) = &self.source.snapshots else {
            return Ok(vec![replay()]);
        };
        let head = self.source.journal.head(&self.stream).await?;
        let listed = snapshots.list(&self.stream).await?;
        let mut claims = Vec::new();
        let mut valid = 0;
        for position in listed.into_iter().filter(|of| Some(*of) <= head) {
            let Some(replay) = self.valid(position).await else {
                continue;
            };
            // From its watermark on.
            claims.push(Claim::from(position.next(), KeptFor::Snapshot(position)));
            if let Some(waiting) = replay.first_waiting() {
                claims.push(Claim::from(waiting, KeptFor::Delivery));
            }
            // The memory of handled messages only moves forward, so the newest one decides.
            if let Some(answer) = replay.first_answer()
                && valid == 0
                && self.policy.answers == Answers::Kept
            {
                claims.push(Claim::from(answer, KeptFor::Answer));
            }
            valid += 1;
            if valid == self.snapshots_kept {
                return Ok(claims);
            }
        }
        Ok(vec![replay()])
    }

    /// The snapshot at `position`, read back as a recovery would.
    async fn valid(&self, position: Position) -> Option<Replay<P>> {
        let snapshots = self.source.snapshots.as_deref()?;
        let open = self.source.open_snapshot(snapshots, &self.stream, position);
        let opened = AssertUnwindSafe(open).catch_unwind().await;
        let opened = opened.unwrap_or_else(|panic| Err(panic_text(&*panic)));
        opened
            .inspect_err(|error| {
                let stream = &self.stream;
                tracing::warn!(%stream, %position, error, "a snapshot is not valid");
            })
            .ok()
    }

    /// A snapshot was stored at `newest`: deletes those that are not needed any more.
    ///
    /// While the stream is whole, the newest ones stay. Once its beginning is forgotten, a recovery
    /// depends on them: then as many stay as it takes to have enough valid ones.
    ///
    /// # Errors
    /// When the new one is of no use.
    pub(crate) async fn prune(&self, newest: Position) -> Result<(), String> {
        let Some(snapshots) = &self.source.snapshots else {
            return Ok(());
        };
        let stream = &self.stream;
        let first = self.source.journal.first(stream).await;
        let is_whole = matches!(first, Ok(Some(Position::FIRST)));
        // Beyond it are those of another history, if any: they do not count.
        let listed = snapshots.list(stream).await.unwrap_or_default();
        let listed = listed.into_iter().filter(|listed| *listed <= newest);
        let mut kept = 0;
        let mut is_useless = false;
        for position in listed {
            let is_kept = kept < self.snapshots_kept;
            if is_kept && (is_whole || self.valid(position).await.is_some()) {
                kept += 1;
                continue;
            }
            is_useless |= position == newest;
            if is_kept && position != newest {
                // Not valid here, but perhaps for another program.
                continue;
            }
            if let Err(error) = snapshots.delete(stream, position).await {
                tracing::warn!(%stream, %position, %error, "an old snapshot stays");
            }
        }
        match is_useless {
            true => Err("it cannot be read back".to_owned()),
            false => Ok(()),
        }
    }

    /// A snapshot was stored: what it covers may perhaps go.
    pub(crate) fn wake(&self) {
        self.stored.notify_one();
    }
}
