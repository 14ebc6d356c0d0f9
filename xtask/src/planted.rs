//! `cargo xtask planted`: plants each known bug, one after the other, and demands that it is found.
//!
//! The bugs are those of `sim --planted`. They are in the code of one build of their own, with
//! `--cfg planted`, below the target directory; which of them is chosen is said when it runs. With
//! none chosen the same build must find nothing.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::clock::Stopwatch;
use crate::project::Project;
use crate::reliability::part::{Control, Part, Trial};

/// How long one bug may take to be found.
const BUDGET: Duration = Duration::from_secs(180);

/// Seeds in which nothing may be found when no bug is chosen.
const SEEDS_WITHOUT: u64 = 3_000;

/// Plants the bugs that `names` name, or all, and says whether each was found.
///
/// # Errors
/// When one was not found, or the programs cannot be run.
pub(crate) fn run(project: &Project, names: &[String]) -> Result<ExitCode, String> {
    report(project, names).map(|()| ExitCode::SUCCESS)
}

/// As [`run`]; leaves the report of the part `planted` behind when all bugs were planted.
///
/// # Errors
/// As [`run`].
pub(crate) fn report(project: &Project, names: &[String]) -> Result<(), String> {
    let sim = build(project)?;
    let bugs = chosen(&sim, names)?;
    let started = Stopwatch::start();
    let mut jobs: Vec<Job> = bugs.into_iter().map(Job::Bug).rev().collect();
    jobs.extend([Job::Nothing(Scene::Journal), Job::Nothing(Scene::Runtime)]);
    let done = all(&sim, jobs)?;
    let part = part(&done, started.elapsed());
    if names.is_empty() {
        part.write(project)?;
    }
    let complaints = part.complaints();
    if complaints.is_empty() {
        println!("planted: {} bugs, all found", part.controls.len());
        return Ok(());
    }
    Err(complaints.join("\n"))
}

/// Builds the simulation with the bugs in it, and says where it is.
fn build(project: &Project) -> Result<PathBuf, String> {
    let dir = project.target_dir()?.join("planted");
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    let built = project
        .cargo()
        .args(["build", "--release", "--package", "sim", "--target-dir"])
        .arg(&dir)
        .env("RUSTFLAGS", format!("{flags} --cfg planted"))
        .status()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if built.success() {
        Ok(dir.join("release/sim"))
    } else {
        Err(format!("the build with bugs ended with {built}"))
    }
}

/// The names of the bugs that the simulation knows, or those of them that are asked for.
fn chosen(sim: &Path, names: &[String]) -> Result<Vec<String>, String> {
    let listed = answer(sim, &["--planted", "--json"])?;
    let bugs = listed.as_array().into_iter().flatten();
    let known: Vec<String> = bugs
        .filter_map(|bug| bug["name"].as_str().map(str::to_owned))
        .collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return Err(format!("there is no planted bug `{unknown}`"));
    }
    let is_wanted = |name: &String| names.is_empty() || names.contains(name);
    Ok(known.into_iter().filter(is_wanted).collect())
}

/// One run of the simulation.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Job {
    /// With this bug.
    Bug(String),
    /// Without any.
    Nothing(Scene),
}

/// What runs in the simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scene {
    Journal,
    Runtime,
}

/// Runs `jobs`, the last one first, as many at a time as there are cores, and prints each as it ends.
fn all(sim: &Path, jobs: Vec<Job>) -> Result<Vec<(Job, Value)>, String> {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = Mutex::new(jobs);
    let done = Mutex::new(Vec::new());
    let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).pop();
    std::thread::scope(|scope| {
        let work = || -> Result<(), String> {
            while let Some(job) = next() {
                let answer = job.run(sim)?;
                println!("{}", job.line(&answer));
                let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                done.push((job, answer));
            }
            Ok(())
        };
        let workers: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
        let panicked = |_| Err("a worker panicked".to_owned());
        let mut ended = workers.into_iter().map(|worker| worker.join());
        ended.try_for_each(|end| end.unwrap_or_else(panicked))
    })?;
    Ok(done.into_inner().unwrap_or_else(PoisonError::into_inner))
}

impl Job {
    fn run(&self, sim: &Path) -> Result<Value, String> {
        match self {
            Job::Bug(name) => answer(sim, &["--planted", name, "--json"]),
            Job::Nothing(scene) => {
                let seeds = SEEDS_WITHOUT.to_string();
                let mut flags = vec!["--seeds", &seeds, "--threads", "1", "--json"];
                if *scene == Scene::Runtime {
                    flags.push("--runtime");
                }
                answer(sim, &flags)
            }
        }
    }

    fn line(&self, answer: &Value) -> String {
        match self {
            Job::Bug(name) => {
                let seeds = answer["seeds"].as_u64();
                let seeds = seeds.map_or("-".to_owned(), |seeds| seeds.to_string());
                let how: String = answer["how"]
                    .as_str()
                    .unwrap_or_default()
                    .chars()
                    .take(96)
                    .collect();
                format!("{name:<32} {seeds:>6}  {how}")
            }
            Job::Nothing(scene) => {
                let (name, violations) = (format!("no bug, {scene:?}"), violations(answer));
                format!("{name:<32} {SEEDS_WITHOUT:>6}  {violations} broken")
            }
        }
    }
}

fn violations(answer: &Value) -> u64 {
    u64::from(!answer["failure"].is_null())
}

/// What the simulation prints, called with `arguments`. Whoever takes longer than the budget is
/// ended, and has found nothing.
fn answer(sim: &Path, arguments: &[&str]) -> Result<Value, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", sim.display());
    let mut command = Command::new(sim);
    let mut child = command
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut output = child.stdout.take().expect("it is piped");
    let (done, is_done) = sync_channel::<()>(1);
    let watch = std::thread::spawn(move || {
        if is_done.recv_timeout(BUDGET) == Err(RecvTimeoutError::Timeout) {
            // Whoever ended by himself meanwhile needs no end.
            let _ = child.kill();
        }
        child.wait()
    });
    let mut text = String::new();
    let read = output.read_to_string(&mut text);
    drop(done);
    let ended = watch.join().map_err(|_| "a watch panicked".to_owned())?;
    read.and(ended).map_err(failed)?;
    if text.is_empty() {
        return Ok(serde_json::json!({ "how": "it did not end within the budget" }));
    }
    serde_json::from_str(&text).map_err(|error| format!("{arguments:?}: {error}: {text}"))
}

/// The report: each bug is a control, the run without any a trial.
fn part(done: &[(Job, Value)], took: Duration) -> Part {
    let mut part = Part {
        part: "planted".to_owned(),
        command: "cargo xtask planted".to_owned(),
        seconds: took.as_secs(),
        ..Part::default()
    };
    for (job, answer) in done {
        match job {
            Job::Bug(name) => {
                let seeds = answer["seeds"].as_u64();
                part.controls.push(Control {
                    name: name.clone(),
                    runs: seeds.unwrap_or(0),
                    red: u64::from(seeds.is_some()),
                    red_min: 1,
                });
            }
            Job::Nothing(scene) => part.trials.push(Trial {
                name: format!("schedules of the {scene:?} with no bug chosen").to_lowercase(),
                runs: answer["schedules"].as_u64().unwrap_or(0),
                violations: violations(answer),
                ..Trial::default()
            }),
        }
    }
    part.controls.sort_by(|a, b| a.name.cmp(&b.name));
    part
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn complaints(bug: Value, nothing: Value) -> Vec<String> {
        let done = [
            (Job::Bug("no-sync".to_owned()), bug),
            (Job::Nothing(Scene::Journal), nothing),
        ];
        part(&done, Duration::ZERO).complaints()
    }

    #[test]
    fn a_bug_that_is_not_found_fails_and_so_does_a_finding_without_a_bug() {
        let [found, missed] = [json!({ "seeds": 3 }), json!({ "seeds": null })];
        let [good, bad] = [json!(null), json!({ "seed": 1 })]
            .map(|failure| json!({ "schedules": 9, "failure": failure }));
        assert!(complaints(found.clone(), good.clone()).is_empty());
        assert!(complaints(missed, good)[0].contains("no-sync"));
        assert!(complaints(found, bad)[0].contains("no bug"));
    }
}
