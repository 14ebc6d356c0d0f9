//! The recorded figures: `docs/reliability.json`, and what `docs/guarantees.md` says of them.

use serde::{Deserialize, Serialize};

use super::Share;
use super::part::Part;
use super::table;
use crate::guarantees::TABLE;
use crate::marked::Marks;
use crate::project::Project;

/// Where the figures stand.
pub(crate) const RECORD: &str = "docs/reliability.json";

/// Round the section of the page.
pub(crate) const MARKS: Marks = Marks {
    page: TABLE,
    begin: "<!-- written by `cargo xtask reliability --record`: begin -->\n",
    end: "<!-- written by `cargo xtask reliability --record`: end -->\n",
};

/// The figures of the last recorded runs.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// Of what every commit must pass.
    #[serde(default)]
    pub(crate) commit: Vec<Part>,
    /// Of the long run.
    #[serde(default)]
    pub(crate) full: Vec<Part>,
}

impl Record {
    /// Reads it.
    ///
    /// # Errors
    /// When it has another form.
    pub(crate) fn read(text: &str) -> Result<Record, String> {
        serde_json::from_str(text).map_err(|error| format!("{RECORD}: {error}"))
    }

    /// What the page says.
    pub(crate) fn section(&self) -> String {
        let mut text = String::new();
        for (title, parts) in [("Every commit", &self.commit), ("A long run", &self.full)] {
            if !parts.is_empty() {
                text.push_str(&table::markdown(title, parts));
            }
        }
        text
    }
}

/// Puts `parts` in the place of those of the same names, and writes file and page.
///
/// # Errors
/// When one of them cannot be read or written.
pub(super) fn write(project: &Project, share: Share, parts: &[Part]) -> Result<(), String> {
    let path = project.root().join(RECORD);
    let mut record = match std::fs::read_to_string(&path) {
        Ok(text) => Record::read(&text)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Record::default(),
        Err(error) => return Err(format!("{RECORD}: {error}")),
    };
    let known = match share {
        Share::Commit => &mut record.commit,
        Share::Full { .. } => &mut record.full,
    };
    for part in parts {
        match known.iter_mut().find(|known| known.part == part.part) {
            Some(known) => *known = part.clone(),
            None => known.push(part.clone()),
        }
    }
    let text = serde_json::to_string_pretty(&record).expect("names and numbers become JSON");
    std::fs::write(path, text + "\n").map_err(|error| format!("{RECORD}: {error}"))?;
    let path = project.root().join(TABLE);
    let failed = |error: std::io::Error| format!("{TABLE}: {error}");
    let page = std::fs::read_to_string(&path).map_err(failed)?;
    let page = MARKS.replace(&page, &record.section())?;
    std::fs::write(path, page).map_err(failed)?;
    println!("{RECORD} and {TABLE} are up to date");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_another_form_is_refused() {
        assert!(Record::read("{}").is_ok());
        assert!(Record::read(r#"{"commit":[],"full":[]}"#).is_ok());
        assert!(Record::read(r#"{"weekly":[]}"#).is_err());
        assert!(Record::read(r#"{"commit":[{}]}"#).is_err());
    }
}
