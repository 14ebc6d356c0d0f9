//! Budgets: how long a file and a function may be.
//!
//! Test code is measured apart: a file of tests may be longer, and a long test is a warning only.

use syn::visit::{self, Visit};

use super::finding::Finding;
use super::source::{Source, is_cfg_test};

/// Lines of a file, beyond which there is a seam to look for.
const FILE_LINES_WARNED: usize = 400;
/// Lines of a file.
const FILE_LINES_MAX: usize = 800;
/// Lines of a file of tests.
const TEST_FILE_LINES_MAX: usize = 1500;
/// Lines of a function, from its `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;
/// Lines of a test module at the bottom of its file, beyond which it belongs into `tests.rs`.
const INLINE_TESTS_LINES_MAX: usize = 150;

/// What is too long in `source`.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings: Vec<Finding> = file_length(source).into_iter().collect();
    let mut measure = Measure {
        source,
        in_tests: source.is_test(),
        findings: Vec::new(),
    };
    measure.visit_file(&source.syntax);
    findings.append(&mut measure.findings);
    findings
}

fn file_length(source: &Source) -> Option<Finding> {
    let lines_max = if source.is_test() {
        TEST_FILE_LINES_MAX
    } else {
        FILE_LINES_MAX
    };
    let finding = |limit: usize| {
        Finding::repair(
            &source.path,
            None,
            format!("the file has {} lines, past {limit}", source.lines),
            "Look for the seam: a file is one noun. Move the second noun into its own file.",
        )
    };
    if source.lines > lines_max {
        Some(finding(lines_max))
    } else if source.lines > FILE_LINES_WARNED && !source.is_test() {
        Some(finding(FILE_LINES_WARNED).into_warning())
    } else {
        None
    }
}

struct Measure<'a> {
    source: &'a Source,
    in_tests: bool,
    findings: Vec<Finding>,
}

impl Measure<'_> {
    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let start = signature.fn_token.span.start().line;
        let end = block.brace_token.span.close().end().line;
        let lines = end - start + 1;
        if lines <= FUNCTION_LINES_MAX {
            return;
        }
        let name = &signature.ident;
        let finding = Finding::repair(
            &self.source.path,
            start,
            format!("`{name}` has {lines} lines, {FUNCTION_LINES_MAX} is the end of a function"),
            "Split at the branch: the parent keeps the `match` and the state, its parts run straight.",
        );
        self.findings.push(if self.in_tests {
            finding.into_warning()
        } else {
            finding
        });
    }

    fn inline_tests(&mut self, module: &syn::ItemMod) {
        let Some((brace, _)) = &module.content else {
            return;
        };
        let start = brace.span.open().start().line;
        let lines = brace.span.close().end().line - start + 1;
        if lines > INLINE_TESTS_LINES_MAX && !self.in_tests {
            let finding = Finding::repair(
                &self.source.path,
                start,
                format!("the tests have {lines} lines, past {INLINE_TESTS_LINES_MAX}"),
                "Move them into `tests.rs` beside the file: `#[cfg(test)] mod tests;`.",
            );
            self.findings.push(finding.into_warning());
        }
    }
}

impl<'ast> Visit<'ast> for Measure<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let outer = self.in_tests;
        if is_cfg_test(&module.attrs) {
            self.inline_tests(module);
            self.in_tests = true;
        }
        visit::visit_item_mod(self, module);
        self.in_tests = outer;
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.function(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.function(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.function(&function.sig, block);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    fn severities(path: &str, text: &str) -> Vec<Severity> {
        check(&Source::of(path, text))
            .into_iter()
            .map(|finding| finding.severity)
            .collect()
    }

    fn file_of(lines: usize) -> String {
        "//! Text.\n".repeat(lines)
    }

    fn function_of(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    step();\n".repeat(lines - 2))
    }

    #[test]
    fn a_file_warns_past_400_lines_and_fails_past_800() {
        assert_eq!(severities("src/a.rs", &file_of(400)), []);
        assert_eq!(severities("src/a.rs", &file_of(401)), [Severity::Warning]);
        assert_eq!(severities("src/a.rs", &file_of(800)), [Severity::Warning]);
        assert_eq!(severities("src/a.rs", &file_of(801)), [Severity::Repair]);
    }

    #[test]
    fn a_file_of_tests_fails_past_1500_lines() {
        for path in ["tests/all.rs", "src/channel/tests.rs"] {
            assert_eq!(severities(path, &file_of(1500)), []);
            assert_eq!(severities(path, &file_of(1501)), [Severity::Repair]);
        }
    }

    #[test]
    fn a_function_fails_past_70_lines_wherever_it_stands() {
        assert_eq!(severities("src/a.rs", &function_of(70)), []);
        let long = function_of(71);
        assert_eq!(severities("src/a.rs", &long), [Severity::Repair]);
        let in_impl = format!("impl A {{ {long} }}");
        assert_eq!(severities("src/a.rs", &in_impl), [Severity::Repair]);
        let in_trait = format!("trait A {{ {long} }}");
        assert_eq!(severities("src/a.rs", &in_trait), [Severity::Repair]);
        let in_function = format!("fn outer() {{ mod inner {{ {long} }} }}");
        assert_eq!(severities("src/a.rs", &in_function).len(), 2);
    }

    #[test]
    fn braces_in_strings_do_not_confuse_the_measure() {
        let text = format!("fn short() {{ a(\"{{{{{{\"); }}\n{}", file_of(0));
        assert_eq!(severities("src/a.rs", &text), []);
    }

    #[test]
    fn long_tests_are_warnings() {
        let long = function_of(71);
        let inline = format!("#[cfg(test)] mod tests {{ {long} }}");
        assert_eq!(severities("src/a.rs", &inline), [Severity::Warning]);
        assert_eq!(severities("tests/a.rs", &long), [Severity::Warning]);
        let many = format!("#[cfg(test)] mod tests {{\n{}}}", "fn a() {}\n".repeat(150));
        assert_eq!(severities("src/a.rs", &many), [Severity::Warning]);
    }
}
