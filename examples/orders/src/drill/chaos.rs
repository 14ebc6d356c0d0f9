//! Carries out a plan: kills, restarts, and the long outage.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::DrillError;
use super::client::Client;
use super::plan::{Fault, FaultKind, Plan, Strike};
use super::program::{Program, ProgramError};
use super::progress::Progress;
use crate::api::ChannelState;
use crate::processor::VALIDATION;

/// How long the channel has to stop, once the validator is away.
const STOPS_WITHIN: Duration = Duration::from_secs(180);

/// How often a program is looked after while the drill waits for something.
const LOOK_AFTER: Duration = Duration::from_millis(20);

/// What the chaos works on.
#[derive(Debug)]
pub struct Chaos<'a> {
    /// To see and to switch on the channel.
    pub client: &'a Client,
    /// The order processor.
    pub processor: &'a mut Program,
    /// The validator.
    pub validator: &'a mut Program,
    /// Orders that may be submitted by now.
    pub released: watch::Sender<usize>,
    /// Orders that are stored by now.
    pub stored: watch::Receiver<usize>,
    /// Where it tells what it does.
    pub progress: &'a Progress,
}

impl Chaos<'_> {
    /// Carries out the plan, releases all orders, looks after the programs until the clients are
    /// gone, and gives how many orders were stored while the channel was stopped.
    ///
    /// # Errors
    /// When a program does not start, ends by itself, or the channel does not stop.
    pub async fn run(mut self, plan: &Plan, orders: usize) -> Result<usize, DrillError> {
        let mut stored_while_stopped = 0;
        for fault in &plan.faults {
            match fault.kind {
                FaultKind::Outage => stored_while_stopped += self.outage(fault).await?,
                FaultKind::Strike(strike) => {
                    self.released.send_replace(fault.released);
                    self.wait_until_stored(fault.stored).await?;
                    tokio::time::sleep(fault.pause).await;
                    self.strike(strike).await?;
                }
            }
        }
        self.released.send_replace(orders);
        self.wait_until_clients_are_gone().await?;
        Ok(stored_while_stopped)
    }

    async fn strike(&mut self, strike: Strike) -> Result<(), ProgramError> {
        self.look_after()?;
        match strike {
            Strike::Processor { down } => {
                self.progress
                    .say(&format!("processor killed, back in {down:?}"));
                restart(self.processor, down).await
            }
            Strike::ProcessorTwice { down, into } => {
                self.progress.say(&format!(
                    "processor killed, and again {into:?} into its start"
                ));
                self.processor.kill().await;
                self.processor.spawn()?;
                tokio::time::sleep(into).await;
                self.look_after()?;
                restart(self.processor, down).await
            }
            Strike::Validator { down } => {
                self.progress
                    .say(&format!("validator killed, back in {down:?}"));
                restart(self.validator, down).await
            }
        }
    }

    /// Takes the validator away until the channel stops, and shows that orders are still stored,
    /// that the stop outlives a crash, and that delivery goes on when it is switched on again.
    async fn outage(&mut self, fault: &Fault) -> Result<usize, DrillError> {
        self.released.send_replace(fault.stored);
        self.wait_until_stored(fault.stored).await?;
        self.look_after()?;
        self.validator.kill().await;
        self.progress
            .say("validator killed, and away until its channel stops");

        // Whatever was stored before may be decided: only new orders make sure that something waits.
        let half = fault.stored + (fault.released - fault.stored).div_ceil(2);
        let stops = self.processor.stops();
        self.released.send_replace(half);
        self.wait_until_stops(stops + 1).await?;
        self.progress.say("the channel stopped; processor killed");
        restart(self.processor, Duration::ZERO).await?;
        // Announced again, and without another attempt.
        self.wait_until_stops(stops + 2).await?;
        let channel = self.client.channel(VALIDATION.name()).await?;
        if !channel.is_some_and(|it| it.state == ChannelState::Stopped && it.attempts == 0) {
            return Err(DrillError::StopForgotten);
        }

        let stored_before = *self.stored.borrow();
        self.released.send_replace(fault.released);
        self.wait_until_stored(fault.released).await?;
        let stored = *self.stored.borrow() - stored_before;
        self.validator.start().await?;
        self.client.deliver(VALIDATION.name()).await?;
        self.progress.say(&format!(
            "{stored} orders were stored meanwhile; validator back, delivery switched on again"
        ));
        Ok(stored)
    }

    async fn wait_until_stored(&mut self, wanted: usize) -> Result<(), DrillError> {
        loop {
            let stored = self.stored.wait_for(|stored| *stored >= wanted);
            match tokio::time::timeout(LOOK_AFTER, stored).await {
                Ok(Ok(_)) => return Ok(()),
                // The clients are gone: their own error says why, and ends the drill.
                Ok(Err(_)) => return std::future::pending().await,
                Err(_) => {}
            }
            self.look_after()?;
        }
    }

    async fn wait_until_clients_are_gone(&mut self) -> Result<(), DrillError> {
        loop {
            let changed = tokio::time::timeout(LOOK_AFTER, self.stored.changed()).await;
            if let Ok(Err(_)) = changed {
                return Ok(());
            }
            self.look_after()?;
        }
    }

    /// Waits until the processor has announced so many stops. What it announces is durable.
    async fn wait_until_stops(&mut self, stops: usize) -> Result<(), DrillError> {
        let since = Instant::now();
        while self.processor.stops() < stops {
            self.look_after()?;
            if since.elapsed() > STOPS_WITHIN {
                return Err(DrillError::NeverStopped);
            }
            tokio::time::sleep(LOOK_AFTER).await;
        }
        Ok(())
    }

    fn look_after(&mut self) -> Result<(), ProgramError> {
        self.processor.check()?;
        self.validator.check()
    }
}

async fn restart(program: &mut Program, down: Duration) -> Result<(), ProgramError> {
    program.kill().await;
    tokio::time::sleep(down).await;
    program.start().await
}
