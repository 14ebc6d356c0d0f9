//! Following what comes.

use futures_util::future::{join_all, try_join_all};

use super::Instance;
use super::probe::{Probe, numbered, position, take};
use crate::conformance::failure::{Verdict, demand, demand_entries};
use crate::poll::poll_once;

pub(super) async fn follower_sees_what_comes(instance: &mut dyn Instance) -> Verdict {
    let orders = Probe::of(instance);
    let others = Probe::named(instance, "others");
    orders.fill(1..=3).await?;
    let mut follower = orders.journal.follow(&orders.stream, position(2)).await?;
    let seen = take(follower.as_mut(), 2, 2).await?;
    demand_entries("what was there", &seen, &numbered(2..=3))?;

    for at in 4..=8 {
        let mut next = follower.next();
        waits(&mut next).await?;
        others.fill(at - 3..=at - 3).await?;
        waits(&mut next).await?;
        orders.fill(at..=at).await?;
        let chunk = next.await?;
        let seen = chunk.and_then(|chunk| chunk.entry(position(at)));
        demand(seen.as_deref() == Some(&numbered(at..=at)[0]), || {
            format!("a waiting follower was shown {seen:?} and should have been shown entry {at}")
        })?;
    }
    Ok(())
}

pub(super) async fn follower_waits_for_a_missing_stream(instance: &mut dyn Instance) -> Verdict {
    let orders = Probe::of(instance);
    let mut follower = orders.journal.follow(&orders.stream, position(1)).await?;
    let mut next = follower.next();
    waits(&mut next).await?;
    orders.is_missing().await?;
    drop(next);
    orders.fill(1..=2).await?;
    let seen = take(follower.as_mut(), 1, 2).await?;
    demand_entries("what was followed", &seen, &numbered(1..=2))
}

pub(super) async fn every_follower_sees_everything(instance: &mut dyn Instance) -> Verdict {
    const THERE: u64 = 4;
    const HEAD: u64 = 12;
    let orders = Probe::of(instance);
    orders.fill(1..=THERE).await?;
    // The last two start behind the head.
    let starts = [1, 1, 3, 4, 5, 7];
    let following = starts.map(|start| orders.journal.follow(&orders.stream, position(start)));
    let mut followers = try_join_all(following).await?;
    for (follower, start) in followers.iter_mut().zip(starts) {
        let there = numbered(start..=THERE);
        let seen = take(follower.as_mut(), start, there.len()).await?;
        demand_entries("what was there", &seen, &there)?;
    }

    let mut waiting: Vec<_> = followers
        .iter_mut()
        .zip(starts)
        .map(|(follower, start)| {
            let start = start.max(THERE + 1);
            let count = usize::try_from(HEAD + 1 - start).expect("a few");
            Box::pin(take(follower.as_mut(), start, count))
        })
        .collect();
    for wait in &mut waiting {
        waits(wait).await?;
    }
    orders.fill(THERE + 1..=THERE + 1).await?;
    orders.fill(THERE + 2..=HEAD).await?;
    for (seen, start) in join_all(waiting).await.into_iter().zip(starts) {
        let wanted = numbered(start.max(THERE + 1)..=HEAD);
        demand_entries("what came", &seen?, &wanted)?;
    }
    Ok(())
}

/// There is nothing to show yet.
async fn waits<F: Future + Unpin>(next: &mut F) -> Verdict {
    demand(poll_once(next).await.is_pending(), || {
        "a follower did not wait, though there was nothing to show".to_owned()
    })
}
