//! The disk as one process sees it.

use std::io;
use std::path::Path;
use std::sync::{Arc, MutexGuard};

use refrain_journal::{Access, Disk, DiskFile, DiskLock};

use super::fault::{Fault, Op};
use super::file::OpenFile;
use super::medium::Node;
use super::trace::Line;
use super::{End, Machine, SimDisk};
use crate::sometimes::{Sometimes, note};

/// How many turns a stalled operation lets others have.
const STALL_TURNS: u64 = 40;

/// One process's disk.
#[derive(Debug, Clone)]
pub struct Process {
    disk: SimDisk,
    number: u64,
}

/// A call that was let in: what it may change, and what goes wrong with it.
pub(super) struct Call<'a> {
    pub(super) machine: MutexGuard<'a, Machine>,
    pub(super) fault: Option<Fault>,
    pub(super) number: u64,
    /// The process ends with this call.
    pub(super) dying: Option<End>,
    thread: usize,
}

/// What a call is about, for the trace.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct About<'a> {
    pub(super) path: &'a str,
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) content: u32,
}

pub(super) fn gone() -> io::Error {
    io::Error::other("the process has ended")
}

impl Process {
    pub(super) fn new(disk: SimDisk, number: u64) -> Process {
        Process { disk, number }
    }

    /// Lets a call in when it is its turn. The process may end here, in the middle of a write.
    pub(super) fn call(&self, op: Op) -> io::Result<Call<'_>> {
        if !self.is_alive(&self.disk.lock()) {
            return Err(gone());
        }
        self.disk.baton.pause();
        let mut machine = self.disk.lock();
        if !self.is_alive(&machine) {
            return Err(gone());
        }
        let number = machine.ops;
        machine.ops += 1;
        machine.come_near(op, number);
        if let Some((at, end)) = machine.end
            && number >= at
        {
            if op != Op::Write {
                machine.finish(end);
                return Err(gone());
            }
            return Ok(Call {
                machine,
                fault: None,
                number,
                dying: Some(end),
                thread: self.disk.baton.me(),
            });
        }
        let state = &mut *machine;
        let mut fault = state.rates.draw(&mut state.chance, number, op);
        if fault == Some(Fault::Stalls) {
            note(Sometimes::Stalled);
            drop(machine);
            self.disk.baton.stall(STALL_TURNS);
            machine = self.disk.lock();
            if !self.is_alive(&machine) {
                return Err(gone());
            }
            fault = None;
        }
        if fault.is_some_and(Fault::is_felt) {
            machine.felt += 1;
        }
        self.write_back(&mut machine);
        Ok(Call {
            machine,
            fault,
            number,
            dying: None,
            thread: self.disk.baton.me(),
        })
    }

    fn is_alive(&self, machine: &Machine) -> bool {
        machine.process == self.number && machine.ended.is_none()
    }

    /// Whether the process has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        !self.is_alive(&self.disk.lock())
    }

    /// Some dirty sector reaches the medium by itself.
    fn write_back(&self, machine: &mut Machine) {
        let one_in = machine.rates.write_back_one_in;
        if !machine.chance.one_in(one_in) {
            return;
        }
        for id in machine.medium.files() {
            let file = machine.medium.file_mut(id);
            // A sector behind the size on the medium has no place there yet.
            if !file.dirty.is_empty() && !file.is_size_dirty {
                let sector = file.dirty.remove(machine.chance.index(file.dirty.len()));
                file.write_sector(sector, super::SECTOR_BYTES);
                return;
            }
        }
    }
}

impl Call<'_> {
    /// The error of a fault that changes nothing, if there is one.
    pub(super) fn fail(&mut self, op: &str, about: About<'_>) -> io::Result<()> {
        match self.fault {
            Some(fault) => Err(self.told(op, about, fault)),
            None => Ok(()),
        }
    }

    pub(super) fn told(&mut self, op: &str, about: About<'_>, fault: Fault) -> io::Error {
        let outcome = match fault {
            Fault::Fails => "fails",
            Fault::Full => "full",
            Fault::Interrupted => "interrupted",
            Fault::Short => "short",
            Fault::Stalls => "stalls",
        };
        self.trace(op, about, outcome);
        fault.error()
    }

    pub(super) fn trace(&mut self, op: &str, about: About<'_>, outcome: &str) {
        let thread = self.thread;
        let About {
            path,
            offset,
            len,
            content,
        } = about;
        self.machine.trace.add(Line {
            thread,
            op,
            path,
            offset,
            len,
            content,
            outcome,
        });
    }
}

fn text(path: &Path) -> String {
    let path = path.to_string_lossy();
    path.trim_start_matches('/').to_owned()
}

fn about(path: &str) -> About<'_> {
    About {
        path,
        ..About::default()
    }
}

impl Disk for Process {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let path = text(dir);
        let mut call = self.call(Op::CreateDir)?;
        call.fail("mkdir", about(&path))?;
        call.machine.medium.make_dir(&path);
        call.trace("mkdir", about(&path), "ok");
        Ok(())
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let path = text(path);
        let mut call = self.call(Op::Open)?;
        call.fail("open", about(&path))?;
        let medium = &mut call.machine.medium;
        let id = match (medium.find(&path), access) {
            (Some(Node::Dir), _) => return Err(io::ErrorKind::IsADirectory.into()),
            (Some(Node::File(id)), Access::Read | Access::Write) => id,
            // An emptied file is a new one here: which of both a name stands for is in doubt until
            // its directory is synced.
            (Some(Node::File(_)) | None, Access::Create) => medium.make_file(&path),
            (None, Access::Read | Access::Write) => {
                call.trace("open", about(&path), "missing");
                return Err(io::ErrorKind::NotFound.into());
            }
        };
        call.trace("open", about(&path), "ok");
        Ok(Arc::new(OpenFile::new(self.clone(), id, path)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (text(from), text(to));
        let mut call = self.call(Op::Rename)?;
        let Some(Node::File(id)) = call.machine.medium.find(&from) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let fault = call.fault;
        if fault.is_none() || call.machine.chance.one_in(2) {
            call.machine.medium.rename(&from, &to, id);
        }
        match fault {
            Some(fault) => Err(call.told("rename", about(&to), fault)),
            None => {
                call.trace("rename", about(&to), "ok");
                Ok(())
            }
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let path = text(path);
        let mut call = self.call(Op::Remove)?;
        call.fail("remove", about(&path))?;
        let Some(Node::File(id)) = call.machine.medium.find(&path) else {
            call.trace("remove", about(&path), "missing");
            return Err(io::ErrorKind::NotFound.into());
        };
        call.machine.medium.remove(&path, id);
        call.trace("remove", about(&path), "ok");
        let is_kept = std::thread::current().name() == Some("refrain-keep");
        if is_kept && path.ends_with(".log") {
            note(Sometimes::SegmentRetired);
        }
        let is_compacted = std::thread::current().name() == Some("refrain-compact");
        if is_compacted && path.ends_with(".seg") {
            note(Sometimes::Merged);
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let path = text(dir);
        let mut call = self.call(Op::List)?;
        call.fail("list", about(&path))?;
        call.trace("list", about(&path), "ok");
        Ok(call.machine.medium.list(&path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let path = text(dir);
        let mut call = self.call(Op::SyncDir)?;
        // After a failure the names are still only in the cache: a later sync may succeed.
        call.fail("syncdir", about(&path))?;
        call.machine.medium.sync_dir(&path);
        call.trace("syncdir", about(&path), "ok");
        Ok(())
    }

    fn space(&self, dir: &Path) -> io::Result<u64> {
        let path = text(dir);
        let mut call = self.call(Op::Space)?;
        call.fail("space", about(&path))?;
        let used = call.machine.medium.used();
        Ok(call.machine.capacity.saturating_sub(used))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let path = text(path);
        let mut call = self.call(Op::Lock)?;
        call.fail("lock", about(&path))?;
        if call.machine.locked.contains(&path) {
            call.trace("lock", about(&path), "locked");
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if call.machine.medium.find(&path).is_none() {
            call.machine.medium.make_file(&path);
        }
        call.machine.locked.push(path.clone());
        call.trace("lock", about(&path), "ok");
        let process = self.clone();
        Ok(Box::new(Held { process, path }))
    }
}

/// A lock that is given back when it is dropped, or when its process ends.
#[derive(Debug)]
struct Held {
    process: Process,
    path: String,
}

impl DiskLock for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        let mut machine = self.process.disk.lock();
        if machine.process == self.process.number {
            machine.locked.retain(|path| *path != self.path);
        }
    }
}
