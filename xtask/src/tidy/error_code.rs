//! Error codes: each one that the code mentions has a page in `docs/errors`, and the other way round.
//!
//! A code is `R` and four digits. The tasks themselves are left out: their tests make codes up.

use std::collections::BTreeMap;

use super::finding::Finding;
use super::tree::Tree;

const PAGES: &str = "docs/errors/";

/// Codes without a page and pages without a code.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut mentioned = BTreeMap::new();
    for file in tree.rust().filter(|file| !file.path.starts_with("xtask/")) {
        for (index, line) in file.text.lines().enumerate() {
            for code in codes(line) {
                mentioned
                    .entry(code.to_owned())
                    .or_insert((&file.path, index + 1));
            }
        }
    }
    let mut findings = Vec::new();
    for (code, (path, line)) in &mentioned {
        if !tree.holds(&format!("{PAGES}{code}.md")) {
            findings.push(Finding::repair(
                path,
                *line,
                format!("the error code {code} has no page"),
                format!("Write {PAGES}{code}.md: what happened, what it means, what to do."),
            ));
        }
    }
    for page in tree.markdown() {
        let Some(code) = page
            .path
            .strip_prefix(PAGES)
            .and_then(|name| name.strip_suffix(".md"))
            .filter(|name| *name != "README")
        else {
            continue;
        };
        if !mentioned.contains_key(code) {
            findings.push(Finding::repair(
                &page.path,
                None,
                format!("no code mentions {code}"),
                "Remove the page, or use its code in the error's text.",
            ));
        }
    }
    findings
}

/// The error codes in `line`.
fn codes(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| {
            word.len() == 5
                && word.starts_with('R')
                && word[1..].bytes().all(|byte| byte.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let findings = check(&Tree::of(files));
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_code_without_a_page_is_found() {
        let code = (
            "crates/a/src/error.rs",
            "#[error(\"R0001: the disk is full\")]",
        );
        assert_eq!(found(&[code]), ["the error code R0001 has no page"]);
        assert_eq!(found(&[code, ("docs/errors/R0001.md", "")]).len(), 0);
    }

    #[test]
    fn a_page_without_a_code_is_found() {
        let pages = [("docs/errors/R0002.md", ""), ("docs/errors/README.md", "")];
        assert_eq!(found(&pages), ["no code mentions R0002"]);
    }

    #[test]
    fn only_whole_codes_count() {
        assert_eq!(codes("R0001, PR0001 R00012 R001 XR0001 (R0009)").count(), 2);
    }
}
