//! `cargo xtask tidy`: the rules of STYLE.md that a machine can judge.
//!
//! Each rule is a function from the tree (or a part of it) to findings, and each finding names its
//! remedy. The same check runs as a test at the bottom of this file. What rustc and clippy judge
//! (missing docs, wall clocks, unbounded queues) is left to them.

mod budget;
mod error_code;
mod finding;
mod floor;
mod link;
mod lock;
mod planted;
mod port;
mod promise;
mod reliability;
pub(crate) mod source;
mod token;
pub(crate) mod tree;
mod word;
mod writing;

use std::process::ExitCode;

use crate::project::Project;
use finding::{Finding, Severity};
use source::Source;
use tree::Tree;

/// Prints every finding and fails if one of them must be repaired.
///
/// # Errors
/// When the tree cannot be read.
pub(crate) fn run(project: &Project) -> Result<ExitCode, String> {
    Ok(if check(project)? {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Prints every finding and says whether nothing must be repaired.
///
/// # Errors
/// When the tree cannot be read.
pub(crate) fn check(project: &Project) -> Result<bool, String> {
    let tree = Tree::load(project.root())?;
    let mut findings = judge(&tree);
    findings.extend(floor::check(&floor::dependencies(project)?));
    findings.extend(lock::check(project)?);
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
    let to_repair = count(Severity::Repair);
    println!(
        "tidy: {} files, {to_repair} to repair, {} warnings",
        tree.files().len(),
        count(Severity::Warning)
    );
    Ok(to_repair == 0)
}

/// What all rules that need only the tree find in it.
fn judge(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut sources = Vec::new();
    for file in tree.rust() {
        match Source::parse(file) {
            Ok(source) => sources.push(source),
            Err(finding) => findings.push(finding),
        }
    }
    for source in &sources {
        findings.extend(budget::check(source));
        findings.extend(word::check(source));
        findings.extend(token::check(source));
    }
    findings.extend(word::check_names(tree));
    findings.extend(writing::check(tree));
    findings.extend(link::check(tree));
    findings.extend(error_code::check(tree));
    findings.extend(promise::check(tree, &sources));
    findings.extend(port::check(tree, &sources));
    findings.extend(planted::check(tree));
    findings.extend(reliability::check(tree));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        let project = Project::find().unwrap();
        assert!(check(&project).unwrap(), "the findings are printed above");
    }
}
