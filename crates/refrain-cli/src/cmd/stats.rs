//! `stats`: how much there is.

use refrain_journal::inspect::{FileRole, Inspection, Inspector};
use serde_json::json;

use crate::cmd::inspect;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::flags::Stats;
use crate::screen::Screen;
use crate::shown::{bytes_text, count_text};

pub(crate) fn run(flags: &Stats, screen: &mut Screen) -> Result<Exit, Failure> {
    let mut inspector = Inspector::new(&flags.dir);
    if let Some(dir) = &flags.snapshots {
        inspector = inspector.snapshots(dir);
    }
    let inspection = inspect(&inspector, "reading", &mut ())?;
    let figures = Figures::of(&inspection);
    if screen.json(&figures.value(&inspection))? {
        return Ok(Exit::of(&inspection));
    }
    for (what, value) in figures.lines(&inspection) {
        screen.line(&format!("{what:<18} {value}"))?;
    }
    Ok(Exit::of(&inspection))
}

/// Sums over files and streams.
#[derive(Debug)]
struct Figures {
    segments: usize,
    spares: usize,
    indexes: usize,
    stream_segments: usize,
    file_bytes: u64,
    used_bytes: u64,
    entries: u64,
    entry_bytes: u64,
    snapshot_bytes: u64,
}

impl Figures {
    fn of(inspection: &Inspection) -> Figures {
        let count = |is_wanted: fn(&FileRole) -> bool| {
            let files = inspection.files.iter();
            files.filter(|file| is_wanted(&file.role)).count()
        };
        Figures {
            segments: count(|role| matches!(role, FileRole::Log(_))),
            spares: count(|role| matches!(role, FileRole::Spare(_))),
            indexes: count(|role| matches!(role, FileRole::Index(_))),
            stream_segments: count(|role| matches!(role, FileRole::Streams(..))),
            file_bytes: inspection.file_bytes(),
            used_bytes: inspection.files.iter().map(|file| file.used).sum(),
            entries: inspection.streams.iter().map(|one| one.entries).sum(),
            entry_bytes: inspection.streams.iter().map(|one| one.bytes).sum(),
            snapshot_bytes: inspection.snapshots.iter().map(|one| one.file.bytes).sum(),
        }
    }

    /// Bytes of files for each byte of an entry; `None` without entries.
    fn amplification(&self, bytes: u64) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
        (self.entry_bytes > 0).then(|| bytes as f64 / self.entry_bytes as f64)
    }

    fn value(&self, inspection: &Inspection) -> serde_json::Value {
        let mark = inspection.mark.map(|mark| {
            json!({
                "identity": format!("{:016x}", mark.identity),
                "epoch": mark.epoch,
                "first_segment": mark.first_segment,
                "segment": mark.end.segment,
                "offset": mark.end.offset,
                "frame": mark.end.frame,
            })
        });
        json!({
            "files": inspection.files.len(),
            "file_bytes": self.file_bytes,
            "used_bytes": self.used_bytes,
            "segments": self.segments,
            "spares": self.spares,
            "indexes": self.indexes,
            "stream_segments": self.stream_segments,
            "frames": inspection.frames,
            "streams": inspection.streams.len(),
            "entries": self.entries,
            "entry_bytes": self.entry_bytes,
            "amplification": self.amplification(self.used_bytes),
            "amplification_reserved": self.amplification(self.file_bytes),
            "mark": mark,
            "snapshots": inspection.snapshots.len(),
            "snapshot_bytes": self.snapshot_bytes,
            "moving": inspection.is_moving,
            "sound": inspection.is_sound(),
        })
    }

    fn lines(&self, inspection: &Inspection) -> Vec<(&'static str, String)> {
        let ratio = |bytes| {
            self.amplification(bytes)
                .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"))
        };
        let mut lines = vec![
            ("files", inspection.files.len().to_string()),
            (
                "bytes of files",
                format!(
                    "{}, {} of them used",
                    bytes_text(self.file_bytes),
                    bytes_text(self.used_bytes)
                ),
            ),
            (
                "log segments",
                format!(
                    "{}, {} spare, {}",
                    self.segments,
                    self.spares,
                    count_text(self.indexes as u64, "index", "indexes")
                ),
            ),
            ("stream segments", self.stream_segments.to_string()),
            ("frames", inspection.frames.to_string()),
            ("streams", inspection.streams.len().to_string()),
            ("entries", self.entries.to_string()),
            ("bytes of entries", bytes_text(self.entry_bytes)),
            (
                "amplification",
                format!(
                    "{} used, {} reserved",
                    ratio(self.used_bytes),
                    ratio(self.file_bytes)
                ),
            ),
        ];
        match inspection.mark {
            Some(mark) => {
                lines.push(("identity", format!("{:016x}", mark.identity)));
                lines.push(("epoch", mark.epoch.to_string()));
                lines.push((
                    "durable mark",
                    format!(
                        "segment {}, offset {}, next frame {}",
                        mark.end.segment, mark.end.offset, mark.end.frame
                    ),
                ));
            }
            None => lines.push(("durable mark", "cannot be read".to_owned())),
        }
        if !inspection.snapshots.is_empty() {
            lines.push((
                "snapshots",
                format!(
                    "{}, {}",
                    inspection.snapshots.len(),
                    bytes_text(self.snapshot_bytes)
                ),
            ));
        }
        if inspection.is_moving {
            lines.push(("being written", "yes".to_owned()));
        }
        if !inspection.is_sound() {
            lines.push(("damaged", "yes: see `refrain journal verify`".to_owned()));
        }
        lines
    }
}
