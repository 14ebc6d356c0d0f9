//! `cargo xtask bench`: the benchmarks, always in release mode.

use std::process::ExitCode;

use crate::project::Project;

/// Runs the crate `bench` with `arguments` and hands its exit code on.
///
/// # Errors
/// When it cannot be started or does not end well.
pub(crate) fn run(project: &Project, arguments: &[String]) -> Result<ExitCode, String> {
    let status = project
        .cargo()
        .args(["run", "--release", "--package", "bench", "--"])
        .args(arguments)
        .status()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if status.success() {
        Ok(ExitCode::SUCCESS)
    } else {
        Err(format!("bench ended with {status}"))
    }
}
