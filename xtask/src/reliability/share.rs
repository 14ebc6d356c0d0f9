//! How much of the programme runs, and who gets how much of the time.

/// How much runs: of the whole programme, or of the part that is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// What every change must pass.
    Commit,
    /// As much as fits into so many minutes.
    Full {
        /// The minutes, without builds.
        minutes: u64,
    },
}

/// What a part needs of the minutes of a full run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Time {
    /// It does the same each time, and takes about so many minutes.
    Own {
        /// The minutes.
        minutes: u64,
    },
    /// What those leave is shared in this proportion.
    Shared {
        /// The part's weight beside that of the others.
        weight: u64,
        /// The fewest minutes in which it does what it is for.
        least: u64,
    },
}

impl Share {
    /// The shares of parts that need these times.
    ///
    /// # Errors
    /// When there are too few minutes for them.
    pub(super) fn among(self, times: &[Time]) -> Result<Vec<Share>, String> {
        let Share::Full { minutes } = self else {
            return Ok(vec![Share::Commit; times.len()]);
        };
        match divided(minutes, times) {
            Some(all) => Ok(all
                .into_iter()
                .map(|minutes| Share::Full { minutes })
                .collect()),
            None => Err(format!(
                "{minutes} minutes are too few for these parts: they take {} or more",
                (minutes..)
                    .find(|more| divided(*more, times).is_some())
                    .unwrap_or(u64::MAX)
            )),
        }
    }
}

/// The minutes of each part, if they are enough for all.
fn divided(minutes: u64, times: &[Time]) -> Option<Vec<u64>> {
    let own = times.iter().map(|time| match time {
        Time::Own { minutes } => *minutes,
        Time::Shared { .. } => 0,
    });
    let left = minutes.checked_sub(own.sum())?;
    let weights: u64 = times
        .iter()
        .map(|time| match time {
            Time::Own { .. } => 0,
            Time::Shared { weight, .. } => *weight,
        })
        .sum();
    let each = |time: &Time| match *time {
        Time::Own { minutes } => Some(minutes),
        Time::Shared { weight, least } => Some(left * weight / weights).filter(|got| *got >= least),
    };
    times.iter().map(each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Time = Time::Own { minutes: 3 };
    const TWO: Time = Time::Shared {
        weight: 2,
        least: 1,
    };
    const ONE: Time = Time::Shared {
        weight: 1,
        least: 1,
    };

    fn minutes(all: u64, times: &[Time]) -> Result<Vec<u64>, String> {
        let shares = Share::Full { minutes: all }.among(times)?;
        let minutes = shares.into_iter().map(|share| match share {
            Share::Commit => panic!("a full run has full parts"),
            Share::Full { minutes } => minutes,
        });
        Ok(minutes.collect())
    }

    #[test]
    fn what_some_parts_leave_is_shared_by_weight_and_no_more_than_there_is() {
        assert_eq!(minutes(33, &[TWO, OWN, ONE]).unwrap(), [20, 3, 10]);
        assert_eq!(minutes(33, &[TWO]).unwrap(), [33]);
        assert_eq!(minutes(5, &[OWN]).unwrap(), [3]);
        for all in 6..200 {
            let given: u64 = minutes(all, &[TWO, OWN, ONE]).unwrap().iter().sum();
            assert!(given <= all && given + 2 > all, "{given} of {all}");
        }
    }

    #[test]
    fn too_few_minutes_are_refused_with_how_many_it_takes() {
        let refused = minutes(5, &[TWO, OWN, ONE]).unwrap_err();
        assert!(refused.ends_with("6 or more"), "{refused}");
        assert!(minutes(2, &[OWN]).is_err());
    }

    #[test]
    fn every_part_of_a_commit_has_the_share_of_a_commit() {
        let shares = Share::Commit.among(&[TWO, OWN]).unwrap();
        assert_eq!(shares, [Share::Commit; 2]);
    }
}
