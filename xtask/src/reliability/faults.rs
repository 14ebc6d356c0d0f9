//! The part `faults`: real processes on real disks.

use super::part::Part;
use super::{Share, build};
use crate::project::Project;
use crate::tools::{self, Root};

/// What the choices of a full run depend on; those of every commit begin at 1.
const FULL_SEED: &str = "1000000";

/// Runs it; it writes its own report.
///
/// # Errors
/// When it cannot be run, or something was broken.
pub(super) fn run(project: &Project, share: Share) -> Result<(), String> {
    let root = Root::find();
    match (tools::ensure(root), root) {
        (Ok(()), _) => {}
        // What runs without them does run, and the rest is named.
        (Err(reason), Root::Never) => println!("{reason}"),
        (Err(reason), Root::Already | Root::Sudo) => return Err(reason),
    }
    build(project, "faults")?;
    let target = project.target_dir()?;
    let report = Part::path(project, "faults")?;
    if let Some(above) = report.parent() {
        std::fs::create_dir_all(above).map_err(|error| error.to_string())?;
    }
    let mut command = root.command(&target.join("release/faults"));
    command
        .arg("run")
        .arg("--scratch")
        .arg(target.join("faults"))
        .arg("--report")
        .arg(report);
    if let Share::Full { minutes } = share {
        command.args(["--minutes", &minutes.to_string(), "--seed", FULL_SEED]);
    }
    let status = command
        .status()
        .map_err(|error| format!("faults cannot be started: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("faults ended with {status}"))
    }
}
