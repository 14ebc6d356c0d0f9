//! A Rust file as the rules see it: text, tokens and syntax.
//!
//! Rules that must also see into the arguments of macros (tests of `proptest!`, words that may appear
//! nowhere) read the tokens; the others read the syntax.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::{Attribute, Meta};

use super::finding::Finding;
use super::tree::File;

/// A Rust file.
pub(crate) struct Source {
    /// Its path below the project's directory.
    pub(crate) path: String,
    /// Its lines, counted.
    pub(crate) lines: usize,
    /// Its text as tokens, macro arguments included.
    pub(crate) tokens: TokenStream,
    /// Its syntax.
    pub(crate) syntax: syn::File,
}

impl Source {
    /// Parses `file`.
    pub(crate) fn parse(file: &File) -> Result<Source, Finding> {
        let unreadable = |error: &syn::Error| {
            Finding::repair(
                &file.path,
                error.span().start().line,
                format!("this is no Rust: {error}"),
                "Make it compile first.",
            )
        };
        let syntax = syn::parse_file(&file.text).map_err(|error| unreadable(&error))?;
        let tokens = file
            .text
            .parse()
            .map_err(|error: proc_macro2::LexError| unreadable(&error.into()))?;
        Ok(Source {
            path: file.path.clone(),
            lines: file.text.lines().count(),
            tokens,
            syntax,
        })
    }

    /// A file of this text, for the tests of the rules.
    #[cfg(test)]
    pub(crate) fn of(path: &str, text: &str) -> Source {
        Source::parse(&File {
            path: path.to_owned(),
            text: text.to_owned(),
        })
        .unwrap()
    }

    /// Whether the whole file is test code.
    pub(crate) fn is_test(&self) -> bool {
        is_test_path(&self.path)
    }

    /// The tests of the file: every `fn` whose attributes end in `test`, also those in macros.
    pub(crate) fn tests(&self) -> Vec<Function> {
        functions(&self.tokens)
            .into_iter()
            .filter(|function| function.is_test)
            .collect()
    }

    /// Every `fn` of the file, also those in macros.
    pub(crate) fn functions(&self) -> Vec<Function> {
        functions(&self.tokens)
    }
}

/// Whether the file at `path` is test code as a whole.
pub(crate) fn is_test_path(path: &str) -> bool {
    path.split('/')
        .any(|part| part == "tests" || part == "tests.rs" || part.ends_with("_tests.rs"))
}

/// A function as its tokens show it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// The line of its name, from 1.
    pub(crate) line: usize,
    /// The lines of its doc comment.
    pub(crate) docs: Vec<String>,
    /// Whether one of its attributes makes it a test.
    pub(crate) is_test: bool,
}

/// Walks the tokens, with the attributes seen since the last item kept at hand.
fn functions(tokens: &TokenStream) -> Vec<Function> {
    let mut found = Vec::new();
    let mut docs = Vec::new();
    let mut is_test = false;
    let mut tokens = tokens.clone().into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(hash) if hash.as_char() == '#' => {
                if let Some(TokenTree::Group(attribute)) = tokens.peek() {
                    docs.extend(doc_line(attribute));
                    is_test |= makes_a_test(attribute);
                    tokens.next();
                }
            }
            TokenTree::Ident(word) if word == "fn" => {
                if let Some(TokenTree::Ident(name)) = tokens.peek() {
                    found.push(Function {
                        name: name.to_string(),
                        line: name.span().start().line,
                        docs: std::mem::take(&mut docs),
                        is_test: std::mem::take(&mut is_test),
                    });
                }
            }
            TokenTree::Group(group) => {
                found.extend(functions(&group.stream()));
                // `pub(crate)` stands between the attributes and the name.
                if group.delimiter() == Delimiter::Brace {
                    docs.clear();
                    is_test = false;
                }
            }
            TokenTree::Punct(end) if end.as_char() == ';' => {
                docs.clear();
                is_test = false;
            }
            TokenTree::Punct(_) | TokenTree::Ident(_) | TokenTree::Literal(_) => {}
        }
    }
    found
}

/// The text of `#[doc = "..."]`, which is what `/// ...` becomes.
fn doc_line(attribute: &Group) -> Option<String> {
    let tokens: Vec<TokenTree> = attribute.stream().into_iter().collect();
    match tokens.as_slice() {
        [
            TokenTree::Ident(doc),
            TokenTree::Punct(_),
            TokenTree::Literal(text),
        ] if doc == "doc" => {
            let text: syn::LitStr = syn::parse_str(&text.to_string()).ok()?;
            Some(text.value().trim().to_owned())
        }
        _ => None,
    }
}

/// `#[test]`, `#[tokio::test]`, `#[tokio::test(start_paused = true)]`, `#[rstest]` and the like.
fn makes_a_test(attribute: &Group) -> bool {
    let last = attribute
        .stream()
        .into_iter()
        .take_while(|token| !matches!(token, TokenTree::Group(_)))
        .last();
    matches!(last, Some(TokenTree::Ident(word)) if word == "test" || word == "rstest")
}

/// Whether `#[cfg(test)]` is among the attributes.
pub(crate) fn is_cfg_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let mut tokens = list.tokens.clone().into_iter();
            let first = tokens.next();
            matches!(first, Some(TokenTree::Ident(word)) if word == "test")
                && tokens.next().is_none()
        }
        Meta::List(_) | Meta::Path(_) | Meta::NameValue(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_found_with_their_docs_also_in_macros_and_modules() {
        let source = Source::of(
            "src/a.rs",
            "fn plain() {}\n\
             #[cfg(test)] mod tests {\n\
             /// B1.1\n/// More.\n#[tokio::test(start_paused = true)] async fn one() {}\n\
             proptest! { /// B2.1\n#[test] fn two(x in 0..3) {} }\n\
             fn after() {}\n}",
        );
        let tests = source.tests();
        let names: Vec<&str> = tests.iter().map(|test| test.name.as_str()).collect();
        assert_eq!(names, ["one", "two"]);
        assert_eq!(tests[0].docs, ["B1.1", "More."]);
        assert_eq!(tests[1].docs, ["B2.1"]);
        assert_eq!(source.functions().len(), 4);
    }

    #[test]
    fn docs_of_one_item_do_not_reach_the_next() {
        let source = Source::of(
            "src/a.rs",
            "/// B1.1\nconst A: u8 = 1;\n/// B1.2\nstruct S {}\n#[test] pub(crate) fn one() {}",
        );
        assert_eq!(source.tests()[0].docs, Vec::<String>::new());
    }

    #[test]
    fn only_a_plain_cfg_test_counts() {
        let marked = |text: &str| {
            let module: syn::ItemMod = syn::parse_str(text).unwrap();
            is_cfg_test(&module.attrs)
        };
        assert!(marked("#[cfg(test)] mod a {}"));
        assert!(!marked("#[cfg(not(test))] mod a {}"));
        assert!(!marked("#[cfg(unix)] mod a {}"));
        assert!(!marked("#[test] mod a {}"));
    }
}
