//! `orders processor`: the domain, a journal in a directory, and an HTTP validator, put together.

use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use refrain::{
    ChannelOptions, Delay, FileJournal, FileSnapshots, Handle, Journal, JournalOptions,
    RedeliveryPolicy, Refrain, Signal, SnapshotPolicy, Subscription,
};
use refrain_http::{HttpDestination, HttpOptions, ServeLimits, serve};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::announcement::{Announcement, Recovered, Stopped};
use crate::api;
use crate::control::AcknowledgeBeforeWrite;
use crate::lifetime::Lifetime;
use crate::processor::{Orders, VALIDATION};

/// The processor's name, and its stream's in the journal.
pub const ORDERS: &str = "orders";

/// The flags of `orders processor`. The defaults of the policy are Refrain's.
#[derive(Debug, clap::Args)]
pub struct ProcessorFlags {
    /// Where the journal and the snapshots are kept.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The validator, as `http://HOST:PORT`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7001")]
    validator: String,
    /// Where to listen; port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7000")]
    listen: SocketAddr,
    /// How long the validator has to reply.
    #[arg(long, value_name = "MS", default_value_t = 5_000)]
    reply_timeout_ms: u64,
    /// How long a request and its outcome may take together; more than the reply.
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    confirmation_timeout_ms: u64,
    /// The time from a failure to the next attempt.
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    redelivery_delay_ms: u64,
    /// Attempts after the first, before the channel pauses.
    #[arg(long, value_name = "N", default_value_t = 3)]
    redelivery_max: u32,
    /// How long the channel pauses.
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    restart_delay_ms: u64,
    /// Pauses, before the channel stops.
    #[arg(long, value_name = "N", default_value_t = 1)]
    restart_max: u32,
    /// How long after a stop delivery is switched on again.
    #[arg(long, value_name = "MS", default_value_t = 30_000)]
    deliver_again_after_ms: u64,
    /// Validations under way at once.
    #[arg(long, value_name = "N", default_value_t = 64)]
    window: u32,
    /// Entries from one snapshot to the next.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    snapshot_every: u64,
    /// The size of the journal's files.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1024))]
    segment_mib: u64,
    /// The control: acknowledge entries before they are written. Loses orders.
    #[arg(long)]
    acknowledge_before_write: bool,
    #[command(flatten)]
    lifetime: Lifetime,
}

/// Runs the processor until it is told to stop.
///
/// # Errors
/// When the journal, the policy or the address cannot be used, or the processor halts.
pub async fn run(flags: ProcessorFlags) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(flags.listen).await?;
    let refrain = Arc::new(launch(&flags)?);
    let orders = refrain.processor::<Orders>(ORDERS);
    Announcement::Listening(format!("http://{}", listener.local_addr()?)).print();

    let routes = api::routes(Arc::clone(&refrain), orders.clone());
    let deliver_again_after = Duration::from_millis(flags.deliver_again_after_ms);
    let signals = refrain.events();
    let watched = async {
        announce_recovery(&refrain, &orders).await?;
        watch(signals, &orders, deliver_again_after).await
    };
    tokio::select! {
        _ = serve(listener, routes, ServeLimits::default(), flags.lifetime.over()) => {}
        halted = watched => halted?,
    }
    refrain.drain().await;
    Ok(())
}

/// Puts the processor together. Recovers in the background; messages wait until that is done.
fn launch(flags: &ProcessorFlags) -> Result<Refrain, Box<dyn Error>> {
    let policy = RedeliveryPolicy {
        reply_timeout: Duration::from_millis(flags.reply_timeout_ms),
        confirmation_timeout: Some(Duration::from_millis(flags.confirmation_timeout_ms)),
        redelivery_delay: Delay::Fixed(Duration::from_millis(flags.redelivery_delay_ms)),
        redelivery_max: flags.redelivery_max,
        restart_delay: Duration::from_millis(flags.restart_delay_ms),
        restart_max: flags.restart_max,
    };
    let validations = format!("{}/validations", flags.validator);
    let validator = HttpDestination::with(&validations, HttpOptions::default().allow_loopback())?;
    let refrain = Refrain::builder()
        .shared_journal(journal(flags)?)
        .snapshots(
            FileSnapshots::open(flags.data.join("snapshots"))?,
            SnapshotPolicy::every_entries(flags.snapshot_every),
        )
        .processor(ORDERS, Orders::default())
        .destination(
            &VALIDATION,
            validator,
            // Whether a card is good can be asked twice, and in any order.
            ChannelOptions::from(policy)
                .unordered(flags.window)
                .without_side_effects(),
        )
        .launch()?;
    Ok(refrain)
}

/// Where the journal is, in the processor's directory.
pub fn journal_dir(data: &Path) -> PathBuf {
    data.join("journal")
}

fn journal(flags: &ProcessorFlags) -> Result<Arc<dyn Journal>, Box<dyn Error>> {
    let options = JournalOptions::default().segment_bytes(flags.segment_mib << 20);
    let journal = FileJournal::open_with(journal_dir(&flags.data), options)?;
    let journal: Arc<dyn Journal> = Arc::new(journal);
    if flags.acknowledge_before_write {
        return Ok(Arc::new(AcknowledgeBeforeWrite::new(journal)));
    }
    Ok(journal)
}

/// Waits for the recovery and tells what it came to.
async fn announce_recovery(
    refrain: &Refrain,
    orders: &Handle<Orders>,
) -> Result<(), Box<dyn Error>> {
    refrain.recovered().await?;
    let digest = orders.digest().await?;
    for recovery in refrain.recovery() {
        let before = recovery.snapshot.map_or(0, |snapshot| snapshot.get());
        Announcement::Recovered(Recovered {
            entries: recovery.entries,
            position: before + recovery.entries,
            digest: digest.to_string(),
            digest_position: digest.position.get(),
            began_micros: recovery.began.as_micros(),
            ended_micros: recovery.ended.as_micros(),
        })
        .print();
    }
    Ok(())
}

/// Switches delivery on again some time after it stopped, for as long as the processor runs.
///
/// A real shop would also wake somebody, or turn to another validator.
async fn watch(
    mut signals: Subscription,
    orders: &Handle<Orders>,
    deliver_again_after: Duration,
) -> Result<(), Box<dyn Error>> {
    let mut due: Option<(Instant, String)> = None;
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Some(Signal::DeliveryStopped { channel, pending, reason, .. }) => {
                    due = Some((Instant::now() + deliver_again_after, channel.to_string()));
                    let (channel, reason) = (channel.to_string(), reason.to_string());
                    Announcement::Stopped(Stopped { channel, pending, reason }).print();
                }
                Some(Signal::DeliveryResumed { .. }) => due = None,
                Some(Signal::ProcessorHalted { reason, .. }) => return Err(reason.into()),
                Some(_) => {}
                None => return Ok(()),
            },
            channel = wait_until_due(&due) => {
                due = None;
                orders.deliver(&channel).await?;
            }
        }
    }
}

/// The channel that is due, once it is; waits for ever when none is going to be.
async fn wait_until_due(due: &Option<(Instant, String)>) -> String {
    match due {
        Some((at, channel)) => {
            tokio::time::sleep_until(*at).await;
            channel.clone()
        }
        None => std::future::pending().await,
    }
}
