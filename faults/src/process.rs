//! A worker as its parent sees it: a process to stop, and what it said.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::clock::Clock;
use crate::line::Line;
use crate::order::Order;

/// A worker that runs.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    said: Arc<Said>,
    listener: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Said {
    state: Mutex<Speech>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Speech {
    lines: Vec<Line>,
    is_over: bool,
    unreadable: Option<String>,
}

impl Said {
    fn lock(&self) -> MutexGuard<'_, Speech> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self, stream: impl Read) {
        let mut reader = BufReader::new(stream);
        let mut text = Vec::new();
        // A last line without its end was cut short: the worker was killed while it spoke.
        while matches!(reader.read_until(b'\n', &mut text), Ok(1..)) && text.ends_with(b"\n") {
            let line = String::from_utf8_lossy(&text).trim_end().parse();
            let mut speech = self.lock();
            match line {
                Ok(line) => speech.lines.push(line),
                Err(reason) => speech.unreadable = Some(reason),
            }
            self.more.notify_all();
            text.clear();
        }
        self.lock().is_over = true;
        self.more.notify_all();
    }
}

/// How a worker is started.
#[derive(Debug, Default)]
pub(crate) struct Wrap {
    /// The program and arguments that start it; none starts it directly.
    pub(crate) with: Vec<String>,
}

impl Worker {
    /// Starts one.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(crate) fn start(order: &Order, wrap: &Wrap) -> Result<Worker, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut words = wrap.with.clone();
        words.push(program.display().to_string());
        words.push("work".to_owned());
        words.push(serde_json::to_string(order).map_err(|error| error.to_string())?);
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", words[0]))?;
        let said = Arc::new(Said::default());
        let stream = child.stdout.take().expect("it is piped");
        let ear = Arc::clone(&said);
        let listener = std::thread::spawn(move || ear.listen(stream));
        Ok(Worker {
            child,
            said,
            listener: Some(listener),
        })
    }

    /// Waits until `wanted` is true of what was said so far, for at most `patience`; false when the
    /// worker said all it will say, or time is up.
    pub(crate) fn wait_until(&self, patience: Duration, wanted: impl Fn(&[Line]) -> bool) -> bool {
        let started = Clock::start();
        let mut speech = self.said.lock();
        loop {
            if wanted(&speech.lines) {
                return true;
            }
            let left = patience.saturating_sub(started.elapsed());
            if speech.is_over || left.is_zero() {
                return false;
            }
            let waited = self.said.more.wait_timeout(speech, left);
            speech = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How many lines were said so far.
    pub(crate) fn line_count(&self) -> usize {
        self.said.lock().lines.len()
    }

    /// Sends a signal to the worker itself, also below a tracer; nothing happens when it has ended or
    /// has not said yet who it is.
    pub(crate) fn signal(&self, signal: Signal) {
        let Some(Line::Process(id)) = self.said.lock().lines.first().cloned() else {
            return;
        };
        if let Some(id) = Pid::from_raw(id) {
            // It may be gone already.
            let _ = kill_process(id, signal);
        }
    }

    /// Tells it to end in good order.
    pub(crate) fn end(&mut self) {
        if let Some(input) = &mut self.child.stdin {
            // It may be gone already.
            let _ = input.write_all(b"end\n");
        }
    }

    /// Kills it, with whatever started it, and waits for its end.
    ///
    /// # Errors
    /// When it said something that is no report.
    pub(crate) fn kill(mut self) -> Result<Vec<Line>, String> {
        self.signal(Signal::KILL);
        // It may be gone already.
        let _ = self.child.kill();
        self.gather().map(|(lines, _)| lines)
    }

    /// Waits for its own end; after `patience` it is killed.
    ///
    /// # Errors
    /// When it did not end by itself, or said something that is no report.
    pub(crate) fn finish(mut self, patience: Duration) -> Result<(Vec<Line>, ExitStatus), String> {
        let is_over = self.wait_for_silence(patience);
        if !is_over {
            self.signal(Signal::KILL);
            let _ = self.child.kill();
            let _ = self.gather();
            return Err(format!("the worker did not end in {patience:?}"));
        }
        self.gather()
    }

    fn wait_for_silence(&self, patience: Duration) -> bool {
        self.wait_until(patience, |_| false);
        self.said.lock().is_over
    }

    fn gather(&mut self) -> Result<(Vec<Line>, ExitStatus), String> {
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if let Some(listener) = self.listener.take() {
            let heard = listener.join();
            heard.map_err(|_| "the thread that listens panicked".to_owned())?;
        }
        let mut speech = self.said.lock();
        match speech.unreadable.take() {
            Some(reason) => Err(reason),
            None => Ok((std::mem::take(&mut speech.lines), status)),
        }
    }
}

impl Drop for Worker {
    /// No worker outlives the one who started it, whatever way that ends.
    fn drop(&mut self) {
        if self.listener.is_some() {
            self.signal(Signal::KILL);
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
