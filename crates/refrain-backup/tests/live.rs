//! A backup of a journal and snapshots that a program goes on with meanwhile.

#![allow(clippy::unwrap_used, reason = "this is test code")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use refrain_backup::{Progress, Repository, Source, Target, create, restore, verify};
use refrain_core::port::journal::{Batch, Journal};
use refrain_core::port::snapshots::Snapshots;
use refrain_core::{Name, Position};
use refrain_journal::{FileJournal, FileSnapshots, JournalOptions};
use tokio::runtime::Handle;

/// A program's journal and snapshots.
struct Program {
    _place: tempfile::TempDir,
    dir: PathBuf,
    journal: FileJournal,
    snapshots: FileSnapshots,
}

fn orders() -> Name {
    Name::new("orders").unwrap()
}

fn at(position: u64) -> Position {
    Position::new(position).unwrap()
}

impl Program {
    fn new() -> Program {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().to_path_buf();
        Program {
            _place: place,
            journal: FileJournal::open(dir.join("journal")).unwrap(),
            snapshots: FileSnapshots::open(dir.join("snapshots")).unwrap(),
            dir,
        }
    }

    /// Ten entries more, a snapshot in their middle, and nothing older is needed.
    async fn go_on(&self) {
        let head = self.journal.head(&orders()).await.unwrap();
        let mut batch = Batch::default();
        (0..10).for_each(|_| batch.push(b"an entry"));
        let first = Position::after(head);
        self.journal.append(&orders(), first, batch).await.unwrap();
        let middle = at(first.get() + 5);
        let put = self.snapshots.put(&orders(), middle, "a state".into());
        put.await.unwrap();
        for older in self.snapshots.list(&orders()).await.unwrap() {
            if older != middle {
                self.snapshots.delete(&orders(), older).await.unwrap();
            }
        }
        let forgotten = self.journal.forget(&orders(), middle.next()).await;
        forgotten.unwrap();
    }
}

/// Has something happen while the files are looked at.
fn meanwhile(happens: impl AsyncFn() + Send + Sync + 'static) -> Progress {
    let runtime = Handle::current();
    let has_happened = AtomicBool::new(false);
    Arc::new(move |_, _| {
        if !has_happened.swap(true, Ordering::SeqCst) {
            runtime.block_on(happens());
        }
    })
}

/// B3.3, B3.4
#[tokio::test]
async fn snapshot_that_stands_for_what_is_forgotten_is_in_the_backup_though_it_was_deleted_meanwhile()
 {
    let program = Arc::new(Program::new());
    program.go_on().await;
    let repository = Repository::in_memory();
    let source = Source::new(program.dir.join("journal"), 0);
    let source = source.snapshots(program.dir.join("snapshots"));
    let goes_on = Arc::clone(&program);
    let progress = meanwhile(async move || {
        goes_on.go_on().await;
        goes_on.go_on().await;
    });
    let created = create(&source, &repository, &progress).await.unwrap();
    assert_eq!(created.uncovered, None);
    let id = created.id;
    let left = program.snapshots.list(&orders()).await.unwrap();
    assert_eq!(left, [at(26)], "the program went on");

    let (journal, snapshots) = (
        program.dir.join("journal-2"),
        program.dir.join("snapshots-2"),
    );
    let target = Target::new(&journal).snapshots(&snapshots);
    let silent = refrain_backup::silent();
    restore(&repository, &id, &target, &silent).await.unwrap();
    let journal = FileJournal::open(&journal).unwrap();
    let kept = (
        journal.first(&orders()).await.unwrap(),
        journal.head(&orders()).await.unwrap(),
    );
    assert_eq!(kept, (Some(at(7)), Some(at(10))));
    let snapshots = FileSnapshots::open(&snapshots).unwrap();
    assert_eq!(snapshots.list(&orders()).await.unwrap(), [at(6)]);
    assert_eq!(snapshots.get(&orders(), at(6)).await.unwrap(), "a state");
}

/// Stream segments are rewritten under their names.
#[tokio::test]
async fn backup_has_the_stream_segments_that_were_looked_at_though_compaction_replaced_them() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("journal");
    let options = JournalOptions::default().segment_bytes(16 * 1024);
    let journal = FileJournal::open_with(&dir, options).unwrap();
    for first in (1..400).step_by(10) {
        let mut batch = Batch::default();
        (0..10).for_each(|_| batch.push(&[7; 300]));
        journal.append(&orders(), at(first), batch).await.unwrap();
    }
    journal.compact().await.unwrap();
    let segments = || {
        let files = std::fs::read_dir(&dir).unwrap().map(|file| file.unwrap());
        let names = files.map(|file| file.file_name().into_string().unwrap());
        // What else lies there is put away beside this.
        let segments = names.filter(|name| name.ends_with(".seg")).map(|name| {
            let size = dir.join(&name).metadata().unwrap().len();
            (name, size)
        });
        segments.collect::<BTreeMap<_, _>>()
    };
    let before = segments();
    assert!(!before.is_empty());

    let repository = Repository::in_memory();
    let journal = Arc::new(journal);
    let goes_on = Arc::clone(&journal);
    let progress = meanwhile(async move || {
        goes_on.forget(&orders(), at(200)).await.unwrap();
        goes_on.compact().await.unwrap();
    });
    let created = create(&Source::new(&dir, 0), &repository, &progress).await;
    let id = created.unwrap().id;
    let after = segments();
    assert!(after.keys().eq(before.keys()), "{before:?}, then {after:?}");
    assert_ne!(after, before);
    let silent = refrain_backup::silent();
    let verified = verify(&repository, &id, &silent).await.unwrap();
    assert_eq!(verified.manifest.entries, 400);
}

/// B3.4
#[tokio::test]
async fn backup_says_which_stream_has_no_snapshot_for_what_it_has_forgotten() {
    let program = Program::new();
    program.go_on().await;
    let repository = Repository::in_memory();
    let source = Source::new(program.dir.join("journal"), 0);
    let source = source.snapshots(program.dir.join("snapshots"));
    // Ahead of the journal, and before what is kept: neither stands for the first six entries.
    for position in [2, 10] {
        let put = program
            .snapshots
            .put(&orders(), at(position), "another".into());
        put.await.unwrap();
    }
    let silent = refrain_backup::silent();
    let created = create(&source, &repository, &silent).await.unwrap();
    assert_eq!(created.uncovered, None, "that at 6 does");
    program.snapshots.delete(&orders(), at(6)).await.unwrap();
    let created = create(&source, &repository, &silent).await.unwrap();
    assert_eq!(created.uncovered, Some(orders()));
}
