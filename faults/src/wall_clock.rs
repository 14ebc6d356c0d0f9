//! A wall clock that jumps under a running process, without the machine's clock being moved.
//!
//! The library of `faketime` stands in for the system's own functions in one process, and reads anew
//! each time how far to be off from a file, which is rewritten meanwhile.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use refrain_core::Timestamp;

use crate::image::call;
use crate::process::Wrap;

/// The library, in the directory of the machine's kind.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// Where those directories are.
const LIBRARIES: &str = "/usr/lib";

/// Seconds by which the clock must be off to be believed in.
const TRIAL_SECONDS: u64 = 864_000;

/// The wall clock of some processes.
#[derive(Debug)]
pub(crate) struct WallClock {
    library: PathBuf,
    file: PathBuf,
}

impl WallClock {
    /// One that is right, kept in `dir`.
    ///
    /// # Errors
    /// When the library or a place for its memory is missing.
    pub(crate) fn new(dir: &Path) -> Result<WallClock, String> {
        // The library leaves shared memory behind when its process is killed: in memory of this
        // namespace, which goes with it.
        call("mount", &["-t", "tmpfs", "tmpfs", "/dev/shm"])?;
        let clock = WallClock {
            library: library()?,
            file: dir.join("time-of-day"),
        };
        clock.jump(0)?;
        Ok(clock)
    }

    /// Lets the clock be off by so many seconds from now on.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn jump(&self, seconds: i64) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{}: {error}", self.file.display());
        let aside = self.file.with_extension("new");
        std::fs::write(&aside, format!("{seconds:+}\n")).map_err(failed)?;
        // Whoever reads it finds the whole of it.
        std::fs::rename(&aside, &self.file).map_err(failed)
    }

    /// What a process that has this clock reads now.
    ///
    /// # Errors
    /// When it cannot be started, or shows no time.
    pub(crate) fn shown(&self) -> Result<Timestamp, String> {
        let words = self.wrap().with;
        let shown = Command::new(&words[0])
            .args(&words[1..])
            .args(["date", "+%s%6N"])
            .output()
            .map_err(|error| format!("{}: {error}", words[0]))?;
        let text = String::from_utf8_lossy(&shown.stdout);
        let micros = text.trim().parse();
        micros
            .map(Timestamp::from_micros)
            .map_err(|_| format!("date shows no time: {text:?}"))
    }

    /// Starts a worker that has this clock.
    pub(crate) fn wrap(&self) -> Wrap {
        let variables = [
            "LD_PRELOAD=".to_owned() + &self.library.display().to_string(),
            "FAKETIME_TIMESTAMP_FILE=".to_owned() + &self.file.display().to_string(),
            "FAKETIME_NO_CACHE=1".to_owned(),
            "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
            "DONT_FAKE_MONOTONIC=1".to_owned(),
        ];
        Wrap {
            with: std::iter::once("env".to_owned()).chain(variables).collect(),
        }
    }
}

impl Drop for WallClock {
    fn drop(&mut self) {
        // Otherwise it goes with the namespace.
        let _ = call("umount", &["/dev/shm"]);
    }
}

/// Tries whether a process believes a clock that is off.
///
/// # Errors
/// Why not.
pub(crate) fn try_once(scratch: &Path) -> Result<(), String> {
    let clock = WallClock::new(scratch)?;
    clock.jump(TRIAL_SECONDS.cast_signed())?;
    let off = clock.shown()?.since(crate::clock::time_of_day());
    if off > Duration::from_secs(TRIAL_SECONDS / 2) {
        Ok(())
    } else {
        Err(format!("the clock of a process was not moved: {off:?}"))
    }
}

fn library() -> Result<PathBuf, String> {
    let dirs = std::fs::read_dir(LIBRARIES).map_err(|error| format!("{LIBRARIES}: {error}"))?;
    let places = dirs.filter_map(|dir| Some(dir.ok()?.path().join(LIBRARY)));
    let mut found = places.filter(|place| place.is_file());
    found
        .next()
        .ok_or_else(|| format!("{LIBRARY}: no such file in {LIBRARIES}"))
}
