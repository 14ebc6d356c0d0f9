//! The result of a drill, for people and for programs.

use std::fmt;

use serde::Serialize;

use super::judge::Findings;

/// The result. As JSON it is one object with all these fields.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// Whether everything holds.
    pub ok: bool,
    /// What does not hold, in words.
    pub complaints: Vec<String>,
    /// What the judge found.
    #[serde(flatten)]
    pub findings: Findings,
    /// How the drill went.
    #[serde(flatten)]
    pub course: Course,
}

/// How the drill went.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Course {
    /// The seed: the same one makes the same plan.
    pub seed: u64,
    /// Programs killed with SIGKILL.
    pub kills: usize,
    /// Stops of the channel that the processor announced; a stop that outlives a restart is
    /// announced again.
    pub delivery_stopped: usize,
    /// Orders stored while the channel was stopped.
    pub stored_while_stopped: usize,
    /// How long it took.
    pub seconds: f64,
}

impl Report {
    /// The report of a drill that came to its end.
    pub fn of(findings: Findings, course: Course) -> Report {
        let mut complaints = findings.complaints();
        if course.delivery_stopped == 0 {
            complaints.push("the outage never stopped the channel".to_owned());
        }
        if course.stored_while_stopped == 0 {
            complaints.push("no order was stored while the channel was stopped".to_owned());
        }
        Report {
            ok: complaints.is_empty(),
            complaints,
            findings,
            course,
        }
    }

    /// The report of a drill that broke off.
    pub fn broken_off(complaint: String, course: Course) -> Report {
        Report {
            ok: false,
            complaints: vec![complaint],
            findings: Findings::default(),
            course,
        }
    }

    /// The report as one JSON object.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("numbers and text have a JSON form")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Findings {
            orders,
            accepted,
            declined,
            pending,
            validator_calls,
            validator_distinct_keys,
            recoveries,
            entries_replayed,
            ..
        } = &self.findings;
        let Course {
            seed,
            kills,
            delivery_stopped,
            stored_while_stopped,
            seconds,
        } = &self.course;
        writeln!(f)?;
        writeln!(
            f,
            "orders     {orders}: {accepted} accepted, {declined} declined, {pending} pending"
        )?;
        writeln!(
            f,
            "validator  {validator_calls} calls with {validator_distinct_keys} different keys, \
             {} of them made by a replay",
            self.findings.calls_during_replay
        )?;
        writeln!(
            f,
            "faults     {kills} programs killed; delivery stopped {delivery_stopped} times, \
             {stored_while_stopped} orders stored meanwhile"
        )?;
        writeln!(
            f,
            "recovery   {recoveries} starts replayed {entries_replayed} entries; \
             {} came to another state than the journal's",
            self.findings.digest_mismatches
        )?;
        writeln!(f, "seed       {seed}, {seconds:.1} s")?;
        writeln!(f)?;
        if self.ok {
            return write!(
                f,
                "All is well: every order was decided exactly once, as the validator said."
            );
        }
        write!(f, "Something is wrong:")?;
        for complaint in &self.complaints {
            write!(f, "\n  {complaint}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course() -> Course {
        Course {
            seed: 7,
            kills: 20,
            delivery_stopped: 1,
            stored_while_stopped: 50,
            seconds: 12.5,
        }
    }

    #[test]
    fn json_is_one_object_with_every_promised_field() {
        let report = Report::of(Findings::default(), course());
        let value: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        let object = value.as_object().unwrap();
        let promised = "orders accepted declined pending lost decided_twice verdict_mismatches \
            validator_calls validator_distinct_keys calls_during_replay kills delivery_stopped \
            entries_replayed seconds ok";
        for field in promised.split_whitespace() {
            assert!(object.contains_key(field), "{field}");
        }
        assert_eq!(object["ok"], true);
    }

    #[test]
    fn a_drill_without_a_stop_or_that_broke_off_is_not_ok() {
        let no_stop = Course {
            delivery_stopped: 0,
            ..course()
        };
        assert!(!Report::of(Findings::default(), no_stop).ok);
        let none_stored = Course {
            stored_while_stopped: 0,
            ..course()
        };
        assert!(!Report::of(Findings::default(), none_stored).ok);
        let broken_off = Report::broken_off("the processor cannot be started".to_owned(), course());
        assert!(!broken_off.ok);
        assert!(broken_off.to_string().contains("cannot be started"));
    }
}
