//! The beginning of an epoch: replay, then the entry that fences whoever wrote before.
//!
//! An append of an earlier writer whose outcome is unknown is decided here. The new epoch's first
//! entry is appended at the expected position: either it succeeds, and the other append can never
//! happen, or it conflicts, and there is more to read. Reading alone decides nothing.

use std::time::Duration;

use refrain_core::port::journal::{AppendError, Batch, Disposition};
use refrain_core::{Engine, Entry, Epoch, Moment, Position, Processor, Replay, Writer};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Parts, reading};
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::error::chain;
use crate::recover::RecoverError;
use crate::turn::Turn;

/// Times that a beginning is tried again after somebody else wrote at its position. More would be a
/// fight.
const CONFLICTS_MAX: u32 = 5;

/// The first wait for a journal that cannot go on, and the longest.
const WAIT_FIRST: Duration = Duration::from_millis(100);
const WAIT_LONGEST: Duration = Duration::from_secs(5);

/// An engine whose first entry is durable.
pub(super) struct Begun<P: Processor> {
    pub(super) engine: Engine<P>,
    pub(super) durable: Position,
    /// A clock that is not behind the stream.
    pub(super) clock: Clock,
}

/// Recovers the processor and begins a new epoch. `mine` is the last epoch of this very runtime, if
/// it had one: a later one in the stream is then somebody else's, and there is no fight.
pub(super) async fn begin<P>(
    parts: &Parts<P>,
    mut mine: Option<Epoch>,
) -> Result<Begun<P>, RecoverError>
where
    P: Processor + Clone + Serialize + DeserializeOwned + Sync,
{
    let stream = &parts.settings.name;
    let writer = writer(&parts.entropy);
    let mut patience = Patience::new(parts);
    let mut conflicts = 0;
    // Where a beginning of this writer may or may not be.
    let mut in_doubt = None;
    loop {
        let replay = replay(parts, &mut patience).await?;
        if let (Some(known), Some(epoch)) = (mine, replay.epoch())
            && epoch > known
        {
            match in_doubt {
                Some(at) if began_at(parts, at, &writer, &mut patience).await? => {
                    mine = Some(epoch);
                }
                Some(_) | None => {
                    let stream = stream.clone();
                    return Err(RecoverError::Overtaken { stream, epoch });
                }
            }
        }
        let clock = parts.clock.not_before(replay.time());
        let moment = Moment {
            now: clock.now(),
            seed: parts.entropy.draw(),
        };
        let mut engine = Engine::begin(replay, parts.settings.clone(), &writer, moment);
        let (at, batch) = engine
            .take_batch(moment.now)
            .expect("an engine begins with an entry");
        let cause = match append(parts, at, &batch, &mut patience).await? {
            Ok(durable) => {
                parts.progress.end(clock.now());
                return Ok(Begun {
                    engine,
                    durable,
                    clock,
                });
            }
            Err(cause) => cause,
        };
        match &cause {
            AppendError::Unknown { .. } => in_doubt = Some(at),
            AppendError::Fenced { .. } if conflicts < CONFLICTS_MAX => conflicts += 1,
            AppendError::Fenced { .. } | AppendError::Rejected { .. } | _ => {
                let stream = stream.clone();
                return Err(RecoverError::Begin { stream, cause });
            }
        }
        patience.wait(&chain(&cause)).await?;
    }
}

/// Replays in turn with others, as soon as the journal can be read.
async fn replay<P>(
    parts: &Parts<P>,
    patience: &mut Patience<'_, P>,
) -> Result<Replay<P>, RecoverError>
where
    P: Processor + Clone + Serialize + DeserializeOwned + Sync,
{
    loop {
        let mut turn = Turn::among(&parts.permits, parts.clock).await;
        let replayed = parts
            .source
            .replay(&parts.settings.name, None, &mut turn, &parts.progress)
            .await;
        drop(turn);
        match replayed {
            Err(RecoverError::Read { cause, .. }) if cause.disposition() == Disposition::Again => {
                patience.wait(&chain(&cause)).await?;
            }
            replayed => return replayed,
        }
    }
}

/// Appends the beginning, again as long as the journal says that it may take it later.
async fn append<P: Processor>(
    parts: &Parts<P>,
    at: Position,
    batch: &Batch,
    patience: &mut Patience<'_, P>,
) -> Result<Result<Position, AppendError>, RecoverError> {
    loop {
        let journal = &parts.source.journal;
        match journal
            .append(&parts.settings.name, at, batch.clone())
            .await
        {
            Err(cause) if cause.disposition() == Disposition::Again => {
                patience.wait(&chain(&cause)).await?;
            }
            appended => return Ok(appended),
        }
    }
}

/// Whether the entry at `at` is a beginning of this very writer, which it was not told of.
async fn began_at<P>(
    parts: &Parts<P>,
    at: Position,
    writer: &Writer,
    patience: &mut Patience<'_, P>,
) -> Result<bool, RecoverError>
where
    P: Processor + Clone + Serialize + DeserializeOwned + Sync,
{
    let stream = &parts.settings.name;
    loop {
        let cause = match reading::first_chunk(&*parts.source.journal, stream, at).await {
            Ok(chunk) => {
                let entry = chunk.and_then(|chunk| chunk.entry(at));
                let entry = entry.as_deref().map(Entry::decode);
                return Ok(
                    matches!(entry, Some(Ok(Entry::Begun(begun))) if begun.writer == writer.id),
                );
            }
            Err(cause) => cause,
        };
        if cause.disposition() != Disposition::Again {
            let stream = stream.clone();
            return Err(RecoverError::Read { stream, cause });
        }
        patience.wait(&chain(&cause)).await?;
    }
}

/// Waits, visibly, ever longer, and not beyond a drain.
struct Patience<'a, P: Processor> {
    parts: &'a Parts<P>,
    next: Duration,
}

impl<P: Processor> Patience<'_, P> {
    fn new(parts: &Parts<P>) -> Patience<'_, P> {
        Patience {
            parts,
            next: WAIT_FIRST,
        }
    }

    async fn wait(&mut self, reason: &str) -> Result<(), RecoverError> {
        let stream = &self.parts.settings.name;
        tracing::warn!(%stream, reason, wait = ?self.next, "waiting for the journal");
        self.parts.progress.waits_for(reason);
        tokio::select! {
            () = self.parts.clock.wait(self.next) => {}
            () = self.parts.drain.cancelled() => {
                let stream = stream.clone();
                return Err(RecoverError::Drained { stream });
            }
        }
        self.next = (self.next * 2).min(WAIT_LONGEST);
        Ok(())
    }
}

fn writer(entropy: &Entropy) -> Writer {
    Writer {
        id: entropy.draw(),
        secret: entropy.draw(),
        code_version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}
