//! What a figure should be, beside what it is.

use serde::Serialize;

/// One target, and whether it was met. A ratio counts as its table shows it, with two digits.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Verdict {
    pub(crate) what: String,
    pub(crate) bound: Bound,
    pub(crate) reached: f64,
    pub(crate) is_met: bool,
}

/// On which side of a figure the target lies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Verdict {
    pub(crate) fn new(what: impl Into<String>, bound: Bound, reached: f64) -> Verdict {
        let shown = (reached * 100.0).round() / 100.0;
        let is_met = match bound {
            Bound::AtLeast(least) => shown >= least,
            Bound::AtMost(most) => shown <= most,
        };
        Verdict {
            what: what.into(),
            bound,
            reached,
            is_met,
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let outcome = if self.is_met { "met   " } else { "missed" };
        let (side, bound) = match self.bound {
            Bound::AtLeast(bound) => ("at least", bound),
            Bound::AtMost(bound) => ("at most", bound),
        };
        write!(
            f,
            "{outcome}  {}: {:.2}, wanted {side} {bound}",
            self.what, self.reached
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_itself_is_met_and_what_is_beyond_it_is_missed() {
        let is_met = |bound, reached| Verdict::new("a figure", bound, reached).is_met;
        assert!(is_met(Bound::AtLeast(0.8), 0.8));
        assert!(is_met(Bound::AtLeast(0.8), 0.795));
        assert!(!is_met(Bound::AtLeast(0.8), 0.79));
        assert!(is_met(Bound::AtMost(20.0), 20.0));
        assert!(!is_met(Bound::AtMost(20.0), 20.1));
        let text = Verdict::new("a figure", Bound::AtMost(20.0), 21.0).to_string();
        assert_eq!(text, "missed  a figure: 21.00, wanted at most 20");
    }
}
