//! `MemorySnapshots`: the snapshots port over memory, and the test's control over it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use refrain_core::port::BoxFuture;
use refrain_core::port::snapshots::{SnapshotError, Snapshots};
use refrain_core::{Name, Position};

/// Snapshots in memory. Clones share their contents.
///
/// ```
/// use bytes::Bytes;
/// use refrain_core::port::snapshots::Snapshots;
/// use refrain_core::{Name, Position};
/// use refrain_journal::MemorySnapshots;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let snapshots = MemorySnapshots::default();
/// let orders: Name = "orders".parse()?;
/// snapshots.put(&orders, Position::FIRST, Bytes::from_static(b"state")).await?;
///
/// snapshots.damage(&orders, Position::FIRST);
/// assert!(snapshots.get(&orders, Position::FIRST).await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct MemorySnapshots {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    stored: BTreeMap<(Name, Position), Stored>,
    failures: VecDeque<SnapshotError>,
}

#[derive(Clone)]
enum Stored {
    Whole(Bytes),
    Damaged,
}

impl MemorySnapshots {
    /// Damages the snapshot of `stream` at `position`: reading it fails from now on.
    ///
    /// # Panics
    /// When there is none, which is a mistake of the test.
    pub fn damage(&self, stream: &Name, position: Position) {
        let damaged = self
            .lock()
            .stored
            .insert((stream.clone(), position), Stored::Damaged);
        assert!(
            damaged.is_some(),
            "there is no snapshot of {stream} at {position} to damage"
        );
    }

    /// The next `put` stores nothing and fails with `error`. Failures queue up: each meets one
    /// `put`.
    pub fn fail_next_put(&self, error: SnapshotError) {
        self.lock().failures.push_back(error);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds the lock")
    }
}

impl State {
    fn put(&mut self, at: (Name, Position), bytes: Bytes) -> Result<(), SnapshotError> {
        match self.failures.pop_front() {
            Some(error) => Err(error),
            None => {
                self.stored.insert(at, Stored::Whole(bytes));
                Ok(())
            }
        }
    }

    fn get(&self, stream: &Name, position: Position) -> Result<Bytes, SnapshotError> {
        match self.stored.get(&(stream.clone(), position)) {
            Some(Stored::Whole(bytes)) => Ok(bytes.clone()),
            Some(Stored::Damaged) => Err(SnapshotError::Damaged {
                place: format!("the snapshot of {stream} at {position} in memory"),
                detail: "a test damaged it".to_owned(),
            }),
            None => Err(SnapshotError::Missing {
                stream: stream.clone(),
                position,
            }),
        }
    }

    fn list(&self, stream: &Name) -> Vec<Position> {
        let newest = Position::new(u64::MAX).expect("it is not 0");
        self.stored
            .range((stream.clone(), Position::FIRST)..=(stream.clone(), newest))
            .rev()
            .map(|((_, position), _)| *position)
            .collect()
    }
}

impl fmt::Debug for MemorySnapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySnapshots")
            .field("stored", &self.lock().stored.len())
            .finish_non_exhaustive()
    }
}

impl Snapshots for MemorySnapshots {
    fn put(
        &self,
        stream: &Name,
        position: Position,
        bytes: Bytes,
    ) -> BoxFuture<'_, Result<(), SnapshotError>> {
        let put = self.lock().put((stream.clone(), position), bytes);
        Box::pin(std::future::ready(put))
    }

    fn list(&self, stream: &Name) -> BoxFuture<'_, Result<Vec<Position>, SnapshotError>> {
        let positions = self.lock().list(stream);
        Box::pin(std::future::ready(Ok(positions)))
    }

    fn get(
        &self,
        stream: &Name,
        position: Position,
    ) -> BoxFuture<'_, Result<Bytes, SnapshotError>> {
        let got = self.lock().get(stream, position);
        Box::pin(std::future::ready(got))
    }

    fn delete(
        &self,
        stream: &Name,
        position: Position,
    ) -> BoxFuture<'_, Result<(), SnapshotError>> {
        self.lock().stored.remove(&(stream.clone(), position));
        Box::pin(std::future::ready(Ok(())))
    }
}
