//! Many streams in one journal.

use refrain_core::Name;

use super::Instance;
use super::probe::{Probe, name};
use crate::conformance::failure::{Verdict, demand_entries, demand_eq};

/// In order. Names that a file system, a pattern or a collation could take for one another.
const NAMES: [&str; 14] = [
    "-", ".", "..", "A", "A.1", "ORDERS", "Z", "_", "a", "a-b", "a.b", "a_b", "aab", "orders",
];

pub(super) async fn streams_are_apart(instance: &mut dyn Instance) -> Verdict {
    let long = ["x".repeat(127) + "1", "x".repeat(127) + "2"];
    let names = NAMES.into_iter().chain(long.iter().map(String::as_str));
    let streams: Vec<Probe> = names.map(|name| Probe::named(instance, name)).collect();
    for round in 1..=3 {
        for stream in &streams {
            stream
                .append(round, &[entry(&stream.stream, round)])
                .await?;
        }
    }
    for stream in &streams {
        stream.is_at(Some(1), Some(3)).await?;
        let wanted: Vec<Vec<u8>> = (1..=3).map(|round| entry(&stream.stream, round)).collect();
        let what = format!("what {} holds", stream.stream);
        demand_entries(&what, &stream.read_from(1).await?, &wanted)?;
    }
    Ok(())
}

pub(super) async fn streams_are_listed_by_prefix(instance: &mut dyn Instance) -> Verdict {
    create(instance).await?;
    let journal = instance.journal();
    for prefix in ["", "a", "a_", "a.", "A", ".", "o", "orders", "orders-", "%"] {
        let listed = journal.streams(prefix, None, usize::MAX).await?;
        demand_eq(
            &format!("the list of streams that start with {prefix:?}"),
            listed,
            starting_with(prefix),
        )?;
    }
    Ok(())
}

pub(super) async fn streams_are_listed_in_pages(instance: &mut dyn Instance) -> Verdict {
    create(instance).await?;
    let journal = instance.journal();
    for prefix in ["", "a"] {
        for limit in 1..=4 {
            let mut listed: Vec<Name> = Vec::new();
            loop {
                let page = journal.streams(prefix, listed.last(), limit).await?;
                if page.is_empty() || listed.len() > NAMES.len() {
                    break;
                }
                let left = starting_with(prefix).len().saturating_sub(listed.len());
                demand_eq("the length of a page", page.len(), left.min(limit))?;
                listed.extend(page);
            }
            demand_eq("all pages together", listed, starting_with(prefix))?;
        }
    }
    // A name that is no stream's is as good a place to go on from as any.
    let listed = journal.streams("", Some(&name("b")), usize::MAX).await?;
    demand_eq("the list of streams after b", listed, vec![name("orders")])
}

async fn create(instance: &mut dyn Instance) -> Verdict {
    // Not in the order of their names.
    for stream in NAMES.iter().rev() {
        Probe::named(instance, stream).fill(1..=1).await?;
    }
    Ok(())
}

fn starting_with(prefix: &str) -> Vec<Name> {
    let names = NAMES.into_iter().filter(|name| name.starts_with(prefix));
    names.map(name).collect()
}

fn entry(stream: &Name, round: u64) -> Vec<u8> {
    format!("{stream} {round}").into_bytes()
}
