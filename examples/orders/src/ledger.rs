//! The validator's ledger: one line of JSON for each call, written before the answer leaves.
//!
//! The validator reads it back when it starts, so that it still knows its verdicts after a crash.
//! The drill's judge reads it to compare what the validator said with what became of the orders.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// One call, as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// When it arrived: microseconds since 1970.
    pub at_micros: u64,
    /// The `Idempotency-Key` that it carried.
    pub key: String,
    /// The order that it asked about.
    pub order_id: u64,
    /// The `Refrain-Epoch` that it carried: which run of the order processor made it.
    pub epoch: Option<u64>,
    /// How it was answered.
    pub answer: Answer,
    /// The verdict for the key; `None` when none was made.
    #[serde(flatten)]
    pub verdict: Option<Verdict>,
}

/// How a call was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// With the verdict.
    Verdict,
    /// With a 5xx status, and without a verdict.
    Failure,
    /// Not at all, although the verdict is made and kept.
    Silence,
}

/// What the validator says of a card, as JSON on the wire and in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum Verdict {
    /// The card is good for the amount.
    Validated,
    /// It is not.
    Declined {
        /// Why.
        reason: String,
    },
}

/// A ledger file, open for appending.
#[derive(Debug)]
pub struct Ledger {
    file: File,
}

impl Ledger {
    /// Opens or creates the ledger and gives the calls that it holds. A last line that a crash cut
    /// short is removed: its answer never left.
    ///
    /// # Errors
    /// When the file cannot be used, or a whole line of it is not a call.
    pub fn open(path: &Path) -> io::Result<(Ledger, Vec<Call>)> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let (calls, whole) = read_lines(&file)?;
        file.set_len(whole)?;
        file.seek(io::SeekFrom::Start(whole))?;
        Ok((Ledger { file }, calls))
    }

    /// The calls of the ledger at `path`, which nobody writes any more.
    ///
    /// # Errors
    /// When the file cannot be read, or a whole line of it is not a call.
    pub fn read(path: &Path) -> io::Result<Vec<Call>> {
        read_lines(&File::open(path)?).map(|(calls, _)| calls)
    }

    /// Appends one call. When this returns, the line outlives the process (not the machine).
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn append(&mut self, call: &Call) -> io::Result<()> {
        let mut line = serde_json::to_vec(call)?;
        line.push(b'\n');
        self.file.write_all(&line)
    }
}

/// The calls, and where the last whole line ends.
fn read_lines(file: &File) -> io::Result<(Vec<Call>, u64)> {
    let mut reader = BufReader::new(file);
    let (mut calls, mut whole) = (Vec::new(), 0);
    let mut line = Vec::new();
    loop {
        line.clear();
        let bytes = reader.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Ok((calls, whole));
        }
        whole += bytes as u64;
        calls.push(serde_json::from_slice(&line)?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(order_id: u64, verdict: Option<Verdict>) -> Call {
        Call {
            at_micros: 5,
            key: format!("key-{order_id}"),
            order_id,
            epoch: Some(2),
            answer: match verdict {
                Some(_) => Answer::Verdict,
                None => Answer::Failure,
            },
            verdict,
        }
    }

    #[test]
    fn ledger_gives_back_its_calls_and_removes_a_line_that_was_cut_short() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let reason = "limit exceeded".to_owned();
        let written = [
            call(1, Some(Verdict::Validated)),
            call(2, None),
            call(3, Some(Verdict::Declined { reason })),
        ];
        let (mut ledger, before) = Ledger::open(&path).unwrap();
        assert_eq!(before, []);
        for call in &written {
            ledger.append(call).unwrap();
        }
        ledger.file.write_all(br#"{"at_micros":6,"ke"#).unwrap();
        drop(ledger);

        assert_eq!(Ledger::read(&path).unwrap(), written);
        let (mut ledger, kept) = Ledger::open(&path).unwrap();
        assert_eq!(kept, written);
        ledger.append(&call(4, None)).unwrap();
        assert_eq!(Ledger::read(&path).unwrap().len(), 4);
    }

    #[test]
    fn a_whole_line_that_is_not_a_call_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        std::fs::write(&path, "{}\n").unwrap();
        assert!(Ledger::open(&path).is_err());
    }
}
