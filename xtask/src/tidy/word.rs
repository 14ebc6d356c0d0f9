//! Words of the glossary, where a machine can judge them: names of types, functions and files.

use syn::visit::{self, Visit};

use super::finding::Finding;
use super::source::{Source, is_cfg_test};
use super::tree::Tree;

/// Parts of type names that say nothing, or that the glossary has another word for.
const IN_TYPES: [(&str, &str); 16] = [
    (
        "Ack",
        "Say confirmation (of a delivery) or settlement (of an outcome).",
    ),
    ("Aggregate", "Say processor."),
    ("Base", EMPTY_WORD),
    ("Broker", "Say bus."),
    ("Callback", "Say outcome, or handler of a channel."),
    ("Common", EMPTY_WORD),
    ("Generation", "Say epoch."),
    ("Helper", EMPTY_WORD),
    ("Helpers", EMPTY_WORD),
    ("Impl", EMPTY_WORD),
    ("Manager", EMPTY_WORD),
    ("Misc", EMPTY_WORD),
    ("Nack", "Say negative confirmation."),
    ("Sink", "Say destination."),
    ("Util", EMPTY_WORD),
    ("Utils", EMPTY_WORD),
];

/// Parts of file and directory names that say nothing.
const IN_FILES: [&str; 9] = [
    "base", "common", "helper", "helpers", "impl", "manager", "misc", "util", "utils",
];

const EMPTY_WORD: &str = "Name it by the one thing it holds or does.";

/// Names in `source` that the glossary bans.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut names = Names {
        source,
        findings: Vec::new(),
    };
    names.visit_file(&source.syntax);
    names.findings
}

/// Names of Rust files, and of the directories that lead to them, that say nothing.
pub(super) fn check_names(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .filter_map(|file| {
            let path = file.path.trim_end_matches(".rs");
            let banned = path
                .split(['/', '_', '-'])
                .find(|part| IN_FILES.contains(part))?;
            Some(Finding::repair(
                &file.path,
                None,
                format!("`{banned}` says nothing about what the file holds"),
                EMPTY_WORD,
            ))
        })
        .collect()
}

struct Names<'a> {
    source: &'a Source,
    findings: Vec<Finding>,
}

impl Names<'_> {
    fn of_type(&mut self, name: &syn::Ident) {
        let text = name.to_string();
        for part in parts(&text) {
            if let Some((word, remedy)) = IN_TYPES.iter().find(|(word, _)| *word == part) {
                self.findings.push(Finding::repair(
                    &self.source.path,
                    name.span().start().line,
                    format!("the type `{text}` uses the word `{word}`"),
                    *remedy,
                ));
            }
        }
    }

    fn of_function(&mut self, name: &syn::Ident) {
        if name.to_string().starts_with("get_") {
            self.findings.push(Finding::repair(
                &self.source.path,
                name.span().start().line,
                format!("the public function `{name}` starts with `get_`"),
                "Name it by what it gives: `order`, not `get_order`.",
            ));
        }
    }
}

/// The words of a name in camel case.
fn parts(name: &str) -> impl Iterator<Item = &str> {
    let starts: Vec<usize> = name
        .char_indices()
        .filter(|(index, c)| *index == 0 || c.is_uppercase())
        .map(|(index, _)| index)
        .collect();
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([name.len()]).collect();
    starts
        .into_iter()
        .zip(ends)
        .map(|(start, end)| &name[start..end])
}

fn is_public(visibility: &syn::Visibility) -> bool {
    matches!(visibility, syn::Visibility::Public(_))
}

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_cfg_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.of_type(&item.ident);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.of_type(&item.ident);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.of_type(&item.ident);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.of_type(&item.ident);
        if is_public(&item.vis) {
            for item in &item.items {
                if let syn::TraitItem::Fn(function) = item {
                    self.of_function(&function.sig.ident);
                }
            }
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        if is_public(&function.vis) {
            self.of_function(&function.sig.ident);
        }
        visit::visit_item_fn(self, function);
    }

    /// Functions of a trait's implementation are named by the trait, and have no visibility.
    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if is_public(&function.vis) {
            self.of_function(&function.sig.ident);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> usize {
        check(&Source::of("src/a.rs", text)).len()
    }

    #[test]
    fn a_type_with_a_banned_word_is_found() {
        for text in [
            "struct SegmentManager;",
            "enum AckKind {}",
            "trait JournalImpl {}",
            "type Helper = u8;",
            "fn outer() { struct Utils; }",
        ] {
            assert_eq!(found(text), 1, "{text}");
        }
    }

    #[test]
    fn a_word_that_only_contains_a_banned_one_is_none() {
        for text in [
            "struct Simple;",
            "struct Acknowledged;",
            "struct Database;",
            "mod common_sense {}",
            "#[cfg(test)] mod tests { struct Helper; }",
        ] {
            assert_eq!(found(text), 0, "{text}");
        }
    }

    #[test]
    fn a_public_getter_is_found() {
        assert_eq!(found("pub fn get_order() {}"), 1);
        assert_eq!(found("impl A { pub fn get_order(&self) {} }"), 1);
        assert_eq!(found("pub trait A { fn get_order(&self); }"), 1);
        assert_eq!(found("fn get_order() {}"), 0);
        assert_eq!(found("impl Theirs for A { fn get_order(&self) {} }"), 0);
        assert_eq!(found("pub fn order() {}"), 0);
    }

    #[test]
    fn an_empty_file_name_is_found() {
        let names = |path| check_names(&Tree::of(&[(path, "")])).len();
        assert_eq!(names("crates/a/src/util.rs"), 1);
        assert_eq!(names("crates/a/tests/common/mod.rs"), 1);
        assert_eq!(names("crates/a/src/segment_manager.rs"), 1);
        assert_eq!(names("crates/a/src/segment.rs"), 0);
        assert_eq!(names("docs/common-questions.md"), 0);
    }
}
