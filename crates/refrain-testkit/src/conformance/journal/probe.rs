//! One stream of the journal under test, and what the checks do with it.
//!
//! Most checks need entries that say which position they belong at: those are *numbered*.

use std::ops::RangeInclusive;
use std::sync::Arc;

use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{AppendError, Batch, Cursor, Journal, ReadError, RejectReason};
use refrain_core::{Name, Position};

use super::Instance;
use crate::conformance::failure::{Failure, Verdict, demand, demand_entries, demand_eq};

/// A journal and the name of one of its streams.
pub(super) struct Probe {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) stream: Name,
}

impl Probe {
    /// The stream "orders".
    pub(super) fn of(instance: &dyn Instance) -> Probe {
        Probe::named(instance, "orders")
    }

    pub(super) fn named(instance: &dyn Instance, stream: &str) -> Probe {
        Probe {
            journal: instance.journal(),
            stream: name(stream),
        }
    }

    /// Submits an append and leaves it in flight.
    pub(super) fn submit(
        &self,
        at: u64,
        entries: &[Vec<u8>],
    ) -> BoxFuture<'static, Result<Position, AppendError>> {
        let mut batch = Batch::default();
        for entry in entries {
            batch.push(entry);
        }
        self.journal.append(&self.stream, position(at), batch)
    }

    /// Appends `entries`, which must succeed.
    pub(super) async fn append(&self, at: u64, entries: &[Vec<u8>]) -> Verdict {
        self.submit(at, entries).await?;
        Ok(())
    }

    /// Appends the numbered entries in one batch, which must succeed.
    pub(super) async fn fill(&self, numbers: RangeInclusive<u64>) -> Verdict {
        self.append(*numbers.start(), &numbered(numbers)).await
    }

    /// All entries from `from` on.
    pub(super) async fn read_from(&self, from: u64) -> Verdict<Vec<Vec<u8>>> {
        let mut cursor = self.journal.read(&self.stream, position(from)).await?;
        drain(cursor.as_mut(), from).await
    }

    /// The stream must hold the numbered entries and none behind them.
    pub(super) async fn holds(&self, numbers: RangeInclusive<u64>) -> Verdict {
        self.is_at(Some(*numbers.start()), Some(*numbers.end()))
            .await?;
        let seen = self.read_from(*numbers.start()).await?;
        demand_entries(
            &format!("what {} holds", self.stream),
            &seen,
            &numbered(numbers),
        )
    }

    /// The stream's first and last position must be these.
    pub(super) async fn is_at(&self, first: Option<u64>, head: Option<u64>) -> Verdict {
        let seen = self.journal.first(&self.stream).await?;
        demand_eq("the first position", seen.map(Position::get), first)?;
        let seen = self.journal.head(&self.stream).await?;
        demand_eq("the head", seen.map(Position::get), head)
    }

    /// The stream must not exist.
    pub(super) async fn is_missing(&self) -> Verdict {
        self.is_at(None, None).await?;
        demand_entries(
            "what a missing stream holds",
            &self.read_from(1).await?,
            &[],
        )?;
        let listed = self
            .journal
            .streams(self.stream.as_str(), None, usize::MAX)
            .await?;
        demand(!listed.contains(&self.stream), || {
            format!("the stream {} exists", self.stream)
        })
    }

    /// An append at `at` must be fenced and be told `next`.
    pub(super) async fn fences(&self, at: u64, next: u64) -> Verdict {
        let append = self.submit(at, &[b"fenced".to_vec()]).await;
        self.is_fenced(append, at, next)
    }

    /// This append at `at` must have been fenced and told `next`.
    pub(super) fn is_fenced(
        &self,
        append: Result<Position, AppendError>,
        at: u64,
        next: u64,
    ) -> Verdict {
        let expected = format!("an append at {at} should have been fenced with {next} as the next");
        match append {
            Err(AppendError::Fenced {
                stream,
                at: seen_at,
                next: seen_next,
            }) => demand(
                (&stream, seen_at.get(), seen_next.get()) == (&self.stream, at, next),
                || format!("{expected}, and the error names {stream}, {seen_at} and {seen_next}"),
            ),
            Err(other) => Err(Failure::new(format!("{expected}: {other}"))),
            Ok(done) => Err(Failure::new(format!(
                "{expected}, and it happened at {done}"
            ))),
        }
    }

    /// An append of `entries` at `at` must be rejected, for a reason that is then looked at.
    pub(super) async fn rejects(&self, at: u64, entries: &[Vec<u8>]) -> Verdict<RejectReason> {
        is_rejected(self.submit(at, entries).await)
    }

    /// Reading and following from `wanted` must fail, and name `first` as the first that is left.
    pub(super) async fn has_forgotten(&self, wanted: u64, first: u64) -> Verdict {
        let opened = self.journal.read(&self.stream, position(wanted)).await;
        self.is_forgotten("reading", opened.map(drop), wanted, first)?;
        let opened = self.journal.follow(&self.stream, position(wanted)).await;
        self.is_forgotten("following", opened.map(drop), wanted, first)
    }

    fn is_forgotten(
        &self,
        what: &str,
        opened: Result<(), ReadError>,
        wanted: u64,
        first: u64,
    ) -> Verdict {
        let expected =
            format!("{what} from {wanted} should have failed, with {first} as the first");
        match opened {
            Err(ReadError::Forgotten {
                stream,
                wanted: seen_wanted,
                first: seen_first,
            }) => demand(
                (&stream, seen_wanted.get(), seen_first.get()) == (&self.stream, wanted, first),
                || format!("{expected}; the error names {stream}, {seen_wanted} and {seen_first}"),
            ),
            Err(other) => Err(Failure::new(format!("{expected}: {other}"))),
            Ok(()) => Err(Failure::new(format!("{expected}, and did not"))),
        }
    }
}

/// This append must have been rejected.
pub(super) fn is_rejected(append: Result<Position, AppendError>) -> Verdict<RejectReason> {
    match append {
        Err(AppendError::Rejected { reason, .. }) => Ok(reason),
        Err(other) => Err(Failure::new(format!(
            "an append should have been rejected: {other}"
        ))),
        Ok(done) => Err(Failure::new(format!(
            "an append should have been rejected, and it happened at {done}"
        ))),
    }
}

/// Everything that `cursor` gives until it ends, which must start at `from` and have no gaps.
pub(super) async fn drain(cursor: &mut dyn Cursor, from: u64) -> Verdict<Vec<Vec<u8>>> {
    let mut entries = Vec::new();
    while let Some(chunk) = cursor.next().await? {
        collect(&mut entries, from, chunk.entries())?;
    }
    Ok(entries)
}

/// The next `count` entries of a following cursor, which must start at `from` and have no gaps.
pub(super) async fn take(
    cursor: &mut dyn Cursor,
    from: u64,
    count: usize,
) -> Verdict<Vec<Vec<u8>>> {
    let mut entries = Vec::new();
    while entries.len() < count {
        let Some(chunk) = cursor.next().await? else {
            return Err(Failure::new("a following cursor ended"));
        };
        collect(&mut entries, from, chunk.entries())?;
    }
    Ok(entries)
}

fn collect<'a>(
    into: &mut Vec<Vec<u8>>,
    from: u64,
    entries: impl Iterator<Item = (Position, &'a [u8])>,
) -> Verdict {
    for (position, entry) in entries {
        demand_eq(
            "the position of the next entry that is read",
            position.get(),
            from + into.len() as u64,
        )?;
        into.push(entry.to_vec());
    }
    Ok(())
}

/// The entry that belongs at each of these positions.
pub(super) fn numbered(numbers: RangeInclusive<u64>) -> Vec<Vec<u8>> {
    numbers
        .map(|number| format!("entry {number}").into_bytes())
        .collect()
}

/// `size` bytes that look different wherever they are cut, and for every `seed`.
pub(super) fn large(size: usize, seed: u64) -> Vec<u8> {
    let size = size as u64;
    (seed..seed + size)
        .map(|index| index.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()[7])
        .collect()
}

pub(super) fn position(number: u64) -> Position {
    Position::new(number).expect("the checks count from 1")
}

pub(super) fn name(text: &str) -> Name {
    Name::new(text).expect("the checks use valid names")
}
