//! Lock files beside the workspace's own are up to date.
//!
//! Cargo keeps the workspace's by itself with every build. The fuzzer's is another workspace, which
//! only the fuzzer builds, so a dependency that is new below it would go unseen until then.

use std::process::Output;

use super::finding::Finding;
use crate::project::Project;

/// The workspaces beside the main one.
const OTHERS: [&str; 1] = ["fuzz"];

/// Asks cargo, which needs no network for it.
///
/// # Errors
/// When cargo cannot be started.
pub(super) fn check(project: &Project) -> Result<Vec<Finding>, String> {
    let mut findings = Vec::new();
    for other in OTHERS {
        let manifest = format!("{other}/Cargo.toml");
        let asked = project
            .cargo()
            .args(["metadata", "--locked", "--offline", "--format-version", "1"])
            .args(["--manifest-path", &manifest])
            .output()
            .map_err(|error| format!("cargo cannot be started: {error}"))?;
        findings.extend(judge(other, &asked));
    }
    Ok(findings)
}

/// What cargo's answer means. A machine that has not got all sources cannot tell, which is no fault of
/// the lock file.
fn judge(workspace: &str, asked: &Output) -> Option<Finding> {
    if asked.status.success() {
        return None;
    }
    let lock = format!("{workspace}/Cargo.lock");
    let said = String::from_utf8_lossy(&asked.stderr);
    let update =
        format!("cargo metadata --format-version 1 --manifest-path {workspace}/Cargo.toml");
    if said.contains("--locked was passed") {
        let what = "the lock file is not what the manifests say";
        return Some(Finding::repair(
            &lock,
            None,
            what,
            format!("Run `{update}`."),
        ));
    }
    let first = said.lines().next().unwrap_or_default();
    let what = format!("whether the lock file is up to date cannot be told: {first}");
    let remedy = format!("Run `{update}` once with a network.");
    Some(Finding::repair(&lock, None, what, remedy).into_warning())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::super::finding::Severity;
    use super::*;

    #[test]
    fn a_stale_lock_file_is_repaired_and_a_missing_source_is_not_its_fault() {
        let stale = "error: cannot update the lock file /x/fuzz/Cargo.lock because --locked was passed \
                     to prevent this";
        let unfetched = "error: failed to download `tracing v0.1.44`";
        let rows = [
            (0, "", None),
            (101, stale, Some(Severity::Repair)),
            (101, unfetched, Some(Severity::Warning)),
        ];
        for (code, said, expected) in rows {
            let asked = Output {
                status: ExitStatus::from_raw(code << 8),
                stdout: Vec::new(),
                stderr: said.into(),
            };
            let found = judge("fuzz", &asked);
            assert_eq!(found.map(|finding| finding.severity), expected, "{said}");
        }
    }
}
