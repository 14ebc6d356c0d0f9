//! What the command line asks of the programme.

use super::share::Share;
use super::{PARTS, Runner};

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// For all parts together.
    pub(super) share: Share,
    /// Whether the figures are written down.
    pub(super) is_recorded: bool,
    names: Vec<String>,
}

impl Asked {
    pub(super) fn read(arguments: &[String]) -> Result<Asked, String> {
        let mut is_full = false;
        let mut is_recorded = false;
        let mut minutes = None;
        let mut names = Vec::new();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--full" => is_full = true,
                "--record" => is_recorded = true,
                "--minutes" => {
                    let number = rest.next().and_then(|text| text.parse().ok());
                    minutes = Some(number.ok_or("--minutes needs a whole number")?);
                }
                name if PARTS.iter().any(|runner| runner.name == name) => {
                    names.push(name.to_owned());
                }
                unknown => {
                    let known: Vec<&str> = PARTS.iter().map(|runner| runner.name).collect();
                    let known = known.join(", ");
                    return Err(format!(
                        "there is no part `{unknown}`; the parts are {known}; \
                         the flags are --full --minutes N, --record"
                    ));
                }
            }
        }
        let share = match (is_full, minutes) {
            (false, None) => Share::Commit,
            (true, Some(minutes)) => Share::Full { minutes },
            (true, None) | (false, Some(_)) => {
                return Err("--full and --minutes N belong together".to_owned());
            }
        };
        Ok(Asked {
            share,
            is_recorded,
            names,
        })
    }

    /// The parts that run, each with its share.
    ///
    /// # Errors
    /// When the minutes are too few for them.
    pub(super) fn shares(&self) -> Result<Vec<(&'static Runner, Share)>, String> {
        let is_wanted = |runner: &&Runner| {
            self.names.is_empty() || self.names.iter().any(|name| name == runner.name)
        };
        let runners: Vec<&'static Runner> = PARTS.iter().filter(is_wanted).collect();
        let times: Vec<_> = runners.iter().map(|runner| runner.time).collect();
        let shares = self.share.among(&times)?;
        Ok(runners.into_iter().zip(shares).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(words: &str) -> Result<Asked, String> {
        let arguments: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        Asked::read(&arguments)
    }

    #[test]
    fn all_parts_run_unless_some_are_named() {
        let all = asked("").unwrap();
        assert_eq!(all.share, Share::Commit);
        let count = |asked: &Asked| asked.shares().unwrap().len();
        assert_eq!(count(&all), PARTS.len());
        assert_eq!(count(&asked("sim").unwrap()), 1);
        assert!(asked("simulation").unwrap_err().contains("sim"));
    }

    #[test]
    fn a_full_run_says_how_long() {
        let full = asked("--full --minutes 30").unwrap();
        assert_eq!(full.share, Share::Full { minutes: 30 });
        for half in [
            "--full",
            "--minutes 30",
            "--full --minutes",
            "--full --minutes x",
        ] {
            assert!(asked(half).is_err(), "{half}");
        }
    }

    #[test]
    fn the_minutes_are_shared_among_the_parts_that_run() {
        let shares = |words: &str| {
            let shares = asked(words)?.shares()?;
            let named = shares.into_iter().map(|(runner, share)| match share {
                Share::Commit => panic!("it is a full run"),
                Share::Full { minutes } => format!("{} {minutes}", runner.name),
            });
            Ok::<_, String>(named.collect::<Vec<_>>().join(", "))
        };
        assert_eq!(
            shares("--full --minutes 60").unwrap(),
            "faults 20, fuzz 15, interleavings 1, planted 2, sim 20"
        );
        assert_eq!(shares("--full --minutes 60 sim").unwrap(), "sim 60");
        let refused = shares("--full --minutes 1").unwrap_err();
        assert!(refused.contains("9 or more"), "{refused}");
    }
}
