//! Forgetting the oldest entries.

use refrain_core::port::journal::{Cursor, ReadError};

use super::Instance;
use super::probe::{Probe, numbered, position};
use crate::conformance::failure::{Failure, Verdict, demand_entries, demand_eq};

pub(super) async fn forgotten_entries_are_gone(instance: &mut dyn Instance) -> Verdict {
    let orders = Probe::of(instance);
    orders.fill(1..=4).await?;
    orders.fill(5..=10).await?;
    for below in [2, 5, 8, 10] {
        forget(&orders, below).await?;
        for wanted in [1, below - 1] {
            orders.has_forgotten(wanted, below).await?;
        }
        orders.holds(below..=10).await?;
    }
    Ok(())
}

pub(super) async fn forgetting_touches_nothing_else(instance: &mut dyn Instance) -> Verdict {
    let orders = Probe::of(instance);
    let others = Probe::named(instance, "others");
    orders.fill(1..=10).await?;
    others.fill(1..=10).await?;
    for below in [1, 6, 6, 3, 1] {
        forget(&orders, below).await?;
    }
    orders.holds(6..=10).await?;
    orders.has_forgotten(3, 6).await?;
    others.holds(1..=10).await?;
    orders.fill(11..=12).await?;
    orders.holds(6..=12).await?;

    let missing = Probe::named(instance, "missing");
    forget(&missing, 1).await?;
    missing.is_missing().await
}

pub(super) async fn forgotten_positions_are_not_used_again(instance: &mut dyn Instance) -> Verdict {
    let orders = Probe::of(instance);
    orders.fill(1..=10).await?;
    forget(&orders, 11).await?;
    orders.is_at(None, Some(10)).await?;
    orders.has_forgotten(10, 11).await?;
    demand_entries("what is left", &orders.read_from(11).await?, &[])?;
    for at in [1, 10, 12] {
        orders.fences(at, 11).await?;
    }
    orders.fill(11..=12).await?;
    orders.holds(11..=12).await?;
    orders.has_forgotten(10, 11).await
}

pub(super) async fn open_cursor_skips_nothing_forgotten(instance: &mut dyn Instance) -> Verdict {
    let orders = Probe::of(instance);
    orders.fill(1..=10).await?;
    let reader = orders.journal.read(&orders.stream, position(1)).await?;
    let follower = orders.journal.follow(&orders.stream, position(1)).await?;
    forget(&orders, 6).await?;
    for mut cursor in [reader, follower] {
        let seen = ten_or_forgotten(cursor.as_mut()).await?;
        demand_entries("what an open cursor showed", &seen, &numbered(1..=10))?;
    }
    Ok(())
}

/// What the cursor shows of ten entries. All ten when it says that they were forgotten: it may have
/// had them already, and it may refuse; it may not go on behind them.
async fn ten_or_forgotten(cursor: &mut dyn Cursor) -> Verdict<Vec<Vec<u8>>> {
    let mut next = 1;
    let mut seen = Vec::new();
    while next <= 10 {
        let chunk = match cursor.next().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Err(Failure::new(format!("the cursor ended before {next}"))),
            Err(ReadError::Forgotten { .. }) => return Ok(numbered(1..=10)),
            Err(other) => return Err(other.into()),
        };
        demand_eq("the position of the next entry", chunk.first().get(), next)?;
        seen.extend(chunk.entries().map(|(_, entry)| entry.to_vec()));
        next = chunk.last().next().get();
    }
    Ok(seen)
}

pub(super) async fn forget(probe: &Probe, below: u64) -> Verdict {
    probe.journal.forget(&probe.stream, position(below)).await?;
    Ok(())
}
