//! What is on the disk: per file the cached bytes and those on the medium, and the same for names.
//!
//! A write changes the cache and marks sectors as dirty; a sync copies dirty sectors to the medium;
//! a failed sync copies some and marks all as clean, as Linux does. A name is made, moved or removed
//! in the cache at once, and on the medium when its directory is synced.

use std::collections::BTreeMap;

/// Bytes that a disk writes at once, or tears.
pub const SECTOR_BYTES: usize = 512;

/// A file's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId(usize);

/// A file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inode {
    /// What is read.
    pub(crate) cache: Vec<u8>,
    /// What is left when the power goes. Its length is the size on the medium.
    pub(crate) medium: Vec<u8>,
    /// Sectors that the next sync writes, in order.
    pub(crate) dirty: Vec<usize>,
    /// Whether the next sync writes the size.
    pub(crate) is_size_dirty: bool,
    /// Whether a failed sync left a cache that differs from the medium and counts as clean.
    pub(crate) is_stale: bool,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Node {
    Dir,
    File(FileId),
}

/// A change of names that the next sync of the directory makes last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NameChange {
    Made {
        path: String,
        node: Node,
    },
    Moved {
        from: String,
        to: String,
        file: FileId,
    },
    Removed {
        path: String,
        file: FileId,
    },
}

/// Files and names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Medium {
    files: Vec<Inode>,
    pub(crate) names: BTreeMap<String, Node>,
    lasting: BTreeMap<String, Node>,
    pub(crate) changes: Vec<NameChange>,
}

/// The directory that `path` lies in; the root is the empty text.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

impl Inode {
    pub(crate) fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if end > self.cache.len() {
            self.resize(end);
        }
        self.cache[offset..end].copy_from_slice(bytes);
        for sector in offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
            self.mark_dirty(sector);
        }
    }

    pub(crate) fn resize(&mut self, size: usize) {
        self.cache.resize(size, 0);
        self.is_size_dirty = true;
    }

    /// Changes one bit, on the medium and in the cache.
    pub(crate) fn flip(&mut self, at: usize, bit: u64) {
        self.medium[at] ^= 1 << bit;
        if let Some(byte) = self.cache.get_mut(at) {
            *byte = self.medium[at];
        }
    }

    fn mark_dirty(&mut self, sector: usize) {
        if let Err(at) = self.dirty.binary_search(&sector) {
            self.dirty.insert(at, sector);
        }
    }

    /// Makes the size on the medium what it is in the cache.
    pub(crate) fn write_size(&mut self) {
        self.medium.resize(self.cache.len(), 0);
        self.is_size_dirty = false;
    }

    /// Writes the first `count` bytes of a sector to the medium, as far as the file reaches there.
    pub(crate) fn write_sector(&mut self, sector: usize, count: usize) {
        let start = sector * SECTOR_BYTES;
        let end = (start + count).min(self.medium.len()).min(self.cache.len());
        if start < end {
            self.medium[start..end].copy_from_slice(&self.cache[start..end]);
        }
    }

    pub(crate) fn sync(&mut self) {
        self.write_size();
        for sector in std::mem::take(&mut self.dirty) {
            self.write_sector(sector, SECTOR_BYTES);
        }
    }

    /// What is read comes from the medium again.
    pub(crate) fn evict(&mut self) {
        let size = self.cache.len();
        for sector in 0..size.div_ceil(SECTOR_BYTES) {
            if self.dirty.binary_search(&sector).is_ok() {
                continue;
            }
            let start = sector * SECTOR_BYTES;
            let end = (start + SECTOR_BYTES).min(size);
            for at in start..end {
                self.cache[at] = self.medium.get(at).copied().unwrap_or(0);
            }
        }
        self.is_stale = false;
    }
}

impl Medium {
    pub(crate) fn file(&self, id: FileId) -> &Inode {
        &self.files[id.0]
    }

    pub(crate) fn file_mut(&mut self, id: FileId) -> &mut Inode {
        &mut self.files[id.0]
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = FileId> + use<> {
        (0..self.files.len()).map(FileId)
    }

    pub(crate) fn find(&self, path: &str) -> Option<Node> {
        if path.is_empty() {
            return Some(Node::Dir);
        }
        self.names.get(path).copied()
    }

    pub(crate) fn make_dir(&mut self, path: &str) {
        if self.find(path).is_some() {
            return;
        }
        let above = parent(path).to_owned();
        self.make_dir(&above);
        self.make(path, Node::Dir);
    }

    pub(crate) fn make_file(&mut self, path: &str) -> FileId {
        let id = FileId(self.files.len());
        self.files.push(Inode::default());
        self.make(path, Node::File(id));
        id
    }

    fn make(&mut self, path: &str, node: Node) {
        self.names.insert(path.to_owned(), node);
        let path = path.to_owned();
        self.changes.push(NameChange::Made { path, node });
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str, file: FileId) {
        self.names.remove(from);
        self.names.insert(to.to_owned(), Node::File(file));
        self.changes.push(NameChange::Moved {
            from: from.to_owned(),
            to: to.to_owned(),
            file,
        });
    }

    pub(crate) fn remove(&mut self, path: &str, file: FileId) {
        self.names.remove(path);
        let path = path.to_owned();
        self.changes.push(NameChange::Removed { path, file });
    }

    /// The names in `dir`.
    pub(crate) fn list(&self, dir: &str) -> Vec<String> {
        let inside = self.names.keys().filter(|path| parent(path) == dir);
        let name = |path: &String| path.rsplit('/').next().unwrap_or_default().to_owned();
        inside.map(name).collect()
    }

    /// Makes the names in `dir` last.
    pub(crate) fn sync_dir(&mut self, dir: &str) {
        let changes = std::mem::take(&mut self.changes);
        for change in changes {
            if parent(change.path()) == dir {
                self.make_last(&change);
            } else {
                self.changes.push(change);
            }
        }
    }

    pub(crate) fn make_last(&mut self, change: &NameChange) {
        match change {
            NameChange::Made { path, node } => {
                self.lasting.insert(path.clone(), *node);
            }
            NameChange::Moved { from, to, file } => {
                self.unlink(from, *file);
                self.lasting.insert(to.clone(), Node::File(*file));
            }
            NameChange::Removed { path, file } => self.unlink(path, *file),
        }
    }

    fn unlink(&mut self, path: &str, file: FileId) {
        if self.lasting.get(path) == Some(&Node::File(file)) {
            self.lasting.remove(path);
        }
    }

    /// The files right below `dir`, by name.
    pub(crate) fn below(&self, dir: &str) -> Vec<(String, FileId)> {
        let files = self.names.iter().filter_map(|(path, node)| match node {
            Node::File(id) if parent(path) == dir => Some((path.clone(), *id)),
            Node::File(_) | Node::Dir => None,
        });
        files.collect()
    }

    /// Makes `dir` hold these files and no others, for good.
    pub(crate) fn replace(&mut self, dir: &str, files: &[(String, Vec<u8>)]) {
        for (path, _) in self.below(dir) {
            self.names.remove(&path);
        }
        self.lasting.retain(|path, _| parent(path) != dir);
        self.changes.retain(|change| parent(change.path()) != dir);
        for (path, bytes) in files {
            let id = FileId(self.files.len());
            self.files.push(Inode {
                cache: bytes.clone(),
                medium: bytes.clone(),
                ..Inode::default()
            });
            self.names.insert(path.clone(), Node::File(id));
            self.lasting.insert(path.clone(), Node::File(id));
        }
    }

    /// Bytes that the named files take.
    pub(crate) fn used(&self) -> u64 {
        let files = self.names.values().map(|node| match node {
            Node::Dir => 0,
            Node::File(id) => self.file(*id).cache.len() as u64,
        });
        files.sum()
    }

    /// What is left once the power went: the medium, and names whose directories are left.
    pub(crate) fn reset(&mut self) {
        self.changes.clear();
        let lasting = &self.lasting;
        let is_reached = |path: &str| {
            let above = parent(path);
            above.is_empty() || lasting.contains_key(above)
        };
        let reached = lasting.iter().filter(|(path, _)| is_reached(path));
        let names: BTreeMap<String, Node> = reached.map(|(p, n)| (p.clone(), *n)).collect();
        self.lasting.clone_from(&names);
        self.names = names;
        for file in &mut self.files {
            file.cache.clone_from(&file.medium);
            file.dirty.clear();
            file.is_size_dirty = false;
            file.is_stale = false;
        }
    }
}

impl NameChange {
    fn path(&self) -> &str {
        match self {
            NameChange::Made { path, .. }
            | NameChange::Moved { to: path, .. }
            | NameChange::Removed { path, .. } => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_synced_is_gone_with_the_power() {
        let mut medium = Medium::default();
        let id = medium.make_file("a");
        medium.file_mut(id).write(b"kept", 0);
        medium.file_mut(id).sync();
        medium.sync_dir("");
        medium.file_mut(id).write(b"lost", 0);
        medium.reset();
        assert_eq!(medium.file(id).cache, b"kept");
        assert_eq!(medium.find("a"), Some(Node::File(id)));
    }

    #[test]
    fn a_file_that_was_synced_without_its_directory_has_no_name_afterwards() {
        let mut medium = Medium::default();
        let id = medium.make_file("a");
        medium.file_mut(id).write(b"bytes", 0);
        medium.file_mut(id).sync();
        medium.reset();
        assert_eq!(medium.find("a"), None);
    }

    #[test]
    fn a_rename_without_a_sync_leaves_the_old_name() {
        let mut medium = Medium::default();
        let id = medium.make_file("a.new");
        medium.sync_dir("");
        medium.rename("a.new", "a", id);
        assert_eq!(medium.list(""), ["a"]);
        medium.reset();
        assert_eq!(medium.list(""), ["a.new"]);
    }

    #[test]
    fn a_file_in_a_lost_directory_is_lost() {
        let mut medium = Medium::default();
        medium.make_dir("dir");
        medium.make_file("dir/a");
        medium.sync_dir("dir");
        medium.reset();
        assert_eq!(medium.find("dir/a"), None);
    }

    #[test]
    fn space_counts_named_files_alone() {
        let mut medium = Medium::default();
        let id = medium.make_file("a");
        medium.file_mut(id).resize(1000);
        assert_eq!(medium.used(), 1000);
        medium.remove("a", id);
        assert_eq!(medium.used(), 0);
    }
}
