//! Faults at one call of the system: strace finds the calls of a workload, and disturbs the n-th.
//!
//! It counts for each thread by itself, so a point is named by call, file and number: one thread at a
//! time writes a file of the journal.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::process::Wrap;

/// Calls that change a file, a name or what is lasting.
const CALLS: [&str; 10] = [
    "pwrite64",
    "write",
    "fdatasync",
    "fsync",
    "fallocate",
    "rename",
    "renameat",
    "unlink",
    "unlinkat",
    "ftruncate",
];

/// A call on a file of the journal: the n-th one by any thread.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The call's name.
    pub(crate) call: String,
    /// The file, as the name below the journal's directory; empty for the directory itself.
    pub(crate) file: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.call, self.file)
    }
}

/// What happens at the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process is killed.
    Kill,
    /// The call does nothing and fails with this error.
    Error(&'static str),
    /// The call takes so many microseconds longer; `:when=N` may follow.
    Slow(&'static str),
}

impl Fault {
    fn words(self) -> String {
        match self {
            Fault::Kill => "signal=KILL".to_owned(),
            Fault::Error(name) => format!("error={name}"),
            Fault::Slow(micros) => format!("delay_enter={micros}"),
        }
    }
}

/// Starts a worker so that its calls on files are logged.
pub(crate) fn watching(log: &Path) -> Wrap {
    wrap(log, &[format!("trace={}", CALLS.join(","))], None)
}

/// Starts a worker so that `fault` happens at the `number`-th call at `place`, in the journal at `dir`.
pub(crate) fn disturbing(dir: &Path, log: &Path, place: &Place, number: u64, fault: Fault) -> Wrap {
    let call = &place.call;
    let file = if place.file.is_empty() {
        dir.to_owned()
    } else if call.ends_with("at") {
        // As the call names it: in a directory that is open.
        PathBuf::from(&place.file)
    } else {
        dir.join(&place.file)
    };
    let inject = format!("inject={call}:{}:when={number}", fault.words());
    wrap(log, &[format!("trace={call}"), inject], Some(file))
}

/// Starts a worker all of whose calls `call` are disturbed.
pub(crate) fn disturbing_all(log: &Path, call: &str, fault: Fault) -> Wrap {
    let inject = format!("inject={call}:{}", fault.words());
    wrap(log, &[format!("trace={call}"), inject], None)
}

fn wrap(log: &Path, expressions: &[String], file: Option<PathBuf>) -> Wrap {
    let mut with: Vec<String> = ["strace", "-f", "-qq", "-y", "-s", "0", "-o"]
        .map(str::to_owned)
        .into();
    with.push(log.display().to_string());
    for expression in expressions {
        with.push("-e".to_owned());
        with.push(expression.clone());
    }
    if let Some(file) = file {
        with.push("-P".to_owned());
        with.push(file.display().to_string());
    }
    Wrap { with }
}

/// How often each call was made on each file of the journal at `dir`.
pub(crate) fn places(log: &str, dir: &Path) -> BTreeMap<Place, u64> {
    let dir = dir.display().to_string();
    let mut places = BTreeMap::new();
    for line in log.lines() {
        if let Some(place) = place(line, &dir) {
            *places.entry(place).or_default() += 1;
        }
    }
    places
}

/// The place of one line: `123 pwrite64(5</dir/mark>, ...` or `123 unlinkat(3</dir>, "mark.new", 0)`.
fn place(line: &str, dir: &str) -> Option<Place> {
    let (_, line) = line.trim_start().split_once(' ')?;
    let (call, arguments) = line.trim_start().split_once('(')?;
    let (_, rest) = arguments.split_once(dir)?;
    // A name in the directory, which is open itself.
    let rest = rest.strip_prefix(">, \"").unwrap_or(rest);
    let end = rest.find(['>', '"', '('])?;
    let file = rest[..end].trim_start_matches('/');
    CALLS.contains(&call).then(|| Place {
        call: call.to_owned(),
        file: file.to_owned(),
    })
}

/// Whether the log of a disturbed worker says that the fault happened.
pub(crate) fn was_hit(log: &str, fault: Fault) -> bool {
    match fault {
        Fault::Kill => log.contains("killed by SIGKILL"),
        Fault::Error(_) => log.contains("(INJECTED)"),
        Fault::Slow(_) => log.contains("(DELAYED)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_file() {
        let log = "\
12 pwrite64(5</d/j/mark>, \"\"..., 128, 0) = 128
13 pwrite64(5</d/j/mark>, \"\"..., 128, 2048 <unfinished ...>
12 <... pwrite64 resumed>) = 128
12 fsync(4</d/j>) = 0
12 rename(\"/d/j/mark.new\", \"/d/j/mark\") = 0
12 renameat(4</d/j>, \"mark.new\", 4</d/j>, \"mark\") = 0
13 unlinkat(4</d/j>, \"0000000001.log\", 0) = 0
12 write(1<pipe:[7]>, \"\"..., 9) = 9
12 fdatasync(9</elsewhere>) = 0
12 +++ exited with 0 +++
";
        let counted: Vec<String> = places(log, Path::new("/d/j"))
            .iter()
            .map(|(place, count)| format!("{place} {count}"))
            .collect();
        assert_eq!(
            counted,
            [
                "fsync() 1",
                "pwrite64(mark) 2",
                "rename(mark.new) 1",
                "renameat(mark.new) 1",
                "unlinkat(0000000001.log) 1",
            ]
        );
    }
}
