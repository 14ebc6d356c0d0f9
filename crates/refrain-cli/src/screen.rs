//! What a command prints: text for people, or JSON for programs. The only place that prints.
//!
//! Results go to standard output, everything else to standard error. Every line passes
//! [`visible`], so no stored byte reaches a terminal as a command.

use std::io::{self, IsTerminal, Write};

use comfy_table::{CellAlignment, Table};
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

use crate::failure::Failure;
use crate::visible::{is_hidden, visible};

/// Where a command prints.
#[derive(Debug)]
pub(crate) struct Screen {
    form: Form,
    has_colour: bool,
}

/// For whom the output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Json,
}

/// The colour of a word that says how something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Good,
    Doubtful,
    Bad,
}

impl Screen {
    pub(crate) fn new(form: Form) -> Screen {
        let wants_none = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Screen {
            form,
            has_colour: io::stdout().is_terminal() && !wants_none,
        }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.form == Form::Json
    }

    /// Prints `value` as one line of JSON, if that is wanted, and says whether it did.
    pub(crate) fn json<T: Serialize>(&mut self, value: &T) -> Result<bool, Failure> {
        if self.form == Form::Text {
            return Ok(false);
        }
        let mut line = json_line(value)?;
        line.push(b'\n');
        print(&line)?;
        Ok(true)
    }

    /// Prints a line of text; nothing when the output is JSON.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.print_text("", text)
    }

    /// As [`Screen::line`], behind a word in colour.
    pub(crate) fn marked(&mut self, mood: Mood, word: &str, text: &str) -> Result<(), Failure> {
        let colour = match mood {
            Mood::Good => 32,
            Mood::Doubtful => 33,
            Mood::Bad => 31,
        };
        let word = visible(word);
        let word = if self.has_colour {
            format!("\x1b[{colour}m{word}\x1b[0m")
        } else {
            word
        };
        self.print_text(&word, text)
    }

    fn print_text(&mut self, start: &str, text: &str) -> Result<(), Failure> {
        if self.form == Form::Json {
            return Ok(());
        }
        let text = visible(text);
        let line = match (start.is_empty(), text.is_empty()) {
            (true, _) => format!("{text}\n"),
            (false, true) => format!("{start}\n"),
            (false, false) => format!("{start} {text}\n"),
        };
        print(line.as_bytes())
    }

    /// Prints a table; the columns in `numbers` stand to the right.
    pub(crate) fn table(
        &mut self,
        head: &[&str],
        rows: &[Vec<String>],
        numbers: std::ops::Range<usize>,
    ) -> Result<(), Failure> {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(head.to_vec());
        for row in rows {
            table.add_row(row.iter().map(|cell| visible(cell)));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        for index in numbers {
            if let Some(column) = table.column_mut(index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for line in table.lines() {
            self.line(line.trim_end())?;
        }
        Ok(())
    }

    /// Says on standard error why the command failed.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        let mut text = Vec::new();
        if self.is_json() {
            let value = serde_json::json!({
                "error": {
                    "code": failure.error_code(),
                    "message": failure.what(),
                    "remedy": failure.what_to_do(),
                    "exit": failure.exit() as u8,
                }
            });
            text = json_line(&value).unwrap_or_default();
            text.push(b'\n');
        } else {
            let _ = writeln!(text, "error: {}", visible(failure.what()));
            if let Some(remedy) = failure.what_to_do() {
                let _ = writeln!(text, "  what to do: {}", visible(remedy));
            }
            if let Some(code) = failure.error_code() {
                let _ = writeln!(text, "  more: docs/errors/{code}.md");
            }
        }
        // There is nobody left to tell when this fails.
        let _ = io::stderr().lock().write_all(&text);
    }
}

/// `value` as compact JSON without a hidden character in it.
pub(crate) fn json_line<T: Serialize>(value: &T) -> Result<Vec<u8>, Failure> {
    let mut line = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut line, Plain(CompactFormatter));
    value
        .serialize(&mut serializer)
        .map_err(|error| Failure::printing(&error.into()))?;
    Ok(line)
}

fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let printed = out.write_all(bytes).and_then(|()| out.flush());
    printed.map_err(|error| Failure::printing(&error))
}

/// Compact JSON in which hidden characters are written as escapes.
struct Plain(CompactFormatter);

impl Formatter for Plain {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut written = 0;
        for (at, character) in fragment.char_indices().filter(|(_, one)| is_hidden(*one)) {
            self.0
                .write_string_fragment(writer, &fragment[written..at])?;
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            written = at + character.len_utf8();
        }
        self.0.write_string_fragment(writer, &fragment[written..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The JSON of any text means that text, and has nothing that a terminal would obey.
        #[test]
        fn json_keeps_every_text_and_no_hidden_character(text in any::<String>()) {
            let line = String::from_utf8(json_line(&text).unwrap()).unwrap();
            prop_assert!(!line.chars().any(is_hidden));
            prop_assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
    }

    #[test]
    fn characters_beyond_sixteen_bits_are_escaped_as_pairs() {
        let line = json_line(&"\u{e0041}").unwrap();
        assert_eq!(line, b"\"\\udb40\\udc41\"");
    }
}
