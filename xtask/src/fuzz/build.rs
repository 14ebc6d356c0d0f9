//! Building the fuzzer, and running it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::session::Session;
use crate::project::Project;

/// Counts which edges run and what is compared with what: what libFuzzer is guided by.
const COVERAGE: [&str; 7] = [
    "--cfg",
    "fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Seconds after which an input that does not end is a failure. What takes longer than a second of
/// the processor fails by itself; this is for what never ends.
const TIMEOUT_SECONDS: u64 = 30;

/// How long a target is driven, and from which inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// So many inputs from one seed and the committed ones: each time the same, however fast the machine.
    Inputs(u64),
    /// So many seconds, each time from another seed, and from what was found before.
    Seconds(u64),
}

/// The fuzzer, built.
#[derive(Debug)]
pub(super) struct Fuzzer {
    program: PathBuf,
    /// Where it leaves what it finds.
    dir: PathBuf,
    root: PathBuf,
}

/// What keeps the fuzzer from being built here, if anything does.
pub(super) fn missing() -> Option<String> {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let answer = Command::new(&compiler).arg("--version").output();
    let is_there = answer.is_ok_and(|output| output.status.success());
    (!is_there).then(|| format!("there is no C++ compiler {compiler}"))
}

impl Fuzzer {
    /// Builds it into a directory of its own below the target directory.
    pub(super) fn build(project: &Project) -> Result<Fuzzer, String> {
        let dir = project.target_dir()?.join("fuzz");
        let host = host()?;
        // With a target named, build scripts and macros are built without coverage.
        let status = project
            .cargo()
            .current_dir(project.root().join("fuzz"))
            .args(["build", "--release", "--target", &host])
            .env("CARGO_TARGET_DIR", &dir)
            .env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\x1f"))
            .status()
            .map_err(|error| format!("cargo cannot be started: {error}"))?;
        if !status.success() {
            return Err(format!("the fuzzer was not built: {status}"));
        }
        Ok(Fuzzer {
            program: dir.join(host).join("release").join("fuzz"),
            dir,
            root: project.root().to_owned(),
        })
    }

    /// Drives `target` from the inputs below `corpus`.
    pub(super) fn run(
        &self,
        target: &str,
        corpus: Option<&Path>,
        length: Length,
    ) -> Result<Session, String> {
        let found = match (corpus, length) {
            (Some(_), Length::Seconds(_)) => self.made("corpus", target)?,
            (Some(_), Length::Inputs(_)) => self.emptied("commit", target)?,
            (None, _) => self.made("corpus", "none")?,
        };
        let crashes = self.made("crashes", target)?;
        let mut command = self.command(target);
        match length {
            Length::Inputs(count) => {
                command.args([&format!("-runs={count}"), "-seed=1", "-reload=0"]);
            }
            Length::Seconds(seconds) => {
                command.arg(format!("-max_total_time={seconds}"));
            }
        }
        command
            .arg(format!("-timeout={TIMEOUT_SECONDS}"))
            .arg(format!("-artifact_prefix={}/", crashes.display()))
            .args(["-print_final_stats=1", "-verbosity=1"]);
        if let Some(corpus) = corpus {
            command.arg(&found).arg(self.root.join(corpus).join(target));
        }
        let output = output(&mut command)?;
        Session::read(target, &output)
    }

    /// Runs one input; whether it went well.
    pub(super) fn repeat(&self, target: &str, input: &Path) -> Result<bool, String> {
        let input = std::path::absolute(input).map_err(|error| error.to_string())?;
        let mut command = self.command(target);
        let status = command.arg(input).status();
        let status = status.map_err(|error| format!("{}: {error}", self.program.display()))?;
        Ok(status.success())
    }

    /// Puts the smallest set of all known inputs that reaches what they reach into `corpus`.
    pub(super) fn minimise(&self, target: &str, corpus: &Path) -> Result<(), String> {
        let found = self.made("corpus", target)?;
        let before = self.made("before", target)?;
        let failed = |error: std::io::Error| format!("{}: {error}", corpus.display());
        std::fs::remove_dir_all(&before).map_err(failed)?;
        std::fs::rename(corpus, &before).map_err(failed)?;
        std::fs::create_dir_all(corpus).map_err(failed)?;
        let mut command = self.command(target);
        let output = output(command.arg("-merge=1").arg(corpus).arg(before).arg(found))?;
        let text = String::from_utf8_lossy(&output.stderr);
        println!("{target}: {}", text.lines().last().unwrap_or_default());
        if output.status.success() {
            Ok(())
        } else {
            Err(text.into_owned())
        }
    }

    fn command(&self, target: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.env("FUZZ_TARGET", target);
        command
    }

    fn emptied(&self, kind: &str, target: &str) -> Result<PathBuf, String> {
        let dir = self.made(kind, target)?;
        let removed = std::fs::remove_dir_all(&dir);
        removed.map_err(|error| format!("{}: {error}", dir.display()))?;
        self.made(kind, target)
    }

    fn made(&self, kind: &str, target: &str) -> Result<PathBuf, String> {
        let dir = self.dir.join(kind).join(target);
        let made = std::fs::create_dir_all(&dir);
        made.map_err(|error| format!("{}: {error}", dir.display()))?;
        Ok(dir)
    }
}

fn output(command: &mut Command) -> Result<Output, String> {
    let output = command.output();
    output.map_err(|error| format!("the fuzzer cannot be started: {error}"))
}

/// The machine that rustc builds for unless told otherwise.
fn host() -> Result<String, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output();
    let output = output.map_err(|error| format!("rustc cannot be started: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| "rustc does not say which host it is for".to_owned())
}
