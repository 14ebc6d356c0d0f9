//! `cat`: the entries of a stream.

use refrain_core::port::journal::Cursor;
use refrain_core::{Entry, Position};
use refrain_journal::JournalReader;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::flags::Cat;
use crate::screen::{Screen, json_line};
use crate::shown::{Channels, entry_value, time_text};

pub(crate) async fn run(flags: Cat, screen: &mut Screen) -> Result<Exit, Failure> {
    let reader = JournalReader::open(&flags.dir)?;
    let stream = &flags.stream;
    let first = reader.first(stream);
    if reader.head(stream).is_none() && !flags.follow {
        let what = format!("there is no stream {stream} in {}", flags.dir.display());
        let remedy = "`refrain journal ls` lists the streams";
        return Err(Failure::new(Exit::Missing, what).remedy(remedy));
    }
    let first_kept = first.unwrap_or_else(|| Position::after(reader.head(stream)));
    let from = flags.from.unwrap_or(first_kept);
    let mut channels = Channels::default();
    if let Some(first) = first.filter(|first| *first < from) {
        learn_channels(&reader, &flags, first, &mut channels).await?;
    }
    let mut cursor = if flags.follow {
        reader.follow(stream, from)?
    } else {
        reader.read(stream, from)?
    };
    let last = flags.to.map_or(u64::MAX, Position::get);
    let printed = print(cursor.as_mut(), &flags, last, (&mut channels, screen));
    if !flags.follow {
        // An interrupt ends the process: what was asked for is not all there.
        printed.await?;
        return Ok(Exit::Done);
    }
    tokio::select! {
        ended = printed => ended?,
        // Whoever follows ends it so.
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(Exit::Done)
}

/// The first entry of a stream names its channels.
async fn learn_channels(
    reader: &JournalReader,
    flags: &Cat,
    first: Position,
    channels: &mut Channels,
) -> Result<(), Failure> {
    let mut cursor = reader.read(&flags.stream, first)?;
    if let Some(chunk) = cursor.next().await?
        && let Some((_, bytes)) = chunk.entries().next()
        && let Ok(Entry::Begun(begun)) = Entry::decode(bytes)
    {
        channels.learn(&begun);
    }
    Ok(())
}

async fn print(
    cursor: &mut dyn Cursor,
    flags: &Cat,
    last: u64,
    (channels, screen): (&mut Channels, &mut Screen),
) -> Result<(), Failure> {
    while let Some(chunk) = cursor.next().await? {
        for (position, bytes) in chunk.entries() {
            if position.get() > last {
                return Ok(());
            }
            let shown = entry_value(bytes, channels);
            if screen.is_json() {
                let mut value = serde_json::Map::new();
                value.insert("stream".to_owned(), flags.stream.as_str().into());
                value.insert("position".to_owned(), position.get().into());
                value.insert("kind".to_owned(), shown.kind.into());
                value.insert("time".to_owned(), shown.time.map(time_text).into());
                value.extend(shown.rest);
                screen.json(&value)?;
            } else {
                let rest = json_line(&shown.rest)?;
                let rest = String::from_utf8_lossy(&rest);
                let time = shown.time.map_or_else(|| "-".to_owned(), time_text);
                screen.line(&format!("{position} {time} {} {rest}", shown.kind))?;
            }
        }
        if chunk.last().get() >= last {
            return Ok(());
        }
    }
    Ok(())
}
