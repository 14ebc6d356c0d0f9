//! What a drill shows on standard error while it runs: a bar on a terminal, plain lines elsewhere.

use std::convert::Infallible;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;

/// How often the bar moves.
const TICK: Duration = Duration::from_millis(100);

/// Shows how far a drill is.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// For a drill of so many orders.
    pub fn new(orders: usize) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:40} {pos}/{len} orders {msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(orders as u64).with_style(style)
        });
        Progress { bar }
    }

    /// Tells something that happened.
    pub fn say(&self, what: &str) {
        match &self.bar {
            Some(bar) => bar.println(what),
            None => {
                // A reader that went away is no reason to stop.
                let _ = writeln!(std::io::stderr(), "{what}");
            }
        }
    }

    /// Says what the orders on the bar are.
    pub fn phase(&self, phase: &'static str) {
        match &self.bar {
            Some(bar) => bar.set_message(phase),
            None => self.say(phase),
        }
    }

    /// Moves the bar.
    pub fn set(&self, orders: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(orders);
        }
    }

    /// Moves the bar with a count, for as long as the future is polled.
    pub async fn follow(&self, count: watch::Receiver<usize>) -> Infallible {
        loop {
            self.set(*count.borrow() as u64);
            tokio::time::sleep(TICK).await;
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
