//! Mending what can be mended with proof, and keeping every byte that is replaced.
//!
//! A repair does three things. It **settles**: what the next opening would do anyway, such as cutting
//! off a write that was never finished, writing a damaged slot of the mark again, making a missing
//! index. It **sets aside** what can be made again, or was never part of the journal's truth. And it
//! **replaces** a damaged segment by bytes from elsewhere, which the caller has proven to be the right
//! ones. Nothing is ever deleted: what goes is moved or copied into the directory `aside` first.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::finding::{Finding, FindingKind};
use super::rebuild::Rebuild;
use super::report::{FileRole, Inspection};
use super::run::tells_a_journal;
use crate::error::OpenError;
use crate::journal::{FileJournal, lock};
use crate::mark::MARK_FILE;
use crate::options::JournalOptions;
use crate::segment::{FileKind, log_name};
use crate::storage::{Access, Disk, DiskLock, FileSystem, read_exact_at, write_all_at};

/// Where a repair keeps what it replaces, in the journal's directory.
const ASIDE: &str = "aside";

/// Bytes that are copied at once.
const PIECE_BYTES: usize = 1024 * 1024;

/// What a repair would do about one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairStep {
    /// What.
    pub action: RepairAction,
    /// To which file.
    pub file: PathBuf,
    /// Why that is safe, or why nothing can be done.
    pub why: &'static str,
}

/// What a repair would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RepairAction {
    /// Do what the next opening of the journal would do.
    Settle,
    /// Move it into the directory `aside`.
    SetAside,
    /// Replace the segment by its bytes from a backup.
    Replace(FileRole),
    /// Nothing: there is no safe way.
    Nothing,
}

impl RepairAction {
    /// The word for it in output that programs read.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            RepairAction::Settle => "settle",
            RepairAction::SetAside => "set-aside",
            RepairAction::Replace(_) => "replace",
            RepairAction::Nothing => "nothing",
        }
    }
}

/// What a repair would do about everything that `inspection` found, one step per file.
///
/// ```
/// use refrain_journal::FileJournal;
/// use refrain_journal::inspect::{Inspector, RepairAction, repair_plan};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("orders-data");
/// drop(FileJournal::open(&path)?);
/// std::fs::write(path.join("0000000007.log.new"), b"never finished")?;
/// let plan = repair_plan(&Inspector::new(&path).run(&mut ())?);
/// assert_eq!(plan[0].action, RepairAction::SetAside);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn repair_plan(inspection: &Inspection) -> Vec<RepairStep> {
    let mut steps = BTreeMap::new();
    for finding in &inspection.findings {
        let Some((action, why)) = remedy(finding) else {
            continue;
        };
        let step = RepairStep {
            action,
            file: finding.file.clone(),
            why,
        };
        let before = steps.insert(finding.file.clone(), step);
        // One thing that cannot be mended decides about its file.
        if let Some(before) = before
            && before.action == RepairAction::Nothing
        {
            steps.insert(finding.file.clone(), before);
        }
    }
    steps.into_values().collect()
}

fn remedy(finding: &Finding) -> Option<(RepairAction, &'static str)> {
    let name = finding.file.file_name().and_then(|name| name.to_str());
    let kind = name.map_or(FileKind::Other, FileKind::of);
    Some(match finding.kind {
        FindingKind::MarkSlot => (
            RepairAction::Settle,
            "the other slot of the mark serves; both are written again from it",
        ),
        FindingKind::IndexMissing => (
            RepairAction::Settle,
            "an index is made from its segment, which is checked",
        ),
        FindingKind::Tail => (
            RepairAction::Settle,
            "what lies behind the mark was not acknowledged unless it is whole, and then it is taken",
        ),
        FindingKind::Index => (
            RepairAction::SetAside,
            "it is made again from the segments, which are checked",
        ),
        FindingKind::Unfinished => (
            RepairAction::SetAside,
            "a file gets its name only when it is whole; this one never did",
        ),
        FindingKind::Spare => (
            RepairAction::SetAside,
            "it holds nothing but zeros behind its header, and another one is made",
        ),
        FindingKind::Snapshot => (
            RepairAction::SetAside,
            "without it an older snapshot or the entries themselves are used",
        ),
        FindingKind::Segment | FindingKind::Block | FindingKind::Frame | FindingKind::Record => {
            let role = match kind {
                FileKind::Log(number) => FileRole::Log(number),
                FileKind::Streams(first, last) => FileRole::Streams(first, last),
                FileKind::Index(_)
                | FileKind::Directory
                | FileKind::Temporary
                | FileKind::Other => return Some((RepairAction::Nothing, "restore a backup")),
            };
            (
                RepairAction::Replace(role),
                "only bytes are taken that the chain of the frames around them proves to be the right \
                 ones",
            )
        }
        FindingKind::Mark => (
            RepairAction::Nothing,
            "without the mark nobody can tell whether the end of the log is still there; restore a \
             backup",
        ),
        FindingKind::Version => (
            RepairAction::Nothing,
            "use the version of the program that knows this format",
        ),
        FindingKind::Unreadable => (RepairAction::Nothing, "the file cannot be read"),
        // Gaps of streams follow from damage that has a finding of its own.
        FindingKind::Stream => return None,
    })
}

/// A journal under repair: locked, so that nobody opens it meanwhile.
#[derive(Debug)]
pub struct Repair {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    _lock: Box<dyn DiskLock>,
}

impl Repair {
    /// Locks the journal in `dir`.
    ///
    /// # Errors
    /// [`OpenError::Locked`] when a program has it open, [`OpenError::Missing`] when there is none,
    /// [`OpenError::Io`] when its directory cannot be used.
    pub fn begin(dir: impl AsRef<Path>) -> Result<Repair, OpenError> {
        let dir = dir.as_ref().to_path_buf();
        let disk = FileSystem;
        // A directory of somebody else gets no file of ours, not even the lock.
        let names = match disk.list(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(OpenError::io(&dir)(error));
            }
            listed => listed.unwrap_or_default(),
        };
        if !names.iter().any(|name| tells_a_journal(name)) {
            return Err(OpenError::Missing { dir });
        }
        Ok(Repair {
            _lock: lock(&disk, &dir)?,
            disk: Arc::new(disk),
            dir,
        })
    }

    /// Moves `file` into the directory `aside`, and says where it is now.
    ///
    /// # Errors
    /// [`OpenError::Io`].
    pub fn set_aside(&self, file: &Path) -> Result<PathBuf, OpenError> {
        let kept = self.place_aside(file)?;
        match self.disk.rename(file, &kept) {
            // Snapshots may lie on another file system than the journal.
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => self.carry_aside(file),
            moved => {
                moved.map_err(OpenError::io(file))?;
                self.sync_names()?;
                Ok(kept)
            }
        }
    }

    /// Copies `file` into the directory `aside`, and then removes it.
    fn carry_aside(&self, file: &Path) -> Result<PathBuf, OpenError> {
        let failed = |error| OpenError::io(file)(error);
        let bytes = self.disk.open(file, Access::Read);
        let bytes = bytes.and_then(|file| file.size()).map_err(failed)?;
        let kept = self.keep(file, 0)?;
        // Zeros at its end are bytes of it as well.
        let copy = self.disk.open(&kept, Access::Write).map_err(failed)?;
        if copy.size().map_err(failed)? < bytes {
            copy.allocate(bytes).map_err(failed)?;
            copy.sync_data().map_err(failed)?;
        }
        self.disk.remove(file).map_err(failed)?;
        let from = file.parent().unwrap_or(&self.dir);
        self.disk.sync_dir(from).map_err(OpenError::io(from))?;
        Ok(kept)
    }

    /// Replaces the segment with this role by one of `bytes` bytes that `read` fills from an offset
    /// on, and says where the old one is now, if there was one. The caller has proven that they are
    /// the right bytes.
    ///
    /// # Errors
    /// [`OpenError::Io`]; then the old segment is where it was.
    ///
    /// # Panics
    /// For a role that has no [`Rebuild::name`].
    pub fn replace(
        &self,
        role: FileRole,
        bytes: u64,
        read: &mut dyn FnMut(&mut [u8], u64) -> io::Result<()>,
    ) -> Result<Option<PathBuf>, OpenError> {
        let name = Rebuild::name(role).expect("only segments are replaced");
        let path = self.dir.join(&name);
        // An opening removes a file of this name: it is none before it is whole.
        let new = self.dir.join(name + ".new");
        let failed = |error| OpenError::io(&path)(error);
        let file = self.disk.open(&new, Access::Create).map_err(failed)?;
        file.allocate(bytes).map_err(failed)?;
        let mut buffer = vec![0; PIECE_BYTES];
        let mut at = 0;
        while at < bytes {
            let left = usize::try_from(bytes - at).unwrap_or(PIECE_BYTES);
            let piece = &mut buffer[..left.min(PIECE_BYTES)];
            read(piece, at).map_err(failed)?;
            write_all_at(file.as_ref(), piece, at).map_err(failed)?;
            at += piece.len() as u64;
        }
        file.sync_data().map_err(failed)?;
        // A copy, so that there is a file of this name at any time.
        let kept = match self.disk.open(&path, Access::Read) {
            Ok(_) => Some(self.keep(&path, 0)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        self.disk.rename(&new, &path).map_err(failed)?;
        // The directory `aside` is there only when something was kept, and is synced then.
        self.disk
            .sync_dir(&self.dir)
            .map_err(OpenError::io(&self.dir))?;
        Ok(kept)
    }

    /// Does what an opening does, by one: settles the end of the log and the mark, and makes missing
    /// indexes. The mark, and what lies behind it, are copied into the directory `aside` before;
    /// gives where these copies are.
    ///
    /// # Errors
    /// [`OpenError::Corrupt`] when an opening refuses the journal; then nothing was changed.
    pub fn settle(self) -> Result<Vec<PathBuf>, OpenError> {
        let (disk, dir) = (Arc::clone(&self.disk), self.dir.clone());
        let mut kept = vec![self.keep(&dir.join(MARK_FILE), 0)?];
        if let (Some(mark), _) = super::marks::read(disk.as_ref(), &dir)? {
            let tail = dir.join(log_name(mark.end.segment));
            kept.push(self.keep(&tail, mark.end.offset.into())?);
        }
        // The opening takes the lock itself. Whoever comes between settles as well.
        drop(self);
        let options = JournalOptions::default().compaction_bytes_per_second(0);
        drop(FileJournal::open_on(disk, dir, options)?);
        Ok(kept)
    }

    /// Copies what `file` has from `from` on, up to its last byte that is not zero.
    fn keep(&self, file: &Path, from: u64) -> Result<PathBuf, OpenError> {
        let kept = self.place_aside(file)?;
        let failed = |error| OpenError::io(file)(error);
        let source = self.disk.open(file, Access::Read).map_err(failed)?;
        let size = source.size().map_err(failed)?;
        let copy = self.disk.open(&kept, Access::Create).map_err(failed)?;
        let mut buffer = vec![0; PIECE_BYTES];
        let mut at = from;
        while at < size {
            let left = usize::try_from(size - at).unwrap_or(PIECE_BYTES);
            let piece = &mut buffer[..left.min(PIECE_BYTES)];
            read_exact_at(source.as_ref(), piece, at).map_err(failed)?;
            if let Some(last) = piece.iter().rposition(|byte| *byte != 0) {
                write_all_at(copy.as_ref(), &piece[..=last], at - from).map_err(failed)?;
            }
            at += piece.len() as u64;
        }
        copy.sync_data().map_err(failed)?;
        self.sync_names()?;
        Ok(kept)
    }

    /// A free name for `file` in the directory `aside`.
    fn place_aside(&self, file: &Path) -> Result<PathBuf, OpenError> {
        let aside = self.dir.join(ASIDE);
        let failed = |error| OpenError::io(&aside)(error);
        self.disk.create_dir(&aside).map_err(failed)?;
        let taken = self.disk.list(&aside).map_err(failed)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let free = (1..)
            .map(|count| format!("{name}.{count}"))
            .find(|name| !taken.contains(name));
        Ok(aside.join(free.expect("there are always more names")))
    }

    fn sync_names(&self) -> Result<(), OpenError> {
        let aside = self.dir.join(ASIDE);
        for dir in [&aside, &self.dir] {
            self.disk.sync_dir(dir).map_err(OpenError::io(dir))?;
        }
        Ok(())
    }
}
