//! `ls`: the streams of a journal.

use std::collections::HashMap;

use refrain_backup::{BackupHold, Repository};
use refrain_core::port::hold::Need;
use refrain_core::{Entry, Position, Timestamp};
use refrain_journal::inspect::{Inspector, SeenEntry, StreamSeen, Visitor};
use serde_json::{Value, json};

use crate::cmd::inspect;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::flags::Ls;
use crate::screen::{Mood, Screen};
use crate::shown::{bytes_text, second_text, time_text};

pub(crate) async fn run(flags: &Ls, screen: &mut Screen) -> Result<Exit, Failure> {
    let backups = flags.backups.as_deref().map(Repository::open).transpose()?;
    let mut times = Times::default();
    let inspection = inspect(&Inspector::new(&flags.dir), "reading", &mut times)?;
    let hold = match (&backups, inspection.mark) {
        (Some(backups), Some(mark)) => Some(BackupHold::new(backups, mark.identity)),
        (Some(_), None) | (None, _) => None,
    };
    let prefix = flags.prefix.as_deref().unwrap_or_default();
    let mut rows = Vec::new();
    for stream in &inspection.streams {
        if !stream.name.as_str().starts_with(prefix) {
            continue;
        }
        rows.push(Row {
            stream,
            times: times.0.get(&stream.number).copied().unwrap_or_default(),
            held: match &hold {
                Some(hold) => Some(Held::of(stream, hold).await?),
                None => None,
            },
        });
    }
    let exit = Exit::of(&inspection);
    let values: Vec<Value> = rows.iter().map(Row::value).collect();
    let value = json!({ "streams": values, "sound": inspection.is_sound() });
    if screen.json(&value)? {
        return Ok(exit);
    }
    let mut head = vec![
        "ENTRIES",
        "BYTES",
        "FIRST",
        "LAST",
        "FIRST TIME (UTC)",
        "LAST TIME (UTC)",
    ];
    if hold.is_some() {
        head.push("HELD FOR BACKUPS");
    }
    // Names may be long: behind them nothing has to stand in a column.
    head.push("STREAM");
    let rows: Vec<Vec<String>> = rows.iter().map(Row::texts).collect();
    screen.table(&head, &rows, 0..4)?;
    if !inspection.is_sound() {
        let text = "the journal is damaged, and only what is whole is listed: see `refrain journal verify`";
        screen.marked(Mood::Bad, "note:", text)?;
    }
    Ok(exit)
}

/// One stream as it is listed.
struct Row<'a> {
    stream: &'a StreamSeen,
    times: Span,
    held: Option<Held>,
}

impl Row<'_> {
    fn value(&self) -> Value {
        let Row {
            stream,
            times,
            held,
        } = self;
        let mut value = json!({
            "stream": stream.name.as_str(),
            "entries": stream.entries,
            "bytes": stream.bytes,
            "first": stream.first.map(|position| position.get()),
            "last": stream.last.map(|position| position.get()),
            "first_time": times.first.map(time_text),
            "last_time": times.last.map(time_text),
        });
        if let Some(held) = held {
            value["held_from"] = held.from.unwrap_or(Position::FIRST).get().into();
            value["held_entries_gone"] = held.gone.into();
        }
        value
    }

    fn texts(&self) -> Vec<String> {
        let Row {
            stream,
            times,
            held,
        } = self;
        let dash = || "-".to_owned();
        let mut texts = vec![
            stream.entries.to_string(),
            bytes_text(stream.bytes),
            stream.first.map_or_else(dash, |one| one.to_string()),
            stream.last.map_or_else(dash, |one| one.to_string()),
            times.first.map_or_else(dash, second_text),
            times.last.map_or_else(dash, second_text),
        ];
        texts.extend(held.as_ref().map(Held::text));
        texts.push(stream.name.to_string());
        texts
    }
}

/// What backups hold of a stream.
struct Held {
    /// The first entry; `None` for all that there are.
    from: Option<Position>,
    /// So many entries of these were forgotten before they were held.
    gone: u64,
}

impl Held {
    async fn of(stream: &StreamSeen, hold: &BackupHold) -> Result<Held, Failure> {
        let from = match hold.held(&stream.name).await? {
            Need::From(position) => Some(position),
            // A hold of backups never says that nothing is needed for ever.
            Need::Everything | Need::Nothing => None,
        };
        let kept = stream.first.or(stream.last.map(Position::next));
        let gone = match (from, kept) {
            (Some(from), Some(kept)) => kept.get().saturating_sub(from.get()),
            (Some(_) | None, _) => 0,
        };
        Ok(Held { from, gone })
    }

    fn text(&self) -> String {
        match (self.from, self.gone) {
            (None, _) => "all".to_owned(),
            (Some(from), 0) => format!("from {from}"),
            (Some(from), gone) => format!("from {from}, {gone} gone"),
        }
    }
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
            Ok(Entry::Watermark(watermark)) => watermark.time,
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
