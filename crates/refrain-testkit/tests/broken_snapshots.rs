//! The negative control of the snapshot suite: each check catches a place for snapshots that breaks
//! its promise.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use refrain_core::port::BoxFuture;
use refrain_core::port::snapshots::{SnapshotError, Snapshots};
use refrain_core::{Name, Position};
use refrain_testkit::conformance::snapshots::{CHECKS, Damage, Instance};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    ClipsLargeOnes,
    KeepsTheFirst,
    ServesNothingForMissing,
    ListsOldestFirst,
    DeletesNothing,
    LosesAllAtTheEnd,
    ServesDamaged,
}

const FLAWS: [(Flaw, &str); 7] = [
    (Flaw::ClipsLargeOnes, "snapshot_comes_back_as_it_was_put"),
    (Flaw::KeepsTheFirst, "put_replaces"),
    (Flaw::ServesNothingForMissing, "missing_snapshot_is_missing"),
    (Flaw::ListsOldestFirst, "snapshots_are_listed_newest_first"),
    (Flaw::DeletesNothing, "deleted_snapshot_is_gone"),
    (Flaw::LosesAllAtTheEnd, "acknowledged_snapshot_survives"),
    (Flaw::ServesDamaged, "damaged_snapshot_is_never_served"),
];

type Stored = BTreeMap<(Name, Position), Bytes>;

#[derive(Debug, Clone)]
struct Flawed {
    flaw: Flaw,
    stored: Arc<Mutex<Stored>>,
}

impl Flawed {
    fn with<T>(&self, look: impl FnOnce(&mut Stored) -> T) -> T {
        look(&mut self.stored.lock().expect("one test, one thread"))
    }
}

impl Instance for Flawed {
    fn snapshots(&self) -> Arc<dyn Snapshots> {
        Arc::new(self.clone())
    }

    fn reopen(&mut self) -> BoxFuture<'_, ()> {
        if self.flaw == Flaw::LosesAllAtTheEnd {
            self.with(Stored::clear);
        }
        Box::pin(std::future::ready(()))
    }

    fn damage(&mut self, stream: &Name, position: Position) -> Damage {
        let damaged = Bytes::from_static(b"damaged");
        self.with(|stored| stored.insert((stream.clone(), position), damaged));
        Damage::Done
    }
}

impl Snapshots for Flawed {
    fn put(
        &self,
        stream: &Name,
        position: Position,
        bytes: Bytes,
    ) -> BoxFuture<'_, Result<(), SnapshotError>> {
        let at = (stream.clone(), position);
        let kept = match self.flaw == Flaw::ClipsLargeOnes {
            true => bytes.len().min(4096),
            false => bytes.len(),
        };
        self.with(|stored| {
            if self.flaw != Flaw::KeepsTheFirst || !stored.contains_key(&at) {
                stored.insert(at, bytes.slice(..kept));
            }
        });
        Box::pin(std::future::ready(Ok(())))
    }

    fn list(&self, stream: &Name) -> BoxFuture<'_, Result<Vec<Position>, SnapshotError>> {
        let of_stream = |stored: &mut Stored| -> Vec<Position> {
            let keys = stored.keys().filter(|(name, _)| name == stream);
            keys.map(|(_, position)| *position).collect()
        };
        let mut positions = self.with(of_stream);
        if self.flaw != Flaw::ListsOldestFirst {
            positions.reverse();
        }
        Box::pin(std::future::ready(Ok(positions)))
    }

    fn get(
        &self,
        stream: &Name,
        position: Position,
    ) -> BoxFuture<'_, Result<Bytes, SnapshotError>> {
        let stored = self.with(|stored| stored.get(&(stream.clone(), position)).cloned());
        let got = match stored {
            None if self.flaw == Flaw::ServesNothingForMissing => Ok(Bytes::new()),
            None => Err(SnapshotError::Missing {
                stream: stream.clone(),
                position,
            }),
            Some(bytes) => Ok(bytes),
        };
        Box::pin(std::future::ready(got))
    }

    fn delete(
        &self,
        stream: &Name,
        position: Position,
    ) -> BoxFuture<'_, Result<(), SnapshotError>> {
        if self.flaw != Flaw::DeletesNothing {
            self.with(|stored| stored.remove(&(stream.clone(), position)));
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

#[tokio::test]
async fn every_broken_promise_is_caught_by_its_check() {
    for (flaw, name) in FLAWS {
        let check = CHECKS.iter().find(|check| check.name() == name);
        let check = check.unwrap_or_else(|| panic!("there is no check {name}"));
        let stored = Arc::default();
        let mut flawed = Flawed { flaw, stored };
        let broken = check.run(&mut flawed, Duration::from_secs(10)).await;
        let broken = broken.expect_err(&format!("{name} did not catch {flaw:?}"));
        assert!(broken.to_string().contains(check.promise()), "{broken}");
    }
}

#[test]
fn every_check_catches_broken_snapshots() {
    let all: BTreeSet<&str> = CHECKS.iter().map(|check| check.name()).collect();
    let catching: BTreeSet<&str> = FLAWS.iter().map(|(_, name)| *name).collect();
    assert_eq!(all, catching);
    assert_eq!(all.len(), CHECKS.len(), "names are unique");
}
