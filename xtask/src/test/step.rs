//! The steps of `cargo xtask test`, and how each is judged.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ExitStatus, Stdio};

use super::tally::{self, Tally};
use crate::project::Project;
use crate::reliability;
use crate::tidy;

/// One step.
#[derive(Debug)]
pub(super) struct Step {
    /// What it is called on the command line and in the output.
    pub(super) name: &'static str,
    /// What it does.
    pub(super) work: Work,
}

/// What a step does.
#[derive(Debug)]
pub(super) enum Work {
    /// The rules of `cargo xtask tidy`, in this process.
    Tidy,
    /// The per-commit share of `cargo xtask reliability`, in this process.
    Reliability,
    /// A call of cargo.
    Cargo(Call),
    /// Nothing, because a tool that cannot be expected everywhere is missing.
    Missing {
        /// The tool.
        tool: &'static str,
    },
}

/// A call of cargo, and what its end means.
#[derive(Debug)]
pub(super) struct Call {
    arguments: &'static str,
    environment: Option<(&'static str, &'static str)>,
    judge: Judge,
}

/// What says whether a call went well, besides its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judge {
    /// Nothing.
    Exit,
    /// The summary that nextest writes to the standard error.
    Nextest,
    /// The summaries that the test harness of the standard library writes to the standard output.
    Harness,
    /// The object that the drill writes to the standard output: an exit code alone would also be 0
    /// for a program that did nothing.
    Drill,
}

/// What a step that went well counted, and what it could not do here.
#[derive(Debug)]
pub(super) struct Passed {
    /// What it counted.
    pub(super) tally: Tally,
    /// What did not run, and why.
    pub(super) not_run: Vec<String>,
}

impl From<Tally> for Passed {
    fn from(tally: Tally) -> Passed {
        Passed {
            tally,
            not_run: Vec::new(),
        }
    }
}

/// Why a step failed, and what it counted until then.
#[derive(Debug)]
pub(super) struct Failure {
    /// What it counted: at least one failure.
    pub(super) tally: Tally,
    reason: String,
}

impl Failure {
    fn new(counted: Tally, reason: impl Into<String>) -> Failure {
        let tally = Tally {
            failed: counted.failed.max(1),
            ..counted
        };
        Failure {
            tally,
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// All steps, the quick ones first. Where nextest is missing, cargo's own runner stands in for it.
pub(super) fn all(project: &Project) -> Vec<Step> {
    let tests = if project.has_subcommand("nextest") {
        call("nextest run --workspace", Judge::Nextest)
    } else {
        call(
            "test --workspace --all-targets --no-fail-fast",
            Judge::Harness,
        )
    };
    let deny = if project.has_subcommand("deny") {
        call("deny check bans licenses sources", Judge::Exit)
    } else {
        Work::Missing { tool: "cargo-deny" }
    };
    vec![
        step("format", call("fmt --all --check", Judge::Exit)),
        step(
            "clippy",
            call(
                "clippy --workspace --all-targets -- -D warnings",
                Judge::Exit,
            ),
        ),
        step("tidy", Work::Tidy),
        step("tests", tests),
        step(
            "doctests",
            call("test --workspace --doc --no-fail-fast", Judge::Harness),
        ),
        step(
            "docs",
            Work::Cargo(Call {
                arguments: "doc --workspace --no-deps",
                environment: Some(("RUSTDOCFLAGS", "-D warnings")),
                judge: Judge::Exit,
            }),
        ),
        step("deny", deny),
        step(
            "drill",
            call(
                "run --package orders -- drill --orders 300 --kills 4 --json",
                Judge::Drill,
            ),
        ),
        step("reliability", Work::Reliability),
    ]
}

fn step(name: &'static str, work: Work) -> Step {
    Step { name, work }
}

fn call(arguments: &'static str, judge: Judge) -> Work {
    Work::Cargo(Call {
        arguments,
        environment: None,
        judge,
    })
}

impl Step {
    /// The command that repeats this step alone.
    pub(super) fn repeat(&self) -> String {
        match &self.work {
            Work::Tidy => "cargo xtask tidy".to_owned(),
            Work::Reliability => "cargo xtask reliability".to_owned(),
            Work::Missing { tool } => format!("cargo install {tool} --locked"),
            Work::Cargo(call) => match call.environment {
                Some((name, value)) => format!("{name}=\"{value}\" cargo {}", call.arguments),
                None => format!("cargo {}", call.arguments),
            },
        }
    }

    /// Does the work, with its output shown as it comes.
    pub(super) fn run(&self, project: &Project) -> Result<Passed, Failure> {
        let failed = |reason: String| Failure::new(Tally::default(), reason);
        match &self.work {
            Work::Tidy => match tidy::check(project).map_err(failed)? {
                true => Ok(Tally::ONE.into()),
                false => Err(failed("the tree is not tidy".to_owned())),
            },
            Work::Reliability => {
                let done = reliability::check(project).map_err(failed)?;
                if !done.complaints.is_empty() {
                    return Err(failed(done.complaints.join("; ")));
                }
                Ok(Passed {
                    tally: Tally::ONE,
                    not_run: done.not_run,
                })
            }
            Work::Cargo(call) => Ok(call.run(project)?.into()),
            Work::Missing { .. } => Ok(Tally::default().into()),
        }
    }
}

impl Call {
    fn run(&self, project: &Project) -> Result<Tally, Failure> {
        let (status, text) = self
            .watch(project)
            .map_err(|error| Failure::new(Tally::default(), format!("cargo: {error}")))?;
        self.verdict(status, &text)
    }

    /// Runs cargo and gives the text of the stream that its judge reads, which is shown as well.
    fn watch(&self, project: &Project) -> std::io::Result<(ExitStatus, String)> {
        let mut command = project.cargo();
        command.args(self.arguments.split(' '));
        if let Some((name, value)) = self.environment {
            command.env(name, value);
        }
        match self.judge {
            Judge::Exit => {}
            Judge::Nextest => {
                command.stderr(Stdio::piped());
            }
            Judge::Harness | Judge::Drill => {
                command.stdout(Stdio::piped());
            }
        }
        let mut child = command.spawn()?;
        let text = match watched(&mut child) {
            Some(stream) => show(stream)?,
            None => String::new(),
        };
        Ok((child.wait()?, text))
    }

    fn verdict(&self, status: ExitStatus, text: &str) -> Result<Tally, Failure> {
        let counted = match self.judge {
            Judge::Exit => Ok(Tally::ONE),
            Judge::Nextest => tally::of_nextest(text),
            Judge::Harness => tally::of_harness(text),
            Judge::Drill => tally::of_drill(text),
        };
        if !status.success() {
            let tally = match self.judge {
                Judge::Exit | Judge::Drill => Tally::default(),
                Judge::Nextest | Judge::Harness => counted.unwrap_or_default(),
            };
            return Err(Failure::new(tally, format!("cargo ended with {status}")));
        }
        match counted {
            Ok(tally) if tally.failed == 0 => Ok(tally),
            Ok(tally) => Err(Failure::new(tally, "cargo ended well, but tests failed")),
            Err(reason) => Err(Failure::new(Tally::default(), reason)),
        }
    }
}

fn watched(child: &mut Child) -> Option<Box<dyn Read>> {
    let out = child
        .stdout
        .take()
        .map(|out| Box::new(out) as Box<dyn Read>);
    out.or_else(|| {
        child
            .stderr
            .take()
            .map(|err| Box::new(err) as Box<dyn Read>)
    })
}

/// Shows what comes, line by line, and keeps it.
fn show(stream: Box<dyn Read>) -> std::io::Result<String> {
    let mut reader = BufReader::new(stream);
    let mut all = String::new();
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        print!("{text}");
        all.push_str(&text);
        line.clear();
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    const GOOD: i32 = 0;
    const BAD: i32 = 100 << 8;

    fn verdict(judge: Judge, status: i32, text: &str) -> Result<Tally, Tally> {
        let call = Call {
            arguments: "",
            environment: None,
            judge,
        };
        call.verdict(ExitStatus::from_raw(status), text)
            .map_err(|failure| failure.tally)
    }

    const FAILED_ONCE: Tally = Tally {
        passed: 0,
        failed: 1,
    };

    #[test]
    fn a_bad_exit_code_fails_whatever_was_printed() {
        assert_eq!(verdict(Judge::Exit, GOOD, ""), Ok(Tally::ONE));
        assert_eq!(verdict(Judge::Exit, BAD, ""), Err(FAILED_ONCE));
        assert_eq!(
            verdict(Judge::Drill, BAD, r#"{"ok":true}"#),
            Err(FAILED_ONCE)
        );
        let three = "test result: ok. 3 passed; 0 failed; 0 ignored";
        assert_eq!(
            verdict(Judge::Harness, BAD, three),
            Err(Tally {
                passed: 3,
                failed: 1
            })
        );
    }

    #[test]
    fn a_good_exit_code_is_not_enough_where_a_summary_is_due() {
        for judge in [Judge::Nextest, Judge::Harness, Judge::Drill] {
            assert_eq!(verdict(judge, GOOD, ""), Err(FAILED_ONCE), "{judge:?}");
        }
    }

    #[test]
    fn the_command_that_repeats_a_step_carries_its_environment() {
        let docs = step(
            "docs",
            Work::Cargo(Call {
                arguments: "doc --no-deps",
                environment: Some(("RUSTDOCFLAGS", "-D warnings")),
                judge: Judge::Exit,
            }),
        );
        assert_eq!(
            docs.repeat(),
            "RUSTDOCFLAGS=\"-D warnings\" cargo doc --no-deps"
        );
    }
}
