//! Relative links in Markdown: the file must exist, and so must the heading. And pages that the code
//! mentions by their path, as in `docs/errors`.
//!
//! Links to other sites are not followed: a check that needs a network fails for reasons that are
//! not ours.

use super::finding::Finding;
use super::tree::{File, Tree};

/// Dead relative links in the Markdown of `tree`.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.markdown() {
        for (line, target) in links(&file.text) {
            findings.extend(dead(tree, file, line, &target));
        }
    }
    findings.extend(tree.markdown().filter_map(|file| unlisted(tree, file)));
    // The tasks' own tests make pages up.
    for file in tree.rust().filter(|file| !file.path.starts_with("xtask/")) {
        for (index, line) in file.text.lines().enumerate() {
            findings.extend(missing_page(tree, file, index + 1, line));
        }
    }
    findings
}

/// A page in a directory with a `README.md` that does not list it: nobody would find it.
fn unlisted(tree: &Tree, file: &File) -> Option<Finding> {
    let (directory, name) = file.path.rsplit_once('/')?;
    let list = tree.text(&format!("{directory}/README.md"))?;
    if name == "README.md" || links(list).iter().any(|(_, target)| target == name) {
        return None;
    }
    Some(Finding::repair(
        &file.path,
        None,
        format!("{directory}/README.md does not list the page"),
        "Add a line with a link to it there.",
    ))
}

/// A page below `docs` that a line of code mentions and that is not there.
fn missing_page(tree: &Tree, file: &File, number: usize, line: &str) -> Option<Finding> {
    let page = line
        .split(|c: char| !c.is_ascii_alphanumeric() && !"-_./".contains(c))
        .map(|word| word.trim_end_matches('.'))
        .find(|word| word.starts_with("docs/") && word.ends_with(".md") && !tree.holds(word))?;
    Some(Finding::repair(
        &file.path,
        number,
        format!("the page `{page}` is not there"),
        "Write the page, or correct its path.",
    ))
}

fn dead(tree: &Tree, file: &File, line: usize, target: &str) -> Option<Finding> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let resolved = match path {
        "" => Some(file.path.clone()),
        _ => resolve(&file.path, path),
    };
    let Some(resolved) = resolved.filter(|path| tree.holds(path)) else {
        return Some(Finding::repair(
            &file.path,
            line,
            format!("the link to `{path}` leads nowhere"),
            "Correct the path, or remove the link with what it pointed to.",
        ));
    };
    let text = tree.text(&resolved)?;
    if heading.is_empty() || !resolved.ends_with(".md") || has_heading(text, heading) {
        return None;
    }
    Some(Finding::repair(
        &file.path,
        line,
        format!("`{resolved}` has no heading `#{heading}`"),
        "Correct the heading's name: lower case, spaces as `-`, other signs left out.",
    ))
}

/// The path that `target` names when it stands in the file at `from`; none above the project.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The targets of `[text](target)` and of `[name]: target`, each with its line.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let line = without_code(line);
        for (start, _) in line.match_indices("](") {
            let rest = &line[start + 2..];
            if let Some(end) = rest.find([')', ' ']) {
                found.push((number, rest[..end].to_owned()));
            }
        }
        if let Some((name, target)) = line.split_once("]: ")
            && name.starts_with('[')
            && !name.starts_with("[^")
        {
            found.push((number, target.trim().to_owned()));
        }
    }
    found
}

/// The lines outside of fenced code, with their numbers from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
            return None;
        }
        (!in_code).then_some((index + 1, line))
    })
}

/// The line without what stands between backticks, unless the backticks are a link's own text.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("")
}

/// Whether `text` has a heading that gets the name `wanted`.
fn has_heading(text: &str, wanted: &str) -> bool {
    prose(text)
        .filter_map(|(_, line)| line.strip_prefix('#'))
        .any(|line| slug(line.trim_start_matches('#')) == wanted)
}

fn slug(heading: &str) -> String {
    heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> usize {
        let tree = Tree::of(&[
            ("docs/page.md", text),
            ("docs/other.md", "# One thing\n\n## `Code` & more\n"),
            ("README.md", ""),
        ]);
        check(&tree).len()
    }

    #[test]
    fn a_link_to_a_missing_file_is_found() {
        assert_eq!(found("See [that](missing.md)."), 1);
        assert_eq!(found("See [that](../missing.md) and [it](also.md)."), 2);
        assert_eq!(found("See [`code`](missing.md)."), 1);
        assert_eq!(found("[that]: missing.md"), 1);
        assert_eq!(found("[out](../../outside.md)"), 1);
    }

    #[test]
    fn links_that_lead_somewhere_are_left_alone() {
        assert_eq!(
            found("[a](other.md) [b](../README.md) [c](..) [d](../docs)"),
            0
        );
        assert_eq!(found("[a](https://example.com/missing.md)"), 0);
        assert_eq!(found("[that]: other.md"), 0);
        assert_eq!(found("```text\n[a](missing.md)\n```\n`[a](missing.md)`"), 0);
    }

    #[test]
    fn a_page_that_only_the_code_knows_is_found() {
        let code = |path| ("crates/a/src/a.rs", path);
        let found = |text| check(&Tree::of(&[code(text), ("docs/page.md", "")])).len();
        assert_eq!(found("//! See `docs/missing.md`."), 1);
        assert_eq!(found("//! See docs/missing.md."), 1);
        assert_eq!(found("//! See `docs/page.md`, chapter 1."), 0);
        assert_eq!(found("//! See docs.rs and page.md."), 0);
    }

    #[test]
    fn a_page_that_its_directory_does_not_list_is_found() {
        let page = ("docs/decisions/0001-a.md", "");
        let found = |files: &[(&str, &str)]| check(&Tree::of(files)).len();
        assert_eq!(found(&[page, ("docs/decisions/README.md", "")]), 1);
        assert_eq!(
            found(&[page, ("docs/decisions/README.md", "[a](0001-a.md)")]),
            0
        );
        assert_eq!(found(&[page]), 0);
    }

    #[test]
    fn a_link_to_a_missing_heading_is_found() {
        assert_eq!(found("[a](other.md#one-thing) [b](other.md#code--more)"), 0);
        assert_eq!(found("[a](other.md#two-things)"), 1);
        assert_eq!(found("# Here\n[a](#here) [b](#there)"), 1);
    }
}
