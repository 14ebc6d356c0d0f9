//! What is seen of a journal that is to be backed up, and where its files are read from.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use refrain_core::{Name, Position};
use refrain_journal::Disk;
use refrain_journal::inspect::{Inspection, Inspector};

use crate::Progress;
use crate::digest::StreamDigests;
use crate::error::BackupError;
use crate::held_files::HeldFiles;
use crate::verify::digest_after;

/// How often a journal is looked at until a snapshot stands for what each stream has forgotten.
const TRIES_MAX: usize = 3;

/// An inspection, with the disk on which the files that it saw are still there.
pub(crate) struct Seen {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) inspection: Inspection,
    pub(crate) digests: StreamDigests,
    /// A stream that has forgotten entries, and has snapshots of which none stands for them.
    pub(crate) uncovered: Option<Name>,
}

impl Seen {
    /// Inspects the journal in `dir`, and the snapshots if there are any, on a thread that may block.
    pub(crate) async fn of(
        dir: &Path,
        snapshots: Option<&Path>,
        progress: &Progress,
    ) -> Result<Seen, BackupError> {
        let mut tries = 1;
        loop {
            let seen = Seen::once(dir, snapshots, progress).await?;
            // Snapshots may have been stored, and entries forgotten, in the moment between holding the
            // snapshots and reading the mark.
            if seen.uncovered.is_none() || tries == TRIES_MAX {
                return Ok(seen);
            }
            tries += 1;
        }
    }

    async fn once(
        dir: &Path,
        snapshots: Option<&Path>,
        progress: &Progress,
    ) -> Result<Seen, BackupError> {
        let held = Arc::new(HeldFiles::new(snapshots));
        let disk: Arc<dyn Disk> = Arc::<HeldFiles>::clone(&held);
        let mut inspector = Inspector::on(Arc::clone(&disk), dir);
        if let Some(snapshots) = snapshots {
            inspector = inspector.snapshots(snapshots);
        }
        let digested = digest_after(inspector, Arc::clone(progress), move || held.renew()).await;
        let (inspection, digests) = digested?;
        Ok(Seen {
            uncovered: uncovered(&inspection),
            disk,
            inspection,
            digests,
        })
    }
}

fn uncovered(inspection: &Inspection) -> Option<Name> {
    let mut positions: HashMap<&Name, Vec<u64>> = HashMap::new();
    for seen in &inspection.snapshots {
        let of_stream = positions.entry(&seen.stream).or_default();
        of_stream.push(seen.position.get());
    }
    let mut streams = inspection.streams.iter();
    let uncovered = streams.find(|stream| {
        let first = stream.first.map_or(1, Position::get);
        let last = stream.last.map_or(0, Position::get);
        let snapshots = positions.get(&stream.name);
        // The entry after a snapshot must be there: it vouches for it.
        let stands = |at: &u64| (first..=last).contains(&at.saturating_add(1));
        first > 1 && snapshots.is_some_and(|positions| !positions.iter().any(stands))
    });
    uncovered.map(|stream| stream.name.clone())
}
