//! The file journal and the file snapshots keep every promise of their ports: on real files, and
//! on a disk that loses power each time they are opened again.

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use refrain_core::port::BoxFuture;
use refrain_core::port::journal::Journal;
use refrain_core::port::snapshots::Snapshots;
use refrain_core::{Name, Position};
use refrain_journal::{FileJournal, FileSnapshots, JournalOptions};
use refrain_testkit::conformance;
use refrain_testkit::conformance::journal::Hold;
use refrain_testkit::conformance::snapshots::Damage;
use support::{FaultDisk, Gate};
use tempfile::TempDir;

/// Just large enough for the largest batch, so that segments come and go.
const SEGMENT_BYTES: u64 = 5 * 1024 * 1024;

fn options() -> JournalOptions {
    JournalOptions::default().segment_bytes(SEGMENT_BYTES)
}

/// On real files, closed and opened again.
struct OnFiles {
    dir: TempDir,
    journal: Option<Arc<FileJournal>>,
}

impl OnFiles {
    fn new() -> OnFiles {
        let mut instance = OnFiles {
            dir: tempfile::tempdir().expect("a directory can be made"),
            journal: None,
        };
        instance.open();
        instance
    }

    fn open(&mut self) {
        let opened = FileJournal::open_with(self.dir.path(), options());
        self.journal = Some(Arc::new(opened.expect("it can be opened")));
    }
}

impl conformance::journal::Instance for OnFiles {
    fn journal(&self) -> Arc<dyn Journal> {
        Arc::clone(self.journal.as_ref().expect("it is open")) as Arc<dyn Journal>
    }

    fn reopen(&mut self) -> BoxFuture<'_, ()> {
        self.journal = None;
        self.open();
        Box::pin(std::future::ready(()))
    }
}

/// On a disk in memory that loses power, and with it all that was not synced.
struct OnFaultDisk {
    disk: FaultDisk,
    journal: Option<Arc<FileJournal>>,
}

impl OnFaultDisk {
    fn new() -> OnFaultDisk {
        let mut instance = OnFaultDisk {
            disk: FaultDisk::default(),
            journal: None,
        };
        instance.open();
        instance
    }

    fn open(&mut self) {
        let disk = Arc::new(self.disk.clone());
        let opened = FileJournal::open_on(disk, "/journal", options());
        self.journal = Some(Arc::new(opened.expect("it can be opened")));
    }
}

impl conformance::journal::Instance for OnFaultDisk {
    fn journal(&self) -> Arc<dyn Journal> {
        Arc::clone(self.journal.as_ref().expect("it is open")) as Arc<dyn Journal>
    }

    fn reopen(&mut self) -> BoxFuture<'_, ()> {
        let after = self.disk.after_power_loss();
        self.journal = None;
        self.disk = after;
        self.open();
        Box::pin(std::future::ready(()))
    }

    fn hold(&self) -> Option<Box<dyn Hold>> {
        let gate = self.disk.sync_gate();
        gate.shut();
        Some(Box::new(Held(gate)))
    }
}

struct Held(Gate);

impl Hold for Held {
    fn release(self: Box<Self>) {
        self.0.open();
    }
}

/// B10.3
#[tokio::test]
async fn file_journal_keeps_every_promise_of_a_journal() {
    conformance::journal::run_all(async || OnFiles::new()).await;
}

/// B10.3
#[tokio::test]
async fn file_journal_that_loses_power_keeps_every_promise_of_a_journal() {
    conformance::journal::run_all(async || OnFaultDisk::new()).await;
}

struct InDirectory {
    dir: TempDir,
    snapshots: Arc<FileSnapshots>,
}

impl InDirectory {
    fn new() -> InDirectory {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let snapshots = FileSnapshots::open(dir.path()).expect("it can be opened");
        let snapshots = Arc::new(snapshots);
        InDirectory { dir, snapshots }
    }

    fn file_of(&self, stream: &Name, position: Position) -> PathBuf {
        let start = format!("{stream}@");
        let end = format!("{position}.snap");
        let files = std::fs::read_dir(self.dir.path()).expect("it can be listed");
        let mut paths = files.map(|file| file.expect("it can be listed").path());
        let is_wanted = |path: &Path| {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            name.starts_with(&start) && name.ends_with(&end)
        };
        paths.find(|path| is_wanted(path)).expect("it was stored")
    }
}

impl conformance::snapshots::Instance for InDirectory {
    fn snapshots(&self) -> Arc<dyn Snapshots> {
        Arc::clone(&self.snapshots) as Arc<dyn Snapshots>
    }

    fn reopen(&mut self) -> BoxFuture<'_, ()> {
        let snapshots = FileSnapshots::open(self.dir.path()).expect("it can be opened");
        self.snapshots = Arc::new(snapshots);
        Box::pin(std::future::ready(()))
    }

    fn damage(&mut self, stream: &Name, position: Position) -> Damage {
        let path = self.file_of(stream, position);
        let mut bytes = std::fs::read(&path).expect("it can be read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).expect("it can be written");
        Damage::Done
    }
}

#[tokio::test]
async fn file_snapshots_keep_every_promise_of_snapshots() {
    conformance::snapshots::run_all(async || InDirectory::new()).await;
}
