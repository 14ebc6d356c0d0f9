//! One run: processes live and die on one disk, and the last one proves what is left.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use refrain_journal::simulation::{Scheduler, enter};
use refrain_journal::{Disk, JournalOptions, OpenError};

use crate::baton::Baton;
use crate::chance::Chance;
use crate::disk::{End, Process, Rates, SimDisk, Survival, Trace};
use crate::life::{Life, Run};
use crate::model::{Model, Violation};
use crate::plan::{Flip, LifePlan, Plan, SEGMENT_BYTES};
use crate::planted::DiskBug;
use crate::sometimes::{Sometimes, note};

/// How often opening may be cut short in a row.
const OPENINGS_MAX: u32 = 6;

const OPENS: &str = "the journal opens again";
const REFUSED: &str = "damage is refused, never served; nothing else is called damage";
const ALIVE: &str = "no thread panics or waits for ever";

/// What a seed is carried out in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scene {
    /// Programs that use the journal.
    #[default]
    Journal,
    /// Programs with a runtime, which uses the journal and snapshots.
    Runtime,
}

impl Scene {
    /// Carries out what `seed` means there.
    #[must_use]
    pub fn run(self, seed: u64, manner: Manner) -> Outcome {
        match self {
            Scene::Journal => run(&Plan::of_seed(seed), manner),
            Scene::Runtime => crate::runtime::run(seed, manner),
        }
    }
}

/// How a run is carried out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    /// Where.
    pub scene: Scene,
    /// Keep the last operations as text.
    pub with_lines: bool,
    /// A bug of the disk that is to be found.
    pub planted: Option<DiskBug>,
}

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The same for the same plan.
    pub hash: u64,
    /// Disk operations.
    pub ops: u64,
    /// Processes that were killed, and power cuts.
    pub crashes: u64,
    /// The promise that was broken, if one was.
    pub violation: Option<Violation>,
    /// The last operations.
    pub lines: Vec<String>,
}

/// A machine on which a plan is carried out.
pub(crate) struct World {
    pub(crate) baton: Arc<Baton>,
    pub(crate) disk: SimDisk,
    pub(crate) model: Model,
    chance: Chance,
    options: JournalOptions,
    queue_appends_max: usize,
    planted: Option<DiskBug>,
    crashes: u64,
}

/// How a life went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passed {
    /// The journal was open.
    Lived,
    /// Opening failed, and there was a reason.
    NotOpened,
    /// Opening refused what a lying disk had damaged. The run is over.
    Refused,
}

/// The options of all simulated journals.
pub(crate) fn options(plan: &Plan) -> JournalOptions {
    JournalOptions::default()
        .queue_appends_max(plan.queue_appends_max)
        .reader_threads(plan.reader_threads)
        .mark_sync_idle(Duration::from_secs(1))
        .identity(plan.seed | 1)
}

/// Carries out `plan`.
#[must_use]
pub fn run(plan: &Plan, manner: Manner) -> Outcome {
    let baton = Baton::new(Chance::new(plan.seed, "schedule"), plan.pace);
    let trace = if manner.with_lines {
        Trace::with_lines()
    } else {
        Trace::default()
    };
    let disk = SimDisk::new(Arc::clone(&baton), Chance::new(plan.seed, "disk"), trace);
    let mut world = World::on(plan, manner, &baton, disk);
    let violation = guarded(&baton, || world.carry_out(plan));
    Outcome {
        hash: world.disk.hash(),
        ops: world.disk.ops(),
        crashes: world.crashes,
        violation,
        lines: world.disk.lines(),
    }
}

/// Does `work` on the simulation's driver thread, and finds what went wrong.
pub(crate) fn guarded(
    baton: &Arc<Baton>,
    work: impl FnOnce() -> Result<(), Violation>,
) -> Option<Violation> {
    QUIET.set(true);
    let entered = enter(Arc::clone(baton) as Arc<dyn Scheduler>);
    let done = catch_unwind(AssertUnwindSafe(work));
    drop(entered);
    QUIET.set(false);
    let panics = baton.panics();
    if baton.is_stuck() {
        return Some(Violation::new(ALIVE, "every thread waits for another"));
    }
    if !panics.is_empty() {
        return Some(Violation::new(
            ALIVE,
            format!("{} panicked", panics.join(", ")),
        ));
    }
    match done {
        Ok(Ok(())) => None,
        Ok(Err(violation)) => Some(violation),
        Err(_) => {
            let message = LAST_PANIC.take().unwrap_or_default();
            Some(Violation::new(ALIVE, format!("a panic: {message}")))
        }
    }
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps panics inside simulations from the terminal: they are findings, reported as such.
pub fn keep_panics_quiet() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let is_simulated = std::thread::current()
            .name()
            .is_some_and(|name| name.starts_with("refrain-"));
        if QUIET.get() {
            LAST_PANIC.set(Some(info.to_string()));
        } else if !is_simulated {
            before(info);
        }
    }));
}

impl World {
    /// A world for the processes of `plan` on a disk that is given.
    pub(crate) fn on(plan: &Plan, manner: Manner, baton: &Arc<Baton>, disk: SimDisk) -> World {
        World {
            baton: Arc::clone(baton),
            disk,
            model: Model::new(plan.streams),
            chance: Chance::new(plan.seed, "work"),
            options: options(plan),
            queue_appends_max: plan.queue_appends_max,
            planted: manner.planted,
            crashes: 0,
        }
    }

    fn carry_out(&mut self, plan: &Plan) -> Result<(), Violation> {
        let mut not_opened = 0;
        for life in &plan.lives {
            match self.live(life)? {
                Passed::Lived => not_opened = 0,
                Passed::NotOpened => {
                    not_opened += 1;
                    note(Sometimes::NestedCrash);
                    if not_opened > 1 {
                        note(Sometimes::NestedTwice);
                    }
                }
                Passed::Refused => return Ok(()),
            }
        }
        match plan.flip {
            Some(Flip::Anywhere) if !self.disk.has_lied() => self.flip(),
            Some(Flip::BeforeLater) => {
                let place = self.disk.flip_before_later(&mut self.chance);
                self.prove_damaged(place)
            }
            Some(Flip::Last) => {
                let place = self.disk.flip_last(&mut self.chance);
                self.prove_damaged(place)
            }
            Some(Flip::Anywhere) | None => self.last(),
        }
    }

    /// Recoveries that are cut short, then one that is not.
    fn last(&mut self) -> Result<(), Violation> {
        let nested = self.chance.below(u64::from(OPENINGS_MAX));
        for _ in 0..nested.saturating_sub(3) {
            let end = self.chance.pick(&[End::Kill, End::Cut, End::Cut]);
            let life = LifePlan::of_acts(&[], Some((self.chance.below(48), end)));
            match self.live(&life)? {
                Passed::Lived => {}
                Passed::NotOpened => note(Sometimes::NestedCrash),
                Passed::Refused => return Ok(()),
            }
        }
        self.prove_twice()
    }

    /// Opens without any fault, looks at everything, appends, and looks again after a reopening.
    pub(crate) fn prove_twice(&mut self) -> Result<(), Violation> {
        self.disk.set_capacity(u64::MAX);
        for _ in 0..2 {
            let process = self.disk.process(Rates::default(), None);
            let disk = self.process_disk(&process);
            let mut run = self.shared(SEGMENT_BYTES);
            match Life::open(&mut run, disk)? {
                Ok(mut life) => {
                    life.prove()?;
                    life.close()?;
                }
                Err(error) => {
                    return match self.judge(&error)? {
                        Passed::Refused => Ok(()),
                        Passed::Lived | Passed::NotOpened => {
                            Err(Violation::new(OPENS, detail(&error)))
                        }
                    };
                }
            }
        }
        Ok(())
    }

    /// One bit changes in a journal that was closed: it is whole, or refused.
    fn flip(&mut self) -> Result<(), Violation> {
        self.prove_twice()?;
        if let Some(place) = self.disk.flip(&mut self.chance) {
            self.disk.remark(|| format!("      *** flipped {place}"));
        }
        self.prove_twice()
    }

    /// One bit changed in a frame that later frames or the mark prove, in a journal that was not
    /// closed: all that was acknowledged is there, or it is refused. Nothing excuses a loss.
    fn prove_damaged(&mut self, place: Option<String>) -> Result<(), Violation> {
        if let Some(place) = place {
            self.disk.remark(|| format!("      *** flipped {place}"));
        }
        self.prove_twice()
    }

    fn shared(&mut self, segment_bytes: u64) -> Run<'_> {
        Run {
            baton: &self.baton,
            disk: &self.disk,
            options: self.options.clone().segment_bytes(segment_bytes),
            queue_appends_max: self.queue_appends_max,
            model: &mut self.model,
            chance: &mut self.chance,
        }
    }

    fn process_disk(&self, process: &Process) -> Arc<dyn Disk> {
        match self.planted {
            Some(planted) => planted.plant(process.clone()),
            None => Arc::new(process.clone()),
        }
    }

    /// One process from its start to its end, and what the machine makes of that.
    fn live(&mut self, plan: &LifePlan) -> Result<Passed, Violation> {
        let passed = self.live_on(plan)?;
        if let (None, Some((_, end))) = (self.disk.ended(), plan.end) {
            self.disk.end_now(end);
        }
        self.outlive();
        Ok(passed)
    }

    /// One process up to its end, or its closing: says whether the end that is planned was reached.
    pub(crate) fn live_until_end(&mut self, plan: &LifePlan) -> Result<bool, Violation> {
        self.live_on(plan)?;
        Ok(self.disk.ended().is_some())
    }

    fn live_on(&mut self, plan: &LifePlan) -> Result<Passed, Violation> {
        let process = self.disk.process(plan.rates, plan.end);
        self.disk.end_near(plan.near);
        let disk = self.process_disk(&process);
        let mut run = self.shared(plan.segment_bytes);
        match Life::open(&mut run, disk)? {
            Ok(mut life) => {
                for act in &plan.acts {
                    life.act(*act)?;
                    if process.has_ended() {
                        break;
                    }
                }
                life.close()?;
                Ok(Passed::Lived)
            }
            Err(error) => self.judge(&error),
        }
    }

    /// What the machine makes of the end of a process.
    fn outlive(&mut self) {
        if self.disk.has_lied() {
            self.model.excuse_losses();
        }
        match self.disk.ended() {
            None => {}
            Some(End::Kill) => {
                self.crashes += 1;
                note(Sometimes::Killed);
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
    fn judge(&self, error: &OpenError) -> Result<Passed, Violation> {
        if self.disk.has_lied() && !matches!(error, OpenError::Locked { .. }) {
            note(Sometimes::DamageRefused);
            if error.to_string().contains("a later frame proves") {
                note(Sometimes::LaterFrameProved);
            }
            return Ok(Passed::Refused);
        }
        if let OpenError::Io { source, .. } = error {
            let is_full = source.kind() == std::io::ErrorKind::StorageFull;
            if self.disk.ended().is_some() || is_full {
                return Ok(Passed::NotOpened);
            }
            if self.disk.was_felt() {
                note(Sometimes::OpenFailed);
                return Ok(Passed::NotOpened);
            }
        }
        let is_damage = matches!(error, OpenError::Corrupt { .. } | OpenError::Version { .. });
        let promise = if is_damage { REFUSED } else { OPENS };
        Err(Violation::new(promise, detail(error)))
    }
}

fn detail(error: &OpenError) -> String {
    if let OpenError::Io { path, source } = error {
        return format!("{}: {source}", path.display());
    }
    error.to_string()
}
