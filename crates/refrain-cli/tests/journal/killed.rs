//! A restore of a journal with its snapshots that is killed at each call that changes a name or makes
//! something lasting: never half-active.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use refrain::FileSnapshots;
use refrain::port::snapshots::Snapshots;

use crate::run;
use crate::support::{Place, fill, name, position};

/// A `?` stands before those that not every machine has.
const CALLS: &str =
    "?mkdir,?mkdirat,?rename,?renameat,?renameat2,?unlink,?unlinkat,?rmdir,fsync,fdatasync";

/// More calls than a restore makes on the files that are watched.
const CALLS_MAX: usize = 100;

const SIGKILL: i32 = 9;

/// What a restore of one backup writes.
struct Wanted {
    backups: PathBuf,
    journal: PathBuf,
    snapshots: PathBuf,
}

/// How things are under the wanted names.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Nothing,
    /// The snapshots have their name, and whoever opens them is refused.
    Refused,
    Active,
}

impl Wanted {
    /// Kills a restore at its `number`-th call; says whether it came so far.
    fn killed_at(&self, number: usize) -> bool {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e"]);
        command.arg(format!("trace={CALLS}"));
        command.args(["-e", &format!("inject={CALLS}:signal=KILL:when={number}")]);
        // strace counts for each thread, and the main one does all of these.
        for path in self.watched() {
            command.arg("-P").arg(path);
        }
        command.arg(env!("CARGO_BIN_EXE_refrain"));
        command.args(["journal", "restore"]);
        command.args([&self.backups, &self.journal]);
        command.arg("--snapshots").arg(&self.snapshots);
        let ended = command
            .output()
            .expect("strace is needed: install the package strace");
        let text = String::from_utf8_lossy(&ended.stderr);
        let is_killed = ended.status.signal() == Some(SIGKILL);
        assert!(is_killed || ended.status.success(), "{number}: {text}");
        is_killed
    }

    fn watched(&self) -> Vec<PathBuf> {
        let aside = |path: &Path| path.with_extension("restoring");
        let snapshots = aside(&self.snapshots);
        vec![
            self.journal.parent().unwrap().to_path_buf(),
            self.journal.clone(),
            aside(&self.journal),
            aside(&self.journal).join("mark"),
            self.snapshots.clone(),
            self.snapshots.join(FileSnapshots::RESTORING_FILE),
            snapshots.join(FileSnapshots::RESTORING_FILE),
            snapshots.join("orders@00000000000000000003.snap"),
            snapshots,
        ]
    }

    async fn state(&self) -> State {
        let is_journal = self.journal.join("mark").exists();
        if !self.snapshots.exists() {
            assert!(!is_journal, "a journal without its snapshots");
            return State::Nothing;
        }
        match FileSnapshots::open(&self.snapshots) {
            Ok(snapshots) => {
                assert!(is_journal, "snapshots without their journal");
                run!("verify", &self.journal).assert_exit(0);
                let state = snapshots.get(&name("orders"), position(3)).await;
                assert_eq!(state.unwrap(), "three");
                State::Active
            }
            Err(error) => {
                assert!(!is_journal, "a journal without its snapshots: {error}");
                State::Refused
            }
        }
    }
}

#[tokio::test]
async fn a_restore_that_is_killed_at_any_call_leaves_nothing_active_or_everything() {
    let place = Place::new();
    let (dir, kept) = (place.path("journal"), place.path("snapshots"));
    fill(&dir, &["orders"], 5).await;
    let snapshots = FileSnapshots::open(&kept).unwrap();
    let put = snapshots.put(&name("orders"), position(3), "three".into());
    put.await.unwrap();
    let wanted = Wanted {
        backups: place.path("backups"),
        journal: place.path("restored/journal"),
        snapshots: place.path("restored/snapshots"),
    };
    run!(
        "backup",
        "create",
        &dir,
        &wanted.backups,
        "--snapshots",
        &kept
    )
    .assert_exit(0);
    let mut seen = Vec::new();
    for number in 1..CALLS_MAX {
        let _ = std::fs::remove_dir_all(place.path("restored"));
        let is_killed = wanted.killed_at(number);
        let state = wanted.state().await;
        if !is_killed {
            assert_eq!(state, State::Active);
            break;
        }
        if state != State::Active {
            // Run it again: nothing of the one that was killed is in the way.
            let (journal, snapshots) = (&wanted.journal, &wanted.snapshots);
            let ran = run!(
                "restore",
                &wanted.backups,
                journal,
                "--snapshots",
                snapshots
            );
            ran.assert_exit(0);
            assert_eq!(wanted.state().await, State::Active, "{number}");
        }
        seen.push(state);
    }
    // The control: it was killed before, between and after the two names.
    for state in [State::Nothing, State::Refused, State::Active] {
        assert!(seen.contains(&state), "{state:?} of {seen:?}");
    }
    assert!((8..CALLS_MAX - 1).contains(&seen.len()), "{}", seen.len());
}
