//! The lines that the two programs print on standard output, for people and for scripts.
//!
//! The first line says where the program listens. The processor adds one line after its recovery
//! and one whenever a channel stops.

use std::io::Write;

use serde::{Deserialize, Serialize};

/// One line on standard output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announcement {
    /// The program takes requests at this URL.
    Listening(String),
    /// The processor has replayed its history.
    Recovered(Recovered),
    /// A channel of the processor gave up for the time being.
    Stopped(Stopped),
}

/// What a start of the processor replayed, and to which state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovered {
    /// Entries replayed by this start: those after the snapshot that it began with.
    pub entries: u64,
    /// The position of the last of them; 0 when there was none.
    pub position: u64,
    /// The digest of the state soon after,
    pub digest: String,
    /// and the position that it is of.
    pub digest_position: u64,
    /// When the replay began: microseconds since 1970.
    pub began_micros: u64,
    /// When it had ended.
    pub ended_micros: u64,
}

/// A channel that stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// The channel.
    pub channel: String,
    /// Deliveries that wait in it.
    pub pending: u64,
    /// Why it stopped.
    pub reason: String,
}

const LISTENING: &str = "listening on ";
const RECOVERED: &str = "recovered ";
const STOPPED: &str = "delivery stopped ";

impl Announcement {
    /// Prints the line. A reader that went away is no reason to stop.
    pub fn print(&self) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{}", self.line()).and_then(|()| out.flush());
    }

    fn line(&self) -> String {
        match self {
            Announcement::Listening(url) => format!("{LISTENING}{url}"),
            Announcement::Recovered(recovered) => format!("{RECOVERED}{}", json(recovered)),
            Announcement::Stopped(stopped) => format!("{STOPPED}{}", json(stopped)),
        }
    }

    /// The announcement on this line; `None` when it is none.
    pub fn parse(line: &str) -> Option<Announcement> {
        if let Some(url) = line.strip_prefix(LISTENING) {
            return Some(Announcement::Listening(url.trim().to_owned()));
        }
        if let Some(recovered) = line.strip_prefix(RECOVERED) {
            return serde_json::from_str(recovered)
                .ok()
                .map(Announcement::Recovered);
        }
        let stopped = line.strip_prefix(STOPPED)?;
        serde_json::from_str(stopped)
            .ok()
            .map(Announcement::Stopped)
    }
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain structs of numbers and text have a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_is_read_as_what_was_printed_and_other_lines_are_none() {
        let announcements = [
            Announcement::Listening("http://127.0.0.1:7000".to_owned()),
            Announcement::Recovered(Recovered {
                entries: 12,
                position: 112,
                digest: "112:ab".to_owned(),
                digest_position: 112,
                began_micros: 5,
                ended_micros: 9,
            }),
            Announcement::Stopped(Stopped {
                channel: "card-validation".to_owned(),
                pending: 3,
                reason: "the destination does not respond".to_owned(),
            }),
        ];
        for announcement in announcements {
            assert_eq!(
                Announcement::parse(&announcement.line()),
                Some(announcement)
            );
        }
        assert_eq!(Announcement::parse("recovered in time"), None);
        assert_eq!(Announcement::parse("something else"), None);
    }
}
