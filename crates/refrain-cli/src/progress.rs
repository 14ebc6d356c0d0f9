//! Progress on standard error: only on a terminal, and only for work that takes long.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over bytes.
pub(crate) fn bytes(what: &'static str) -> ProgressBar {
    // Not a terminal: indicatif draws nothing.
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = "{msg} [{bar:30}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}

/// Bytes that were written, of nobody knows how many.
pub(crate) fn written(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{msg}: {bytes} written, {bytes_per_sec}") {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}

/// Shows that `done` of `of` are done.
pub(crate) fn show(bar: &ProgressBar, done: u64, of: u64) {
    if bar.length() != Some(of) {
        bar.set_length(of);
    }
    bar.set_position(done);
}
