//! `backup` and `restore`.

use std::sync::Arc;

use refrain_backup::{
    BackupId, Created, Manifest, Progress, Repository, Source, Standing, Target, copy, create,
    note, restore, verify,
};
use refrain_core::{Name, Timestamp};
use serde_json::{Value, json};

use crate::clock;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::flags::{Backup, BackupCommand, BackupCreate, BackupVerify, Copy, Restore};
use crate::progress;
use crate::screen::{Mood, Screen};
use crate::shown::{bytes_text, content_text, second_text, time_text};

pub(crate) async fn run(flags: Backup, screen: &mut Screen) -> Result<Exit, Failure> {
    match flags.command {
        BackupCommand::Create(flags) => take(&flags, screen).await,
        BackupCommand::Verify(flags) => check(&flags, screen).await,
        BackupCommand::Ls(flags) => list(&flags.from, screen).await,
    }
}

async fn take(flags: &BackupCreate, screen: &mut Screen) -> Result<Exit, Failure> {
    let repository = Repository::make(&flags.to)?;
    let mut source = Source::new(&flags.dir, clock::now_micros());
    if let Some(dir) = &flags.snapshots {
        source = source.snapshots(dir);
    }
    let created = with_bar("backing up", async |progress| {
        create(&source, &repository, &progress).await
    })
    .await?;
    let mut value = value(&created.manifest);
    value["new"] = created.is_new.into();
    value["bytes_written"] = created.bytes_written.into();
    value["uncovered"] = created.uncovered.as_ref().map(Name::as_str).into();
    if !screen.json(&value)? {
        screen.marked(Mood::Good, "backup", &text(&created))?;
        if let Some(stream) = &created.uncovered {
            screen.marked(Mood::Doubtful, "uncovered:", &unstarted(stream))?;
        }
    }
    Ok(Exit::Done)
}

async fn check(flags: &BackupVerify, screen: &mut Screen) -> Result<Exit, Failure> {
    let repository = Repository::open(&flags.from)?;
    let id = chosen(&repository, flags.backup.as_ref()).await?;
    let verified = with_bar("checking", async |progress| {
        verify(&repository, &id, &progress).await
    })
    .await?;
    let noted = note(&repository, &verified, clock::now_micros()).await;
    let not_noted = noted.err().map(Failure::from);
    let mut value = value(&verified.manifest);
    value["sound"] = true.into();
    value["noted"] = not_noted.is_none().into();
    if let Some(failure) = &not_noted {
        value["not_noted"] = json!({ "code": failure.error_code(), "message": failure.what() });
    }
    value["streams"] = verified
        .streams
        .iter()
        .map(|stream| json!(stream))
        .collect();
    if !screen.json(&value)? {
        let text = format!("{id}: {}", content(&verified.manifest));
        screen.marked(Mood::Good, "sound:", &text)?;
        if let Some(failure) = &not_noted {
            screen.marked(Mood::Doubtful, "not noted:", &unheld(failure))?;
        }
    }
    // What was asked is whether the backup is sound: who may only read gets the same answer.
    Ok(Exit::Done)
}

/// What follows when no snapshot stands for what a stream has forgotten.
fn unstarted(stream: &Name) -> String {
    format!(
        "no snapshot in the backup stands for what {stream} has forgotten; its processor cannot be recovered from \
         this backup; take a snapshot in the program, and then another backup"
    )
}

/// What follows when it cannot be noted that a backup is sound.
fn unheld(failure: &Failure) -> String {
    format!(
        "{}; programs go on as if this check had not been, and keep nothing for its sake; \
         check the backup as somebody who may write to the repository",
        failure.what()
    )
}

async fn list(from: &str, screen: &mut Screen) -> Result<Exit, Failure> {
    let repository = Repository::open(from)?;
    let mut rows = Vec::new();
    let mut values = Vec::new();
    let mut doubts = Vec::new();
    let mut exit = Exit::Done;
    for id in repository.backups().await? {
        match repository.manifest(&id).await {
            Ok(manifest) => {
                let standing = repository.standing(&manifest).await?;
                if let Standing::InDoubt(reason) = &standing {
                    let text = format!("{reason}; `refrain journal backup verify` notes it anew");
                    doubts.push(("not believed:", text));
                    exit = Exit::Damaged;
                }
                let mut value = value(&manifest);
                value["verified"] = verified_value(&standing);
                values.push(value);
                rows.push(vec![
                    second_text(Timestamp::from_micros(manifest.taken_at)),
                    manifest.streams.to_string(),
                    manifest.entries.to_string(),
                    bytes_text(manifest.piece_bytes()),
                    verified_text(&standing),
                    id.to_string(),
                ]);
            }
            Err(error) => {
                let failure = Failure::from(error);
                values.push(json!({ "backup": id.to_string(), "error": failure.what() }));
                let mut row = vec!["-".to_owned(); 5];
                row.push(id.to_string());
                rows.push(row);
                doubts.push(("unreadable:", failure.what().to_owned()));
                exit = Exit::Damaged;
            }
        }
    }
    if !screen.json(&json!({ "backups": values }))? {
        let head = [
            "TAKEN (UTC)",
            "STREAMS",
            "ENTRIES",
            "BYTES",
            "VERIFIED (UTC)",
            "BACKUP",
        ];
        screen.table(&head, &rows, 1..4)?;
        for (word, text) in doubts {
            screen.marked(Mood::Bad, word, &text)?;
        }
    }
    Ok(exit)
}

/// `copy`.
pub(crate) async fn copy_to(flags: &Copy, screen: &mut Screen) -> Result<Exit, Failure> {
    let copied = with_bar("copying", async |progress| {
        copy(&flags.dir, &flags.to, &progress).await
    })
    .await?;
    let streams = &copied.streams;
    let entries: u64 = streams.iter().map(|stream| stream.entries).sum();
    if !screen.json(&json!({ "entries": entries, "streams": streams }))? {
        let content = content_text(entries, streams.len() as u64);
        let text = format!("{content}; every digest agrees");
        screen.marked(Mood::Good, "copied", &text)?;
    }
    Ok(Exit::Done)
}

/// `restore`.
pub(crate) async fn put_back(flags: &Restore, screen: &mut Screen) -> Result<Exit, Failure> {
    let repository = Repository::open(&flags.from)?;
    let id = chosen(&repository, flags.backup.as_ref()).await?;
    let mut target = Target::new(&flags.dir);
    if let Some(dir) = &flags.snapshots {
        target = target.snapshots(dir);
    }
    let restored = with_bar("restoring", async |progress| {
        restore(&repository, &id, &target, &progress).await
    })
    .await?;
    let mut value = value(&restored.manifest);
    value["dir"] = flags.dir.to_string_lossy().into();
    value["snapshots"] = restored.snapshots.into();
    if !screen.json(&value)? {
        let dir = flags.dir.display();
        let text = format!("{id} to {dir}: {}", content(&restored.manifest));
        screen.marked(Mood::Good, "restored", &text)?;
    }
    Ok(Exit::Done)
}

async fn chosen(repository: &Repository, wanted: Option<&BackupId>) -> Result<BackupId, Failure> {
    match wanted {
        Some(id) => Ok(id.clone()),
        None => Ok(repository.newest().await?),
    }
}

/// Does `work` with a bar.
pub(crate) async fn with_bar<T, E>(
    what: &'static str,
    work: impl AsyncFnOnce(Progress) -> Result<T, E>,
) -> Result<T, Failure>
where
    Failure: From<E>,
{
    let bar = progress::Progress::of_bytes(what);
    let shown = bar.clone();
    let progress: Progress = Arc::new(move |done, of| shown.show(done, of));
    let ended = work(progress).await;
    bar.clear();
    Ok(ended?)
}

fn verified_text(standing: &Standing) -> String {
    match standing {
        Standing::Verified(verification) => {
            second_text(Timestamp::from_micros(verification.verified_at))
        }
        Standing::InDoubt(_) => "in doubt".to_owned(),
        Standing::Unverified | _ => "-".to_owned(),
    }
}

fn verified_value(standing: &Standing) -> Value {
    match standing {
        Standing::Verified(verification) => json!({
            "at": time_text(Timestamp::from_micros(verification.verified_at)),
            "check": verification.check,
        }),
        Standing::InDoubt(reason) => json!({ "in_doubt": reason }),
        Standing::Unverified | _ => Value::Null,
    }
}

fn text(created: &Created) -> String {
    let written = bytes_text(created.bytes_written);
    let content = content(&created.manifest);
    if created.is_new {
        return format!("{}: {content}; {written} written", created.id);
    }
    format!("{} was there already: {content}", created.id)
}

fn content(manifest: &Manifest) -> String {
    let content = content_text(manifest.entries, manifest.streams);
    format!("{content}, {}", bytes_text(manifest.piece_bytes()))
}

fn value(manifest: &Manifest) -> Value {
    json!({
        "backup": manifest.id().to_string(),
        "taken": time_text(Timestamp::from_micros(manifest.taken_at)),
        "identity": manifest.identity,
        "epoch": manifest.epoch,
        "entries": manifest.entries,
        "entry_bytes": manifest.entry_bytes,
        "stream_count": manifest.streams,
        "files": manifest.files.len(),
        "bytes": manifest.piece_bytes(),
    })
}
