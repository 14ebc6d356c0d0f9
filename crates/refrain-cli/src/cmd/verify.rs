//! `verify`: every byte of a journal, checked.

use refrain_journal::inspect::{Finding, Inspection, Inspector, Severity};
use serde_json::{Value, json};

use crate::cmd::inspect;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::flags::Verify;
use crate::screen::{Mood, Screen};
use crate::shown::{bytes_text, content_text, count_text};

pub(crate) fn run(flags: &Verify, screen: &mut Screen) -> Result<Exit, Failure> {
    let mut inspector = Inspector::new(&flags.dir);
    if let Some(dir) = &flags.snapshots {
        inspector = inspector.snapshots(dir);
    }
    let inspection = inspect(&inspector, "checking", &mut ())?;
    let exit = Exit::of(&inspection);
    if screen.json(&value(&inspection))? {
        return Ok(exit);
    }
    findings(&inspection.findings, screen)?;
    let files = inspection.files.len() + inspection.snapshots.len();
    let looked = format!(
        "{} in {} and {}, {}",
        content_text(inspection.entries, inspection.streams.len() as u64),
        count_text(inspection.frames, "frame", "frames"),
        count_text(files as u64, "file", "files"),
        bytes_text(inspection.file_bytes()),
    );
    if inspection.is_sound() {
        screen.marked(Mood::Good, "sound:", &looked)?;
    } else {
        let count = inspection.damages().count() as u64;
        let text = format!("{}; {looked}", count_text(count, "finding", "findings"));
        screen.marked(Mood::Bad, "damaged:", &text)?;
    }
    Ok(exit)
}

/// Prints findings for people.
pub(crate) fn findings(findings: &[Finding], screen: &mut Screen) -> Result<(), Failure> {
    for finding in findings {
        let (mood, word) = match finding.severity() {
            Severity::Damage => (Mood::Bad, "damage:"),
            Severity::Notice => (Mood::Doubtful, "notice:"),
        };
        screen.marked(mood, word, &finding.to_string())?;
    }
    Ok(())
}

/// A finding for programs.
pub(crate) fn finding_value(finding: &Finding) -> Value {
    json!({
        "severity": match finding.severity() {
            Severity::Damage => "damage",
            Severity::Notice => "notice",
        },
        "kind": finding.kind.as_str(),
        "file": finding.file.to_string_lossy(),
        "offset": finding.offset,
        "detail": finding.detail,
    })
}

fn value(inspection: &Inspection) -> Value {
    json!({
        "sound": inspection.is_sound(),
        "moving": inspection.is_moving,
        "files": inspection.files.len(),
        "bytes": inspection.file_bytes(),
        "frames": inspection.frames,
        "entries": inspection.entries,
        "streams": inspection.streams.len(),
        "snapshots": inspection.snapshots.len(),
        "findings": inspection.findings.iter().map(finding_value).collect::<Vec<_>>(),
    })
}
