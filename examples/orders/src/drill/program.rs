//! A program that the drill starts, kills and starts again on the same address.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::announcement::Announcement;

/// How long a program has from its start until it listens.
const LISTENS_WITHIN: Duration = Duration::from_secs(120);

/// How long it has to end in order.
const ENDS_WITHIN: Duration = Duration::from_secs(120);

/// A program, whether it runs at the moment or not. Dropping it kills what runs.
#[derive(Debug)]
pub struct Program {
    name: &'static str,
    command: Vec<OsString>,
    address: SocketAddr,
    log: PathBuf,
    child: Option<Child>,
    /// The child ends when this pipe does: also when the drill cannot kill it any more.
    stdin: Option<ChildStdin>,
    /// Reads what the child prints, until it ends.
    reader: JoinSet<()>,
    announced: Arc<Mutex<Vec<Announcement>>>,
    listens: watch::Sender<bool>,
    kills: usize,
}

/// Why a program could not be started or stopped, or is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It could not be started at all.
    #[error("the {name} cannot be started")]
    Start {
        /// Which program.
        name: &'static str,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It ended although nobody killed it.
    #[error("the {name} ended by itself with {status}; its log: {tail}")]
    Ended {
        /// Which program.
        name: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        tail: String,
    },
    /// It did not do in time what it should.
    #[error("the {name} did not {what} within {within:?}; its log: {tail}")]
    TooSlow {
        /// Which program.
        name: &'static str,
        /// What it should have done.
        what: &'static str,
        /// In which time.
        within: Duration,
        /// The end of its log.
        tail: String,
    },
}

impl Program {
    /// A program that is not started yet. `command` is its file and arguments; what it writes to
    /// standard error is added to the file `log`.
    pub fn new(
        name: &'static str,
        command: Vec<OsString>,
        address: SocketAddr,
        log: PathBuf,
    ) -> Program {
        assert!(!command.is_empty(), "a command has a file at least");
        Program {
            name,
            command,
            address,
            log,
            child: None,
            stdin: None,
            reader: JoinSet::new(),
            announced: Arc::default(),
            listens: watch::Sender::new(false),
            kills: 0,
        }
    }

    /// The URL that it serves.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that all its runs announced so far, in order.
    pub fn announced(&self) -> Vec<Announcement> {
        self.announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How often it announced that a channel is stopped; one that outlives a restart is announced
    /// again.
    pub fn stops(&self) -> usize {
        let announced = self.announced();
        let stops = announced
            .iter()
            .filter(|announcement| matches!(announcement, Announcement::Stopped(_)));
        stops.count()
    }

    /// How often it was killed.
    pub fn kills(&self) -> usize {
        self.kills
    }

    /// Starts it and does not wait until it listens.
    ///
    /// # Errors
    /// When its file cannot be run.
    pub fn spawn(&mut self) -> Result<(), ProgramError> {
        assert!(self.child.is_none(), "the {} runs already", self.name);
        let start = |cause| ProgramError::Start {
            name: self.name,
            cause,
        };
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let mut child = Command::new(&self.command[0])
            .args(&self.command[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.map_err(start)?)
            .kill_on_drop(true)
            .spawn()
            .map_err(start)?;
        let stdout = child.stdout.take().expect("standard output is a pipe");
        // Not left to the child, that closes it on every wait.
        self.stdin = child.stdin.take();
        self.listens.send_replace(false);
        let (announced, listens) = (Arc::clone(&self.announced), self.listens.clone());
        self.reader.spawn(read(stdout, announced, listens));
        self.child = Some(child);
        Ok(())
    }

    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// When it ends or takes too long.
    pub async fn start(&mut self) -> Result<(), ProgramError> {
        self.spawn()?;
        let mut listens = self.listens.subscribe();
        let child = self.child.as_mut().expect("it was just started");
        let listening = tokio::time::timeout(LISTENS_WITHIN, async {
            tokio::select! {
                _ = listens.wait_for(|listens| *listens) => None,
                ended = child.wait() => ended.ok(),
            }
        });
        match listening.await {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.ended(status)),
            Err(_) => Err(self.too_slow("listen", LISTENS_WITHIN)),
        }
    }

    /// Kills it with SIGKILL, if it runs, and waits until it is gone.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Fails only for a child that has ended, which is what we want.
            let _ = child.kill().await;
            self.kills += 1;
            self.read_to_the_end().await;
        }
    }

    /// Ends it in order: closes its standard input and waits for its end.
    ///
    /// # Errors
    /// When it takes too long, or ends with a failure.
    pub async fn stop(&mut self) -> Result<(), ProgramError> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        drop(self.stdin.take());
        let ended = tokio::time::timeout(ENDS_WITHIN, child.wait()).await;
        // Whatever happened, nothing is left behind.
        let _ = child.kill().await;
        self.read_to_the_end().await;
        match ended {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(self.ended(status)),
            Ok(Err(_)) | Err(_) => Err(self.too_slow("end", ENDS_WITHIN)),
        }
    }

    /// Checks that it runs, if it should.
    ///
    /// # Errors
    /// When it ended by itself.
    pub fn check(&mut self) -> Result<(), ProgramError> {
        let ended = self.child.as_mut().map(Child::try_wait);
        match ended {
            Some(Ok(Some(status))) => Err(self.ended(status)),
            Some(Ok(None) | Err(_)) | None => Ok(()),
        }
    }

    async fn read_to_the_end(&mut self) {
        while self.reader.join_next().await.is_some() {}
    }

    fn ended(&self, status: ExitStatus) -> ProgramError {
        ProgramError::Ended {
            name: self.name,
            status,
            tail: tail(&self.log),
        }
    }

    fn too_slow(&self, what: &'static str, within: Duration) -> ProgramError {
        ProgramError::TooSlow {
            name: self.name,
            what,
            within,
            tail: tail(&self.log),
        }
    }
}

/// Collects what one run of the program announces.
async fn read(
    stdout: ChildStdout,
    announced: Arc<Mutex<Vec<Announcement>>>,
    listens: watch::Sender<bool>,
) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Some(announcement) = Announcement::parse(&line) else {
            continue;
        };
        if matches!(announcement, Announcement::Listening(_)) {
            listens.send_replace(true);
        }
        announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(announcement);
    }
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    const LINES: usize = 5;
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join(" | ")
}
