//! One run of the ring: rounds of all classes, and a report.

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use crate::clock::Clock;
use crate::findings::Findings;
use crate::ring::{CLASSES, Class, Ring};
use crate::shelter::{self, Abilities};

/// What can be asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// The classes to run; all of them unless some are named.
    classes: Vec<String>,
    /// Go on in rounds for so many minutes, instead of one round.
    #[arg(long)]
    minutes: Option<u64>,
    /// What all choices depend on. What the system does with them does not repeat.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where journals and images are put; what is there is removed.
    #[arg(long, default_value = "target/faults")]
    scratch: PathBuf,
    /// Where the report goes.
    #[arg(long)]
    report: Option<PathBuf>,
    /// This process has mounts and processes of its own.
    #[arg(long, hide = true)]
    sheltered: bool,
}

/// Runs the ring and says whether everything was as it must be.
///
/// # Errors
/// When the ring itself does not work.
pub(crate) fn run(flags: &Flags) -> Result<ExitCode, String> {
    let classes = chosen(&flags.classes)?;
    let shelter = if flags.sheltered {
        Ok(())
    } else {
        match shelter::enter() {
            Ok(status) => {
                let code = status.code().and_then(|code| u8::try_from(code).ok());
                return Ok(ExitCode::from(code.unwrap_or(1)));
            }
            Err(inability) => Err(inability),
        }
    };
    let scratch = Scratch::take(flags)?;
    let abilities = Abilities::find(&scratch.place, shelter);
    let mut ring = Ring {
        scratch: PathBuf::new(),
        seed: flags.seed,
        abilities,
    };
    let started = Clock::start();
    let until = Duration::from_secs(60 * flags.minutes.unwrap_or(0));
    let mut findings = Findings::default();
    loop {
        ring.scratch = scratch.of_round(ring.seed)?;
        round(&ring, &classes, &mut findings)?;
        if !findings.are_good() {
            break;
        }
        // A round of its own takes some hundred megabytes, and nothing of it is needed any more.
        let _ = std::fs::remove_dir_all(&ring.scratch);
        if started.elapsed() >= until {
            break;
        }
        ring.seed = ring.seed.wrapping_add(1);
    }
    report(flags, &findings, started)?;
    if findings.are_good() {
        scratch.remove();
        Ok(ExitCode::SUCCESS)
    } else {
        println!("what was left is in {}", scratch.place.display());
        Ok(ExitCode::FAILURE)
    }
}

fn chosen(names: &[String]) -> Result<Vec<&'static Class>, String> {
    if names.is_empty() {
        return Ok(CLASSES.iter().collect());
    }
    let find = |name: &String| {
        let class = CLASSES.iter().find(|class| class.name == name);
        class.ok_or_else(|| {
            let known: Vec<&str> = CLASSES.iter().map(|class| class.name).collect();
            format!(
                "there is no class `{name}`; the classes are {}",
                known.join(", ")
            )
        })
    };
    names.iter().map(find).collect()
}

fn round(ring: &Ring, classes: &[&Class], findings: &mut Findings) -> Result<(), String> {
    for class in classes {
        let started = Clock::start();
        let scratch = ring.scratch.join(class.name);
        std::fs::create_dir_all(&scratch).map_err(|error| error.to_string())?;
        let came = class
            .run(ring)
            .map_err(|reason| format!("{}: {reason}", class.name))?;
        println!("{}: {:.1} s", class.name, started.elapsed().as_secs_f64());
        for trial in &came.trials {
            println!(
                "  {}: {} of {} broken",
                trial.name, trial.violations, trial.runs
            );
            for broken in &trial.broken {
                println!("    {broken}");
            }
        }
        for control in &came.controls {
            println!(
                "  control {}: {} of {} red",
                control.name, control.red, control.runs
            );
        }
        for missing in &came.not_run {
            println!("  not run: {}", missing.reason);
        }
        findings.add(came);
    }
    Ok(())
}

fn report(flags: &Flags, findings: &Findings, started: Clock) -> Result<(), String> {
    let Some(path) = &flags.report else {
        return Ok(());
    };
    let asked = flags.classes.join(" ");
    let minutes = flags.minutes.map(|minutes| format!(" --minutes {minutes}"));
    let command = format!(
        "cargo run --release -p faults -- run {asked}{} --seed {}",
        minutes.unwrap_or_default(),
        flags.seed
    );
    let report = json!({
        "part": "faults",
        "command": command.replace("  ", " "),
        "seconds": started.elapsed().as_secs(),
        "trials": findings.trials,
        "controls": findings.controls,
        "not_run": findings.not_run,
    });
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = File::create(path).map_err(failed)?;
    serde_json::to_writer_pretty(file, &report).map_err(|error| failed(error.into()))
}

/// The directory that everything is put in: one run at a time, and what an earlier one left is
/// removed.
#[derive(Debug)]
struct Scratch {
    place: PathBuf,
    lock_path: PathBuf,
    _lock: File,
}

impl Scratch {
    fn take(flags: &Flags) -> Result<Scratch, String> {
        let place = std::path::absolute(&flags.scratch).map_err(|error| error.to_string())?;
        let failed = |error: std::io::Error| format!("{}: {error}", place.display());
        let lock_path = place.with_extension("lock");
        if let Some(above) = place.parent() {
            std::fs::create_dir_all(above).map_err(failed)?;
        }
        let lock = File::create(&lock_path).map_err(failed)?;
        lock.try_lock()
            .map_err(|_| format!("another ring runs in {}", place.display()))?;
        match std::fs::remove_dir_all(&place) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        std::fs::create_dir_all(&place).map_err(failed)?;
        Ok(Scratch {
            place,
            lock_path,
            _lock: lock,
        })
    }

    /// A directory that nothing was in before: journals of another round are another history.
    fn of_round(&self, seed: u64) -> Result<PathBuf, String> {
        let dir = self.place.join(format!("seed-{seed}"));
        std::fs::create_dir(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        Ok(dir)
    }

    fn remove(self) {
        // What is left is removed by the next run.
        let _ = std::fs::remove_dir_all(&self.place);
        let _ = std::fs::remove_file(&self.lock_path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_never_gets_the_journals_of_another_round() {
        let place = tempfile::tempdir().expect("a directory");
        let scratch = Scratch {
            place: place.path().to_owned(),
            lock_path: place.path().join("lock"),
            _lock: File::create(place.path().join("lock")).expect("a file"),
        };
        let one = scratch.of_round(1).expect("it is new");
        assert_ne!(scratch.of_round(2), Ok(one));
        assert!(scratch.of_round(1).is_err(), "it is there already");
    }
}
