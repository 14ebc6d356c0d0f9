//! The journal after its end. Every handle is dropped before it is opened again.

use tokio::task::yield_now;

use super::Instance;
use super::forget::forget;
use super::probe::{Probe, numbered};
use crate::conformance::failure::{Verdict, demand, demand_entries};

pub(super) async fn acknowledged_entries_survive(instance: &mut dyn Instance) -> Verdict {
    let names = ["orders", "refunds", "Orders"];
    for (last, name) in (1..).zip(names) {
        let stream = Probe::named(instance, name);
        stream.fill(1..=2).await?;
        stream.fill(3..=3 * last).await?;
    }
    instance.reopen().await;
    for (last, name) in (1..).zip(names) {
        Probe::named(instance, name).holds(1..=3 * last).await?;
    }
    // Once more, with what came after the first time.
    Probe::of(instance).fill(4..=5).await?;
    instance.reopen().await;
    Probe::of(instance).holds(1..=5).await
}

pub(super) async fn shown_entries_survive(instance: &mut dyn Instance) -> Verdict {
    let orders = Probe::of(instance);
    let appends: Vec<_> = (0..8)
        .map(|batch| 2 * batch + 1)
        .map(|at| orders.submit(at, &numbered(at..=at + 1)))
        .collect();
    // Nobody waits for the appends: what is looked for is the moment between "shown" and "durable".
    let shown = loop {
        let shown = orders.read_from(1).await?;
        if !shown.is_empty() {
            break shown;
        }
        yield_now().await;
    };
    drop((orders, appends));
    instance.reopen().await;
    let survived = Probe::of(instance).read_from(1).await?;
    let survived = &survived[..survived.len().min(shown.len())];
    demand_entries("what was shown before, read again,", survived, &shown)
}

pub(super) async fn unfinished_appends_leave_whole_batches(instance: &mut dyn Instance) -> Verdict {
    const SIZE: u64 = 3;
    let orders = Probe::of(instance);
    orders.fill(1..=SIZE).await?;
    let appends: Vec<_> = (1..=8)
        .map(|batch| batch * SIZE + 1)
        .map(|at| orders.submit(at, &numbered(at..=at + SIZE - 1)))
        .collect();
    drop((orders, appends));
    instance.reopen().await;

    let orders = Probe::of(instance);
    let count = orders.read_from(1).await?.len() as u64;
    demand(count >= SIZE && count.is_multiple_of(SIZE), || {
        format!("{count} entries are left of batches of {SIZE}, of which one was acknowledged")
    })?;
    orders.holds(1..=count).await?;
    orders.fill(count + 1..=count + 2).await?;
    orders.holds(1..=count + 2).await
}

pub(super) async fn positions_go_on_after_reopening(instance: &mut dyn Instance) -> Verdict {
    let (orders, emptied) = (Probe::of(instance), Probe::named(instance, "emptied"));
    orders.fill(1..=10).await?;
    emptied.fill(1..=10).await?;
    forget(&orders, 6).await?;
    forget(&emptied, 11).await?;
    drop((orders, emptied));
    instance.reopen().await;

    let (orders, emptied) = (Probe::of(instance), Probe::named(instance, "emptied"));
    orders.holds(6..=10).await?;
    orders.has_forgotten(5, 6).await?;
    emptied.is_at(None, Some(10)).await?;
    emptied.has_forgotten(10, 11).await?;
    for stream in [&orders, &emptied] {
        for at in [1, 10, 12] {
            stream.fences(at, 11).await?;
        }
        stream.fill(11..=11).await?;
    }
    orders.holds(6..=11).await?;
    emptied.holds(11..=11).await
}
