//! Small journals to damage, made by the journal itself, the same bytes each time.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use refrain_core::port::journal::{Batch, Journal};
use refrain_core::port::snapshots::Snapshots;
use refrain_core::{Name, Position};
use refrain_journal::fuzzing::{Kept, Refusal};
use refrain_journal::{Disk, FileJournal, FileSnapshots, JournalOptions, fuzzing};

use crate::disk::{DIR, Files, MemoryDisk};

/// Bytes of a segment, the smallest there may be.
pub const SEGMENT_BYTES: u64 = 8192;

const IDENTITY: u64 = 7;

/// Parts of a segment without a frame: header, padding, rest.
pub const EMPTY_PARTS: usize = 3;

/// A closed journal.
#[derive(Debug, Clone)]
pub struct Specimen {
    /// What is special about it.
    pub name: &'static str,
    /// Its files.
    pub files: Files,
    /// Its files at an earlier time.
    pub earlier: Files,
    /// The files of a journal with the same history and another identity.
    pub other: Files,
    /// What it holds.
    pub kept: Vec<Kept>,
}

impl Specimen {
    /// Whether it was closed in good order.
    #[must_use]
    pub fn has_directory(&self) -> bool {
        self.files.0.contains_key("directory")
    }

    /// Whether this is the log segment that the log ends in: the last one but for the spare.
    #[must_use]
    pub fn is_tail(&self, name: &str) -> bool {
        let is_log = |name: &&String| name.ends_with(".log");
        self.files
            .0
            .keys()
            .filter(is_log)
            .rev()
            .nth(1)
            .is_some_and(|tail| tail == name)
    }
}

/// The steps of a history.
struct History {
    name: &'static str,
    /// Appends, one frame each, over three streams.
    appends: u64,
    end: End,
}

/// How a history ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Killed.
    Killed,
    /// All but the last entries of each stream are forgotten; then killed.
    Forgotten,
    /// What is sealed is rewritten as a stream segment in the middle and again before the last
    /// appends, and the journal is closed in good order, with its directory.
    Compacted,
}

const HISTORIES: [History; 4] = [
    History {
        name: "one segment",
        appends: 3,
        end: End::Killed,
    },
    History {
        name: "sealed segments",
        appends: 110,
        end: End::Killed,
    },
    History {
        name: "removed segments",
        appends: 110,
        end: End::Forgotten,
    },
    History {
        name: "stream segments",
        appends: 220,
        end: End::Compacted,
    },
];

/// All specimens.
///
/// # Panics
/// When the journal does not work at all.
#[must_use]
pub fn all() -> Vec<Specimen> {
    HISTORIES.iter().map(make).collect()
}

/// The options that the specimens were made with, for a journal with this identity.
pub fn options(identity: u64) -> JournalOptions {
    JournalOptions::default()
        .segment_bytes(SEGMENT_BYTES)
        .identity(identity)
        .reader_threads(1)
        // Never of its own accord: the same bytes each time.
        .mark_sync_idle(std::time::Duration::from_secs(1 << 20))
}

/// Opens and reads files as the journal's writer does; gives what it kept, and the disk.
///
/// # Errors
/// When they are refused.
pub fn open(files: Files) -> (Result<Vec<Kept>, Refusal>, MemoryDisk) {
    let memory = MemoryDisk::with(files);
    let disk: Arc<dyn Disk> = Arc::new(memory.clone());
    let kept = fuzzing::open(&disk, DIR.as_ref(), options(IDENTITY));
    (kept, memory)
}

/// Opens and reads files as a reader beside the writer does.
///
/// # Errors
/// When they are refused.
pub fn read(files: Files) -> Result<Vec<Kept>, Refusal> {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::with(files));
    fuzzing::read(&disk, DIR.as_ref())
}

fn make(history: &History) -> Specimen {
    let (files, earlier) = write(history, IDENTITY);
    let (other, _) = write(history, IDENTITY + 1);
    let (kept, _) = open(files.clone());
    Specimen {
        name: history.name,
        kept: kept.expect("what the journal wrote it opens"),
        files,
        earlier,
        other,
    }
}

/// The name of the stream that takes the append with this number: long and short ones.
fn stream(number: u64) -> Name {
    let text = ["orders", "payments.eu-1", "x"][usize::try_from(number % 3).unwrap_or(0)];
    Name::new(text).expect("it is a name")
}

fn write(history: &History, identity: u64) -> (Files, Files) {
    let memory = MemoryDisk::default();
    let disk: Arc<dyn Disk> = Arc::new(memory.clone());
    let open = || {
        let opened = FileJournal::open_on(Arc::clone(&disk), DIR, options(identity));
        opened.expect("nothing is damaged")
    };
    let mut journal = open();
    let mut earlier = Files::default();
    let mut heads = [Position::FIRST; 3];
    for number in 0..history.appends {
        if number == history.appends / 2 {
            until_settled(&memory);
            if history.end == End::Compacted {
                wait(journal.compact()).expect("nothing is damaged");
            }
            drop(journal);
            earlier = memory.files();
            if history.end != End::Compacted {
                as_killed(&mut earlier);
            }
            journal = open();
        }
        if history.end == End::Compacted && number == history.appends * 3 / 4 {
            until_settled(&memory);
            wait(journal.compact()).expect("nothing is damaged");
        }
        let head = &mut heads[usize::try_from(number % 3).unwrap_or(0)];
        let mut batch = Batch::default();
        for entry in 0..1 + number % 2 {
            batch.push(format!("append {number}, entry {entry}").as_bytes());
        }
        let appended = wait(journal.append(&stream(number), *head, batch));
        *head = appended.expect("it is appended").next();
    }
    if history.end == End::Forgotten {
        for (number, head) in (0..).zip(heads) {
            let below = Position::new(head.get() - 2).expect("there are more than two");
            wait(journal.forget(&stream(number), below)).expect("it is forgotten");
        }
        memory.until(|files| !files.0.contains_key("0000000001.log"));
    }
    until_settled(&memory);
    drop(journal);
    let mut files = memory.files();
    if history.end != End::Compacted {
        as_killed(&mut files);
    }
    // The real lock file is there and empty.
    files.put("lock", Vec::new());
    (files, earlier)
}

/// Takes away what closing leaves for a quick opening, so that opening reads every file: a directory,
/// and the index of the segment that is still written.
fn as_killed(files: &mut Files) {
    files.0.remove("directory");
    let logs = files.0.keys().filter(|name| name.ends_with(".log"));
    let open: Option<String> = logs.rev().nth(1).map(|name| name.replace(".log", ".idx"));
    if let Some(open) = open {
        files.0.remove(&open);
    }
}

/// Returns once there is a spare segment, and every segment before the last two has its index.
fn until_settled(disk: &MemoryDisk) {
    disk.until(|files| {
        let names = files.0.keys();
        let logs: Vec<&String> = names.filter(|name| name.ends_with(".log")).collect();
        let Some((spare, [sealed @ .., _open])) = logs.split_last() else {
            return false;
        };
        let has_index = |log: &&String| files.0.contains_key(&log.replace(".log", ".idx"));
        fuzzing::layout(files.bytes(spare)).len() == EMPTY_PARTS && sealed.iter().all(has_index)
    });
}

/// Waits for `future` on this thread.
pub fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Unpark>) {
        self.0.unpark();
    }
}

/// The file of a snapshot of `stream` at `position`, and what the snapshot holds.
///
/// # Panics
/// When it cannot be stored in memory.
#[must_use]
pub fn snapshot(stream: &Name, position: Position) -> (Vec<u8>, Vec<u8>) {
    let memory = MemoryDisk::default();
    let snapshots = FileSnapshots::open_on(Arc::new(memory.clone()), DIR);
    let snapshots = snapshots.expect("nothing fails in memory");
    let content = b"the state as of this position".to_vec();
    wait(snapshots.put(stream, position, content.clone().into())).expect("it is stored");
    drop(snapshots);
    let files = memory.files();
    let (_, file) = files.0.into_iter().next().expect("it is a file");
    (file.bytes.to_vec(), content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specimens_are_the_same_bytes_each_time_and_what_their_names_say() {
        let [first, second] = [all(), all()];
        for (one, again) in first.iter().zip(&second) {
            let names = |specimen: &Specimen| specimen.files.0.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(one), names(again));
            for name in names(one) {
                let is_same = one.files.bytes(&name) == again.files.bytes(&name);
                assert!(is_same, "{}: {name}", one.name);
            }
            assert_eq!(one.kept.len(), 3);
        }
        let has = |specimen: &Specimen, name: &str| specimen.files.0.contains_key(name);
        assert!(!has(&first[0], "0000000001.idx"));
        assert!(has(&first[1], "0000000002.idx"));
        assert!(!has(&first[2], "0000000001.log"));
        assert!(has(&first[3], "directory") && !has(&first[3], "0000000001.log"));
        let names = || first[3].files.0.keys();
        assert!(names().any(|name| name.ends_with(".seg")));
        assert!(names().filter(|name| name.ends_with(".idx")).count() > 1);
    }
}
