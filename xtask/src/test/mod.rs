//! `cargo xtask test`: exactly what continuous integration runs, one step after the other.
//!
//! Each step shows what it runs and how long it took. The first failure ends the run with the
//! command that repeats it, and the last line counts: `N passed, N failed`. A step that is no set of
//! tests counts as one. What a missing tool kept from running is named, never skipped in silence.

mod step;
mod tally;

use std::process::ExitCode;

use crate::clock::Stopwatch;
use crate::project::Project;
use step::{Passed, Step, Work};
use tally::Tally;

/// Runs all steps, or those that `wanted` names.
///
/// # Errors
/// When `wanted` names a step that does not exist.
pub(crate) fn run(project: &Project, wanted: &[String]) -> Result<ExitCode, String> {
    let steps = chosen(step::all(project), wanted)?;
    let whole = Stopwatch::start();
    let mut total = Tally::default();
    let mut not_run = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        println!(
            "\n[{:>4} s] {}/{} {}: {}",
            whole.elapsed().as_secs(),
            index + 1,
            steps.len(),
            step.name,
            step.repeat()
        );
        if let Work::Missing { tool } = step.work {
            println!("not run: {tool} is not installed; the command above installs it");
            not_run.push(format!("{} ({tool} is not installed)", step.name));
            continue;
        }
        let started = Stopwatch::start();
        let done = step.run(project);
        let seconds = started.elapsed().as_secs_f64();
        match done {
            Ok(Passed {
                tally,
                not_run: missing,
            }) => {
                total.add(tally);
                not_run.extend(missing);
                println!("{}: ok, {tally}, {seconds:.1} s", step.name);
            }
            Err(failure) => {
                total.add(failure.tally);
                println!("{}: FAILED after {seconds:.1} s: {failure}", step.name);
                println!("repeat it with: {}", step.repeat());
                break;
            }
        }
    }
    println!("\n{} s in all", whole.elapsed().as_secs());
    if !not_run.is_empty() {
        println!("not run: {}", not_run.join(", "));
    }
    println!("{total}");
    Ok(if total.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The steps that `wanted` names, in the order of `all`; all of them when it names none.
fn chosen(all: Vec<Step>, wanted: &[String]) -> Result<Vec<Step>, String> {
    if let Some(unknown) = wanted
        .iter()
        .find(|name| all.iter().all(|step| step.name != name.as_str()))
    {
        let names: Vec<&str> = all.iter().map(|step| step.name).collect();
        return Err(format!(
            "there is no step `{unknown}`; the steps are {}",
            names.join(", ")
        ));
    }
    Ok(all
        .into_iter()
        .filter(|step| wanted.is_empty() || wanted.iter().any(|name| name == step.name))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(wanted: &[&str]) -> Result<Vec<&'static str>, String> {
        let project = Project::find()?;
        let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        let steps = chosen(step::all(&project), &wanted)?;
        Ok(steps.into_iter().map(|step| step.name).collect())
    }

    #[test]
    fn all_steps_run_unless_some_are_named() {
        assert_eq!(
            names(&[]).unwrap(),
            [
                "format",
                "clippy",
                "tidy",
                "tests",
                "doctests",
                "docs",
                "deny",
                "drill",
                "reliability"
            ]
        );
        assert_eq!(names(&["docs", "format"]).unwrap(), ["format", "docs"]);
    }

    #[test]
    fn a_step_that_does_not_exist_is_refused_with_those_that_do() {
        let refused = names(&["lint"]).unwrap_err();
        assert!(refused.contains("`lint`") && refused.contains("clippy"));
    }
}
