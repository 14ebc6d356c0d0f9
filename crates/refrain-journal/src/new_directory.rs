//! New directories, whose names last before anything is put into them.
//!
//! A directory is a name in the one above it, and only a sync of that one makes the name last. Whoever
//! is killed may leave a directory whose name does not last yet, and whoever comes next finds it like
//! any other. So before a directory is made, the name of the one that it is made in is made lasting;
//! of all that are found, only that of the lowest is left in doubt then, and for that one the caller
//! syncs the directory above: see [`make_name_last`].

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use crate::storage::{Disk, parent_of};

/// Mode of every directory that is made: nobody but the owner sees the names.
const DIRECTORY_MODE: u32 = 0o700;

/// What is done to directories, one at a time.
pub(crate) trait Directories {
    fn is_there(&self, dir: &Path) -> bool;
    fn make(&self, dir: &Path) -> io::Result<()>;
    fn sync(&self, dir: &Path) -> io::Result<()>;
}

/// Those of the operating system.
#[derive(Debug)]
pub(crate) struct SystemDirectories;

impl Directories for SystemDirectories {
    fn is_there(&self, dir: &Path) -> bool {
        dir.is_dir()
    }

    fn make(&self, dir: &Path) -> io::Result<()> {
        match DirBuilder::new().mode(DIRECTORY_MODE).create(dir) {
            // Somebody else makes it at the same time; its name is synced like one of our own.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
            made => made,
        }
    }

    fn sync(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}

/// Makes `dir` and what is missing above it, from the top down, and makes each name last.
pub(crate) fn make(directories: &dyn Directories, dir: &Path) -> io::Result<()> {
    if directories.is_there(dir) {
        return Ok(());
    }
    let above = parent_of(dir);
    if directories.is_there(&above) {
        if_allowed(directories.sync(&parent_of(&above)))?;
    } else if above != dir {
        make(directories, &above)?;
    }
    directories.make(dir)?;
    directories.sync(&above)
}

/// Makes `dir` and what is missing above it on `disk`. Afterwards their names survive a loss of power, also
/// those that somebody made who was killed before they did.
///
/// # Errors
/// When `dir` cannot be made, or a name cannot be made to last. Repeating the call is safe.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let place = tempfile::tempdir()?;
/// # let backups = place.path().join("backups");
/// refrain_journal::make_lasting(&refrain_journal::FileSystem, &backups)?;
/// assert!(backups.is_dir());
/// # Ok(())
/// # }
/// ```
pub fn make_lasting(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    disk.create_dir(dir)?;
    make_name_last(disk, dir)
}

/// Makes the name of `dir` last, which may have been made by somebody who was killed then.
pub(crate) fn make_name_last(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    if_allowed(disk.sync_dir(&parent_of(dir)))
}

/// Who may not read a directory has not made what is in it.
fn if_allowed(synced: io::Result<()>) -> io::Result<()> {
    match synced {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::*;

    /// Directories in memory, with the names that last. Each call counts, and all fail from one on.
    #[derive(Debug, Default)]
    struct Recorded {
        there: RefCell<BTreeSet<PathBuf>>,
        lasting: RefCell<BTreeSet<PathBuf>>,
        calls_left: RefCell<usize>,
        forbidden: Option<PathBuf>,
    }

    impl Recorded {
        fn with(dirs: &[&str]) -> Recorded {
            let dirs: BTreeSet<PathBuf> = dirs.iter().map(PathBuf::from).collect();
            Recorded {
                there: RefCell::new(dirs.clone()),
                lasting: RefCell::new(dirs),
                calls_left: RefCell::new(usize::MAX),
                forbidden: None,
            }
        }

        fn call(&self) -> io::Result<()> {
            let mut left = self.calls_left.borrow_mut();
            *left = left.checked_sub(1).ok_or(io::ErrorKind::Other)?;
            Ok(())
        }

        /// Whether `dir` and all above it are found after a loss of power.
        fn lasts(&self, dir: &Path) -> bool {
            let lasting = self.lasting.borrow();
            dir.ancestors().all(|above| lasting.contains(above))
        }
    }

    impl Directories for Recorded {
        fn is_there(&self, dir: &Path) -> bool {
            self.there.borrow().contains(dir)
        }

        fn make(&self, dir: &Path) -> io::Result<()> {
            self.call()?;
            if !self.is_there(&parent_of(dir)) {
                return Err(io::ErrorKind::NotFound.into());
            }
            self.there.borrow_mut().insert(dir.to_path_buf());
            Ok(())
        }

        fn sync(&self, dir: &Path) -> io::Result<()> {
            self.call()?;
            if self.forbidden.as_deref() == Some(dir) {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            let there = self.there.borrow();
            let inside = there.iter().filter(|path| path.parent() == Some(dir));
            self.lasting.borrow_mut().extend(inside.cloned());
            Ok(())
        }
    }

    const WANTED: &str = "/srv/a/b/data";

    /// B2.7
    #[test]
    fn every_directory_that_is_made_lasts_also_when_whoever_began_was_killed_at_any_call() {
        let mut kills = 0;
        for calls in 0.. {
            let dirs = Recorded::with(&["/", "/srv"]);
            *dirs.calls_left.borrow_mut() = calls;
            let made = make(&dirs, Path::new(WANTED));
            *dirs.calls_left.borrow_mut() = usize::MAX;
            if made.is_ok() {
                assert!(dirs.lasts(Path::new(WANTED)));
                break;
            }
            kills += 1;
            make(&dirs, Path::new(WANTED)).unwrap();
            // As opening does, before anything is acknowledged.
            dirs.sync(&parent_of(Path::new(WANTED))).unwrap();
            assert!(dirs.lasts(Path::new(WANTED)), "killed at call {calls}");
        }
        assert_eq!(
            kills, 7,
            "three are made and their names synced, after that of /srv"
        );
    }

    #[test]
    fn nothing_is_synced_or_asked_for_when_the_directory_is_there() {
        let dirs = Recorded::with(&["/", "/srv"]);
        *dirs.calls_left.borrow_mut() = 0;
        make(&dirs, Path::new("/srv")).unwrap();
    }

    #[test]
    fn directory_above_that_may_not_be_read_is_nobodys_own() {
        let mut dirs = Recorded::with(&["/", "/srv", "/srv/mine"]);
        dirs.forbidden = Some(PathBuf::from("/srv"));
        make(&dirs, Path::new("/srv/mine/data")).unwrap();
        assert!(dirs.lasts(Path::new("/srv/mine/data")));
        dirs.forbidden = Some(PathBuf::from("/srv/mine"));
        make(&dirs, Path::new("/srv/mine/other")).unwrap_err();
    }
}
