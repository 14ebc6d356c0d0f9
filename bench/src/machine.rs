//! The facts about a machine that explain figures, and nothing that identifies it.

use std::path::Path;

use serde::Serialize;

/// Where figures were taken.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// Threads that can run at the same time.
    pub(crate) cores: usize,
    pub(crate) processor: String,
    pub(crate) kernel: String,
    /// Of the directory that was written to.
    pub(crate) file_system: String,
    /// Whether the benchmarks were optimised: figures of debug builds mean nothing.
    pub(crate) optimised: bool,
    /// The mean number of threads that wanted to run, over the minute before the start.
    pub(crate) load_before: Option<f64>,
}

const UNKNOWN: &str = "unknown";

impl Machine {
    /// Looks at the machine; `dir` is where the benchmarks write.
    pub(crate) fn look(dir: &Path) -> Machine {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let load = read("/proc/loadavg");
        Machine {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: processor(&read("/proc/cpuinfo")),
            kernel: kernel(&read("/proc/sys/kernel/osrelease")),
            file_system: file_system(&read("/proc/mounts"), dir),
            optimised: !cfg!(debug_assertions),
            load_before: load.split(' ').next().and_then(|load| load.parse().ok()),
        }
    }
}

fn processor(cpuinfo: &str) -> String {
    let model = cpuinfo.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then(|| value.trim().to_owned())
    });
    model.unwrap_or_else(|| UNKNOWN.to_owned())
}

/// The version without what its builder added: `6.1.0-9-amd64` is 6.1.0.
fn kernel(release: &str) -> String {
    let version = release.split(['-', '\n']).next().unwrap_or_default();
    if version.is_empty() {
        return UNKNOWN.to_owned();
    }
    format!("{} {version}", std::env::consts::OS)
}

/// The type of the file system that `dir` is on: of the mounts above it, the deepest.
fn file_system(mounts: &str, dir: &Path) -> String {
    let above = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (place, kind) = (words.next()?, words.next()?);
        dir.starts_with(place).then_some((place.len(), kind))
    });
    let deepest = above.max_by_key(|(depth, _)| *depth);
    deepest.map_or_else(|| UNKNOWN.to_owned(), |(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_system_is_that_of_the_deepest_mount_above_the_directory() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /data xfs rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/data/journal")), "xfs");
        assert_eq!(file_system(mounts, Path::new("/database")), "ext4");
        assert_eq!(file_system("", Path::new("/data")), "unknown");
    }

    #[test]
    fn kernel_is_a_version_without_what_its_builder_added() {
        assert!(kernel("6.1.0-9-amd64\n").ends_with(" 6.1.0"));
        assert_eq!(kernel(""), "unknown");
    }
}
