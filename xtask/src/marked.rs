//! Sections of pages that a task writes, between two lines that mark them.

/// The two lines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marks {
    /// The page, for complaints.
    pub(crate) page: &'static str,
    /// The line before, with its end.
    pub(crate) begin: &'static str,
    /// The line after, with its end.
    pub(crate) end: &'static str,
}

impl Marks {
    /// The section that `page` holds, if it has the marks round it.
    pub(crate) fn section_of<'a>(&self, page: &'a str) -> Option<&'a str> {
        let (_, rest) = page.split_once(self.begin)?;
        let (section, _) = rest.split_once(self.end)?;
        Some(section.trim_matches('\n'))
    }

    /// `page` with its section replaced.
    ///
    /// # Errors
    /// When it has no such section.
    pub(crate) fn replace(&self, page: &str, section: &str) -> Result<String, String> {
        let Marks {
            page: name,
            begin,
            end,
        } = self;
        let marks = || format!("{name} needs two lines round its section:\n{begin}{end}");
        let (before, rest) = page.split_once(begin).ok_or_else(marks)?;
        let (_, after) = rest.split_once(end).ok_or_else(marks)?;
        Ok(format!("{before}{begin}\n{section}\n{end}{after}"))
    }
}
