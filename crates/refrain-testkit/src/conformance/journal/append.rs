//! One append at a time: where it goes, what is refused, and what is kept.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::{try_join, try_join_all};
use refrain_core::limit::{BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, ENTRY_BYTES_MAX};
use refrain_core::port::journal::{AppendError, RejectReason};
use tokio::task::yield_now;

use super::Instance;
use super::probe::{Probe, large, numbered};
use crate::conformance::failure::{Failure, Verdict, demand, demand_entries, demand_eq};

pub(super) async fn positions_start_at_1_and_have_no_gaps(instance: &mut dyn Instance) -> Verdict {
    let orders = Probe::of(instance);
    let written: Vec<Vec<u8>> = vec![
        b"first".to_vec(),
        Vec::new(),
        vec![0; 3],
        (0..=255).collect(),
        b"last".to_vec(),
    ];
    orders.append(1, &written[..1]).await?;
    orders.is_at(Some(1), Some(1)).await?;
    orders.append(2, &written[1..4]).await?;
    orders.append(5, &written[4..]).await?;
    orders.is_at(Some(1), Some(5)).await?;
    demand_entries("what was read", &orders.read_from(1).await?, &written)
}

pub(super) async fn append_answers_its_last_position(instance: &mut dyn Instance) -> Verdict {
    let orders = Probe::of(instance);
    for (at, last) in [(1, 1), (2, 4), (5, 5), (6, 15)] {
        let answer = orders.submit(at, &numbered(at..=last)).await?;
        demand_eq("the answered position", answer.get(), last)?;
    }
    Ok(())
}

pub(super) async fn stale_append_is_fenced(instance: &mut dyn Instance) -> Verdict {
    let orders = Probe::of(instance);
    orders.fill(1..=3).await?;
    for at in 1..=3 {
        orders.fences(at, 4).await?;
    }
    orders.holds(1..=3).await?;
    orders.fill(4..=4).await?;
    orders.holds(1..=4).await
}

pub(super) async fn early_append_is_fenced(instance: &mut dyn Instance) -> Verdict {
    let orders = Probe::of(instance);
    orders.fences(2, 1).await?;
    orders.is_missing().await?;
    orders.fill(1..=3).await?;
    for at in [5, 6, 1_000_000] {
        orders.fences(at, 4).await?;
    }
    orders.holds(1..=3).await?;
    orders.fill(4..=4).await?;
    orders.holds(1..=4).await
}

pub(super) async fn empty_batch_is_rejected(instance: &mut dyn Instance) -> Verdict {
    let orders = Probe::of(instance);
    let reason = orders.rejects(1, &[]).await?;
    demand_eq("the reason", reason, RejectReason::Empty)?;
    orders.is_missing().await?;
    orders.fill(1..=2).await?;
    let reason = orders.rejects(3, &[]).await?;
    demand_eq("the reason", reason, RejectReason::Empty)?;
    orders.holds(1..=2).await
}

pub(super) async fn too_large_entry_is_rejected(instance: &mut dyn Instance) -> Verdict {
    let orders = Probe::of(instance);
    let bytes_max = orders.journal.entry_bytes_max();
    let bytes = bytes_max + 1;
    let too_large = vec![b'x'; bytes];
    let small = b"small".to_vec();
    for batch in [
        vec![too_large.clone()],
        vec![small.clone(), too_large, small],
    ] {
        let reason = orders.rejects(1, &batch).await?;
        demand_eq(
            "the reason",
            reason,
            RejectReason::TooLarge { bytes, bytes_max },
        )?;
        orders.is_missing().await?;
    }
    orders.fill(1..=2).await?;
    orders.holds(1..=2).await
}

pub(super) async fn largest_entry_is_kept(instance: &mut dyn Instance) -> Verdict {
    let orders = Probe::of(instance);
    let bytes_max = orders.journal.entry_bytes_max();
    demand((1..=ENTRY_BYTES_MAX).contains(&bytes_max), || {
        format!(
            "the largest entry has {bytes_max} bytes; no journal may take more than {ENTRY_BYTES_MAX}"
        )
    })?;
    let written = vec![b"before".to_vec(), large(bytes_max, 1), b"behind".to_vec()];
    orders.append(1, &written[..1]).await?;
    orders.append(2, &written[1..2]).await?;
    orders.append(3, &written[2..]).await?;
    demand_entries("what was read", &orders.read_from(1).await?, &written)
}

pub(super) async fn largest_batch_is_kept(instance: &mut dyn Instance) -> Verdict {
    let many = Probe::named(instance, "many");
    let most = BATCH_ENTRIES_MAX as u64;
    many.fill(1..=most).await?;
    many.holds(1..=most).await?;

    let heavy = Probe::named(instance, "heavy");
    let entry_bytes = heavy.journal.entry_bytes_max().min(BATCH_BYTES_MAX / 4);
    let count = (BATCH_BYTES_MAX / entry_bytes).min(BATCH_ENTRIES_MAX);
    let written: Vec<Vec<u8>> = (1..)
        .take(count)
        .map(|seed| large(entry_bytes, seed))
        .collect();
    heavy.append(1, &written).await?;
    demand_entries("what was read", &heavy.read_from(1).await?, &written)
}

pub(super) async fn batch_is_shown_whole(instance: &mut dyn Instance) -> Verdict {
    const BATCHES: u64 = 8;
    const SIZE: u64 = 7;
    let (writer, reader) = (Probe::of(instance), Probe::of(instance));
    let written = AtomicBool::new(false);
    let writing = async {
        for batch in 0..BATCHES {
            let first = batch * SIZE + 1;
            writer.fill(first..=batch * SIZE + SIZE).await?;
        }
        written.store(true, Ordering::Relaxed);
        Ok::<(), Failure>(())
    };
    let reading = async {
        while !written.load(Ordering::Relaxed) {
            let head = reader.journal.head(&reader.stream).await?;
            let head = head.map_or(0, |head| head.get());
            demand(head.is_multiple_of(SIZE), || {
                format!("the head was {head} while batches of {SIZE} were appended")
            })?;
            let count = reader.read_from(1).await?.len() as u64;
            demand(count.is_multiple_of(SIZE), || {
                format!("{count} entries were read while batches of {SIZE} were appended")
            })?;
            yield_now().await;
        }
        Ok::<(), Failure>(())
    };
    try_join(writing, reading).await?;
    writer.holds(1..=BATCHES * SIZE).await
}

pub(super) async fn one_writer_wins_each_position(instance: &mut dyn Instance) -> Verdict {
    const WRITERS: u64 = 4;
    const EACH: u64 = 8;
    let writers: Vec<Probe> = (0..WRITERS).map(|_| Probe::of(instance)).collect();
    let won = try_join_all(
        writers
            .iter()
            .enumerate()
            .map(|(number, writer)| async move { win_positions(writer, number, EACH).await }),
    )
    .await?;

    let mut wanted = won.concat();
    wanted.sort();
    let positions: Vec<u64> = wanted.iter().map(|(at, _)| *at).collect();
    demand_eq(
        "the list of positions that were won",
        positions,
        (1..=WRITERS * EACH).collect(),
    )?;
    let wanted: Vec<Vec<u8>> = wanted.into_iter().map(|(_, entry)| entry).collect();
    demand_entries("what was read", &writers[0].read_from(1).await?, &wanted)
}

/// Appends until `count` appends were acknowledged, and gives their positions and entries.
async fn win_positions(writer: &Probe, number: usize, count: u64) -> Verdict<Vec<(u64, Vec<u8>)>> {
    let mut won = Vec::new();
    let mut at = 1;
    while (won.len() as u64) < count {
        let entry = format!("writer {number} at {at}").into_bytes();
        match writer.submit(at, std::slice::from_ref(&entry)).await {
            Ok(_) => {
                won.push((at, entry));
                at += 1;
            }
            Err(AppendError::Fenced { next, .. }) => {
                // So the writers cannot go round in circles.
                demand(next.get() > at, || {
                    format!("a writer at {at} was fenced, and told to append at {next}")
                })?;
                at = next.get();
            }
            Err(other) => return Err(other.into()),
        }
        yield_now().await;
    }
    Ok(won)
}
