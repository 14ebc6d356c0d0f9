//! Reading what is there.

use refrain_core::limit::{BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, ENTRY_BYTES_MAX};

use super::Instance;
use super::probe::{Probe, drain, large, numbered, position};
use crate::conformance::failure::{Verdict, demand, demand_entries};

pub(super) async fn missing_stream_is_empty(instance: &mut dyn Instance) -> Verdict {
    let orders = Probe::of(instance);
    orders.is_missing().await?;
    demand_entries(
        "what a missing stream holds from 5 on",
        &orders.read_from(5).await?,
        &[],
    )?;
    // Looking did not create it, and does not once there are others.
    Probe::named(instance, "orders-2").fill(1..=1).await?;
    orders.is_missing().await
}

pub(super) async fn read_starts_where_it_is_asked_to(instance: &mut dyn Instance) -> Verdict {
    const HEAD: u64 = 9;
    let orders = Probe::of(instance);
    // One position is in the middle of a batch, at its start and at its end.
    orders.fill(1..=1).await?;
    orders.fill(2..=6).await?;
    orders.fill(7..=HEAD).await?;
    for from in 1..=HEAD + 3 {
        let seen = orders.read_from(from).await?;
        demand_entries(
            &format!("what was read from {from}"),
            &seen,
            &numbered(from..=HEAD),
        )?;
    }
    Ok(())
}

pub(super) async fn read_ends_at_the_head_of_the_call(instance: &mut dyn Instance) -> Verdict {
    let orders = Probe::of(instance);
    let mut empty = orders.journal.read(&orders.stream, position(1)).await?;
    orders.fill(1..=3).await?;
    let mut three = orders.journal.read(&orders.stream, position(1)).await?;
    let mut behind = orders.journal.read(&orders.stream, position(4)).await?;
    orders.fill(4..=6).await?;

    let seen = drain(empty.as_mut(), 1).await?;
    demand_entries("what was read of an empty stream", &seen, &[])?;
    let seen = drain(three.as_mut(), 1).await?;
    demand_entries("what was read of 3 entries", &seen, &numbered(1..=3))?;
    let seen = drain(behind.as_mut(), 4).await?;
    demand_entries("what was read behind 3 entries", &seen, &[])
}

pub(super) async fn long_stream_is_read_in_chunks(instance: &mut dyn Instance) -> Verdict {
    // More than fits the largest append that there can be.
    const BYTES: usize = 2 * (BATCH_BYTES_MAX + ENTRY_BYTES_MAX);
    let orders = Probe::of(instance);
    let entry_bytes = orders.journal.entry_bytes_max().min(BATCH_BYTES_MAX / 4);
    let count = (BYTES / entry_bytes) as u64;
    let mut at = 1;
    while at <= count {
        let batch: Vec<Vec<u8>> = (at..=count)
            .take((BATCH_BYTES_MAX / entry_bytes).min(BATCH_ENTRIES_MAX))
            .map(|number| large(entry_bytes, number))
            .collect();
        orders.append(at, &batch).await?;
        at += batch.len() as u64;
    }

    let mut cursor = orders.journal.read(&orders.stream, position(1)).await?;
    let mut next = 1;
    while let Some(chunk) = cursor.next().await? {
        let bytes: usize = chunk.entries().map(|(_, entry)| entry.len()).sum();
        demand(bytes <= BYTES / 2, || {
            format!(
                "a chunk has {bytes} bytes; the largest append has {}",
                BYTES / 2
            )
        })?;
        for (position, entry) in chunk.entries() {
            demand(
                position.get() == next && entry == large(entry_bytes, next),
                || format!("where entry {next} belongs is another one, at {position}"),
            )?;
            next += 1;
        }
    }
    demand(next == count + 1, || {
        format!("the read ended before entry {next} of {count}")
    })
}
