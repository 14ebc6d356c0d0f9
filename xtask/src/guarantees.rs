//! `cargo xtask guarantees`: the table of `docs/guarantees.md`, written from what the tests say, and the
//! figures on the same page, written from what was recorded of reliability.
//!
//! A test that proves a promise of `docs/behaviours.md` names it at the start of its doc comment:
//! `/// B6.1`, or several with commas between them. A case of the conformance suites counts as well:
//! each journal's own tests run it.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::str::FromStr;

use crate::marked::Marks;
use crate::project::Project;
use crate::reliability::record::{self, Record};
use crate::tidy::source::{Function, Source};
use crate::tidy::tree::Tree;

/// Where the promises stand, each as `- **B1.1 Title.** Text`.
pub(crate) const PROMISES: &str = "docs/behaviours.md";
/// Where the table stands.
pub(crate) const TABLE: &str = "docs/guarantees.md";

/// Round the table of the page.
const MARKS: Marks = Marks {
    page: TABLE,
    begin: "<!-- written by `cargo xtask guarantees`: begin -->\n",
    end: "<!-- written by `cargo xtask guarantees`: end -->\n",
};

/// Where the cases of the conformance suites stand.
const SUITES: &str = "crates/refrain-testkit/src/conformance/";

/// Writes the table and the figures.
///
/// # Errors
/// When a file cannot be read or written.
pub(crate) fn run(project: &Project) -> Result<ExitCode, String> {
    let tree = Tree::load(project.root())?;
    let sources = tree
        .rust()
        .map(|file| Source::parse(file).map_err(|finding| finding.to_string()))
        .collect::<Result<Vec<_>, _>>()?;
    let promises = promises(tree.text(PROMISES).unwrap_or_default())?;
    let page = tree.text(TABLE).unwrap_or_default();
    let mut written = MARKS.replace(page, &table(&promises, &proofs(&sources)))?;
    if let Some(text) = tree.text(record::RECORD) {
        written = record::MARKS.replace(&written, &Record::read(text)?.section())?;
    }
    std::fs::write(project.root().join(TABLE), written)
        .map_err(|error| format!("{TABLE}: {error}"))?;
    println!("{TABLE} is up to date");
    Ok(ExitCode::SUCCESS)
}

/// What a promise is called: `B6.1`, or `B8` for one without parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    chapter: u8,
    part: Option<u8>,
}

impl FromStr for Id {
    type Err = ();

    fn from_str(text: &str) -> Result<Id, ()> {
        let number = |text: &str| text.parse().map_err(drop);
        let text = text.strip_prefix('B').ok_or(())?;
        Ok(match text.split_once('.') {
            Some((chapter, part)) => Id {
                chapter: number(chapter)?,
                part: Some(number(part)?),
            },
            None => Id {
                chapter: number(text)?,
                part: None,
            },
        })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "B{}", self.chapter)?;
        match self.part {
            Some(part) => write!(f, ".{part}"),
            None => Ok(()),
        }
    }
}

/// A test that names a promise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Proof {
    /// The file it stands in.
    pub(crate) path: String,
    /// Its name.
    pub(crate) test: String,
    /// Its line, from 1.
    pub(crate) line: usize,
}

/// The promises of `page` with their titles.
///
/// # Errors
/// When a line is meant to be a promise and cannot be read, or two have the same id.
pub(crate) fn promises(page: &str) -> Result<BTreeMap<Id, String>, String> {
    let mut promises = BTreeMap::new();
    for line in page.lines() {
        let Some(rest) = line.strip_prefix("- **B") else {
            continue;
        };
        let unreadable = || format!("{PROMISES}: not a promise: {line}");
        let (title, _) = rest.split_once("**").ok_or_else(unreadable)?;
        let (id, title) = title.split_once(' ').ok_or_else(unreadable)?;
        let id: Id = format!("B{id}").parse().map_err(|()| unreadable())?;
        let title = title.trim_end_matches('.').to_owned();
        if promises.insert(id, title).is_some() {
            return Err(format!("{PROMISES}: {id} stands there twice"));
        }
    }
    Ok(promises)
}

/// The tests that name a promise, by the promise.
pub(crate) fn proofs(sources: &[Source]) -> BTreeMap<Id, Vec<Proof>> {
    let mut proofs: BTreeMap<Id, Vec<Proof>> = BTreeMap::new();
    for source in sources {
        let counting = if source.path.starts_with(SUITES) {
            source.functions()
        } else {
            source.tests()
        };
        for test in counting {
            for id in named_by(&test) {
                proofs.entry(id).or_default().push(Proof {
                    path: source.path.clone(),
                    test: test.name.clone(),
                    line: test.line,
                });
            }
        }
    }
    for tests in proofs.values_mut() {
        tests.sort();
    }
    proofs
}

/// The promises that the lines of a test's doc comment start with.
fn named_by(test: &Function) -> Vec<Id> {
    test.docs
        .iter()
        .flat_map(|line| {
            line.split([',', ' ', ':'])
                .filter(|word| !word.is_empty())
                .map_while(|word| word.trim_end_matches('.').parse().ok())
        })
        .collect()
}

/// The generated part of the page: what is proven and by what, and what is not.
pub(crate) fn table(promises: &BTreeMap<Id, String>, proofs: &BTreeMap<Id, Vec<Proof>>) -> String {
    let mut text = String::from("| Promise | Proven by |\n|---|---|\n");
    for (id, title) in promises {
        let Some(tests) = proofs.get(id) else {
            continue;
        };
        let tests: Vec<String> = tests.iter().map(cell).collect();
        let _ = writeln!(text, "| **{id}** {title} | {} |", tests.join("<br>"));
    }
    text.push_str("\nPromises that no test proves yet:\n\n");
    for (id, title) in promises {
        if !proofs.contains_key(id) {
            let _ = writeln!(text, "- {id} {title}");
        }
    }
    text
}

fn cell(proof: &Proof) -> String {
    let test = &proof.test;
    let path = &proof.path;
    let file = path.rsplit('/').next().unwrap_or(path);
    format!("`{test}` ([{file}](../{path}))")
}

/// The table that `page` holds, if it has the marks round it.
pub(crate) fn table_of(page: &str) -> Option<&str> {
    MARKS.section_of(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Promises\n\n\
        - **B10.1 Ten.** Text.\n\
        - **B2.1 Two.** Text with **bold** in it.\n\
        - **B8 Eight.** Text.\n";

    fn proofs_in(path: &str, text: &str) -> String {
        let sources = [Source::of(path, text)];
        table(&promises(PAGE).unwrap(), &proofs(&sources))
    }

    #[test]
    fn the_table_is_ordered_by_number_and_names_what_is_not_proven() {
        let text = "/// B10.1, B8: both at once.\n#[test] fn one() {}\n\
                    /// B8\n/// Again.\n#[test] fn again() {}\n";
        assert_eq!(
            proofs_in("crates/a/tests/t.rs", text),
            "| Promise | Proven by |\n|---|---|\n\
             | **B8** Eight | `again` ([t.rs](../crates/a/tests/t.rs))<br>`one` ([t.rs](../crates/a/tests/t.rs)) |\n\
             | **B10.1** Ten | `one` ([t.rs](../crates/a/tests/t.rs)) |\n\
             \nPromises that no test proves yet:\n\n- B2.1 Two\n"
        );
    }

    #[test]
    fn a_function_that_is_no_test_proves_nothing_outside_of_the_suites() {
        let text = "/// B8\nfn one() {}";
        assert!(!proofs_in("crates/a/src/a.rs", text).contains("`one`"));
        assert!(proofs_in(&format!("{SUITES}journal.rs"), text).contains("`one`"));
    }

    #[test]
    fn a_promise_in_the_middle_of_a_sentence_is_not_claimed() {
        let text = "/// Unlike B8 this does nothing.\n#[test] fn one() {}";
        assert!(!proofs_in("crates/a/src/a.rs", text).contains("`one`"));
    }

    #[test]
    fn a_promise_that_stands_there_twice_is_refused() {
        assert!(promises("- **B1.1 One.** A\n- **B1.1 Two.** B\n").is_err());
        assert!(promises("- **B1.x One.** A\n").is_err());
    }

    #[test]
    fn the_table_is_replaced_and_found_between_its_marks() {
        let Marks { begin, end, .. } = MARKS;
        let page = format!("Before.\n\n{begin}old\n{end}\nAfter.\n");
        let written = MARKS.replace(&page, "new\n").unwrap();
        assert_eq!(table_of(&written), Some("new"));
        assert!(written.starts_with("Before.") && written.ends_with("After.\n"));
        assert_eq!(MARKS.replace(&written, "new\n").unwrap(), written);
        assert!(MARKS.replace("no marks", "new").is_err());
    }
}
