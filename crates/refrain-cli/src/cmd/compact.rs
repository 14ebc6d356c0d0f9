//! `compact`: sealed history rewritten as stream segments, without what is forgotten.

use std::time::Duration;

use refrain_journal::inspect::{Inspection, Inspector};
use refrain_journal::{CompactError, FileJournal};
use serde_json::json;

use crate::cmd::inspect;
use crate::exit::Exit;
use crate::failure::{Failure, SEE_DAMAGE};
use crate::flags::Compact;
use crate::progress::Progress;
use crate::screen::{Mood, Screen};
use crate::shown::bytes_text;

/// How often the progress is looked at.
const LOOKS_EVERY: Duration = Duration::from_millis(100);

pub(crate) async fn run(flags: &Compact, screen: &mut Screen) -> Result<Exit, Failure> {
    // An opening would make a journal where there is none.
    let before = inspect(&Inspector::new(&flags.dir), "checking", &mut ())?;
    let journal = FileJournal::open(&flags.dir)?;
    compact(&journal)
        .await
        .map_err(|error| failed(&error, &before))?;
    let written = journal.compaction().bytes_written;
    drop(journal);
    let after = inspect(&Inspector::new(&flags.dir), "checking again", &mut ())?;
    let [was, is] = [&before, &after].map(used);
    let value = json!({
        "bytes_before": was,
        "bytes_after": is,
        "bytes_written": written,
        "sound": after.is_sound(),
    });
    if !screen.json(&value)? {
        let [was, is] = [was, is].map(bytes_text);
        let text = format!("from {was} to {is} that are used");
        screen.marked(Mood::Good, "compacted", &text)?;
        if !after.is_sound() {
            let text = "what is damaged was left as it is: see `refrain journal verify`";
            screen.marked(Mood::Bad, "damaged:", text)?;
        }
    }
    Ok(Exit::of(&after))
}

/// Compacts, and shows how much is written meanwhile.
async fn compact(journal: &FileJournal) -> Result<(), CompactError> {
    let bar = Progress::of_written("compacting");
    let mut looks = tokio::time::interval(LOOKS_EVERY);
    let mut compacting = journal.compact();
    let ended = loop {
        tokio::select! {
            ended = &mut compacting => break ended,
            _ = looks.tick() => bar.show_done(journal.compaction().bytes_written),
        }
    };
    bar.clear();
    ended
}

fn used(inspection: &Inspection) -> u64 {
    inspection.files.iter().map(|file| file.used).sum()
}

/// What a failed compaction means for a journal that was as `before` shows.
fn failed(error: &CompactError, before: &Inspection) -> Failure {
    let (exit, remedy) = match error {
        CompactError::Full => (Exit::Unusable, "make room, and run the command again"),
        CompactError::Failed { .. } if !before.is_sound() => (Exit::Damaged, SEE_DAMAGE),
        CompactError::Closed | CompactError::Failed { .. } | _ => (
            Exit::Unusable,
            "`refrain journal verify` says whether something is damaged",
        ),
    };
    Failure::new(exit, error.to_string())
        .code(error.code())
        .remedy(remedy)
}
