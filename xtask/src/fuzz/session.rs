//! What the fuzzer says of its work on one target.

use std::fmt::Write as _;
use std::process::Output;

use crate::reliability::part::Trial;

/// One run of the fuzzer on one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) target: String,
    pub(super) executions: u64,
    /// When all known inputs had run, and in the end.
    start: Coverage,
    end: Coverage,
    /// The file that holds the input that failed, if one did.
    pub(super) crash: Option<String>,
}

/// What the fuzzer reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Coverage {
    /// Edges of the program.
    edges: u64,
    /// Edges, and how often they ran, and what was compared.
    features: u64,
    /// Inputs that each reach something that no other does.
    inputs: u64,
}

impl Session {
    /// Reads what libFuzzer printed.
    ///
    /// # Errors
    /// When it did not say what it did, or failed without leaving an input behind.
    pub(super) fn read(target: &str, output: &Output) -> Result<Session, String> {
        let text = String::from_utf8_lossy(&output.stderr);
        let session = read(target, &text).ok_or_else(|| format!("{target}: {text}"))?;
        if !output.status.success() && session.crash.is_none() {
            return Err(format!("{target} ended with {}: {text}", output.status));
        }
        if let (Some(crash), true) = (&session.crash, target != super::PLANTED) {
            println!("{text}");
            println!("repeat it with: cargo xtask fuzz {target} --repeat {crash}");
        }
        Ok(session)
    }

    /// As a part of the reliability report.
    pub(super) fn trial(&self) -> Trial {
        let counts = [
            ("edges reached", self.end.edges),
            ("features reached", self.end.features),
            (
                "features reached by the committed inputs",
                self.start.features,
            ),
        ];
        Trial {
            name: format!("inputs to {}", self.target),
            runs: self.executions,
            violations: u64::from(self.crash.is_some()),
            counts: counts.map(|(name, count)| (name.to_owned(), count)).into(),
        }
    }
}

fn read(target: &str, text: &str) -> Option<Session> {
    let mut start = None;
    let mut end = Coverage::default();
    for line in text.lines().filter(|line| line.starts_with('#')) {
        let Some(coverage) = coverage(line) else {
            continue;
        };
        if line.contains("INITED") {
            start = Some(coverage);
        }
        end = coverage;
    }
    let after = |label: &str| {
        let found = text.lines().find_map(|line| line.split_once(label));
        found.map(|(_, value)| value.trim())
    };
    Some(Session {
        target: target.to_owned(),
        executions: after("stat::number_of_executed_units:")?.parse().ok()?,
        start: start.unwrap_or_default(),
        end,
        crash: after("Test unit written to ").map(str::to_owned),
    })
}

/// What a line of progress says: `#42 NEW cov: 90 ft: 115 corp: 11/798b ...`.
fn coverage(line: &str) -> Option<Coverage> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let after = |label: &str| {
        let at = words.iter().position(|word| *word == label)?;
        let number = words.get(at + 1)?.split('/').next()?;
        number.parse().ok()
    };
    Some(Coverage {
        edges: after("cov:")?,
        features: after("ft:")?,
        inputs: after("corp:")?,
    })
}

/// The sessions as a table for a terminal.
pub(super) fn table(sessions: &[Session]) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:<20} {:>12} {:>8} {:>20} {:>8}",
        "target", "executions", "edges", "features", "inputs"
    );
    for session in sessions {
        let Session { start, end, .. } = session;
        let features = format!("{} .. {}", start.features, end.features);
        let _ = writeln!(
            text,
            "{:<20} {:>12} {:>8} {:>20} {:>8}{}",
            session.target,
            session.executions,
            end.edges,
            features,
            end.inputs,
            if session.crash.is_some() {
                "  FAILED"
            } else {
                ""
            }
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "#12\tINITED cov: 80 ft: 100 corp: 9/500b exec/s: 0 rss: 28Mb\n\
        #200\tNEW    cov: 88 ft: 110 corp: 10/700b lim: 4 exec/s: 0 rss: 28Mb L: 4/4 MS: 1 -\n\
        #1971271\tDONE   cov: 90 ft: 115 corp: 11/798b lim: 4096 exec/s: 219030 rss: 28Mb\n\
        stat::number_of_executed_units: 1971271\n";

    #[test]
    fn what_was_reached_is_read_at_the_start_and_in_the_end() {
        let session = read("mark", GOOD).unwrap();
        assert_eq!(session.executions, 1_971_271);
        assert_eq!((session.start.features, session.end.features), (100, 115));
        assert_eq!((session.end.edges, session.end.inputs), (90, 11));
        assert_eq!(session.crash, None);
        assert_eq!(session.trial().violations, 0);
        assert!(table(&[session]).contains("100 .. 115"));
    }

    #[test]
    fn an_input_that_failed_is_a_violation() {
        let text = format!("{GOOD}artifact_prefix='x/'; Test unit written to x/crash-1\n");
        let session = read("mark", &text).unwrap();
        assert_eq!(session.crash.as_deref(), Some("x/crash-1"));
        assert_eq!(session.trial().violations, 1);
        assert!(read("mark", "error: no such file").is_none());
    }
}
