//! One process with a runtime on a simulated disk: it acts, and all that anybody is told is checked.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use refrain::port::BoxFuture;
use refrain::{
    AskError, ChannelOptions, Delay, Handle, MessageId, Never, QueryError, RedeliveryPolicy,
    Refrain, SnapshotPolicy, Timestamp,
};
use refrain_journal::{Disk, FileJournal, FileSnapshots, JournalOptions, OpenError};

use super::clerk::{Clerk, Job, LETTERS, QUESTIONS, QUESTIONS_MAX};
use super::plan::{Act, Plan};
use super::service::Outside;
use crate::baton::Baton;
use crate::chance::Chance;
use crate::disk::SimDisk;
use crate::model::Violation;
use crate::sometimes::{Sometimes, note};
use crate::wait::look;

pub(super) const JOURNAL_DIR: &str = "/journal";
pub(super) const SNAPSHOTS_DIR: &str = "/snapshots";
const CLERK: &str = "clerk";

/// How often a future is looked at before somebody counts as left waiting.
const TURNS_MAX: u32 = 30_000;

const TOLD: &str = "what fails has a reason";
const WAITS: &str = "nobody is left waiting";
const SETTLES: &str = "what was recorded is settled when all goes well";

/// What a life has of its world.
pub(super) struct Place<'a> {
    pub(super) baton: &'a Arc<Baton>,
    pub(super) disk: &'a SimDisk,
    pub(super) outside: &'a Outside,
    pub(super) chance: &'a mut Chance,
    pub(super) plan: &'a Plan,
    pub(super) start: Start,
}

/// How a process begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    /// What its clock says.
    pub(super) time: Timestamp,
    /// What its keys and secrets are drawn from.
    pub(super) seed: u64,
}

type Asking = BoxFuture<'static, Result<u64, AskError<Never>>>;

/// A running runtime.
pub(super) struct Life<'r, 'a> {
    place: &'r mut Place<'a>,
    refrain: Refrain,
    clerk: Handle<Clerk>,
    asking: VecDeque<(u64, Asking)>,
    was_filled: bool,
}

impl<'r, 'a> Life<'r, 'a> {
    /// Opens the files and launches the runtime. Called inside of a tokio runtime, whose clock
    /// stands still.
    pub(super) async fn launch(
        place: &'r mut Place<'a>,
        disk: &Arc<dyn Disk>,
    ) -> Result<Life<'r, 'a>, OpenError> {
        let options = JournalOptions::default()
            .segment_bytes(place.plan.segment_bytes)
            .reader_threads(1)
            .mark_sync_idle(Duration::from_secs(1))
            .queue_appends_max(place.plan.queue_appends_max())
            .identity(place.plan.seed | 1);
        let journal = FileJournal::open_on(Arc::clone(disk), JOURNAL_DIR, options)?;
        let snapshots = FileSnapshots::open_on(Arc::clone(disk), SNAPSHOTS_DIR)?;
        let policy = match place.plan.snapshot_every {
            Some(count) => SnapshotPolicy::every_entries(count),
            None => SnapshotPolicy::on_request(),
        };
        let redelivery = RedeliveryPolicy {
            redelivery_delay: Delay::Fixed(Duration::from_millis(200)),
            redelivery_max: u32::MAX,
            ..RedeliveryPolicy::default()
        };
        let questions = ChannelOptions::from(redelivery.clone()).per_key(place.plan.window);
        let Start { time, seed } = place.start;
        let launched = Refrain::builder()
            .simulated(seed, time)
            .journal(journal)
            .snapshots(snapshots, policy)
            .processor(CLERK, Clerk::default())
            .destination(&QUESTIONS, place.outside.clone(), questions)
            .destination(&LETTERS, place.outside.clone(), redelivery)
            .launch();
        let refrain = launched.expect("the description makes sense");
        let was_filled = place.disk.is_limited();
        Ok(Life {
            clerk: refrain.processor::<Clerk>(CLERK),
            place,
            refrain,
            asking: VecDeque::new(),
            was_filled,
        })
    }

    /// Does one thing.
    pub(super) async fn act(&mut self, act: Act) -> Result<(), Violation> {
        self.place.disk.remark(|| format!("      -- {act:?}"));
        match act {
            Act::Ask => {
                let job = self.draw_job();
                self.place.outside.register().add(job.clone());
                self.ask(job);
            }
            Act::AskAgain => {
                let jobs = self.place.outside.register().len();
                if jobs > 0 {
                    let place = self.place.chance.index(jobs);
                    let job = self.place.outside.register().job(place);
                    self.ask(job.expect("it was told once"));
                }
            }
            Act::Look => drop(self.look().await?),
            Act::Turn => {
                let turns = 1 + self.place.chance.below(12);
                self.turn(turns).await;
            }
            Act::Pass => {
                for _ in 0..4 {
                    let millis = self.place.chance.pick(&[1, 50, 250, 2000]);
                    tokio::time::advance(Duration::from_millis(millis)).await;
                    self.turn(4).await;
                }
            }
            Act::Snapshot => {
                let clerk = self.clerk.clone();
                let taken = Box::pin(async move { clerk.snapshot().await });
                // Whether one could be stored changes nothing.
                let _ = self.until(taken).await?;
            }
            Act::Fill => {
                self.was_filled = true;
                self.place.disk.set_capacity(self.place.disk.used());
            }
            Act::Free => self.place.disk.set_capacity(u64::MAX),
        }
        self.take_answers()?;
        self.check_outside()
    }

    fn draw_job(&mut self) -> Job {
        let chance = &mut self.place.chance;
        Job {
            number: self.place.outside.register().next_job(),
            key: chance.below(2),
            questions: chance.pick(&[0, 1, 1, 2, QUESTIONS_MAX]),
            has_letter: chance.one_in(3),
            padding: ".".repeat(chance.pick(&[0, 0, 40, 900])),
        }
    }

    fn ask(&mut self, job: Job) {
        let number = job.number;
        self.place.outside.book().tell(&job);
        let id = MessageId::given("world", &number.to_string()).expect("a short identity");
        let clerk = self.clerk.clone();
        let asking = Box::pin(async move { clerk.ask_as(id, job).await });
        self.asking.push_back((number, asking));
    }

    /// Takes the answers that are there.
    fn take_answers(&mut self) -> Result<(), Violation> {
        for (number, mut asking) in std::mem::take(&mut self.asking) {
            match look(&mut asking) {
                Some(answer) => self.answered(number, answer)?,
                None => self.asking.push_back((number, asking)),
            }
        }
        Ok(())
    }

    fn answered(&self, number: u64, answer: Result<u64, AskError<Never>>) -> Result<(), Violation> {
        let mut book = self.place.outside.book();
        let error = match answer {
            Ok(answer) => return book.answered(number, answer),
            Err(error) => error,
        };
        match error {
            AskError::NotRecorded { .. } | AskError::Overloaded { .. } => book.refused(number),
            AskError::Unknown { .. } | AskError::NotRunning { .. } => book.unknown(number),
            AskError::Rejected(_)
            | AskError::Panicked(_)
            | AskError::Invalid(_)
            | AskError::AnswerGone { .. }
            | _ => return Err(Violation::new(TOLD, format!("job {number}: {error}"))),
        }
        self.excuse(&error.to_string())
    }

    /// Whether the disk gave a reason for `error`.
    fn excuse(&self, error: &str) -> Result<(), Violation> {
        let disk = self.place.disk;
        if disk.was_felt() || disk.ended().is_some() || self.was_filled {
            return Ok(());
        }
        Err(Violation::new(TOLD, error))
    }

    /// What is shown of the state, if anything is.
    pub(super) async fn look(&mut self) -> Result<Option<Clerk>, Violation> {
        let clerk = self.clerk.clone();
        let looking: BoxFuture<'static, Result<Clerk, QueryError>> =
            Box::pin(async move { clerk.query(Clerk::clone).await });
        match self.until(looking).await? {
            Some(Ok(state)) => {
                if self.clerk.recovery().snapshot.is_some() {
                    note(Sometimes::SnapshotUsed);
                }
                self.place.outside.book().saw(&state)?;
                Ok(Some(state))
            }
            Some(Err(error)) => self.excuse(&error.to_string()).map(|()| None),
            None => Ok(None),
        }
    }

    fn check_outside(&self) -> Result<(), Violation> {
        match &self.place.outside.book().broken {
            Some(violation) => Err(violation.clone()),
            None => Ok(()),
        }
    }

    /// Lets the runtime's tasks and the journal's threads work.
    async fn turn(&self, turns: u64) {
        for _ in 0..turns {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            self.place.baton.stall(1);
        }
    }

    /// What `future` gives; `None` when the process ended, or the disk is full, before.
    async fn until<T>(
        &self,
        mut future: Pin<Box<dyn Future<Output = T> + Send>>,
    ) -> Result<Option<T>, Violation> {
        for turn in 1..TURNS_MAX {
            if let Some(answer) = look(&mut future) {
                return Ok(Some(answer));
            }
            let has_time = turn.is_multiple_of(8);
            if turn > 400 && (self.place.disk.ended().is_some() || self.place.disk.is_limited()) {
                return Ok(None);
            }
            self.turn(1).await;
            if has_time {
                tokio::time::advance(Duration::from_millis(25)).await;
            }
        }
        self.excuse("a wait did not end")
            .map(|()| None)
            .map_err(|violation| Violation::new(WAITS, violation.detail))
    }

    /// Waits until everything is settled, and says what the state is then.
    pub(super) async fn settle(&mut self) -> Result<Clerk, Violation> {
        let jobs = self.place.outside.book().jobs();
        for job in jobs {
            self.ask(job);
        }
        for _ in 0..TURNS_MAX / 100 {
            let state = self.look().await?;
            self.take_answers()?;
            self.check_outside()?;
            if let Some(state) = state
                && self.asking.is_empty()
                && self.place.outside.book().is_settled(&state)
            {
                return Ok(state);
            }
            tokio::time::advance(Duration::from_millis(300)).await;
            self.turn(10).await;
        }
        Err(Violation::new(SETTLES, "it is not"))
    }

    /// Ends the runtime in good order.
    pub(super) async fn drain(mut self) -> Result<(), Violation> {
        {
            let refrain = &self.refrain;
            let mut draining = Box::pin(refrain.drain());
            for turn in 0..TURNS_MAX {
                if look(&mut draining).is_some() {
                    break;
                }
                if turn + 1 == TURNS_MAX {
                    return Err(Violation::new(WAITS, "the drain did not end"));
                }
                self.turn(1).await;
                if turn.is_multiple_of(8) {
                    tokio::time::advance(Duration::from_millis(25)).await;
                }
            }
        }
        self.take_answers()?;
        if let Some((number, _)) = self.asking.front() {
            return Err(Violation::new(WAITS, format!("job {number} has no answer")));
        }
        self.check_outside()
    }

    /// What was told when the process had ended already.
    pub(super) fn end(&mut self) -> Result<(), Violation> {
        self.take_answers()?;
        self.check_outside()
    }
}
