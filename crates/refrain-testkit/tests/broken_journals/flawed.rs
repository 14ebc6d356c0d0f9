//! A memory journal with one flaw.

use std::fmt::Debug;
use std::sync::Arc;

use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{AppendError, Batch, Cursor, Durability, Journal, ReadError};
use refrain_core::{Name, Position};
use refrain_journal::MemoryJournal;
use refrain_testkit::conformance::journal::{Hold, Instance};

pub(crate) type Appended = BoxFuture<'static, Result<Position, AppendError>>;
pub(crate) type Opened<'a> = BoxFuture<'a, Result<Box<dyn Cursor>, ReadError>>;

/// Whatever a flaw does not say works as in the sound journal.
pub(crate) trait Flaw: Debug + Send + Sync + 'static {
    fn append(&self, sound: &MemoryJournal, stream: &Name, at: Position, batch: Batch) -> Appended {
        sound.append(stream, at, batch)
    }

    fn read<'a>(&'a self, sound: &'a MemoryJournal, stream: &Name, from: Position) -> Opened<'a> {
        sound.read(stream, from)
    }

    fn follow<'a>(&'a self, sound: &'a MemoryJournal, stream: &Name, from: Position) -> Opened<'a> {
        sound.follow(stream, from)
    }

    fn head<'a>(
        &'a self,
        sound: &'a MemoryJournal,
        stream: &Name,
    ) -> BoxFuture<'a, Result<Option<Position>, ReadError>> {
        sound.head(stream)
    }

    fn first<'a>(
        &'a self,
        sound: &'a MemoryJournal,
        stream: &Name,
    ) -> BoxFuture<'a, Result<Option<Position>, ReadError>> {
        sound.first(stream)
    }

    fn streams<'a>(
        &'a self,
        sound: &'a MemoryJournal,
        prefix: &str,
        after: Option<&Name>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Name>, ReadError>> {
        sound.streams(prefix, after, limit)
    }

    fn forget<'a>(
        &'a self,
        sound: &'a MemoryJournal,
        stream: &Name,
        below: Position,
    ) -> BoxFuture<'a, Result<(), AppendError>> {
        sound.forget(stream, below)
    }

    fn reopen<'a>(&'a self, sound: &'a MemoryJournal) -> BoxFuture<'a, MemoryJournal> {
        Box::pin(async { sound.crash() })
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Flawed {
    sound: MemoryJournal,
    flaw: Arc<dyn Flaw>,
}

impl Flawed {
    pub(crate) fn new(flaw: impl Flaw) -> Flawed {
        Flawed {
            sound: MemoryJournal::new(),
            flaw: Arc::new(flaw),
        }
    }
}

impl Instance for Flawed {
    fn journal(&self) -> Arc<dyn Journal> {
        Arc::new(self.clone())
    }

    fn reopen(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.sound = self.flaw.reopen(&self.sound).await;
        })
    }

    fn hold(&self) -> Option<Box<dyn Hold>> {
        self.sound.hold();
        Some(Box::new(Held(self.sound.clone())))
    }
}

struct Held(MemoryJournal);

impl Hold for Held {
    fn release(self: Box<Self>) {
        self.0.resume();
    }
}

impl Journal for Flawed {
    fn append(&self, stream: &Name, at: Position, batch: Batch) -> Appended {
        self.flaw.append(&self.sound, stream, at, batch)
    }

    fn read(&self, stream: &Name, from: Position) -> Opened<'_> {
        self.flaw.read(&self.sound, stream, from)
    }

    fn follow(&self, stream: &Name, from: Position) -> Opened<'_> {
        self.flaw.follow(&self.sound, stream, from)
    }

    fn head(&self, stream: &Name) -> BoxFuture<'_, Result<Option<Position>, ReadError>> {
        self.flaw.head(&self.sound, stream)
    }

    fn first(&self, stream: &Name) -> BoxFuture<'_, Result<Option<Position>, ReadError>> {
        self.flaw.first(&self.sound, stream)
    }

    fn streams(
        &self,
        prefix: &str,
        after: Option<&Name>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Name>, ReadError>> {
        self.flaw.streams(&self.sound, prefix, after, limit)
    }

    fn forget(&self, stream: &Name, below: Position) -> BoxFuture<'_, Result<(), AppendError>> {
        self.flaw.forget(&self.sound, stream, below)
    }

    fn durability(&self) -> Durability {
        self.sound.durability()
    }

    fn entry_bytes_max(&self) -> usize {
        self.sound.entry_bytes_max()
    }
}

/// The head of `stream` in a memory journal, which answers at once.
pub(crate) fn head(journal: &MemoryJournal, stream: &Name) -> Option<Position> {
    futures_util::FutureExt::now_or_never(journal.head(stream))
        .expect("memory answers at once")
        .expect("memory can be read")
}
