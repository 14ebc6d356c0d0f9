//! Snapshots on the way: copied between two steps, stored in the background once durable.

use refrain_core::{Position, Processor, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::{Control, Driver};

/// Somebody who waits for a snapshot.
pub(super) type WantsSnapshot = oneshot::Sender<Result<Position, String>>;

pub(super) struct Snapshotting {
    /// The position of the last snapshot's watermark; 0 before the first.
    last: u64,
    /// When it was taken, or when this writer began.
    last_at: Timestamp,
    stage: Stage,
    wanted_by: Vec<WantsSnapshot>,
    told: Vec<WantsSnapshot>,
}

enum Stage {
    Idle,
    /// Copied as of this position, and waiting for its watermark, which is next, to be durable.
    Copied(Position, Vec<u8>),
    Storing,
}

impl Snapshotting {
    pub(super) fn new(last: Option<Position>, now: Timestamp) -> Snapshotting {
        Snapshotting {
            last: last.map_or(0, watermark_of),
            last_at: now,
            stage: Stage::Idle,
            wanted_by: Vec::new(),
            told: Vec::new(),
        }
    }

    pub(super) fn want(&mut self, reply: WantsSnapshot) {
        self.wanted_by.push(reply);
    }

    /// Whether nothing is being copied or stored, and nobody waits for it.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Idle) && self.wanted_by.is_empty()
    }

    /// The state was rebuilt, from the snapshot `newest` on, up to `head`. A copy that was not stored
    /// is of a state that may never have been: it is dropped, and whoever wanted it gets another.
    pub(super) fn rebuilt(&mut self, newest: Option<Position>, head: Position) {
        if let Stage::Copied(..) = self.stage {
            self.stage = Stage::Idle;
            self.wanted_by.append(&mut self.told);
            self.last = newest.map_or(0, watermark_of);
        }
        self.last = self.last.min(head.get());
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
            && (self.is_snapshot_due() || !self.snapshots.wanted_by.is_empty())
        {
            self.copy();
        }
        if let Stage::Copied(position, _) = &self.snapshots.stage
            && self.engine.durable() >= Some(position.next())
        {
            self.store();
        }
    }

    fn is_snapshot_due(&self) -> bool {
        let grown = self.engine.head().get() - self.snapshots.last;
        let policy = &self.parts.snapshots;
        let is_long = policy.every_entries.is_some_and(|every| grown >= every);
        // The entry that begins an epoch changes nothing that would be worth one.
        let is_late = grown > 1
            && policy
                .every
                .is_some_and(|every| self.now.since(self.snapshots.last_at) >= every);
        is_long || is_late
    }

    /// When the policy wants to look again, though nothing else happens.
    pub(super) fn next_snapshot_due(&self) -> Option<Timestamp> {
        let every = self.parts.snapshots.every?;
        let has_grown = self.engine.head().get() - self.snapshots.last > 1;
        let is_idle = matches!(self.snapshots.stage, Stage::Idle);
        let has_place = self.parts.source.snapshots.is_some();
        (has_grown && is_idle && has_place).then(|| self.snapshots.last_at + every)
    }

    fn copy(&mut self) {
        let save = |state: &P, into: &mut Vec<u8>| P::ENCODING.encode(state, into);
        self.snapshots.told = std::mem::take(&mut self.snapshots.wanted_by);
        self.snapshots.last_at = self.parts.clock.now();
        let copied = self.engine.snapshot(self.now, save);
        self.snapshots.last = self.engine.head().get();
        match copied {
            Ok((position, bytes)) => self.snapshots.stage = Stage::Copied(position, bytes),
            Err(error) => self.snapshot_taken(Err(error.to_string())),
        }
    }

    fn store(&mut self) {
        let stage = std::mem::replace(&mut self.snapshots.stage, Stage::Storing);
        let (Stage::Copied(position, bytes), Some(snapshots)) =
            (stage, self.parts.source.snapshots.clone())
        else {
            unreachable!("only a copy is stored, and only where there is a place for it")
        };
        let stream = self.parts.settings.name.clone();
        let retention = self.parts.retention.clone();
        let control = self.parts.inlets.control_sender.clone();
        self.spawn(async move {
            let stored = snapshots.put(&stream, position, bytes.into()).await;
            let mut stored = stored.map_err(|error| error.to_string());
            if stored.is_ok() {
                stored = retention.prune(position).await;
            }
            if stored.is_ok() {
                retention.wake();
            }
            let result = stored.map(|()| position);
            // A driver that is gone has nobody to tell.
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

/// Where the entry is that vouches for a snapshot at `position`.
fn watermark_of(position: Position) -> u64 {
    position.next().get()
}
