//! `compact`: sealed history rewritten as stream segments, without what is forgotten.

use refrain_journal::inspect::{Inspection, Inspector};
use refrain_journal::{CompactError, FileJournal};
use serde_json::json;

use crate::cmd::inspect;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::flags::Compact;
use crate::screen::{Mood, Screen};
use crate::shown::bytes_text;

pub(crate) async fn run(flags: &Compact, screen: &mut Screen) -> Result<Exit, Failure> {
    // An opening would make a journal where there is none.
    let before = inspect(&Inspector::new(&flags.dir), "checking", &mut ())?;
    let journal = FileJournal::open(&flags.dir)?;
    journal.compact().await?;
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
    }
    Ok(if after.is_sound() {
        Exit::Done
    } else {
        Exit::Damaged
    })
}

fn used(inspection: &Inspection) -> u64 {
    inspection.files.iter().map(|file| file.used).sum()
}

impl From<CompactError> for Failure {
    fn from(error: CompactError) -> Failure {
        let (exit, remedy) = match &error {
            CompactError::Full => (Exit::Unusable, "make room, and run the command again"),
            CompactError::Closed | CompactError::Failed { .. } | _ => (
                Exit::Unusable,
                "`refrain journal verify` says whether something is damaged",
            ),
        };
        Failure::new(exit, error.to_string())
            .code(error.code())
            .remedy(remedy)
    }
}
