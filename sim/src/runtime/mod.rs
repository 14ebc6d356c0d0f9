//! The runtime in the seeded world: processes with a processor, its journal and its snapshots live and
//! die on one disk, while the destinations and whoever asked remember.
//!
//! Nothing of the runtime is replaced. Its tasks run on one thread, on a clock that moves when the
//! seed says so; the journal's threads take turns with it as in the journal's own world. Only
//! `Book`, which stands outside, judges.

mod book;
mod clerk;
mod foreign;
mod life;
mod plan;
mod register;
mod service;

use std::sync::Arc;

use refrain::Timestamp;
use refrain_journal::{Disk, OpenError};

use crate::baton::Baton;
use crate::chance::Chance;
use crate::disk::{End, Files, Process, Rates, SimDisk, Survival, Trace};
use crate::model::Violation;
use crate::sometimes::{Sometimes, note};
use crate::world::{Manner, Outcome, guarded};
use book::Book;
use clerk::Clerk;
use life::{JOURNAL_DIR, Life, Place, SNAPSHOTS_DIR, Start};
use plan::{Between, LifePlan, Plan};
use service::Outside;

const OPENS: &str = "the journal opens again";
const ENDS: &str = "a runtime that is dropped ends its tasks";
const SAME: &str = "the next process has the same state";

/// Carries out what `seed` means.
#[must_use]
pub fn run(seed: u64, manner: Manner) -> Outcome {
    let plan = Plan::of_seed(seed);
    let baton = Baton::new(Chance::new(seed, "schedule"), plan.pace);
    let trace = if manner.with_lines {
        Trace::with_lines()
    } else {
        Trace::default()
    };
    let disk = SimDisk::new(Arc::clone(&baton), Chance::new(seed, "disk"), trace);
    let mut world = World {
        outside: Outside::new(Chance::new(seed, "outside"), plan.trouble_one_in),
        chance: Chance::new(seed, "work"),
        baton: Arc::clone(&baton),
        disk,
        plan,
        crashes: 0,
        clock: Clocks::new(seed),
    };
    let violation = guarded(&baton, || world.carry_out());
    Outcome {
        hash: world.disk.hash(),
        ops: world.disk.ops(),
        crashes: world.crashes,
        violation,
        lines: world.disk.lines(),
    }
}

struct World {
    plan: Plan,
    baton: Arc<Baton>,
    disk: SimDisk,
    outside: Outside,
    chance: Chance,
    crashes: u64,
    clock: Clocks,
}

/// Hands each process the time by its clock, and what it draws from.
///
/// Each begins earlier, by its clock, than the one before did. So it goes on from the stream's time, and
/// two lines of one journal, which was put back, are also written at one and the same time.
struct Clocks {
    chance: Chance,
    hours: u64,
}

impl Clocks {
    fn new(seed: u64) -> Clocks {
        Clocks {
            chance: Chance::new(seed, "keys"),
            hours: 1_000_000,
        }
    }

    fn next(&mut self) -> Start {
        self.hours -= 1;
        Start {
            time: Timestamp::from_micros(self.hours * 3_600_000_000),
            seed: self.chance.draw(),
        }
    }
}

/// What a journal held, and what was known outside at that time.
struct Backup {
    files: Files,
    book: Book,
}

/// How often a task that was ended is given its turn before it counts as left.
const ENDING_TURNS_MAX: u32 = 10_000;

/// Carries out `life` in a tokio runtime of its own, whose clock stands still until somebody moves it,
/// and lets all that it started end.
///
/// Tasks that are still there when a tokio runtime goes are ended in an order that depends on how many
/// tasks the program ever had. Here they end in the order in which they were stopped, so that a run is a
/// function of its seed whatever ran before.
fn carry_out<T>(life: impl Future<Output = Result<T, Violation>>) -> Result<T, Violation> {
    let executor = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without a driver for files or sockets");
    let lived = executor.block_on(async {
        let lived = life.await;
        let metrics = executor.metrics();
        for _ in 0..ENDING_TURNS_MAX {
            if metrics.num_alive_tasks() == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
        lived
    });
    match executor.metrics().num_alive_tasks() {
        0 => lived,
        left => lived.and(Err(Violation::new(ENDS, format!("{left} are left")))),
    }
}

impl World {
    fn carry_out(&mut self) -> Result<(), Violation> {
        let lives = self.plan.lives.clone();
        for life in &lives {
            let backup = self.backup();
            self.live(life)?;
            self.between(life.after, backup);
        }
        self.disk.set_capacity(u64::MAX);
        self.outside = self.outside.calm();
        let first = self.prove()?;
        let second = self.prove()?;
        if first == second {
            return Ok(());
        }
        Err(Violation::new(
            SAME,
            format!("{second:?}, before {first:?}"),
        ))
    }

    fn backup(&self) -> Backup {
        Backup {
            files: self.disk.files(JOURNAL_DIR),
            book: self.outside.book().clone(),
        }
    }

    /// What happens while nobody runs.
    fn between(&mut self, what: Between, backup: Backup) {
        match what {
            Between::Nothing => {}
            Between::FlipSnapshot => {
                if let Some(place) = self.disk.flip_below(SNAPSHOTS_DIR, &mut self.chance) {
                    note(Sometimes::SnapshotFlipped);
                    self.disk.remark(|| format!("      *** flipped {place}"));
                }
            }
            Between::SnapshotOfAnotherBuild => {
                let rewrite = foreign::rewrite;
                let chance = &mut self.chance;
                if let Some(file) = self.disk.rewrite_below(SNAPSHOTS_DIR, chance, rewrite) {
                    note(Sometimes::SnapshotOfAnotherBuild);
                    self.disk
                        .remark(|| format!("      *** another build wrote {file}"));
                }
            }
            Between::PutBack if backup.files.is_empty() => {}
            Between::PutBack => {
                note(Sometimes::JournalPutBack);
                self.disk.remark(|| "      *** journal put back".into());
                self.disk.put_back(JOURNAL_DIR, &backup.files);
                if backup.book.has_shown_nothing() {
                    self.outside.register().forget_keys();
                }
                *self.outside.book() = backup.book;
            }
        }
    }

    /// One process from its start to its end, and what the machine makes of that.
    fn live(&mut self, plan: &LifePlan) -> Result<(), Violation> {
        let process = self.disk.process(plan.rates, plan.end);
        let lived = self.live_on(plan, &process);
        if let (None, Some((_, end))) = (self.disk.ended(), plan.end) {
            self.disk.end_now(end);
        }
        self.outlive();
        lived
    }

    fn live_on(&mut self, plan: &LifePlan, process: &Process) -> Result<(), Violation> {
        self.outside.book().begin_life();
        let disk: Arc<dyn Disk> = Arc::new(process.clone());
        let ends = plan.end.map(|(_, end)| end);
        let machine = self.disk.clone();
        let mut place = self.place();
        let lived = carry_out(async {
            let mut life = match Life::launch(&mut place, &disk).await {
                Ok(life) => life,
                Err(error) => return Ok(Err(error)),
            };
            for act in &plan.acts {
                life.act(*act).await?;
                if process.has_ended() {
                    break;
                }
            }
            match ends {
                None => life.drain().await?,
                Some(end) => {
                    machine.end_now(end);
                    life.end()?;
                }
            }
            Ok(Ok(()))
        });
        // Whatever the process still did is over, its threads included.
        drop(disk);
        match lived? {
            Ok(()) => Ok(()),
            Err(error) => self.judge(&error),
        }
    }

    /// A process for which all goes well: everything that is owed is settled.
    fn prove(&mut self) -> Result<Clerk, Violation> {
        let process = self.disk.process(Rates::default(), None);
        self.outside.book().begin_life();
        let disk: Arc<dyn Disk> = Arc::new(process);
        let mut place = self.place();
        carry_out(async {
            let mut life = Life::launch(&mut place, &disk)
                .await
                .map_err(|error| Violation::new(OPENS, error.to_string()))?;
            let state = life.settle().await?;
            life.drain().await?;
            Ok(state)
        })
    }

    fn place(&mut self) -> Place<'_> {
        Place {
            baton: &self.baton,
            disk: &self.disk,
            outside: &self.outside,
            chance: &mut self.chance,
            plan: &self.plan,
            start: self.clock.next(),
        }
    }

    fn outlive(&mut self) {
        match self.disk.ended() {
            None => {}
            Some(End::Kill) => {
                self.crashes += 1;
                self.disk.survive_kill();
            }
            Some(End::Cut) => {
                self.crashes += 1;
                let seed = self.chance.draw();
                let survival = Survival::Chance(Chance::new(seed, "survival"));
                self.disk.survive_cut(survival);
            }
        }
    }

    /// Whether opening may fail like this.
    fn judge(&self, error: &OpenError) -> Result<(), Violation> {
        let has_reason = self.disk.ended().is_some() || self.disk.was_felt();
        let is_io = matches!(error, OpenError::Io { .. });
        if is_io && (has_reason || self.disk.is_limited()) {
            return Ok(());
        }
        Err(Violation::new(OPENS, error.to_string()))
    }
}
