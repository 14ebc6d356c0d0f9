//! The recorded figures: `docs/reliability.json`, and what `docs/guarantees.md` says of them.

use std::path::PathBuf;

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

    /// Puts `parts` in the place of those of the same names and the same share: what is known of every
    /// commit and of long runs stands side by side.
    fn take(&mut self, share: Share, parts: &[Part]) {
        let known = match share {
            Share::Commit => &mut self.commit,
            Share::Full { .. } => &mut self.full,
        };
        for part in parts {
            match known.iter_mut().find(|known| known.part == part.part) {
                Some(known) => *known = part.clone(),
                None => known.push(part.clone()),
            }
        }
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

/// Puts `parts` into the record, and writes file and page: both or none, and each whole, whenever it is
/// interrupted. Between the two `cargo xtask tidy` says that the page is not of the record.
///
/// # Errors
/// When one of them cannot be read or written.
pub(super) fn write(project: &Project, share: Share, parts: &[Part]) -> Result<(), String> {
    let read = |name: &str| match std::fs::read_to_string(project.root().join(name)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{name}: {error}")),
    };
    let mut record = match read(RECORD)? {
        Some(text) => Record::read(&text)?,
        None => Record::default(),
    };
    record.take(share, parts);
    let text = serde_json::to_string_pretty(&record).expect("names and numbers become JSON");
    let page = MARKS.replace(&read(TABLE)?.unwrap_or_default(), &record.section())?;
    let (record, page) = (
        Draft::write(project, RECORD, &(text + "\n"))?,
        Draft::write(project, TABLE, &page)?,
    );
    record.publish()?;
    page.publish()?;
    println!("{RECORD} and {TABLE} are up to date");
    Ok(())
}

/// A file's new contents, whole, beside it.
struct Draft {
    path: PathBuf,
    draft: PathBuf,
}

impl Draft {
    fn write(project: &Project, name: &str, text: &str) -> Result<Draft, String> {
        let path = project.root().join(name);
        let mut draft = path.clone().into_os_string();
        draft.push(".new");
        let draft = PathBuf::from(draft);
        std::fs::write(&draft, text).map_err(|error| format!("{}: {error}", draft.display()))?;
        Ok(Draft { path, draft })
    }

    /// Puts it in the file's place.
    fn publish(self) -> Result<(), String> {
        let Draft { path, draft } = self;
        std::fs::rename(draft, &path).map_err(|error| format!("{}: {error}", path.display()))
    }
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
    fn parts(name: &str, seconds: u64) -> [Part; 1] {
        [Part {
            part: name.to_owned(),
            seconds,
            ..Part::default()
        }]
    }

    fn seconds(parts: &[Part]) -> Vec<(&str, u64)> {
        let one = |part: &'_ Part| part.seconds;
        parts
            .iter()
            .map(|part| (part.part.as_str(), one(part)))
            .collect()
    }

    #[test]
    fn a_long_run_stands_beside_that_of_every_commit_and_replaces_none_of_it() {
        let mut record = Record::default();
        let full = Share::Full { minutes: 60 };
        record.take(Share::Commit, &parts("sim", 1));
        record.take(full, &parts("sim", 2));
        record.take(full, &parts("fuzz", 3));
        record.take(full, &parts("sim", 4));
        assert_eq!(seconds(&record.commit), [("sim", 1)]);
        assert_eq!(seconds(&record.full), [("sim", 4), ("fuzz", 3)]);
        let section = record.section();
        assert!(section.contains("**Every commit**") && section.contains("**A long run**"));
    }
}
