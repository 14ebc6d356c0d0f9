//! `ls`: the streams of a journal.

use std::collections::HashMap;

use refrain_core::{Entry, Timestamp};
use refrain_journal::inspect::{Inspector, SeenEntry, StreamSeen, Visitor};
use serde_json::json;

use crate::cmd::inspect;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::flags::Ls;
use crate::screen::{Mood, Screen};
use crate::shown::{bytes_text, time_text};

pub(crate) fn run(flags: &Ls, screen: &mut Screen) -> Result<Exit, Failure> {
    let mut times = Times::default();
    let inspection = inspect(&Inspector::new(&flags.dir), "reading", &mut times)?;
    let streams = inspection.streams.iter();
    let streams: Vec<&StreamSeen> = streams
        .filter(|stream| stream.name.as_str().starts_with(&flags.prefix))
        .collect();
    let of = |stream: &StreamSeen| times.0.get(&stream.number).copied().unwrap_or_default();
    let values: Vec<_> = streams
        .iter()
        .map(|stream| {
            let seen = of(stream);
            json!({
                "stream": stream.name.as_str(),
                "entries": stream.entries,
                "bytes": stream.bytes,
                "first": stream.first.map(|position| position.get()),
                "last": stream.last.map(|position| position.get()),
                "first_time": seen.first.map(time_text),
                "last_time": seen.last.map(time_text),
            })
        })
        .collect();
    let exit = Exit::of(&inspection);
    let value = json!({ "streams": values, "sound": inspection.is_sound() });
    if screen.json(&value)? {
        return Ok(exit);
    }
    let dash = || "-".to_owned();
    let rows: Vec<Vec<String>> = streams
        .iter()
        .map(|stream| {
            let seen = of(stream);
            vec![
                stream.name.to_string(),
                stream.entries.to_string(),
                bytes_text(stream.bytes),
                stream.first.map_or_else(dash, |one| one.to_string()),
                stream.last.map_or_else(dash, |one| one.to_string()),
                seen.first.map_or_else(dash, time_text),
                seen.last.map_or_else(dash, time_text),
            ]
        })
        .collect();
    let head = [
        "STREAM",
        "ENTRIES",
        "BYTES",
        "FIRST",
        "LAST",
        "FIRST TIME",
        "LAST TIME",
    ];
    screen.table(&head, &rows, 1..5)?;
    if !inspection.is_sound() {
        let text = "the journal is damaged, and only what is whole is listed: see `refrain journal verify`";
        screen.marked(Mood::Bad, "note:", text)?;
    }
    Ok(exit)
}

/// When the first and the last entry of each stream were made.
#[derive(Debug, Default)]
struct Times(HashMap<u32, Span>);

#[derive(Debug, Default, Clone, Copy)]
struct Span {
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl Visitor for Times {
    fn entry(&mut self, entry: &SeenEntry<'_>) {
        let time = match Entry::decode(entry.bytes) {
            Ok(Entry::Begun(begun)) => begun.time,
            Ok(Entry::Step(step)) => step.time,
            Ok(Entry::ChannelMoved(moved)) => moved.time,
            // A journal takes any bytes; those of others have no time that is known here.
            Err(_) => return,
        };
        let span = self.0.entry(entry.stream).or_default();
        span.first.get_or_insert(time);
        span.last = Some(time);
    }

    fn restart(&mut self) {
        self.0.clear();
    }
}
