//! Does this backend keep snapshots? Asks for every promise of [`Snapshots`].

use std::sync::Arc;

use bytes::Bytes;
use refrain_core::port::BoxFuture;
use refrain_core::port::snapshots::{SnapshotError, Snapshots};
use refrain_core::{Name, Position};

use super::check::{self, Check};
use super::failure::{Failure, Verdict, demand, demand_eq, excerpt};

/// One place for snapshots, which the suite may end and open again.
pub trait Instance: Send {
    /// The snapshots.
    fn snapshots(&self) -> Arc<dyn Snapshots>;

    /// Ends the backend, as a loss of power would where it can, and opens it again. The suite has
    /// dropped every handle it had.
    fn reopen(&mut self) -> BoxFuture<'_, ()>;

    /// Changes stored bytes of the snapshot of `stream` at `position` behind the backend's back, and
    /// says whether it can.
    fn damage(&mut self, stream: &Name, position: Position) -> Damage;
}

/// Whether an instance could damage a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// It is damaged now.
    Done,
    /// The backend's bytes are out of reach; the check asks for nothing.
    OutOfReach,
}

/// Runs every check of [`CHECKS`], each on an instance of its own that `open` gives and that holds
/// nothing.
///
/// # Panics
/// When a promise is broken, with all that are and what was seen.
pub async fn run_all<I: Instance + 'static>(open: impl AsyncFn() -> I) {
    let open = async || Box::new(open().await) as Box<dyn Instance>;
    check::run_all("snapshots", CHECKS, open).await;
}

/// Every promise of the snapshots port.
pub const CHECKS: &[Check<dyn Instance>] = &[
    Check::new(
        "snapshot_comes_back_as_it_was_put",
        "A snapshot comes back byte for byte, whatever its size",
        |instance| Box::pin(comes_back_as_it_was_put(instance)),
    ),
    Check::new(
        "put_replaces",
        "A snapshot takes the place of the one at the same position",
        |instance| Box::pin(put_replaces(instance)),
    ),
    Check::new(
        "missing_snapshot_is_missing",
        "A snapshot that is not there is missing, by name and position",
        |instance| Box::pin(missing_is_missing(instance)),
    ),
    Check::new(
        "snapshots_are_listed_newest_first",
        "The snapshots of one stream are listed newest first, and no others",
        |instance| Box::pin(listed_newest_first(instance)),
    ),
    Check::new(
        "deleted_snapshot_is_gone",
        "A deleted snapshot is gone and the others stay; deleting nothing is no error",
        |instance| Box::pin(deleted_is_gone(instance)),
    ),
    Check::new(
        "acknowledged_snapshot_survives",
        "What was acknowledged is there when the backend is opened again",
        |instance| Box::pin(acknowledged_survives(instance)),
    ),
    Check::new(
        "damaged_snapshot_is_never_served",
        "Damaged bytes are an error and never served; the others stay readable",
        |instance| Box::pin(damaged_is_never_served(instance)),
    ),
];

async fn comes_back_as_it_was_put(instance: &mut dyn Instance) -> Verdict {
    let snapshots = instance.snapshots();
    let orders = name("orders");
    for (number, size) in (1..).zip([0, 1, 4095, 4096, 4097, 16 * 1024 * 1024]) {
        let bytes = state(size, number);
        snapshots.put(&orders, at(number), bytes.clone()).await?;
        is_there(&*snapshots, &orders, number, &bytes).await?;
    }
    Ok(())
}

async fn put_replaces(instance: &mut dyn Instance) -> Verdict {
    let snapshots = instance.snapshots();
    let orders = name("orders");
    // Shorter than the one before, then longer.
    for size in [1000, 10, 2000] {
        let bytes = state(size, 7);
        snapshots.put(&orders, at(7), bytes.clone()).await?;
        is_there(&*snapshots, &orders, 7, &bytes).await?;
        lists(&*snapshots, &orders, &[7]).await?;
    }
    Ok(())
}

async fn missing_is_missing(instance: &mut dyn Instance) -> Verdict {
    let snapshots = instance.snapshots();
    let orders = name("orders");
    lists(&*snapshots, &orders, &[]).await?;
    is_missing(&*snapshots, &orders, 1).await?;
    snapshots.put(&orders, at(5), state(10, 5)).await?;
    for position in [1, 4, 6, u64::MAX] {
        is_missing(&*snapshots, &orders, position).await?;
    }
    is_missing(&*snapshots, &name("order"), 5).await
}

async fn listed_newest_first(instance: &mut dyn Instance) -> Verdict {
    const POSITIONS: [u64; 7] = [9, 1, 100, 10, u64::MAX, 99, 2];
    const NAMES: [&str; 7] = ["-", ".", "..", "Orders", "order", "orders", "orders.1"];
    let snapshots = instance.snapshots();
    for name in NAMES.map(name) {
        for position in POSITIONS {
            let bytes = Bytes::from(format!("{name} {position}"));
            snapshots.put(&name, at(position), bytes).await?;
        }
    }
    let mut newest_first = POSITIONS;
    newest_first.sort_by_key(|position| std::cmp::Reverse(*position));
    for name in NAMES.map(name) {
        lists(&*snapshots, &name, &newest_first).await?;
        for position in POSITIONS {
            let bytes = format!("{name} {position}");
            is_there(&*snapshots, &name, position, bytes.as_bytes()).await?;
        }
    }
    Ok(())
}

async fn deleted_is_gone(instance: &mut dyn Instance) -> Verdict {
    let snapshots = instance.snapshots();
    let (orders, others) = (name("orders"), name("others"));
    for stream in [&orders, &others] {
        for position in 1..=3 {
            let bytes = state(10, position);
            snapshots.put(stream, at(position), bytes).await?;
        }
    }
    for _ in 0..2 {
        snapshots.delete(&orders, at(2)).await?;
        is_missing(&*snapshots, &orders, 2).await?;
        lists(&*snapshots, &orders, &[3, 1]).await?;
        lists(&*snapshots, &others, &[3, 2, 1]).await?;
    }
    snapshots.delete(&name("missing"), at(1)).await?;
    Ok(())
}

async fn acknowledged_survives(instance: &mut dyn Instance) -> Verdict {
    let orders = name("orders");
    let snapshots = instance.snapshots();
    for position in 1..=3 {
        let bytes = state(5000, position);
        snapshots.put(&orders, at(position), bytes).await?;
    }
    snapshots.put(&orders, at(3), state(100, 33)).await?;
    snapshots.delete(&orders, at(1)).await?;
    drop(snapshots);
    instance.reopen().await;

    let snapshots = instance.snapshots();
    is_there(&*snapshots, &orders, 2, &state(5000, 2)).await?;
    is_there(&*snapshots, &orders, 3, &state(100, 33)).await
}

async fn damaged_is_never_served(instance: &mut dyn Instance) -> Verdict {
    let orders = name("orders");
    let snapshots = instance.snapshots();
    for position in 1..=2 {
        let bytes = state(5000, position);
        snapshots.put(&orders, at(position), bytes).await?;
    }
    drop(snapshots);
    match instance.damage(&orders, at(2)) {
        Damage::Done => {}
        Damage::OutOfReach => return Ok(()),
    }

    let snapshots = instance.snapshots();
    match snapshots.get(&orders, at(2)).await {
        Err(SnapshotError::Damaged { .. }) => {}
        Err(other) => return Err(Failure::new(format!("a damaged snapshot gave: {other}"))),
        Ok(bytes) => {
            let bytes = excerpt(&bytes);
            return Err(Failure::new(format!("a damaged snapshot served {bytes}")));
        }
    }
    is_there(&*snapshots, &orders, 1, &state(5000, 1)).await?;
    snapshots.put(&orders, at(2), state(6000, 2)).await?;
    is_there(&*snapshots, &orders, 2, &state(6000, 2)).await
}

async fn is_there(
    snapshots: &dyn Snapshots,
    stream: &Name,
    position: u64,
    wanted: &[u8],
) -> Verdict {
    let seen = snapshots.get(stream, at(position)).await?;
    demand(seen == wanted, || {
        let (seen, wanted) = (excerpt(&seen), excerpt(wanted));
        format!("the snapshot of {stream} at {position} is {seen} and should be {wanted}")
    })
}

async fn is_missing(snapshots: &dyn Snapshots, wanted: &Name, at_position: u64) -> Verdict {
    let expected = format!("the snapshot of {wanted} at {at_position} should be missing");
    match snapshots.get(wanted, at(at_position)).await {
        Err(SnapshotError::Missing { stream, position }) => {
            demand((&stream, position) == (wanted, at(at_position)), || {
                format!("{expected}, and the error names {stream} and {position}")
            })
        }
        Err(other) => Err(Failure::new(format!("{expected}: {other}"))),
        Ok(bytes) => {
            let bytes = excerpt(&bytes);
            Err(Failure::new(format!("{expected}, and is {bytes}")))
        }
    }
}

async fn lists(snapshots: &dyn Snapshots, stream: &Name, wanted: &[u64]) -> Verdict {
    let listed = snapshots.list(stream).await?;
    demand_eq(
        &format!("the list of the snapshots of {stream}"),
        listed,
        wanted.iter().map(|position| at(*position)).collect(),
    )
}

fn state(size: u64, seed: u64) -> Bytes {
    (seed..seed + size)
        .map(|index| index.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()[7])
        .collect()
}

fn at(number: u64) -> Position {
    Position::new(number).expect("the checks count from 1")
}

fn name(text: &str) -> Name {
    Name::new(text).expect("the checks use valid names")
}
