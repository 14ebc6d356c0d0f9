//! The example that the seed describes: an order processor and an external card validator, two
//! programs that talk over HTTP, and a drill that kills them at any time.
//!
//! Read from the top: [`domain`] is what orders are, [`processor`] is what happens to them,
//! [`wiring`] is where the journal, the validator's URL and the policy come in, and [`api`] is the
//! processor's HTTP. [`validator`] is the other program. [`drill`] is the proof.

#![allow(
    unreachable_pub,
    reason = "a program exports nothing: `pub` says what a file offers to the others"
)]

mod announcement;
mod api;
mod clock;
mod control;
mod domain;
mod drill;
mod ledger;
mod lifetime;
mod processor;
mod validator;
mod wiring;

use std::error::Error;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// An order processor, a card validator, and a drill that kills them. Without a command: the drill.
#[derive(Debug, Parser)]
#[command(name = "orders", version, args_conflicts_with_subcommands = true)]
struct Line {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    drill: drill::DrillFlags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the order processor.
    Processor(wiring::ProcessorFlags),
    /// Run the external card validator.
    Validator(validator::ValidatorFlags),
    /// Run both, kill them at random, and judge what became of the orders.
    Drill(drill::DrillFlags),
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let line = Line::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(run(line));
    // A read of standard input cannot be called off, and nothing else is worth waiting for.
    runtime.shutdown_background();
    ended
}

async fn run(line: Line) -> Result<ExitCode, Box<dyn Error>> {
    match line.command.unwrap_or(Command::Drill(line.drill)) {
        Command::Processor(flags) => wiring::run(flags).await?,
        Command::Validator(flags) => validator::run(flags).await?,
        Command::Drill(flags) => return Ok(drill::run(flags).await?),
    }
    Ok(ExitCode::SUCCESS)
}
