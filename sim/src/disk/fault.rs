//! Which operations go wrong, and how.

use std::io;

use crate::chance::Chance;

/// What an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Making a directory.
    CreateDir,
    /// Opening a file.
    Open,
    /// Moving a name.
    Rename,
    /// Removing a name.
    Remove,
    /// Listing a directory.
    List,
    /// Syncing a directory.
    SyncDir,
    /// Asking for free space.
    Space,
    /// Taking a lock.
    Lock,
    /// Reading from a file.
    Read,
    /// Writing to a file.
    Write,
    /// Syncing a file.
    Sync,
    /// Reserving space.
    Allocate,
    /// Asking for a size.
    Size,
}

/// A place in a process's work: so many operations after the one of this kind with this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Near {
    /// The kind.
    pub op: Op,
    /// Which one of them, counted from 1.
    pub count: u64,
    /// How many operations later.
    pub after: u64,
}

/// How an operation goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails. A write has happened in part; a sync has lost what it was to keep; a rename may
    /// have happened.
    Fails,
    /// It says that the medium is full, with the same consequences.
    Full,
    /// It was interrupted and did nothing.
    Interrupted,
    /// It moves fewer bytes than asked for.
    Short,
    /// It takes long; others go on meanwhile.
    Stalls,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 5] = [
        Fault::Fails,
        Fault::Full,
        Fault::Interrupted,
        Fault::Short,
        Fault::Stalls,
    ];

    /// Whether it can happen to `op`.
    #[must_use]
    pub fn fits(self, op: Op) -> bool {
        match self {
            Fault::Fails => !matches!(op, Op::Size),
            Fault::Full => matches!(
                op,
                Op::Write | Op::Sync | Op::Allocate | Op::CreateDir | Op::Rename | Op::SyncDir
            ),
            Fault::Interrupted | Fault::Short => matches!(op, Op::Read | Op::Write),
            Fault::Stalls => true,
        }
    }

    /// Whether the journal may stop, refuse or fail because of it.
    #[must_use]
    pub fn is_felt(self) -> bool {
        match self {
            Fault::Fails | Fault::Full => true,
            Fault::Interrupted | Fault::Short | Fault::Stalls => false,
        }
    }

    /// What the caller is told.
    pub(crate) fn error(self) -> io::Error {
        match self {
            Fault::Full => io::ErrorKind::StorageFull.into(),
            Fault::Interrupted => io::ErrorKind::Interrupted.into(),
            Fault::Fails | Fault::Short | Fault::Stalls => io::Error::other("input/output error"),
        }
    }
}

/// A lie: the operation says that it succeeded, and did not do what it should. No journal survives
/// these; they are to be noticed before wrong bytes are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// A write went nowhere.
    Phantom,
    /// A write went to another place.
    Misdirected,
    /// A bit changed.
    Flipped,
}

/// How often each goes wrong; 0 is never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates {
    /// Once in how many operations each of [`Fault::ALL`] happens.
    pub faults: [u64; 5],
    /// Once in how many syncs one fails, besides.
    pub sync_one_in: u64,
    /// Once in how many operations dirty sectors reach the medium by themselves.
    pub write_back_one_in: u64,
    /// One lie in a run, at the operation with this number.
    pub lie: Option<(u64, Lie)>,
    /// The operation with this number goes wrong in this way.
    pub nth: Option<(u64, Fault)>,
}

impl Rates {
    /// What happens to operation `number`.
    pub(crate) fn draw(&self, chance: &mut Chance, number: u64, op: Op) -> Option<Fault> {
        if let Some((nth, fault)) = self.nth {
            return (nth == number && fault.fits(op)).then_some(fault);
        }
        if op == Op::Sync && chance.one_in(self.sync_one_in) {
            return Some(Fault::Fails);
        }
        let mut happening = None;
        for (fault, one_in) in Fault::ALL.iter().zip(self.faults) {
            if one_in > 0 && chance.one_in(one_in) && fault.fits(op) {
                happening = Some(*fault);
            }
        }
        happening
    }
}
