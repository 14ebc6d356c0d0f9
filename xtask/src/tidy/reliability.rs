//! Reliability: what `docs/guarantees.md` says of the figures is what `docs/reliability.json` says.
//! Whether the figures are new enough is for people to judge.

use super::finding::Finding;
use super::tree::Tree;
use crate::guarantees::TABLE;
use crate::reliability::record::{MARKS, RECORD, Record};

/// A record of another form, and a section that is not made from it.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(text) = tree.text(RECORD) else {
        return Vec::new();
    };
    match Record::read(text) {
        Err(reason) => {
            let remedy = "Run `cargo xtask reliability --record`: it is written by that alone.";
            vec![Finding::repair(RECORD, None, reason, remedy)]
        }
        Ok(record) => {
            let page = tree.text(TABLE).unwrap_or_default();
            if MARKS.section_of(page) == Some(record.section().trim_matches('\n')) {
                return Vec::new();
            }
            let remedy = "Run `cargo xtask guarantees` and look at the difference.";
            let what = "the figures of reliability are not the recorded ones";
            vec![Finding::repair(TABLE, None, what, remedy)]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_that_says_something_else_than_the_record_is_found() {
        let record = r#"{"commit":[{"part":"sim","command":"c","seconds":1,
            "trials":[{"name":"schedules","runs":100,"violations":0}],
            "controls":[],"not_run":[]}]}"#;
        let section = Record::read(record).unwrap().section();
        let page = |section: &str| {
            let marks = format!("{}{}", MARKS.begin, MARKS.end);
            MARKS.replace(&marks, section).unwrap()
        };
        let found = |record: &str, section: &str| {
            check(&Tree::of(&[(RECORD, record), (TABLE, &page(section))])).len()
        };
        assert_eq!(found(record, &section), 0);
        assert_eq!(found(record, &section.replace("100", "1000")), 1);
        assert_eq!(found("{]", &section), 1);
        assert_eq!(check(&Tree::of(&[(TABLE, "no record yet")])).len(), 0);
    }
}
