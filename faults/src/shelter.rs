//! Where the ring runs: in namespaces of its own, so that nothing of it outlives it.
//!
//! As root it starts itself again below `unshare`, with mounts and processes of its own. When that one
//! ends, even by a kill, the kernel ends every process in it and takes every mount and loop device
//! away. Without root, or where the machine's sandbox forbids it, the faults that need it do not run,
//! and the run says why.

use std::path::Path;
use std::process::{Command, ExitStatus};

use crate::image::{Mounted, call};
use crate::ring::Need;

/// What starts a program with mounts and processes of its own.
const SHELTER: [&str; 7] = [
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
const FORBIDDEN: [&str; 6] = [
    "not permitted",
    "permission denied",
    "failed to setup loop device",
    "cannot find an unused loop device",
    "unknown filesystem type",
    "function not implemented",
];

/// What this machine can do, or why not.
#[derive(Debug)]
pub(crate) struct Abilities {
    mount: Result<(), Inability>,
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
    fn of(reason: String) -> Inability {
        let lower = reason.to_lowercase();
        let is_excused = FORBIDDEN.iter().any(|words| lower.contains(words));
        Inability { reason, is_excused }
    }
}

impl Abilities {
    /// Finds out, by trying; `is_sheltered` says that this process has mounts of its own.
    pub(crate) fn find(scratch: &Path, is_sheltered: Result<(), Inability>) -> Abilities {
        let mount = is_sheltered.and_then(|()| {
            Mounted::ext4(&scratch.join("trial"), TRIAL_BYTES)
                .map(drop)
                .map_err(Inability::of)
        });
        let trace = call("strace", &["-o", "/dev/null", "true"]).map_err(Inability::of);
        Abilities { mount, trace }
    }

    /// Whether the machine has what is needed.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn has(&self, need: Need) -> Result<(), Inability> {
        match need {
            Need::Mount => self.mount.clone(),
            Need::Trace => self.trace.clone(),
        }
    }
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
