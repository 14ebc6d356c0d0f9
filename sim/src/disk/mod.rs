//! A disk that is a function of its seed.
//!
//! [`SimDisk`] is the machine's disk. [`SimDisk::process`] is what one process sees of it: from the
//! moment the process is killed or the power goes, every call fails and changes nothing. Each call
//! hands the baton on, may go wrong, and leaves a line in the trace.

mod fault;
mod file;
mod medium;
mod process;
mod survival;
mod trace;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use fault::{Fault, Lie, Near, Op, Rates};
pub use medium::SECTOR_BYTES;
pub use process::Process;
pub use survival::Survival;
pub use trace::Trace;

use crate::baton::Baton;
use crate::chance::Chance;
use crate::sometimes::{Sometimes, note};
use medium::{FileId, Medium, Node};

/// Where the first frame of a segment lies.
const FRAMES_AT: usize = 4096;

/// Bytes before the records of a frame.
const FRAME_HEADER_BYTES: usize = 40;

/// How a process ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It is killed; what it wrote is still there.
    Kill,
    /// The power goes; what is not synced is in doubt.
    Cut,
}

/// Files of one directory, with what they hold.
pub type Files = Vec<(String, Vec<u8>)>;

/// The disk of one machine.
#[derive(Debug, Clone)]
pub struct SimDisk {
    machine: Arc<Mutex<Machine>>,
    baton: Arc<Baton>,
}

#[derive(Debug)]
struct Machine {
    medium: Medium,
    chance: Chance,
    rates: Rates,
    capacity: u64,
    trace: Trace,
    /// Operations since the beginning.
    ops: u64,
    /// When the process that runs now ends.
    end: Option<(u64, End)>,
    /// Where it ends instead, if it comes there before.
    near: Option<Near>,
    ended: Option<End>,
    /// The process that runs now.
    process: u64,
    locked: Vec<String>,
    /// Faults that the process that runs now may have felt.
    felt: u64,
    lied: bool,
    /// Where the last two frames were written, if the later one lies behind the other.
    log_writes: [Option<(FileId, usize)>; 2],
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new(baton: Arc<Baton>, chance: Chance, trace: Trace) -> SimDisk {
        SimDisk {
            machine: Arc::new(Mutex::new(Machine {
                medium: Medium::default(),
                chance,
                rates: Rates::default(),
                capacity: u64::MAX,
                trace,
                ops: 0,
                end: None,
                near: None,
                ended: None,
                process: 0,
                locked: Vec::new(),
                felt: 0,
                lied: false,
                log_writes: [None; 2],
            })),
            baton,
        }
    }

    /// Starts a process; the one before has ended.
    #[must_use]
    pub fn process(&self, rates: Rates, end: Option<(u64, End)>) -> Process {
        let mut machine = self.lock();
        machine.process += 1;
        machine.rates = rates;
        machine.end = end.map(|(after, end)| (machine.ops + after, end));
        machine.near = None;
        machine.ended = None;
        machine.felt = 0;
        machine.locked.clear();
        Process::new(self.clone(), machine.process)
    }

    /// Lets the running process, if it is to end, end at `near` if it comes there before.
    pub fn end_near(&self, near: Option<Near>) {
        self.lock().near = near;
    }

    /// How the process that ran last was ended, if it was.
    #[must_use]
    pub fn ended(&self) -> Option<End> {
        self.lock().ended
    }

    /// Ends the running process now.
    pub fn end_now(&self, end: End) {
        let mut machine = self.lock();
        if machine.ended.is_none() {
            machine.finish(end);
        }
    }

    /// The machine goes on after a kill: what a failed sync left in the cache may be gone.
    pub fn survive_kill(&self) {
        let mut machine = self.lock();
        let machine = &mut *machine;
        for id in machine.medium.files() {
            if machine.medium.file(id).is_stale && machine.chance.one_in(2) {
                machine.medium.file_mut(id).evict();
            }
        }
    }

    /// The power comes back.
    pub fn survive_cut(&self, survival: Survival) {
        let mut machine = self.lock();
        let is_segment_made = machine
            .medium
            .names
            .keys()
            .any(|name| name.ends_with(".log.new"));
        if is_segment_made {
            note(Sometimes::CutWhileSegmentMade);
        }
        machine.medium.cut(survival);
    }

    /// A disk with the same bytes, un-synced ones included, for another run.
    #[must_use]
    pub fn copy(&self, baton: Arc<Baton>, chance: Chance) -> SimDisk {
        let copy = SimDisk::new(baton, chance, Trace::default());
        copy.lock().medium = self.lock().medium.clone();
        copy
    }

    /// Things that are not synced and have a fate of their own.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.lock().medium.pending()
    }

    /// Sets how many bytes the files may take.
    pub fn set_capacity(&self, bytes: u64) {
        self.lock().capacity = bytes;
    }

    /// Whether there is a capacity.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.lock().capacity < u64::MAX
    }

    /// Bytes that the files take.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.lock().medium.used()
    }

    /// Changes one bit of a file on the medium, and says where.
    pub fn flip(&self, chance: &mut Chance) -> Option<String> {
        let mut machine = self.lock();
        let names: Vec<(String, FileId)> = machine.medium.named_files();
        let sized = names
            .into_iter()
            .filter(|(_, id)| !machine.medium.file(*id).medium.is_empty());
        let sized: Vec<_> = sized.collect();
        let (path, id) = sized.get(chance.index(sized.len().max(1)))?.clone();
        let file = machine.medium.file_mut(id);
        let used = file.medium.iter().rposition(|byte| *byte != 0).unwrap_or(0) + 1;
        let at = chance.index(used);
        let bit = chance.below(8);
        file.flip(at, bit);
        machine.lied = true;
        Some(format!("bit {bit} of {path} at {at}"))
    }

    /// Changes one bit of a frame that is followed by two, and says where.
    pub fn flip_before_later(&self, chance: &mut Chance) -> Option<String> {
        let mut machine = self.lock();
        let [Some((id, end)), Some(_)] = machine.log_writes else {
            return None;
        };
        let is_there = machine.medium.file(id).medium.len() > end;
        if end <= FRAMES_AT || machine.lied || !is_there {
            return None;
        }
        let at = FRAMES_AT + chance.index(end - FRAMES_AT);
        let file = machine.medium.file_mut(id);
        file.flip(at, chance.below(8));
        machine.lied = true;
        Some(format!("a bit of the log at {at}, before {end}"))
    }

    /// Changes one bit of the header of the last frame that was written, and says where.
    pub fn flip_last(&self, chance: &mut Chance) -> Option<String> {
        let mut machine = self.lock();
        let [_, Some((id, start))] = machine.log_writes else {
            return None;
        };
        let is_there = machine.medium.file(id).medium.len() >= start + FRAME_HEADER_BYTES;
        if machine.lied || !is_there {
            return None;
        }
        let at = start + chance.index(FRAME_HEADER_BYTES);
        machine.medium.file_mut(id).flip(at, chance.below(8));
        machine.lied = true;
        Some(format!("a bit of the last frame at {at}"))
    }

    /// Changes one bit of a file in the directory `dir`, and says where.
    pub fn flip_below(&self, dir: &str, chance: &mut Chance) -> Option<String> {
        let mut machine = self.lock();
        let files = machine.medium.below(dir.trim_start_matches('/'));
        let (path, id) = files.get(chance.index(files.len().max(1)))?.clone();
        let file = machine.medium.file_mut(id);
        let len = file.medium.len();
        if len == 0 {
            return None;
        }
        let at = chance.index(len);
        file.flip(at, chance.below(8));
        Some(format!("a bit of {path} at {at}"))
    }

    /// Changes a file in the directory `dir` that is wholly on the medium, and says which.
    pub fn rewrite_below(
        &self,
        dir: &str,
        chance: &mut Chance,
        rewrite: impl FnOnce(&mut [u8], &mut Chance),
    ) -> Option<String> {
        let mut machine = self.lock();
        let mut files = machine.medium.below(dir.trim_start_matches('/'));
        files.retain(|(_, id)| {
            let file = machine.medium.file(*id);
            file.cache == file.medium && !file.cache.is_empty()
        });
        let (path, id) = files.get(chance.index(files.len().max(1)))?.clone();
        let file = machine.medium.file_mut(id);
        rewrite(&mut file.cache, chance);
        file.medium = file.cache.clone();
        Some(path)
    }

    /// What the files in the directory `dir` hold.
    #[must_use]
    pub fn files(&self, dir: &str) -> Files {
        let machine = self.lock();
        let files = machine.medium.below(dir.trim_start_matches('/'));
        let bytes = |(path, id)| (path, machine.medium.file(id).cache.clone());
        files.into_iter().map(bytes).collect()
    }

    /// Makes the directory `dir` hold `files` again, and no others.
    pub fn put_back(&self, dir: &str, files: &Files) {
        let dir = dir.trim_start_matches('/');
        self.lock().medium.replace(dir, files);
    }

    /// Operations so far.
    #[must_use]
    pub fn ops(&self) -> u64 {
        self.lock().ops
    }

    /// Whether the running process may have felt a fault.
    #[must_use]
    pub fn was_felt(&self) -> bool {
        self.lock().felt > 0
    }

    /// Whether an operation lied.
    #[must_use]
    pub fn has_lied(&self) -> bool {
        self.lock().lied
    }

    /// The hash of everything that happened.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.lock().trace.hash()
    }

    /// The last operations, when the trace keeps them.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lock().trace.lines()
    }

    /// Adds a remark to the trace.
    pub fn remark(&self, text: impl FnOnce() -> String) {
        self.lock().trace.remark(text);
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Machine {
    fn finish(&mut self, end: End) {
        self.ended = Some(end);
        self.locked.clear();
        self.trace.remark(|| format!("      *** {end:?}"));
    }

    /// Operation `number` begins: moves the end forward if it is the one that was waited for.
    fn come_near(&mut self, op: Op, number: u64) {
        let (Some(near), Some((at, end))) = (&mut self.near, self.end) else {
            return;
        };
        if near.op != op {
            return;
        }
        near.count -= 1;
        if near.count == 0 {
            self.end = Some((at.min(number + 1 + near.after), end));
            self.near = None;
        }
    }

    /// Whether `bytes` more fit.
    fn has_room(&self, bytes: u64) -> bool {
        self.medium.used().saturating_add(bytes) <= self.capacity
    }
}

impl Medium {
    fn named_files(&self) -> Vec<(String, FileId)> {
        let files = self.names.iter().filter_map(|(path, node)| match node {
            Node::Dir => None,
            Node::File(id) => Some((path.clone(), *id)),
        });
        files.collect()
    }
}
