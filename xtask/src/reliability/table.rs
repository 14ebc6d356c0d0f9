//! The figures of all parts as one table.

use std::fmt::Write as _;

use super::backing::{self, Backing};
use super::part::{Control, NotRun, Part, Trial};

/// The table for a terminal.
pub(super) fn plain(parts: &[Part]) -> String {
    let mut text = String::new();
    for part in parts {
        let _ = writeln!(text, "{} ({} s): {}", part.part, part.seconds, part.command);
        for trial in &part.trials {
            let _ = writeln!(
                text,
                "  {:<44} {:>12}  {}",
                trial.name,
                trial.runs,
                verdict(trial)
            );
            for (what, count) in &trial.counts {
                let _ = writeln!(text, "      {what:<40} {count:>12}");
            }
        }
        for control in &part.controls {
            let Control {
                name, runs, red, ..
            } = control;
            let _ = writeln!(text, "  control {name:<36} {runs:>12}  red in {red}");
        }
        for NotRun { name, reason, .. } in &part.not_run {
            let _ = writeln!(text, "  {name:<44}      not run  {reason}");
        }
    }
    text
}

/// How long each part took, without its build, and all of them.
pub(super) fn times(parts: &[Part]) -> String {
    let each = parts
        .iter()
        .map(|part| format!("{} {} s", part.part, part.seconds));
    let each: Vec<String> = each.collect();
    let all: u64 = parts.iter().map(|part| part.seconds).sum();
    format!("{}; {all} s in all", each.join(", "))
}

/// The table for a page.
pub(super) fn markdown(title: &str, parts: &[Part]) -> String {
    let mut text = format!(
        "**{title}**\n\n| Part | What | Runs | Broken | Its control went red |\n|---|---|---|---|---|\n"
    );
    for part in parts {
        for trial in &part.trials {
            let Trial { name, runs, .. } = trial;
            let (verdict, backing) = (verdict(trial), backing(trial, parts));
            let _ = writeln!(
                text,
                "| {} | {name} | {} | {verdict} | {backing} |",
                part.part,
                grouped(*runs)
            );
        }
        for NotRun { name, reason, .. } in &part.not_run {
            let _ = writeln!(text, "| {} | {name} | not run | {reason} | |", part.part);
        }
    }
    text.push_str("\nControls, all of them:\n\n");
    for part in parts.iter().filter(|part| !part.controls.is_empty()) {
        let red = part.controls.iter().filter(|control| control.is_red());
        let (red, all) = (red.count(), part.controls.len());
        let _ = writeln!(text, "- {}: {red} of {all} went red", part.part);
    }
    let _ = writeln!(text, "\nTime, once built: {}.\n", times(parts));
    text
}

/// What stands behind the zero of a trial.
fn backing(trial: &Trial, parts: &[Part]) -> String {
    match backing::of(&trial.name, parts) {
        Backing::Control(Control {
            name, runs, red, ..
        }) => format!("{red} of {runs}: {name}"),
        Backing::Planted { bugs, found } => format!("{found} of {bugs} planted bugs"),
        Backing::Elsewhere(part) => format!("in the part {part}, which is not here"),
        Backing::Nothing => "none".to_owned(),
    }
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What the runs of a trial say of the rate of violations.
fn verdict(trial: &Trial) -> String {
    match trial.violations {
        0 => format!("0 violations: {}", at_most(trial.runs)),
        violations => format!("{violations} VIOLATIONS"),
    }
}

/// None in `runs` means, with 95 %, at most three in as many: the rule of three.
fn at_most(runs: u64) -> String {
    if runs == 0 {
        return "nothing was tried".to_owned();
    }
    let rate = 3.0 / runs as f64;
    if rate >= 0.01 {
        format!("at most {:.0} in 100 with 95 %", (rate * 100.0).ceil())
    } else {
        let million = (rate * 1e6).ceil();
        format!("at most {million:.0} in a million with 95 %")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_of_n_is_at_most_three_of_n() {
        assert_eq!(at_most(100), "at most 3 in 100 with 95 %");
        assert_eq!(at_most(100_000), "at most 30 in a million with 95 %");
        assert_eq!(at_most(7), "at most 43 in 100 with 95 %");
        assert_eq!(at_most(0), "nothing was tried");
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!(
            [7, 100, 1_000, 1_234_567].map(grouped),
            ["7", "100", "1,000", "1,234,567"]
        );
    }
}
