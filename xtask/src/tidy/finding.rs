//! What a rule found, and what to do about it.

use std::fmt;

/// One place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// Whether it fails the check.
    pub(crate) severity: Severity,
    /// The file, as its path below the project's directory.
    pub(crate) path: String,
    /// The line, from 1, where one can be named.
    pub(crate) line: Option<usize>,
    /// What is there.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) remedy: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// Worth a look; the check passes.
    Warning,
    /// The check fails.
    Repair,
}

impl Finding {
    /// A finding that fails the check.
    pub(crate) fn repair(
        path: &str,
        line: impl Into<Option<usize>>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding {
            severity: Severity::Repair,
            path: path.to_owned(),
            line: line.into(),
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// The same finding as a warning.
    pub(crate) fn into_warning(self) -> Finding {
        Finding {
            severity: Severity::Warning,
            ..self
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning: ",
            Severity::Repair => "",
        };
        write!(f, "{}", self.path)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {severity}{}\n    -> {}", self.what, self.remedy)
    }
}
