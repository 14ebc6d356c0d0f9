//! Tokens that appear nowhere, not even in macros: `unsafe`, and tests that are ignored.

use proc_macro2::{TokenStream, TokenTree};

use super::finding::Finding;
use super::source::Source;

/// Tokens of `source` that may appear nowhere.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    walk(&source.path, &source.tokens, &mut findings);
    findings
}

fn walk(path: &str, tokens: &TokenStream, findings: &mut Vec<Finding>) {
    let mut after_hash = false;
    for token in tokens.clone() {
        let follows_hash = std::mem::take(&mut after_hash);
        match token {
            TokenTree::Ident(word) if word == "unsafe" => findings.push(Finding::repair(
                path,
                word.span().start().line,
                "`unsafe` is used nowhere in this project",
                "Find the safe call; rustix and std have one for all that the journal needs.",
            )),
            TokenTree::Group(group) => {
                if follows_hash && is_ignore(&group.stream()) {
                    findings.push(Finding::repair(
                        path,
                        group.span().start().line,
                        "a test is ignored",
                        "Repair it or remove it: a test that does not run proves nothing.",
                    ));
                }
                walk(path, &group.stream(), findings);
            }
            TokenTree::Punct(sign) => after_hash = sign.as_char() == '#',
            TokenTree::Ident(_) | TokenTree::Literal(_) => {}
        }
    }
}

fn is_ignore(attribute: &TokenStream) -> bool {
    let first = attribute.clone().into_iter().next();
    matches!(first, Some(TokenTree::Ident(word)) if word == "ignore")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> usize {
        check(&Source::of("src/a.rs", text)).len()
    }

    #[test]
    fn unsafe_code_is_found_wherever_it_stands() {
        assert_eq!(found("fn a() { unsafe { b() } }"), 1);
        assert_eq!(found("unsafe impl Send for A {}"), 1);
        assert_eq!(found("fn a() { select! { _ = b => unsafe { c() } } }"), 1);
        assert_eq!(
            found("#![forbid(unsafe_code)] // unsafe\nconst A: &str = \"unsafe\";"),
            0
        );
    }

    #[test]
    fn ignored_tests_are_found() {
        assert_eq!(found("#[test] #[ignore] fn a() {}"), 1);
        assert_eq!(found("#[test] #[ignore = \"slow\"] fn a() {}"), 1);
        assert_eq!(found("mod a { #[test] #[ignore] fn a() {} }"), 1);
        assert_eq!(found("fn ignore() { ignore(); }"), 0);
    }
}
