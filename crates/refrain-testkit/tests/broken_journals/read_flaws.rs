//! Journals that read, list and forget wrongly.

use bytes::Bytes;
use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{AppendError, Batch, Chunk, Cursor, Journal, ReadError};
use refrain_core::{Name, Position};
use refrain_journal::MemoryJournal;

use super::flawed::{Appended, Flaw, Opened, head};

#[derive(Debug, Default)]
pub(crate) struct KnowsOnlyExistingStreams;

impl Flaw for KnowsOnlyExistingStreams {
    fn read<'a>(&'a self, sound: &'a MemoryJournal, stream: &Name, from: Position) -> Opened<'a> {
        match head(sound, stream) {
            Some(_) => sound.read(stream, from),
            None => Box::pin(async { Err(ReadError::Unavailable("no such stream".to_owned())) }),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Panics;

impl Flaw for Panics {
    fn read<'a>(&'a self, _: &'a MemoryJournal, stream: &Name, _: Position) -> Opened<'a> {
        panic!("{stream} cannot be read");
    }
}

#[derive(Debug, Default)]
pub(crate) struct ReadsFromTheStart;

impl Flaw for ReadsFromTheStart {
    fn read<'a>(&'a self, sound: &'a MemoryJournal, stream: &Name, _: Position) -> Opened<'a> {
        sound.read(stream, Position::FIRST)
    }
}

/// Looks for the head when the cursor is first used.
#[derive(Debug, Default)]
pub(crate) struct ReadsToTheLatestHead;

impl Flaw for ReadsToTheLatestHead {
    fn read<'a>(&'a self, sound: &'a MemoryJournal, stream: &Name, from: Position) -> Opened<'a> {
        opened(Lazy {
            sound: sound.clone(),
            stream: stream.clone(),
            from,
        })
    }
}

/// Gives all entries in one chunk.
#[derive(Debug, Default)]
pub(crate) struct GivesOneChunk;

impl Flaw for GivesOneChunk {
    fn read<'a>(&'a self, sound: &'a MemoryJournal, stream: &Name, from: Position) -> Opened<'a> {
        let cursor = sound.read(stream, from);
        Box::pin(async move {
            let inner = cursor.await?;
            Ok(Box::new(Whole { inner }) as Box<dyn Cursor>)
        })
    }
}

#[derive(Debug, Default)]
pub(crate) struct FollowersEnd;

impl Flaw for FollowersEnd {
    fn follow<'a>(&'a self, sound: &'a MemoryJournal, stream: &Name, from: Position) -> Opened<'a> {
        sound.read(stream, from)
    }
}

/// Wakes nobody who waits.
#[derive(Debug, Default)]
pub(crate) struct FollowersSleep;

impl Flaw for FollowersSleep {
    fn follow<'a>(&'a self, sound: &'a MemoryJournal, stream: &Name, from: Position) -> Opened<'a> {
        opened(Sleeping(Lazy {
            sound: sound.clone(),
            stream: stream.clone(),
            from,
        }))
    }
}

/// Takes names for one that differ only in their case.
#[derive(Debug, Default)]
pub(crate) struct FoldsCase;

impl Flaw for FoldsCase {
    fn append(&self, sound: &MemoryJournal, stream: &Name, at: Position, batch: Batch) -> Appended {
        let folded = Name::new(&stream.as_str().to_lowercase()).expect("still a name");
        sound.append(&folded, at, batch)
    }
}

/// Lists as a dictionary would.
#[derive(Debug, Default)]
pub(crate) struct OrdersByCollation;

impl Flaw for OrdersByCollation {
    fn streams<'a>(
        &'a self,
        sound: &'a MemoryJournal,
        prefix: &str,
        after: Option<&Name>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Name>, ReadError>> {
        let listed = sound.streams(prefix, after, limit);
        Box::pin(async move {
            let mut names = listed.await?;
            names.sort_by_key(|name| name.as_str().to_lowercase());
            Ok(names)
        })
    }
}

/// Gives the first page for ever.
#[derive(Debug, Default)]
pub(crate) struct IgnoresAfter;

impl Flaw for IgnoresAfter {
    fn streams<'a>(
        &'a self,
        sound: &'a MemoryJournal,
        prefix: &str,
        _: Option<&Name>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Name>, ReadError>> {
        sound.streams(prefix, None, limit)
    }
}

#[derive(Debug, Default)]
pub(crate) struct ForgetsNothing;

impl Flaw for ForgetsNothing {
    fn forget<'a>(
        &'a self,
        _: &'a MemoryJournal,
        _: &Name,
        _: Position,
    ) -> BoxFuture<'a, Result<(), AppendError>> {
        Box::pin(async { Ok(()) })
    }
}

#[derive(Debug, Default)]
pub(crate) struct ForgetsEveryStream;

impl Flaw for ForgetsEveryStream {
    fn forget<'a>(
        &'a self,
        sound: &'a MemoryJournal,
        _: &Name,
        below: Position,
    ) -> BoxFuture<'a, Result<(), AppendError>> {
        Box::pin(async move {
            let streams = sound.streams("", None, usize::MAX).await;
            for stream in streams.expect("memory can be read") {
                sound.forget(&stream, below).await?;
            }
            Ok(())
        })
    }
}

/// Goes on behind forgotten entries without a word.
#[derive(Debug, Default)]
pub(crate) struct SkipsForgotten;

impl Flaw for SkipsForgotten {
    fn read<'a>(&'a self, sound: &'a MemoryJournal, stream: &Name, from: Position) -> Opened<'a> {
        opened(Skipping(Lazy {
            sound: sound.clone(),
            stream: stream.clone(),
            from,
        }))
    }
}

/// Takes an emptied stream for a new one.
#[derive(Debug, Default)]
pub(crate) struct ReusesForgottenPositions;

impl Flaw for ReusesForgottenPositions {
    fn append(&self, sound: &MemoryJournal, stream: &Name, at: Position, batch: Batch) -> Appended {
        let (sound, stream) = (sound.clone(), stream.clone());
        Box::pin(async move {
            let emptied = matches!(sound.first(&stream).await, Ok(None));
            match head(&sound, &stream) {
                Some(head) if emptied && at == Position::FIRST => {
                    sound.append(&stream, head.next(), batch).await
                }
                Some(_) | None => sound.append(&stream, at, batch).await,
            }
        })
    }
}

fn opened<'a>(cursor: impl Cursor + 'static) -> Opened<'a> {
    Box::pin(async { Ok(Box::new(cursor) as Box<dyn Cursor>) })
}

/// Opens a new cursor for every chunk.
#[derive(Debug)]
struct Lazy {
    sound: MemoryJournal,
    stream: Name,
    from: Position,
}

impl Cursor for Lazy {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Chunk>, ReadError>> {
        Box::pin(async {
            let mut cursor = self.sound.read(&self.stream, self.from).await?;
            let chunk = cursor.next().await?;
            if let Some(chunk) = &chunk {
                self.from = chunk.last().next();
            }
            Ok(chunk)
        })
    }
}

#[derive(Debug)]
struct Sleeping(Lazy);

impl Cursor for Sleeping {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Chunk>, ReadError>> {
        Box::pin(async {
            match self.0.next().await? {
                Some(chunk) => Ok(Some(chunk)),
                None => std::future::pending().await,
            }
        })
    }
}

#[derive(Debug)]
struct Skipping(Lazy);

impl Cursor for Skipping {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Chunk>, ReadError>> {
        Box::pin(async {
            match self.0.next().await {
                Err(ReadError::Forgotten { first, .. }) => {
                    self.0.from = first;
                    self.0.next().await
                }
                other => other,
            }
        })
    }
}

#[derive(Debug)]
struct Whole {
    inner: Box<dyn Cursor>,
}

impl Cursor for Whole {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Chunk>, ReadError>> {
        Box::pin(async {
            let (mut bytes, mut ends, mut first) = (Vec::new(), Vec::new(), None);
            while let Some(chunk) = self.inner.next().await? {
                first = first.or(Some(chunk.first()));
                for (_, entry) in chunk.entries() {
                    bytes.extend_from_slice(entry);
                    ends.push(u32::try_from(bytes.len()).expect("a few megabytes"));
                }
            }
            Ok(first.map(|first| Chunk::new(first, Bytes::from(bytes), ends)))
        })
    }
}
