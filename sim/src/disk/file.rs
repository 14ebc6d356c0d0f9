//! An open file of the simulated disk.

use std::io;

use refrain_journal::DiskFile;

use super::FRAMES_AT;
use super::fault::{Fault, Lie, Op};
use super::medium::{FileId, SECTOR_BYTES};
use super::process::{About, Call, Process, gone};
use crate::sometimes::{Sometimes, note};

/// How a frame starts.
const FRAME_MAGIC: &[u8] = b"RFRM";

/// The name of the first segment.
const FIRST_LOG: &str = "/0000000001.log";

/// A file that a process has open.
#[derive(Debug)]
pub(super) struct OpenFile {
    process: Process,
    id: FileId,
    path: String,
}

impl OpenFile {
    pub(super) fn new(process: Process, id: FileId, path: String) -> OpenFile {
        OpenFile { process, id, path }
    }

    fn about(&self) -> About<'_> {
        About {
            path: &self.path,
            ..About::default()
        }
    }

    fn about_bytes(&self, bytes: &[u8], offset: u64) -> About<'_> {
        About {
            path: &self.path,
            offset,
            len: bytes.len() as u64,
            content: crc32c::crc32c(bytes),
        }
    }

    /// Writes as far as there is room; `None` when there is none at all.
    fn write(&self, call: &mut Call<'_>, bytes: &[u8], offset: u64) -> Option<usize> {
        let at = usize::try_from(offset).expect("simulated files are small");
        let size = call.machine.medium.file(self.id).cache.len();
        let grows = (at + bytes.len()).saturating_sub(size) as u64;
        if grows > 0 && !call.machine.has_room(grows) {
            return None;
        }
        let is_log = self.path.ends_with(".log") && at >= FRAMES_AT;
        if is_log && bytes.starts_with(FRAME_MAGIC) {
            let [_, last] = call.machine.log_writes;
            let before = last.filter(|(id, place)| *id == self.id && *place < at);
            call.machine.log_writes = [before, Some((self.id, at))];
        }
        let is_first = at == FRAMES_AT && is_log;
        if is_first && !self.path.ends_with(FIRST_LOG) {
            note(Sometimes::Rotated);
        }
        let number = call.number;
        match call.machine.rates.lie {
            Some((due, Lie::Phantom)) if number >= due && !call.machine.lied => {
                call.machine.lied = true;
            }
            Some((due, Lie::Misdirected)) if number >= due && !call.machine.lied => {
                call.machine.lied = true;
                self.misdirect(call, bytes, at);
            }
            Some(_) | None => call.machine.medium.file_mut(self.id).write(bytes, at),
        }
        Some(bytes.len())
    }

    /// Writes to another sector of this file or of another one.
    fn misdirect(&self, call: &mut Call<'_>, bytes: &[u8], at: usize) {
        let machine = &mut *call.machine;
        let files = machine.medium.named_files();
        let (_, id) = files[machine.chance.index(files.len())];
        let file = machine.medium.file_mut(id);
        let sectors = (file.cache.len() / SECTOR_BYTES).max(1);
        let to = machine.chance.index(sectors) * SECTOR_BYTES + at % SECTOR_BYTES;
        let room = file.cache.len().saturating_sub(to).min(bytes.len());
        file.write(&bytes[..room], to.min(file.cache.len()));
    }

    /// A sync that fails: some of the pages are written, all are clean, some are read anew.
    fn lose_pages(&self, call: &mut Call<'_>) {
        note(Sometimes::SyncFailed);
        if self.path.ends_with(".log") {
            note(Sometimes::LogSyncFailed);
        }
        let machine = &mut *call.machine;
        let file = machine.medium.file_mut(self.id);
        for sector in std::mem::take(&mut file.dirty) {
            if machine.chance.one_in(3) {
                file.write_sector(sector, SECTOR_BYTES);
            }
        }
        file.is_stale = true;
        if machine.chance.one_in(2) {
            file.evict();
        }
    }
}

impl DiskFile for OpenFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut call = self.process.call(Op::Read)?;
        let about = About {
            offset,
            len: buffer.len() as u64,
            ..self.about()
        };
        let len = match call.fault {
            Some(Fault::Short) => buffer.len().div_ceil(2),
            Some(fault @ (Fault::Fails | Fault::Interrupted | Fault::Full)) => {
                return Err(call.told("read", about, fault));
            }
            Some(Fault::Stalls) | None => buffer.len(),
        };
        let cache = &call.machine.medium.file(self.id).cache;
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(cache.len());
        let end = start.saturating_add(len).min(cache.len());
        buffer[..end - start].copy_from_slice(&cache[start..end]);
        call.trace("read", about, "ok");
        Ok(end - start)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut call = self.process.call(Op::Write)?;
        if let Some(end) = call.dying {
            let len = call.machine.chance.index(bytes.len() + 1);
            self.write(&mut call, &bytes[..len], offset);
            call.trace(
                "write",
                self.about_bytes(&bytes[..len], offset),
                "cut short",
            );
            call.machine.finish(end);
            return Err(gone());
        }
        let part = match call.fault {
            None | Some(Fault::Stalls) => bytes,
            Some(Fault::Interrupted) => {
                return Err(call.told(
                    "write",
                    self.about_bytes(bytes, offset),
                    Fault::Interrupted,
                ));
            }
            Some(Fault::Short | Fault::Fails | Fault::Full) => {
                let least = usize::from(call.fault == Some(Fault::Short));
                let len = least + call.machine.chance.index(bytes.len().max(1));
                &bytes[..len.min(bytes.len())]
            }
        };
        let about = self.about_bytes(part, offset);
        let Some(written) = self.write(&mut call, part, offset) else {
            return Err(call.told("write", about, Fault::Full));
        };
        match call.fault {
            Some(fault @ (Fault::Fails | Fault::Full | Fault::Interrupted)) => {
                Err(call.told("write", about, fault))
            }
            Some(Fault::Short) => {
                note(Sometimes::ShortWrite);
                call.trace("write", about, "short");
                Ok(written)
            }
            Some(Fault::Stalls) | None => {
                call.trace("write", about, "ok");
                Ok(written)
            }
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut call = self.process.call(Op::Sync)?;
        if let Some(fault) = call.fault {
            self.lose_pages(&mut call);
            return Err(call.told("sync", self.about(), fault));
        }
        call.machine.medium.file_mut(self.id).sync();
        call.trace("sync", self.about(), "ok");
        Ok(())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut call = self.process.call(Op::Allocate)?;
        call.fail("allocate", self.about())?;
        let wanted = usize::try_from(bytes).expect("simulated files are small");
        let size = call.machine.medium.file(self.id).cache.len();
        let grows = wanted.saturating_sub(size);
        if grows == 0 {
            return Ok(());
        }
        if !call.machine.has_room(grows as u64) {
            return Err(call.told("allocate", self.about(), Fault::Full));
        }
        call.machine.medium.file_mut(self.id).resize(wanted);
        call.trace("allocate", self.about(), "ok");
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        let call = self.process.call(Op::Size)?;
        Ok(call.machine.medium.file(self.id).cache.len() as u64)
    }
}
