//! What every file owes its reader: a comment at its top, no promises for later, no machine's paths.

use super::finding::Finding;
use super::tree::{File, Tree};

/// Marks of work that was put off. Spelt in halves, or this file would find itself.
const PUT_OFF: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
];

/// How directories of one machine begin.
const MACHINE_PATHS: [&str; 5] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/tm", "p/"),
    concat!("/wo", "rk/"),
    concat!("/Us", "ers/"),
];

/// What is missing in the files of `tree`, or should be.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files() {
        findings.extend(module_comment(file));
        findings.extend(lints(file));
        for (index, line) in file.text.lines().enumerate() {
            findings.extend(put_off(file, index + 1, line));
            findings.extend(machine_path(file, index + 1, line));
        }
    }
    findings
}

fn module_comment(file: &File) -> Option<Finding> {
    if !file.path.ends_with(".rs") || file.text.trim_start().starts_with("//!") {
        return None;
    }
    Some(Finding::repair(
        &file.path,
        1,
        "the file does not say what it is for",
        "Open it with `//!`: its purpose, its invariants and what it leaves out.",
    ))
}

/// A crate that does not inherit the workspace's lints escapes all of them.
fn lints(file: &File) -> Option<Finding> {
    let is_crate = file.path.ends_with("Cargo.toml") && file.text.contains("[package]");
    let inherits = file
        .text
        .split_once("[lints]")
        .is_some_and(|(_, rest)| rest.trim_start().starts_with("workspace = true"));
    (is_crate && !inherits).then(|| {
        Finding::repair(
            &file.path,
            None,
            "the crate does not inherit the workspace's lints",
            "Add `[lints]` with `workspace = true`.",
        )
    })
}

fn put_off(file: &File, number: usize, line: &str) -> Option<Finding> {
    let mark = line
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .find(|word| PUT_OFF.contains(word))?;
    Some(Finding::repair(
        &file.path,
        number,
        format!("`{mark}` puts work off"),
        "Do it, or open an issue and say here what holds now.",
    ))
}

fn machine_path(file: &File, number: usize, line: &str) -> Option<Finding> {
    let path = MACHINE_PATHS.iter().find(|path| {
        line.match_indices(**path).any(|(start, _)| {
            let before = line[..start].chars().next_back();
            !before.is_some_and(|c| c.is_ascii_alphanumeric() || "._-/}~".contains(c))
        })
    })?;
    Some(Finding::repair(
        &file.path,
        number,
        format!("`{path}` is a place on one machine"),
        "Use a path below the project, or a temporary directory that the program asks for.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        check(&Tree::of(&[(path, text)])).len()
    }

    #[test]
    fn a_rust_file_without_a_comment_at_its_top_is_found() {
        assert_eq!(found("src/a.rs", "//! What it is for.\nfn a() {}\n"), 0);
        assert_eq!(found("src/a.rs", "use b;\n//! Too late.\n"), 1);
        assert_eq!(found("src/a.rs", "// No module comment.\n"), 1);
        assert_eq!(found("a.md", "Text.\n"), 0);
    }

    #[test]
    fn work_that_was_put_off_is_found() {
        for mark in PUT_OFF {
            assert_eq!(found("a.md", &format!("Later ({mark}: all of it).")), 1);
            assert_eq!(found("a.md", &format!("Not{mark}, {mark}S or {mark}_")), 0);
        }
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        for path in MACHINE_PATHS {
            assert_eq!(found("a.md", &format!("open `{path}a`")), 1, "{path}");
            assert_eq!(found("a.md", &format!("{path}a")), 1, "{path}");
            assert_eq!(found("a.md", &format!("docs{path}a")), 0, "{path}");
        }
    }

    #[test]
    fn a_crate_that_escapes_the_lints_is_found() {
        assert_eq!(found("a/Cargo.toml", "[package]\nname = \"a\"\n"), 1);
        assert_eq!(
            found("a/Cargo.toml", "[package]\n[lints]\nworkspace = true\n"),
            0
        );
        assert_eq!(found("Cargo.toml", "[workspace]\n"), 0);
    }
}
