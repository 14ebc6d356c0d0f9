//! Progress on standard error: only on a terminal, and only for work that takes long.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work that takes less shows nothing.
const SHOWN_AFTER: Duration = Duration::from_millis(300);

/// How far some work is.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
    has_terminal: bool,
}

impl Progress {
    /// Over bytes. The bar takes the room that the numbers leave.
    pub(crate) fn of_bytes(what: &'static str) -> Progress {
        let style = "{msg} [{wide_bar}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
        Progress::new(what, style)
    }

    /// Over bytes that are written, of nobody knows how many.
    pub(crate) fn of_written(what: &'static str) -> Progress {
        Progress::new(what, "{msg}: {bytes} written, {bytes_per_sec}")
    }

    fn new(what: &'static str, style: &str) -> Progress {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.set_message(what);
        Progress {
            bar,
            has_terminal: io::stderr().is_terminal(),
        }
    }

    /// `done` of `of` are done.
    pub(crate) fn show(&self, done: u64, of: u64) {
        if self.bar.length() != Some(of) {
            self.bar.set_length(of);
        }
        self.show_done(done);
    }

    /// `done` are done.
    pub(crate) fn show_done(&self, done: u64) {
        if self.has_terminal && self.bar.is_hidden() && self.bar.elapsed() >= SHOWN_AFTER {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_position(done);
    }

    /// Nothing of it stays on the terminal.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
