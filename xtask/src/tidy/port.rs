//! Ports: each has a conformance suite, and each crate that implements one runs the suite.

use syn::visit::{self, Visit};

use super::finding::Finding;
use super::source::{Source, is_cfg_test};
use super::tree::Tree;

/// Where the ports stand.
const PORTS: &str = "crates/refrain-core/src/port/";
/// Where their suites stand.
const SUITES: &str = "crates/refrain-testkit/src/conformance/";

/// Ports that need no suite of their own, and why.
const WITHOUT_SUITE: [(&str, &str); 3] = [
    ("Cursor", "the journal's suite reads through it"),
    ("Asks", "the runtime is its one implementation"),
    (
        "Hold",
        "only its owner knows what it needs; retention's own tests say what follows",
    ),
];

/// Ports without a suite, and implementations that nobody tested with it.
pub(super) fn check(tree: &Tree, sources: &[Source]) -> Vec<Finding> {
    let ports = ports(sources);
    let mut findings = Vec::new();
    for port in &ports {
        if !tree.holds(&port.suite_path()) && !tree.holds(&port.suite_directory()) {
            findings.push(Finding::repair(
                &port.path,
                port.line,
                format!("the port `{}` has no conformance suite", port.name),
                format!(
                    "Write {}, and call it from each implementation's tests.",
                    port.suite_path()
                ),
            ));
        }
    }
    for source in sources.iter().filter(|source| !source.is_test()) {
        for (name, line) in implementations(source) {
            let Some(port) = ports.iter().find(|port| port.name == name) else {
                continue;
            };
            if let Some(owner) = owner(&source.path)
                && !calls_suite(tree, owner, port)
            {
                findings.push(Finding::repair(
                    &source.path,
                    line,
                    format!("no test in {owner} runs the suite of the port `{name}`"),
                    format!(
                        "Add a short test there that calls `conformance::{}`.",
                        port.module
                    ),
                ));
            }
        }
    }
    findings
}

struct Port {
    name: String,
    /// The file it stands in, and its line.
    path: String,
    line: usize,
    /// The module of the core that it stands in, which is the module of its suite as well.
    module: String,
}

impl Port {
    fn suite_path(&self) -> String {
        format!("{SUITES}{}.rs", self.module)
    }

    fn suite_directory(&self) -> String {
        format!("{SUITES}{}", self.module)
    }
}

/// The public traits of the core's ports that need a suite.
fn ports(sources: &[Source]) -> Vec<Port> {
    let mut ports = Vec::new();
    for source in sources {
        let Some(module) = source
            .path
            .strip_prefix(PORTS)
            .and_then(|name| name.strip_suffix(".rs"))
        else {
            continue;
        };
        for item in &source.syntax.items {
            if let syn::Item::Trait(port) = item
                && WITHOUT_SUITE.iter().all(|(name, _)| port.ident != name)
            {
                ports.push(Port {
                    name: port.ident.to_string(),
                    path: source.path.clone(),
                    line: port.ident.span().start().line,
                    module: module.to_owned(),
                });
            }
        }
    }
    ports
}

/// The crate whose tests must run the suite: a library's own. Programs use ports for themselves, and
/// the testkit's doubles misbehave on purpose.
fn owner(path: &str) -> Option<&str> {
    let (name, _) = path.strip_prefix("crates/")?.split_once('/')?;
    (name != "refrain-testkit").then(|| &path[..="crates/".len() + name.len()])
}

/// The testkit is a dependency of tests only, so whatever names the suite is one.
fn calls_suite(tree: &Tree, owner: &str, port: &Port) -> bool {
    let call = format!("conformance::{}", port.module);
    tree.rust()
        .any(|file| file.path.starts_with(owner) && file.text.contains(&call))
}

/// The traits that `source` implements outside of its tests, by the last part of their names.
fn implementations(source: &Source) -> Vec<(String, usize)> {
    struct Implementations(Vec<(String, usize)>);

    impl<'ast> Visit<'ast> for Implementations {
        fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
            if !is_cfg_test(&module.attrs) {
                visit::visit_item_mod(self, module);
            }
        }

        fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
            let name = item
                .trait_
                .as_ref()
                .and_then(|(path, _)| path.segments.last());
            if let Some(segment) = name {
                let line = segment.ident.span().start().line;
                self.0.push((segment.ident.to_string(), line));
            }
        }
    }

    let mut found = Implementations(Vec::new());
    found.visit_file(&source.syntax);
    found.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: (&str, &str) = (
        "crates/refrain-core/src/port/journal.rs",
        "pub trait Journal {} pub trait Cursor {}",
    );
    const SUITE: (&str, &str) = ("crates/refrain-testkit/src/conformance/journal.rs", "");
    const FILES: (&str, &str) = (
        "crates/refrain-journal/src/lib.rs",
        "impl refrain_core::port::journal::Journal for FileJournal {}",
    );
    const CALLER: (&str, &str) = (
        "crates/refrain-journal/tests/conformance.rs",
        "use refrain_testkit::conformance::journal;",
    );

    fn found(files: &[(&str, &str)]) -> usize {
        let tree = Tree::of(files);
        let sources: Vec<Source> = tree
            .rust()
            .map(|file| Source::of(&file.path, &file.text))
            .collect();
        check(&tree, &sources).len()
    }

    #[test]
    fn a_port_without_a_suite_is_found() {
        assert_eq!(found(&[PORT]), 1);
        assert_eq!(found(&[PORT, SUITE]), 0);
    }

    #[test]
    fn an_implementation_that_does_not_run_the_suite_is_found() {
        assert_eq!(found(&[PORT, SUITE, FILES]), 1);
        assert_eq!(found(&[PORT, SUITE, FILES, CALLER]), 0);
        let elsewhere = ("crates/refrain-http/tests/conformance.rs", CALLER.1);
        assert_eq!(found(&[PORT, SUITE, FILES, elsewhere]), 1);
    }

    #[test]
    fn doubles_and_implementations_of_tests_are_left_alone() {
        let double = (
            "crates/refrain-testkit/src/double.rs",
            "impl Journal for Broken {}",
        );
        let inline = (
            "crates/refrain/src/lib.rs",
            "#[cfg(test)] mod tests { impl Journal for Broken {} }",
        );
        assert_eq!(found(&[PORT, SUITE, double, inline]), 0);
    }
}
