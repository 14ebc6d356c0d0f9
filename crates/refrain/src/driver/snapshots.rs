//! Snapshots on the way: copied between two steps, stored in the background once durable.

use bytes::Bytes;
use refrain_core::{Position, Processor};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::{Control, Driver};

/// Somebody who waits for a snapshot.
pub(super) type WantsSnapshot = oneshot::Sender<Result<Position, String>>;

pub(super) struct Snapshotting {
    /// The position of the last snapshot, or where this writer began.
    last: Position,
    stage: Stage,
    wanted_by: Vec<WantsSnapshot>,
    told: Vec<WantsSnapshot>,
}

enum Stage {
    Idle,
    /// Copied, and waiting for its position to be durable.
    Copied(Position, Vec<u8>),
    Storing,
}

impl Snapshotting {
    pub(super) fn new(last: Position) -> Snapshotting {
        Snapshotting {
            last,
            stage: Stage::Idle,
            wanted_by: Vec::new(),
            told: Vec::new(),
        }
    }

    pub(super) fn want(&mut self, reply: WantsSnapshot) {
        self.wanted_by.push(reply);
    }
}

impl<P> Driver<P>
where
    P: Processor + Clone + Serialize + DeserializeOwned + Sync,
{
    /// Copies the state when the policy or somebody wants it, and stores the copy once durable.
    pub(super) fn snapshot_if_due(&mut self) {
        if self.parts.source.snapshots.is_none() {
            for reply in self.snapshots.wanted_by.drain(..) {
                _ = reply.send(Err("no place for snapshots was given".to_owned()));
            }
            return;
        }
        if let Stage::Idle = self.snapshots.stage
            && self.engine.spoiled().is_none()
        {
            let grown = self.engine.head().get() - self.snapshots.last.get();
            let is_due = self
                .parts
                .snapshots
                .every_entries
                .is_some_and(|every| grown >= every);
            if is_due || !self.snapshots.wanted_by.is_empty() {
                self.copy();
            }
        }
        if let Stage::Copied(position, _) = &self.snapshots.stage
            && self.engine.durable() >= Some(*position)
        {
            self.store();
        }
    }

    fn copy(&mut self) {
        let save = |state: &P, into: &mut Vec<u8>| P::ENCODING.encode(state, into);
        let wanted = std::mem::take(&mut self.snapshots.wanted_by);
        match self.engine.snapshot(save) {
            Ok((position, bytes)) => {
                self.snapshots.last = position;
                self.snapshots.told = wanted;
                self.snapshots.stage = Stage::Copied(position, bytes);
            }
            Err(error) => {
                self.snapshots.last = self.engine.head();
                self.snapshots.told = wanted;
                self.snapshot_taken(Err(error.to_string()));
            }
        }
    }

    fn store(&mut self) {
        let stage = std::mem::replace(&mut self.snapshots.stage, Stage::Storing);
        let (Stage::Copied(position, bytes), Some(snapshots)) =
            (stage, self.parts.source.snapshots.clone())
        else {
            return;
        };
        let stream = self.parts.settings.name.clone();
        let keep = self.parts.snapshots.keep;
        let control = self.parts.control_sender.clone();
        self.tasks.spawn(async move {
            let stored = snapshots.put(&stream, position, Bytes::from(bytes)).await;
            if stored.is_ok() {
                let listed = snapshots.list(&stream).await.unwrap_or_default();
                for old in listed.into_iter().skip(keep) {
                    if let Err(error) = snapshots.delete(&stream, old).await {
                        tracing::warn!(%stream, %old, %error, "an old snapshot stays");
                    }
                }
            }
            let result = stored.map(|()| position).map_err(|error| error.to_string());
            let _ = control.send(Control::SnapshotTaken(result)).await;
        });
    }

    pub(super) fn snapshot_taken(&mut self, result: Result<Position, String>) {
        let processor = &self.parts.settings.name;
        match &result {
            Ok(position) => tracing::info!(%processor, %position, "snapshot stored"),
            Err(error) => tracing::warn!(%processor, error, "no snapshot could be stored"),
        }
        self.snapshots.stage = Stage::Idle;
        for reply in self.snapshots.told.drain(..) {
            _ = reply.send(result.clone());
        }
    }
}
