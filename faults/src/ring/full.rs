//! A disk that fills up and gets room again, without the journal being opened anew.
//!
//! A small tmpfs is filled by a file of somebody else. The journal must say so with its rejections, go
//! on being readable, and take appends by itself when that file is gone.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use refrain_core::Position;
use refrain_journal::JournalReader;

use super::{Patient, Ring, acknowledgements, block_on};
use crate::findings::{Control, Findings, Trial};
use crate::history::Violation;
use crate::image::Mounted;
use crate::line::Line;
use crate::order::{Door, Lie, Order};
use crate::process::{Worker, Wrap};
use crate::work::{chain, stream_name};

/// How often a round fills the disk.
const CYCLES: u64 = 20;

/// The disk; each cycle leaves a few segments behind.
const DISK_BYTES: u64 = 16 * 1024 * 1024;

/// How long the journal may take to notice, and to go on.
const PATIENCE: Duration = Duration::from_secs(60);

const CONTROL_PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn run(ring: &Ring) -> Result<Findings, String> {
    let disk = Mounted::tmpfs(&ring.scratch.join("full"), DISK_BYTES)?;
    let mut patient = Patient::new(disk.place());
    let order = Order {
        streams: 2,
        depth: 1,
        entry_bytes_max: 1000,
        segment_bytes: 64 * 1024,
        // The disk is fast; what it takes between two cycles must not fill it for good.
        pace_ms: 1,
        keep: None,
        ..Order::draw(patient.dir(), Door::Journal, &mut ring.chance("full"))
    };
    let mut worker = Worker::start(&order, &Wrap::default())?;
    let mut trial = Trial::new("disk full, and room again");
    for _ in 0..CYCLES {
        trial.run(cycle(&worker, &order, disk.place(), PATIENCE)?);
    }
    worker.end();
    let (lines, _) = worker.finish(PATIENCE)?;
    trial.broken_by(patient.judge(&lines, &order));
    trial.count("acknowledged", patient.history.acknowledged);
    trial.count("rejected as full", rejections(&lines) as u64);
    Ok(Findings {
        trials: vec![trial],
        controls: vec![stays_full(&order, disk.place())?],
        not_run: Vec::new(),
    })
}

/// A disk that says it is full for ever: then the journal cannot go on, and the check must see it.
fn stays_full(order: &Order, place: &Path) -> Result<Control, String> {
    let mut control = Control::new("disk full, and never room again");
    let order = Order {
        dir: place.join("stays-full"),
        lie: Some(Lie::StaysFull),
        ..order.clone()
    };
    let worker = Worker::start(&order, &Wrap::default())?;
    control.run(&cycle(&worker, &order, place, CONTROL_PATIENCE)?);
    Ok(control.must(100))
}

fn cycle(
    worker: &Worker,
    order: &Order,
    place: &Path,
    patience: Duration,
) -> Result<Result<(), Violation>, String> {
    if !acknowledges(worker, patience) {
        return Ok(Err(Violation("it took nothing when there was room".into())));
    }
    let filler = place.join("filler");
    fill(&filler).map_err(|error| format!("{}: {error}", filler.display()))?;
    let before = worker.line_count();
    let is_full = worker.wait_until(patience, |lines| rejections(&lines[before..]) > 0);
    let read = read_all(order);
    std::fs::remove_file(&filler).map_err(|error| error.to_string())?;
    if !is_full {
        return Ok(Err(Violation("it never said that the disk is full".into())));
    }
    if let Err(reason) = read {
        let what = format!("it could not be read while the disk was full: {reason}");
        return Ok(Err(Violation(what)));
    }
    if !acknowledges(worker, patience) {
        return Ok(Err(Violation(
            "it did not go on when there was room again".into(),
        )));
    }
    Ok(Ok(()))
}

/// Whether something more is acknowledged soon.
fn acknowledges(worker: &Worker, patience: Duration) -> bool {
    let before = worker.line_count();
    worker.wait_until(patience, |lines| acknowledgements(&lines[before..]) > 0)
}

fn rejections(lines: &[Line]) -> usize {
    let is_full = |line: &&Line| match line {
        Line::Rejected { reason, .. } => reason.contains("no room"),
        Line::Process(_)
        | Line::Opened
        | Line::NotOpened(_)
        | Line::Head { .. }
        | Line::Submitted(_)
        | Line::Acknowledged(_)
        | Line::Unknown { .. }
        | Line::Forgetting { .. }
        | Line::Forgotten { .. }
        | Line::Closed => false,
    };
    lines.iter().filter(is_full).count()
}

/// Takes all the room there is.
fn fill(path: &Path) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    for size in [64 * 1024, 4096] {
        let bytes = vec![1; size];
        loop {
            match file.write_all(&bytes) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Reads every stream to its head, as another process would.
fn read_all(order: &Order) -> Result<(), String> {
    let reader = JournalReader::open(&order.dir).map_err(|error| chain(&error))?;
    block_on(async {
        for stream in 0..order.streams {
            let name = stream_name(stream);
            let head = reader.head(&name);
            let mut last = None;
            let mut cursor = reader
                .read(&name, Position::FIRST)
                .map_err(|error| chain(&error))?;
            while let Some(chunk) = cursor.next().await.map_err(|error| chain(&error))? {
                last = Some(chunk.last());
            }
            if last < head {
                return Err(format!("{name} was read to {last:?}, its head is {head:?}"));
            }
        }
        Ok(())
    })?
}
