//! How long a program runs: until it is interrupted, or until whoever started it is gone.

use tokio::io::AsyncReadExt;

/// The flag that ties a program's life to another's.
#[derive(Debug, Clone, clap::Args)]
pub struct Lifetime {
    /// Stop in order when standard input ends. A program that starts this one and keeps a pipe to
    /// its standard input cannot leave it behind, however it ends itself.
    #[arg(long)]
    until_stdin_ends: bool,
}

impl Lifetime {
    /// Waits for the end: an interrupt, a request to terminate, or the end of standard input.
    pub async fn over(&self) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = terminated() => {}
            () = stdin_ended(), if self.until_stdin_ends => {}
        }
    }
}

async fn stdin_ended() {
    let mut stdin = tokio::io::stdin();
    let mut ignored = [0; 64];
    while matches!(stdin.read(&mut ignored).await, Ok(1..)) {}
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}
