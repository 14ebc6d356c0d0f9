//! Planted bugs: each name in the simulation's table has one hook in the code, and each hook a name.

use std::collections::BTreeMap;

use super::finding::Finding;
use super::tree::Tree;

/// Where the names are.
const TABLE: &str = "sim/src/planted/table.rs";

/// How a hook asks for its bug.
const HOOK: &str = "planted::is(\"";

/// How the table speaks of a bug in the code.
const ROW: &str = "code(";

/// Names without a hook, hooks without a name, and names with several hooks.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(table) = tree.text(TABLE) else {
        return Vec::new();
    };
    let mut hooks: BTreeMap<&str, Vec<(&str, usize)>> = BTreeMap::new();
    for file in tree.rust().filter(|file| file.path.starts_with("crates/")) {
        for (name, line) in quoted(&file.text, HOOK) {
            hooks.entry(name).or_default().push((&file.path, line));
        }
    }
    let mut findings = Vec::new();
    let rows = table.split("pub const BUGS").nth(1).unwrap_or_default();
    // A long row has its name in a line of its own.
    let rows = rows.replace("code(\n        ", ROW);
    for (name, _) in quoted(&rows, "code(\"") {
        match hooks.remove(name).as_deref() {
            Some([_]) => {}
            Some([_, (path, line), ..]) => findings.push(Finding::repair(
                path,
                *line,
                format!("the planted bug `{name}` has a second hook"),
                "One bug is one place. Give this one a name of its own.",
            )),
            Some([]) | None => findings.push(Finding::repair(
                TABLE,
                None,
                format!("the planted bug `{name}` has no hook"),
                format!("Ask for it in the code with `{HOOK}{name}\")`, or strike the row."),
            )),
        }
    }
    for (name, places) in hooks {
        for (path, line) in places {
            findings.push(Finding::repair(
                path,
                line,
                format!("nobody looks for the planted bug `{name}`"),
                format!("Add a row `{ROW}\"{name}\", ..)` to {TABLE}, or remove the hook."),
            ));
        }
    }
    findings
}

/// What stands in quotes after each `before`, and its line.
fn quoted<'a>(text: &'a str, before: &str) -> Vec<(&'a str, usize)> {
    let starts = text.match_indices(before).map(|(at, _)| at + before.len());
    let name = |start: usize| {
        let line = text[..start].matches('\n').count() + 1;
        text[start..].split_once('"').map(|(name, _)| (name, line))
    };
    starts.filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(table: &str, code: &str) -> Vec<String> {
        let table = format!("const fn code(..) {{}}\npub const BUGS: &[Bug] = &[{table}];");
        let tree = Tree::of(&[(TABLE, table.as_str()), ("crates/one/src/lib.rs", code)]);
        check(&tree).into_iter().map(|found| found.what).collect()
    }

    #[test]
    fn a_name_has_one_hook_and_a_hook_one_name() {
        let [table, hook] = [
            "code(\n        \"a\", x), disk(\"b\"),",
            "planted::is(\"a\")",
        ];
        assert!(found(table, hook).is_empty());
        assert!(found(table, "")[0].contains("no hook"));
        assert!(found("", hook)[0].contains("nobody looks"));
        assert!(found(table, &format!("{hook};\n{hook}"))[0].contains("second"));
    }
}
