//! `repair`: what is provably safe, and nothing without `--apply`.

use std::path::PathBuf;

use refrain_backup::{Mend, Repository, mend};
use refrain_journal::inspect::{
    FileRole, Inspection, Inspector, Repair as Repairing, RepairAction, RepairStep, repair_plan,
};
use serde_json::{Value, json};

use crate::cmd::backup::with_bar;
use crate::cmd::inspect;
use crate::cmd::verify::{finding_value, findings};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::flags::Repair;
use crate::screen::{Mood, Screen};

pub(crate) async fn run(flags: &Repair, screen: &mut Screen) -> Result<Exit, Failure> {
    // Before anything is looked at, so that it stays what it was.
    let repairing = if flags.apply {
        Some(Repairing::begin(&flags.dir)?)
    } else {
        None
    };
    let inspection = inspect(&inspector(flags), "checking", &mut ())?;
    let plan = repair_plan(&inspection);
    let mended = find_backup(flags, &plan).await?;
    findings(&inspection.findings, screen)?;
    for step in &plan {
        show(step, mended.as_ref(), screen)?;
    }
    let Some(repairing) = repairing.filter(|_| !plan.is_empty()) else {
        return end_dry(&inspection, &plan, mended.as_ref(), screen);
    };
    let kept = apply(repairing, &plan, mended).await?;
    for file in &kept {
        screen.line(&format!("kept {}", file.display()))?;
    }
    let after = inspect(&inspector(flags), "checking again", &mut ())?;
    let exit = Exit::of(&after);
    let value = json!({
        "applied": true,
        "sound": after.is_sound(),
        "steps": plan.iter().map(|step| step_value(step, None)).collect::<Vec<_>>(),
        "kept": kept.iter().map(|file| file.to_string_lossy()).collect::<Vec<_>>(),
        "findings": after.findings.iter().map(finding_value).collect::<Vec<_>>(),
    });
    if !screen.json(&value)? {
        findings(&after.findings, screen)?;
        match exit {
            Exit::Damaged => screen.marked(Mood::Bad, "still damaged", "")?,
            Exit::Done
            | Exit::Usage
            | Exit::InUse
            | Exit::Missing
            | Exit::Unusable
            | Exit::Refused => screen.marked(Mood::Good, "sound", "")?,
        }
    }
    Ok(exit)
}

fn inspector(flags: &Repair) -> Inspector {
    let inspector = Inspector::new(&flags.dir);
    match &flags.snapshots {
        Some(dir) => inspector.snapshots(dir),
        None => inspector,
    }
}

/// The segments that only a backup can mend.
fn wanted(plan: &[RepairStep]) -> Vec<FileRole> {
    let segments = plan.iter().filter_map(|step| match step.action {
        RepairAction::Replace(role) => Some(role),
        RepairAction::Settle | RepairAction::SetAside | RepairAction::Nothing | _ => None,
    });
    segments.collect()
}

async fn find_backup(flags: &Repair, plan: &[RepairStep]) -> Result<Option<Mend>, Failure> {
    let segments = wanted(plan);
    let Some(from) = flags.from.as_ref().filter(|_| !segments.is_empty()) else {
        return Ok(None);
    };
    let repository = Repository::open(from)?;
    with_bar("trying backups", async |progress| {
        mend(&flags.dir, &segments, &repository, &progress).await
    })
    .await
}

/// Does it. Gives where the old bytes are.
async fn apply(
    mut repairing: Repairing,
    plan: &[RepairStep],
    mended: Option<Mend>,
) -> Result<Vec<PathBuf>, Failure> {
    let mut kept = Vec::new();
    for step in plan {
        if step.action == RepairAction::SetAside {
            kept.push(repairing.set_aside(&step.file)?);
        }
    }
    let needs_backup = !wanted(plan).is_empty();
    let is_mended = mended.is_some();
    if let Some(mended) = mended {
        let (goes_on, old) = mended.apply(repairing).await?;
        repairing = goes_on;
        kept.extend(old);
    }
    let is_hopeless = |step: &RepairStep| step.action == RepairAction::Nothing;
    if (needs_backup && !is_mended) || plan.iter().any(is_hopeless) {
        return Ok(kept);
    }
    kept.extend(repairing.settle()?);
    Ok(kept)
}

fn show(step: &RepairStep, mended: Option<&Mend>, screen: &mut Screen) -> Result<(), Failure> {
    let file = step.file.display();
    let why = step.why;
    match step.action {
        RepairAction::Settle => screen.marked(Mood::Good, "settle:", &format!("{file}: {why}")),
        RepairAction::SetAside => {
            screen.marked(Mood::Good, "set aside:", &format!("{file}: {why}"))
        }
        RepairAction::Replace(_) => match mended {
            Some(mended) => {
                let text = format!("{file} by its bytes of backup {}: {why}", mended.backup);
                screen.marked(Mood::Good, "replace:", &text)
            }
            None => {
                let text = format!("{file}: no backup was given, or none has what was there");
                screen.marked(Mood::Bad, "cannot replace:", &text)
            }
        },
        RepairAction::Nothing | _ => {
            screen.marked(Mood::Bad, "cannot repair:", &format!("{file}: {why}"))
        }
    }
}

/// Says what would be done.
fn end_dry(
    inspection: &Inspection,
    plan: &[RepairStep],
    mended: Option<&Mend>,
    screen: &mut Screen,
) -> Result<Exit, Failure> {
    let steps: Vec<Value> = plan.iter().map(|step| step_value(step, mended)).collect();
    let value = json!({
        "applied": false,
        "sound": inspection.is_sound(),
        "steps": steps,
        "findings": inspection.findings.iter().map(finding_value).collect::<Vec<_>>(),
    });
    if screen.json(&value)? {
        return Ok(Exit::of(inspection));
    }
    let can_do = |step: &RepairStep| match step.action {
        RepairAction::Settle | RepairAction::SetAside => true,
        RepairAction::Replace(_) => mended.is_some(),
        RepairAction::Nothing | _ => false,
    };
    if plan.is_empty() {
        screen.marked(Mood::Good, "sound:", "there is nothing to repair")?;
    } else if !plan.iter().any(can_do) {
        screen.line("nothing can be repaired with what is here; nothing was changed")?;
    } else {
        screen.line("nothing was changed; `--apply` does it, and keeps the old bytes")?;
    }
    Ok(Exit::of(inspection))
}

fn step_value(step: &RepairStep, mended: Option<&Mend>) -> Value {
    let is_replaced = matches!(step.action, RepairAction::Replace(_));
    let backup = mended.filter(|_| is_replaced);
    json!({
        "action": step.action.as_str(),
        "file": step.file.to_string_lossy(),
        "why": step.why,
        "backup": backup.map(|mended| mended.backup.to_string()),
    })
}
