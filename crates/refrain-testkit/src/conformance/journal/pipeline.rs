//! Several appends in flight, and what may be told while they are.

use std::future::poll_fn;
use std::task::Poll;

use futures_util::future::join_all;
use refrain_core::Position;
use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{AppendError, RejectReason};
use tokio::task::yield_now;

use super::Instance;
use super::probe::{Probe, is_rejected, numbered, take};
use crate::conformance::failure::{Failure, Verdict, demand, demand_entries, demand_eq};
use crate::poll::poll_once;

type Append = BoxFuture<'static, Result<Position, AppendError>>;

pub(super) async fn appends_in_flight_take_effect_in_order(instance: &mut dyn Instance) -> Verdict {
    let orders = Probe::of(instance);
    let mut at = 1;
    let mut appends = Vec::new();
    for size in [1, 3, 2, 1, 1, 5, 2, 1, 4, 1, 2, 3] {
        appends.push(orders.submit(at, &numbered(at..=at + size - 1)));
        at += size;
    }
    for append in appends {
        append.await?;
    }
    orders.holds(1..=at - 1).await
}

pub(super) async fn appends_complete_in_order(instance: &mut dyn Instance) -> Verdict {
    // Few enough for one turn of a runtime that limits what a task may poll in one turn.
    const IN_FLIGHT: u64 = 16;
    let orders = Probe::of(instance);
    let mut appends: Vec<Append> = (1..=IN_FLIGHT)
        .map(|at| orders.submit(at, &numbered(at..=at)))
        .collect();
    let mut results: Vec<Option<Result<Position, AppendError>>> = vec![None; appends.len()];
    yield_now().await;
    let order = poll_fn(|cx| {
        // From the youngest to the oldest: when one is complete, all older ones must be as well.
        let mut complete_up_to = None;
        for (index, append) in appends.iter_mut().enumerate().rev() {
            if results[index].is_some() {
                continue;
            }
            match (append.as_mut().poll(cx), complete_up_to) {
                (Poll::Ready(result), _) => {
                    results[index] = Some(result);
                    complete_up_to = complete_up_to.max(Some(index));
                }
                (Poll::Pending, Some(younger)) => {
                    return Poll::Ready(Err(Failure::new(format!(
                        "append {} was complete before append {}",
                        younger + 1,
                        index + 1
                    ))));
                }
                (Poll::Pending, None) => {}
            }
        }
        match results.iter().all(Option::is_some) {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    });
    order.await?;
    for result in results.into_iter().flatten() {
        result?;
    }
    orders.holds(1..=IN_FLIGHT).await
}

pub(super) async fn append_is_submitted_by_the_call(instance: &mut dyn Instance) -> Verdict {
    let orders = Probe::of(instance);
    let first = orders.submit(1, &numbered(1..=1));
    let second = orders.submit(2, &numbered(2..=2));
    second.await?;
    orders.holds(1..=2).await?;
    first.await?;
    Ok(())
}

pub(super) async fn dropped_append_happens(instance: &mut dyn Instance) -> Verdict {
    let orders = Probe::of(instance);
    drop(orders.submit(1, &numbered(1..=3)));
    let mut polled = orders.submit(4, &numbered(4..=4));
    drop(poll_once(&mut polled).await);
    drop(polled);
    orders.fill(5..=5).await?;
    orders.holds(1..=5).await
}

pub(super) async fn appends_behind_a_failed_one_fail(instance: &mut dyn Instance) -> Verdict {
    let orders = Probe::of(instance);
    let too_large = vec![0; orders.journal.entry_bytes_max() + 1];
    let kept = orders.submit(1, &numbered(1..=1));
    let rejected = orders.submit(2, &[too_large]);
    let behind = [
        orders.submit(3, &numbered(3..=3)),
        orders.submit(4, &numbered(4..=4)),
    ];
    kept.await?;
    let reason = is_rejected(rejected.await)?;
    demand(matches!(reason, RejectReason::TooLarge { .. }), || {
        format!("the append that was too large was rejected because {reason}")
    })?;
    for (append, at) in join_all(behind).await.into_iter().zip(3..) {
        orders.is_fenced(append, at, 2)?;
    }
    orders.holds(1..=1).await?;

    let kept = orders.submit(2, &numbered(2..=2));
    let fenced = orders.submit(9, &numbered(9..=9));
    let behind = orders.submit(10, &numbered(10..=10));
    kept.await?;
    orders.is_fenced(fenced.await, 9, 3)?;
    orders.is_fenced(behind.await, 10, 3)?;
    orders.holds(1..=2).await
}

pub(super) async fn nothing_undurable_is_acknowledged(instance: &mut dyn Instance) -> Verdict {
    let orders = Probe::of(instance);
    orders.fill(1..=2).await?;
    let Some(hold) = instance.hold() else {
        return Ok(());
    };
    let mut appends = [
        orders.submit(3, &numbered(3..=4)),
        orders.submit(5, &numbered(5..=5)),
    ];
    for append in &mut appends {
        // Time for a journal that would answer too early: a read goes all the way and back.
        orders.read_from(1).await?;
        demand(poll_once(append).await.is_pending(), || {
            "an append was acknowledged while durability was held back".to_owned()
        })?;
    }
    hold.release();
    for append in appends {
        append.await?;
    }
    orders.holds(1..=5).await
}

pub(super) async fn nothing_undurable_is_shown(instance: &mut dyn Instance) -> Verdict {
    let orders = Probe::of(instance);
    let refunds = Probe::named(instance, "refunds");
    orders.fill(1..=2).await?;
    let mut follower = orders
        .journal
        .follow(&orders.stream, Position::FIRST)
        .await?;
    take(follower.as_mut(), 1, 2).await?;
    let Some(hold) = instance.hold() else {
        return Ok(());
    };
    let appends = [
        orders.submit(3, &numbered(3..=4)),
        refunds.submit(1, &numbered(1..=1)),
        orders.submit(5, &numbered(5..=5)),
    ];
    let mut next = follower.next();
    for _ in 0..3 {
        orders.holds(1..=2).await?;
        refunds.is_missing().await?;
        demand(poll_once(&mut next).await.is_pending(), || {
            "a follower was shown an entry while durability was held back".to_owned()
        })?;
    }
    drop(next);
    hold.release();
    for append in appends {
        append.await?;
    }
    orders.holds(1..=5).await?;
    refunds.holds(1..=1).await?;
    let followed = take(follower.as_mut(), 3, 3).await?;
    demand_eq("the number of entries followed", followed.len(), 3)?;
    demand_entries("what was followed", &followed, &numbered(3..=5))
}
