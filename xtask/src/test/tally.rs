//! How many passed and how many failed, read from what test runners print.

use std::fmt;

/// How many passed and how many failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Those that passed.
    pub(super) passed: u64,
    /// Those that failed, whatever the way.
    pub(super) failed: u64,
}

impl Tally {
    /// One that passed.
    pub(super) const ONE: Tally = Tally {
        passed: 1,
        failed: 0,
    };

    /// Counts `other` as well.
    pub(super) fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Counts what `words` say: numbers, each followed by what became of that many.
    fn read(words: &str) -> Tally {
        let words: Vec<&str> = words.split_whitespace().collect();
        let mut tally = Tally::default();
        for pair in words.windows(2) {
            let Ok(count) = pair[0].parse::<u64>() else {
                continue;
            };
            match pair[1].trim_end_matches([',', ';']) {
                "passed" => tally.passed += count,
                "failed" | "timed" | "exec" => tally.failed += count,
                _ => {}
            }
        }
        tally
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// Reads nextest's summary: `Summary [   1.2s] 5 tests run: 3 passed (1 slow), 2 failed, 0 skipped`.
pub(super) fn of_nextest(text: &str) -> Result<Tally, String> {
    let summary = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("Summary ["))
        .next_back();
    match summary.and_then(|line| line.split_once("run:")) {
        Some((_, words)) => Ok(Tally::read(words)),
        None => Err("nextest printed no summary".to_owned()),
    }
}

/// Sums the lines of the standard harness: `test result: ok. 5 passed; 0 failed; 0 ignored; ...`.
pub(super) fn of_harness(text: &str) -> Result<Tally, String> {
    let mut total = None;
    for words in text
        .lines()
        .filter_map(|line| line.strip_prefix("test result:"))
    {
        total
            .get_or_insert_with(Tally::default)
            .add(Tally::read(words));
    }
    total.ok_or_else(|| "the tests printed no result".to_owned())
}

/// Reads the drill's one object, whose `ok` must be true.
pub(super) fn of_drill(text: &str) -> Result<Tally, String> {
    let report: serde_json::Value = serde_json::from_str(text.trim())
        .map_err(|error| format!("the drill printed no JSON object: {error}"))?;
    if report["ok"] == true {
        Ok(Tally::ONE)
    } else {
        Err("the drill's report does not say \"ok\": true".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u64, failed: u64) -> Tally {
        Tally { passed, failed }
    }

    #[test]
    fn nextest_is_counted_from_its_last_summary() {
        let text = "    PASS [ 0.1s] a b\n\
                    Summary [   0.9s] 4/9 tests run: 4 passed, 0 skipped\n\
                    ------------\n     \
                    Summary [   1.2s] 9 tests run: 4 passed (1 slow, 2 leaky), 3 failed, 1 timed out, 1 exec failed, 7 skipped\n";
        assert_eq!(of_nextest(text), Ok(tally(4, 5)));
        assert!(of_nextest("error: could not compile").is_err());
    }

    #[test]
    fn the_harness_is_counted_over_all_crates() {
        let text = "running 2 tests\n\
                    test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
                    test result: FAILED. 10 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        assert_eq!(of_harness(text), Ok(tally(12, 3)));
        assert!(of_harness("").is_err());
    }

    #[test]
    fn the_drill_counts_only_when_it_says_ok() {
        assert_eq!(
            of_drill("{\n \"orders\": 300,\n \"ok\": true\n}\n"),
            Ok(Tally::ONE)
        );
        assert!(of_drill(r#"{"ok":false}"#).is_err());
        assert!(of_drill(r#"{"orders":300}"#).is_err());
        assert!(of_drill("").is_err());
    }
}
