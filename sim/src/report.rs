//! Carries out what the flags ask for and prints what came of it.

use std::io::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use sim::exhaustive::exhaust;
use sim::nth::fail_each;
use sim::plan::Plan;
use sim::planted::{BUGS, Bug, Site};
use sim::runner::{Failure, Tally, run_seed, run_seeds};
use sim::shrink::shrink;
use sim::sometimes::Sometimes;
use sim::world::{Manner, Outcome, Scene, run};

use crate::clock::Clock;
use crate::flags::Flags;

/// Seeds after which every rare event must have happened.
const SEEDS_FOR_SOMETIMES: u64 = 50_000;

/// Seeds in which a planted bug must be found.
const SEEDS_FOR_PLANTED: u64 = 20_000;

/// How many acts of a workload `--exhaustive` tries.
const EXHAUSTIVE_ACTS: usize = 3;

/// Says whether everything was as it must be.
pub(crate) fn carry_out(flags: &Flags) -> bool {
    match (flags.seed, &flags.planted) {
        (Some(seed), None) => one(seed, flags),
        (_, Some(name)) => planted(name, flags),
        (None, None) if flags.exhaustive => exhaustive(flags),
        (None, None) => many(flags),
    }
}

fn say(text: &str) {
    // Nobody reads it when this fails.
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn say_json(value: &Value) {
    say(&value.to_string());
}

fn bar(length: u64, flags: &Flags) -> ProgressBar {
    if flags.json {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {per_sec} {eta}");
    ProgressBar::new(length).with_style(style.expect("the template is right"))
}

fn one(seed: u64, flags: &Flags) -> bool {
    let manner = Manner {
        with_lines: true,
        ..flags.manner()
    };
    let carry_out = || match (flags.acts, manner.scene) {
        (Some(acts), Scene::Journal) => run(&Plan::of_seed(seed).shortened(acts), manner),
        (_, scene) => scene.run(seed, manner),
    };
    let [outcome, again] = [(); 2].map(|()| carry_out());
    let is_same = outcome.hash == again.hash;
    if flags.json {
        let violation = outcome.violation.as_ref().map(ToString::to_string);
        say_json(&json!({
            "seed": seed, "trace": format!("{:016x}", outcome.hash), "repeats": is_same,
            "operations": outcome.ops, "crashes": outcome.crashes, "violation": violation,
        }));
    } else {
        show(&outcome);
        say(&format!(
            "seed {seed}: trace {:016x}, {} operations, {} crashes",
            outcome.hash, outcome.ops, outcome.crashes
        ));
        if !is_same {
            say(&format!("repeated, the trace is {:016x}", again.hash));
        }
    }
    outcome.violation.is_none() && is_same
}

fn show(outcome: &Outcome) {
    for line in &outcome.lines {
        say(line);
    }
    if let Some(violation) = &outcome.violation {
        say(&format!("broken: {violation}"));
    }
}

fn many(flags: &Flags) -> bool {
    let clock = Clock::start();
    let until = flags
        .minutes
        .map(|minutes| Duration::from_secs(60 * minutes));
    let end = flags.from.saturating_add(flags.seeds);
    let bar = match until {
        Some(until) => bar(until.as_secs(), flags),
        None => bar(flags.seeds, flags),
    };
    let goes_on = |seed: u64| match until {
        Some(until) => {
            bar.set_position(clock.elapsed().as_secs());
            clock.elapsed() < until
        }
        None => {
            bar.set_position(seed - flags.from);
            seed < end
        }
    };
    let tally = run_seeds(flags.from, flags.threads, flags.manner(), &goes_on);
    bar.finish_and_clear();
    let missing = missing(&tally, flags);
    if flags.json {
        say_json(&summary(&tally, &missing, clock));
    } else {
        tell(&tally, &missing, (clock, flags));
    }
    tally.failure.is_none() && missing.is_empty()
}

/// The rare events that should have happened and did not.
fn missing(tally: &Tally, flags: &Flags) -> Vec<Sometimes> {
    if tally.schedules < SEEDS_FOR_SOMETIMES {
        return Vec::new();
    }
    let all = Sometimes::of(flags.manner().scene);
    all.filter(|event| event.count() == 0).collect()
}

fn summary(tally: &Tally, missing: &[Sometimes], clock: Clock) -> Value {
    let sometimes = Sometimes::ALL.map(|event| (format!("{event:?}"), json!(event.count())));
    let failure = tally
        .failure
        .as_ref()
        .map(|failure| json!({ "seed": failure.seed, "violation": failure.violation.to_string() }));
    let missing: Vec<String> = missing.iter().map(|event| format!("{event:?}")).collect();
    json!({
        "schedules": tally.schedules,
        "crashes": tally.crashes,
        "operations": tally.ops,
        "repeated": tally.repeated,
        "seconds": clock.elapsed().as_secs_f64(),
        "failure": failure,
        "sometimes": serde_json::Map::from_iter(sometimes),
        "never": missing,
    })
}

fn tell(tally: &Tally, missing: &[Sometimes], (clock, flags): (Clock, &Flags)) {
    for event in Sometimes::ALL {
        say(&format!("{:>10}  {event:?}", event.count()));
    }
    say(&format!(
        "{} schedules, {} crashes, {} disk operations, {} repeated alike, {:.0} s",
        tally.schedules,
        tally.crashes,
        tally.ops,
        tally.repeated,
        clock.elapsed().as_secs_f64()
    ));
    for event in missing {
        say(&format!("never happened: {event:?}"));
    }
    if let Some(failure) = &tally.failure {
        tell_failure(failure, flags);
    }
}

fn tell_failure(failure: &Failure, flags: &Flags) {
    let Failure { seed, violation } = failure;
    let repeat = match flags.manner().scene {
        Scene::Journal => {
            let (acts, outcome) = shrink(&Plan::of_seed(*seed), Manner::default());
            show(&outcome);
            format!("--seed {seed} --acts {acts}")
        }
        Scene::Runtime => format!("--runtime --seed {seed}"),
    };
    say(&format!("seed {seed} breaks: {violation}"));
    say(&format!(
        "repeat with: cargo run --release -p sim -- {repeat}"
    ));
}

fn exhaustive(flags: &Flags) -> bool {
    let clock = Clock::start();
    let progress = bar(0, flags);
    let reach = exhaust(flags.threads, EXHAUSTIVE_ACTS, &|done, all| {
        progress.set_length(all as u64);
        progress.set_position(done as u64);
    });
    let nth = fail_each(flags.threads, 1, &|done, all| {
        progress.set_length(all);
        progress.set_position(done);
    });
    progress.finish_and_clear();
    let failures = [&reach.failure, &nth.failure];
    let failures: Vec<String> = failures
        .into_iter()
        .flatten()
        .map(|(place, violation)| format!("{violation} ({place})"))
        .collect();
    if flags.json {
        say_json(&json!({
            "workloads": reach.workloads, "points": reach.points, "schedules": reach.schedules,
            "complete": reach.complete, "nth_operations": nth.operations,
            "nth_schedules": nth.schedules, "failures": failures,
            "seconds": clock.elapsed().as_secs_f64(),
        }));
    } else {
        say(&format!(
            "{} workloads, {} crash points, {} of them with every subset, {} recoveries",
            reach.workloads, reach.points, reach.complete, reach.schedules
        ));
        say(&format!(
            "{} operations failed in turn, {} runs, {:.0} s",
            nth.operations,
            nth.schedules,
            clock.elapsed().as_secs_f64()
        ));
        for failure in &failures {
            say(&format!("broken: {failure}"));
        }
    }
    failures.is_empty()
}

/// Plants the bug called `name` and says whether it was found; without a name, lists all of them.
fn planted(name: &str, flags: &Flags) -> bool {
    if name.is_empty() {
        list_planted(flags);
        return true;
    }
    let Some(bug) = Bug::find(name) else {
        say(&format!("there is no planted bug {name}"));
        return false;
    };
    if !choose(bug) {
        say("this takes a build with RUSTFLAGS=\"--cfg planted\"; see cargo xtask planted");
        return false;
    }
    let clock = Clock::start();
    let found = find(bug, flags);
    let seconds = clock.elapsed().as_secs_f64();
    let seeds = found.as_ref().map(|(seeds, _)| *seeds);
    let how = match &found {
        Some((_, failure)) => failure.violation.to_string(),
        None => "not found".to_owned(),
    };
    if flags.json {
        say_json(&json!({
            "name": name, "breaks": bug.breaks, "seeds": seeds, "how": how, "seconds": seconds,
        }));
    } else {
        let seeds = seeds.map_or("-".to_owned(), |seeds| seeds.to_string());
        say(&format!("{name:<32} {seeds:>6} seeds  {how}"));
    }
    found.is_some()
}

fn list_planted(flags: &Flags) {
    if flags.json {
        let bug = |bug: &Bug| json!({ "name": bug.name, "breaks": bug.breaks });
        let here = BUGS.iter().filter(|bug| bug.site != Site::Interleavings);
        return say_json(&here.map(bug).collect());
    }
    for bug in BUGS {
        say(&format!("{:<32} {}", bug.name, bug.breaks));
    }
}

/// Chooses a bug in the code, if this build has any.
fn choose(bug: Bug) -> bool {
    #[cfg(planted)]
    if bug.site.is_code() {
        refrain_core::planted::choose(bug.name);
    }
    cfg!(planted) || !bug.site.is_code()
}

/// The first seed that finds `bug`, and what it finds; one after the other, so that the number of
/// seeds means something.
fn find(bug: Bug, flags: &Flags) -> Option<(u64, Failure)> {
    let manner = Manner {
        with_lines: false,
        planted: match bug.site {
            Site::Disk(bug) => Some(bug),
            Site::Journal | Site::Order(_) | Site::Interleavings | Site::Runtime => None,
        },
        scene: match bug.site {
            Site::Disk(_) | Site::Journal | Site::Order(_) | Site::Interleavings => Scene::Journal,
            Site::Runtime => Scene::Runtime,
        },
    };
    if let Site::Order(order) = bug.site {
        return find_in(&order.plans(), manner);
    }
    let mut tally = Tally::default();
    for seed in flags.from..flags.from + SEEDS_FOR_PLANTED {
        run_seed(seed, manner, &mut tally);
        if let Some(failure) = tally.failure.take() {
            return Some((tally.schedules, failure));
        }
    }
    None
}

/// As [`find`], in plans that are given.
fn find_in(plans: &[Plan], manner: Manner) -> Option<(u64, Failure)> {
    (1..).zip(plans).find_map(|(count, plan)| {
        let seed = plan.seed;
        let violation = run(plan, manner).violation?;
        Some((count, Failure { seed, violation }))
    })
}
