//! Where the ring runs: in namespaces of its own, so that nothing of it outlives it.
//!
//! As root it starts itself again below `unshare`, with mounts and processes of its own. When either of
//! the two ends, even by a kill, the kernel ends every process in there and takes every mount and loop
//! device away. Without root, or where the machine's sandbox forbids it, the faults that need it do not run,
//! and the run says why.

use std::path::Path;
use std::process::{Command, ExitStatus};

use crate::image::{Mounted, call};
use crate::power::Cut;
use crate::ring::Need;
use crate::wall_clock;

/// What starts a program with mounts and processes of its own, and ends it with whoever started it.
const SHELTER: [&str; 10] = [
    "setpriv",
    "--pdeathsig=KILL",
    "--",
    "unshare",
    "--mount",
    "--propagation=private",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
];

/// A file system to try whether one can be mounted.
const TRIAL_BYTES: u64 = 8 * 1024 * 1024;

/// Words by which tools say that the machine does not allow something, rather than that it failed.
const FORBIDDEN: [&str; 8] = [
    "not permitted",
    "permission denied",
    "failed to setup loop device",
    "cannot find an unused loop device",
    "unknown filesystem type",
    "function not implemented",
    "inappropriate ioctl",
    "operation not supported",
];

/// What this machine can do, or why not.
#[derive(Debug)]
pub(crate) struct Abilities {
    mount: Result<(), Inability>,
    clock: Result<(), Inability>,
    wall_clock: Result<(), Inability>,
    trace: Result<(), Inability>,
}

/// Why something cannot be done here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inability {
    /// Why, in words.
    pub(crate) reason: String,
    /// Whether nothing could be done about it on this machine.
    pub(crate) is_excused: bool,
}

impl Inability {
    /// What a tool said, or why it could not be started. Root could have installed it.
    fn of(reason: String) -> Inability {
        Inability::judge(reason, rustix::process::geteuid().is_root())
    }

    fn judge(reason: String, is_root: bool) -> Inability {
        let lower = reason.to_lowercase();
        let is_forbidden = FORBIDDEN.iter().any(|words| lower.contains(words));
        let is_missing = lower.contains("no such file");
        Inability {
            is_excused: is_forbidden || (is_missing && !is_root),
            reason,
        }
    }
}

impl Abilities {
    /// Finds out, by trying; `shelter` says why this process has no mounts of its own, if so.
    pub(crate) fn find(scratch: &Path, shelter: Result<(), Inability>) -> Abilities {
        let mount = shelter
            .clone()
            .and_then(|()| mount_once(scratch).map_err(Inability::of));
        let wall_clock = shelter
            .clone()
            .and_then(|()| wall_clock::try_once(scratch).map_err(Inability::of));
        let clock = shelter.and_then(|()| {
            call("unshare", &["--time", "--monotonic", "5", "--fork", "true"])
                .map_err(Inability::of)
        });
        let trace = call("strace", &["-o", "/dev/null", "true"]).map_err(Inability::of);
        Abilities {
            mount,
            clock,
            wall_clock,
            trace,
        }
    }

    /// Whether the machine has what is needed.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn has(&self, need: Need) -> Result<(), Inability> {
        match need {
            Need::Mount => self.mount.clone(),
            Need::Clock => self.clock.clone(),
            Need::WallClock => self.wall_clock.clone(),
            Need::Trace => self.trace.clone(),
        }
    }
}

/// Mounts a small file system, cuts its power and mounts it again.
fn mount_once(scratch: &Path) -> Result<(), String> {
    let disk = Mounted::ext4(&scratch.join("trial"), TRIAL_BYTES)?;
    disk.arm(Cut::LogLost)?.cut()?;
    disk.power_on()
}

/// Starts this program again in a shelter, with the same arguments and `--sheltered`, and gives how it
/// ended.
///
/// # Errors
/// Why there is no shelter here.
pub(crate) fn enter() -> Result<ExitStatus, Inability> {
    if !rustix::process::geteuid().is_root() {
        return Err(Inability {
            reason: "only root may mount file systems".to_owned(),
            is_excused: true,
        });
    }
    let words = |more: &[&str]| -> Vec<String> {
        let all = SHELTER[1..].iter().chain(more);
        all.map(|word| (*word).to_owned()).collect()
    };
    let trial = words(&["true"]);
    let trial: Vec<&str> = trial.iter().map(String::as_str).collect();
    call(SHELTER[0], &trial).map_err(Inability::of)?;
    let program = std::env::current_exe().map_err(|error| Inability::of(error.to_string()))?;
    Command::new(SHELTER[0])
        .args(words(&[]))
        .arg(program)
        .args(std::env::args_os().skip(1))
        .arg("--sheltered")
        .status()
        .map_err(|error| Inability::of(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nothing_can_be_done_about_is_excused() {
        let excused =
            |reason: &str, is_root| Inability::judge(reason.to_owned(), is_root).is_excused;
        let forbidden = "mount: /x: Operation not permitted";
        let missing = "strace: No such file or directory (os error 2)";
        let broken = "mkfs.ext4 ended with exit status: 1: it is too small";
        assert!(excused(forbidden, true) && excused(forbidden, false));
        assert!(excused(missing, false) && !excused(missing, true));
        assert!(!excused(broken, true) && !excused(broken, false));
    }
}
