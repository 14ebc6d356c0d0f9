//! `orders drill`: both programs as real processes, real kills, and a judge at the end.
//!
//! Clients submit orders while the two programs are killed at moments drawn from a seed and started
//! again. When all is quiet, the judge compares what everybody knows. The same seed makes the same
//! plan; what exactly a kill meets is up to the machine.

mod chaos;
mod client;
mod history;
mod judge;
mod load;
mod place;
mod plan;
mod ports;
mod program;
mod programs;
mod progress;
mod report;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock;
use crate::domain::{OrderId, OrderStatus};
use crate::ledger::Ledger;
use chaos::Chaos;
use client::{Client, ClientError};
use judge::{Acknowledged, Evidence, Findings};
use load::Load;
use place::Place;
use plan::{OUTAGE_KILLS, Plan};
use program::ProgramError;
use programs::Programs;
use progress::Progress;
use report::{Course, Report};

/// Orders for each kill, so that each kill meets some.
const ORDERS_PER_KILL: usize = 4;

/// How long no order at all may be decided before the drill is given up.
const STALLED_AFTER: Duration = Duration::from_secs(180);

/// How often the processor is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// The flags of `orders drill`.
#[derive(Debug, clap::Args)]
pub struct DrillFlags {
    /// Orders to submit: at least 4 for each kill.
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    orders: usize,
    /// Kills with SIGKILL: at least 2, which belong to the outage.
    #[arg(long, value_name = "N", default_value_t = 20)]
    kills: usize,
    /// The same seed makes the same plan; drawn and shown if it is not given.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Print the result as one JSON object.
    #[arg(long)]
    json: bool,
    /// Clients that submit orders at the same time.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    connections: u16,
    /// A new directory for journal, ledger and logs, which then stays; otherwise a temporary one is
    /// used, and kept only if something is wrong.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Another validator: a command that takes the flags of `orders validator` and speaks its HTTP.
    #[arg(long, value_name = "COMMAND")]
    validator_command: Option<String>,
    /// The control: lets the processor's journal acknowledge entries before it has written them. The
    /// drill must then find that orders are lost.
    #[arg(long)]
    acknowledge_before_write: bool,
}

/// Why a drill broke off.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// Too few orders or kills.
    #[error("a drill needs at least {OUTAGE_KILLS} kills, and {ORDERS_PER_KILL} orders for each")]
    TooSmall,
    /// A file or directory cannot be used.
    #[error("files of the drill")]
    Files(#[from] std::io::Error),
    /// A program does not do what it should.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The processor gives no answer that serves.
    #[error("the processor's answer")]
    Client(#[from] ClientError),
    /// The outage does not stop the channel.
    #[error("the validator is away, and its channel did not stop")]
    NeverStopped,
    /// The channel was stopped, and delivered again after a mere restart.
    #[error("the stop of the channel did not outlive a restart of the processor")]
    StopForgotten,
    /// Orders stay pending.
    #[error("{pending} orders are pending, and none was decided for {STALLED_AFTER:?}")]
    Stalled {
        /// How many.
        pending: u64,
    },
    /// The journal cannot be replayed.
    #[error("the journal cannot be replayed")]
    History(#[from] history::HistoryError),
}

/// Runs a drill and prints its result. Succeeds only if everything holds.
///
/// # Errors
/// When the result cannot be printed.
pub async fn run(flags: DrillFlags) -> std::io::Result<ExitCode> {
    let begun = Instant::now();
    let mut course = Course {
        seed: flags
            .seed
            .unwrap_or_else(|| clock::now_micros() % 1_000_000),
        ..Course::default()
    };
    let mut place = None;
    let drilled = tokio::select! {
        drilled = prepare_and_drill(&flags, &mut place, &mut course) => drilled,
        _ = tokio::signal::ctrl_c() => return Ok(ExitCode::from(130)),
    };
    course.seconds = begun.elapsed().as_secs_f64();
    let report = match drilled {
        Ok(findings) => Report::of(findings, course),
        Err(error) => Report::broken_off(client::chain(&error), course),
    };
    if !report.ok
        && let Some(place) = place
    {
        place.keep();
    }
    let text = if flags.json {
        report.json()
    } else {
        report.to_string()
    };
    writeln!(std::io::stdout(), "{text}")?;
    Ok(if report.ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Makes the place of the drill, and drills there.
async fn prepare_and_drill(
    flags: &DrillFlags,
    place: &mut Option<Place>,
    course: &mut Course,
) -> Result<Findings, DrillError> {
    if flags.kills < OUTAGE_KILLS || flags.orders < flags.kills * ORDERS_PER_KILL {
        return Err(DrillError::TooSmall);
    }
    let place = place.insert(Place::new(flags.data.as_deref())?);
    let progress = Progress::new(flags.orders);
    progress.say(&format!(
        "{} orders, {} kills, seed {}, files in {}",
        flags.orders,
        flags.kills,
        course.seed,
        place.dir().display()
    ));
    let drilled = drill(flags, place, &progress, course).await;
    progress.finish();
    drilled
}

async fn drill(
    flags: &DrillFlags,
    place: &Place,
    progress: &Progress,
    course: &mut Course,
) -> Result<Findings, DrillError> {
    let mut programs = Programs::new(flags, place)?;
    programs.validator.start().await?;
    programs.processor.start().await?;
    let observed = submit_and_kill(flags, &mut programs, progress, course).await;
    course.kills = programs.processor.kills() + programs.validator.kills();
    course.delivery_stopped = programs.processor.stops();
    Ok(observed?.complete(&programs, place).await?.judge())
}

/// Lets the orders and the faults happen, waits for the end, and stops both programs.
async fn submit_and_kill(
    flags: &DrillFlags,
    programs: &mut Programs,
    progress: &Progress,
    course: &mut Course,
) -> Result<Observed, DrillError> {
    let client = Client::new(programs.processor.url())?;
    let (stored, so_far) = watch::channel(0);
    let released = watch::Sender::new(0);
    let load = Load {
        orders: flags.orders,
        seed: course.seed,
        released: released.subscribe(),
        stored,
    };
    let plan = Plan::draw(flags.orders, flags.kills, course.seed);
    let chaos = Chaos {
        client: &client,
        processor: &mut programs.processor,
        validator: &mut programs.validator,
        released,
        stored: so_far.clone(),
        progress,
    };
    progress.phase("stored");
    let happen = async {
        let load = async { Ok(load.run(&client, usize::from(flags.connections)).await?) };
        tokio::try_join!(load, chaos.run(&plan, flags.orders))
    };
    let (acknowledged, stored_while_stopped) = tokio::select! {
        happened = happen => happened?,
        never = progress.follow(so_far) => match never {},
    };
    course.stored_while_stopped = stored_while_stopped;

    progress.phase("decided");
    settled(&client, programs, progress).await?;
    let orders = client.orders().await?;
    programs.processor.stop().await?;
    programs.validator.stop().await?;
    Ok(Observed {
        submitted: flags.orders,
        acknowledged,
        orders,
    })
}

/// Waits until no order is pending any more.
async fn settled(
    client: &Client,
    programs: &mut Programs,
    progress: &Progress,
) -> Result<(), DrillError> {
    let (mut fewest, mut since) = (u64::MAX, Instant::now());
    loop {
        programs.processor.check()?;
        programs.validator.check()?;
        let count = client.count().await?;
        progress.set(count.accepted + count.declined);
        if count.pending == 0 {
            return Ok(());
        }
        if count.pending < fewest {
            (fewest, since) = (count.pending, Instant::now());
        }
        if since.elapsed() > STALLED_AFTER {
            let pending = count.pending;
            return Err(DrillError::Stalled { pending });
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// What was seen from outside while the programs ran.
struct Observed {
    submitted: usize,
    acknowledged: Vec<Acknowledged>,
    orders: BTreeMap<OrderId, OrderStatus>,
}

impl Observed {
    /// Adds what the files say, once nobody writes them any more.
    async fn complete(self, programs: &Programs, place: &Place) -> Result<Evidence, DrillError> {
        let recoveries = programs.recoveries();
        let told = history::replay(&place.data(), &recoveries).await?;
        Ok(Evidence {
            submitted: self.submitted,
            acknowledged: self.acknowledged,
            orders: self.orders,
            decisions: told.decisions,
            journaled: told.orders,
            begun: told.begun,
            calls: Ledger::read(&place.ledger())?,
            recoveries,
            digests: told.digests,
        })
    }
}
