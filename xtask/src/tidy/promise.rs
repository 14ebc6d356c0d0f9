//! Promises: a test may name only those that `docs/behaviours.md` makes, and `docs/guarantees.md`
//! must say what the tests say today.

use super::finding::Finding;
use super::source::Source;
use super::tree::Tree;
use crate::guarantees::{self, PROMISES, TABLE};

/// Promises that nobody made, and a table that is out of date.
pub(super) fn check(tree: &Tree, sources: &[Source]) -> Vec<Finding> {
    let promises = match guarantees::promises(tree.text(PROMISES).unwrap_or_default()) {
        Ok(promises) => promises,
        Err(unreadable) => {
            let remedy = "Write each promise as `- **B1.1 Title.** Text`, once.";
            return vec![Finding::repair(PROMISES, None, unreadable, remedy)];
        }
    };
    let proofs = guarantees::proofs(sources);
    let mut findings = Vec::new();
    for (id, tests) in &proofs {
        if promises.contains_key(id) {
            continue;
        }
        findings.extend(tests.iter().map(|proof| {
            Finding::repair(
                &proof.path,
                proof.line,
                format!(
                    "`{}` claims to prove {id}, which nobody promised",
                    proof.test
                ),
                format!("Name a promise of {PROMISES}, or make the promise there."),
            )
        }));
    }
    let page = tree.text(TABLE).unwrap_or_default();
    let due = guarantees::table(&promises, &proofs);
    if guarantees::table_of(page) != Some(due.trim_matches('\n')) {
        findings.push(Finding::repair(
            TABLE,
            None,
            "the table is not what the tests say",
            "Run `cargo xtask guarantees` and look at the difference.",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: &str = "/// B1.1\n#[test] fn one() {}";
    const BEGIN: &str = "<!-- written by `cargo xtask guarantees`: begin -->";
    const END: &str = "<!-- written by `cargo xtask guarantees`: end -->";
    const ROW: &str = "| **B1.1** One | `one` ([a.rs](../tests/a.rs)) |\n";

    fn found(promises: &str, rows: &str) -> Vec<String> {
        let page = format!(
            "{BEGIN}\n\n| Promise | Proven by |\n|---|---|\n{rows}\
             \nPromises that no test proves yet:\n\n{END}\n"
        );
        let tree = Tree::of(&[(PROMISES, promises), (TABLE, &page)]);
        let findings = check(&tree, &[Source::of("tests/a.rs", TEST)]);
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_table_that_says_what_the_tests_say_is_left_alone() {
        assert_eq!(found("- **B1.1 One.** Text.", ROW), Vec::<String>::new());
    }

    #[test]
    fn a_table_that_is_out_of_date_is_found() {
        let stale = ["the table is not what the tests say"];
        assert_eq!(found("- **B1.1 One.** Text.", ""), stale);
        assert_eq!(found("- **B1.1 Another.** Text.", ROW), stale);
    }

    #[test]
    fn a_promise_that_nobody_made_is_found() {
        assert_eq!(
            found("", ""),
            ["`one` claims to prove B1.1, which nobody promised"]
        );
    }

    #[test]
    fn a_promise_that_cannot_be_read_is_found() {
        assert_eq!(found("- **Bx One.** Text.", "").len(), 1);
    }
}
