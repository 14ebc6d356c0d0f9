//! The project's files as text: from disk, or from strings in the tests of the rules.

use std::path::Path;

/// Directories that hold nothing of the project's own.
const SKIPPED: [&str; 2] = ["target", ".git"];

/// Endings of the files that rules read.
const READ: [&str; 6] = [".rs", ".md", ".toml", ".sh", "/run", "/reliability.json"];

/// All files of the project that rules read, in the order of their paths.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    files: Vec<File>,
    /// Every path, also of files that are not read, and of directories.
    paths: Vec<String>,
}

/// One file.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// Its path below the project's directory, with `/` between the parts.
    pub(crate) path: String,
    /// What it holds.
    pub(crate) text: String,
}

impl Tree {
    /// Reads the tree below `root`.
    ///
    /// # Errors
    /// When a directory or file cannot be read.
    pub(crate) fn load(root: &Path) -> Result<Tree, String> {
        let mut tree = Tree::default();
        let mut waiting = vec![String::new()];
        while let Some(directory) = waiting.pop() {
            let at = root.join(&directory);
            let entries = std::fs::read_dir(&at)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| format!("{}: {error}", at.display()))?;
            for entry in entries {
                let name = entry.file_name().to_string_lossy().into_owned();
                if SKIPPED.contains(&name.as_str()) {
                    continue;
                }
                let path = match directory.as_str() {
                    "" => name,
                    _ => format!("{directory}/{name}"),
                };
                if entry.path().is_dir() {
                    waiting.push(path.clone());
                } else if READ.iter().any(|ending| path.ends_with(ending)) {
                    let text = std::fs::read_to_string(entry.path())
                        .map_err(|error| format!("{path}: {error}"))?;
                    tree.files.push(File {
                        path: path.clone(),
                        text,
                    });
                }
                tree.paths.push(path);
            }
        }
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        tree.paths.sort();
        Ok(tree)
    }

    /// A tree of these paths and texts, for the tests of the rules.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (path, text) in files {
            tree.files.push(File {
                path: (*path).to_owned(),
                text: (*text).to_owned(),
            });
            for (end, _) in path.match_indices('/') {
                tree.paths.push(path[..end].to_owned());
            }
            tree.paths.push((*path).to_owned());
        }
        tree.paths.sort();
        tree
    }

    /// The files that rules read.
    pub(crate) fn files(&self) -> &[File] {
        &self.files
    }

    /// Those of them that are Rust.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// Those of them that are Markdown.
    pub(crate) fn markdown(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".md"))
    }

    /// The text of the file at `path`, if there is one that rules read.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        let file = self.files.iter().find(|file| file.path == path)?;
        Some(&file.text)
    }

    /// Whether there is a file or directory at `path`; the project's own directory is "".
    pub(crate) fn holds(&self, path: &str) -> bool {
        path.is_empty()
            || self
                .paths
                .binary_search_by(|p| p.as_str().cmp(path))
                .is_ok()
    }
}
