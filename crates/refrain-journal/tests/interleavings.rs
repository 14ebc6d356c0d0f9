//! Callers, the writer and whoever ends both, in every order that a checker of interleavings draws.
//! Built with `--cfg shuttle`, as `cargo xtask interleavings` does; with `--cfg planted` as well, a bug
//! is chosen by its name in `REFRAIN_PLANTED`.
//!
//! The journal is the real one, with all of its threads, on a disk in memory. Each of its locks, bells
//! and atomics is a place where another thread may go on, so the orders are finer than those of `sim`,
//! and nothing goes wrong with the disk unless a test says so. Whoever waits for ever is a failure.

#![cfg(shuttle)]
#![allow(clippy::unwrap_used, reason = "this is test code")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};

use refrain_core::port::BoxFuture;
use refrain_core::port::journal::{AppendError, Cursor, Journal, RejectReason};
use refrain_core::{Name, Position};
use refrain_journal::{FileJournal, JournalOptions};
use shuttle::future::block_on;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner, thread};
use support::{FaultDisk, Kind, batch, name, position, small_segments};

const DIR: &str = "/journal";

/// Schedules of each test for each scheduler, unless `REFRAIN_SCHEDULES` says another number.
const SCHEDULES: usize = 2000;

/// Points at which the scheduler that goes by priorities changes one.
const PRIORITY_CHANGES: usize = 3;

/// Where the choices of all schedules come from.
const SEED: u64 = 20_260_601;

type Appending = BoxFuture<'static, Result<Position, AppendError>>;

/// Runs `scenario` under many schedules, drawn evenly and by priorities.
fn check(scenario: fn()) {
    choose_bug();
    let schedules = std::env::var("REFRAIN_SCHEDULES").ok();
    let schedules = schedules.map_or(SCHEDULES, |count| count.parse().unwrap());
    run(RandomScheduler::new_from_seed(SEED, schedules), scenario);
    let by_priority = PctScheduler::new_from_seed(SEED, PRIORITY_CHANGES, schedules);
    run(by_priority, scenario);
}

fn run(scheduler: impl Scheduler + 'static, scenario: fn()) {
    let begun = Begun(Arc::default());
    let count = Arc::clone(&begun.0);
    let mut config = Config::new();
    config.stack_size = 512 * 1024;
    config.silence_warnings = true;
    let schedules = Runner::new(scheduler, config).run(move || {
        count.fetch_add(1, Ordering::Relaxed);
        scenario();
    });
    println!("schedules: {schedules}");
}

/// Schedules that were begun; says so when one fails.
struct Begun(Arc<AtomicU64>);

impl Drop for Begun {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let begun = self.0.load(Ordering::Relaxed);
            println!("schedules until it failed: {begun}");
        }
    }
}

fn choose_bug() {
    #[cfg(planted)]
    if let Ok(bug) = std::env::var("REFRAIN_PLANTED") {
        static BUG: std::sync::OnceLock<String> = std::sync::OnceLock::new();
        refrain_core::planted::choose(BUG.get_or_init(|| bug));
    }
}

fn open(disk: &FaultDisk, options: JournalOptions) -> FileJournal {
    FileJournal::open_on(Arc::new(disk.clone()), DIR, options).unwrap()
}

fn append(journal: &FileJournal, stream: &Name, at: u64) -> Appending {
    let entry = format!("{stream} {at}");
    journal.append(stream, position(at), batch(&[&entry]))
}

/// Looks at `future` once, as a caller does that goes away afterwards.
fn look_once(future: &mut Appending) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    future.as_mut().poll(&mut context).is_ready()
}

fn head(journal: &FileJournal, stream: &Name) -> u64 {
    let head = block_on(journal.head(stream)).unwrap();
    head.map_or(0, Position::get)
}

#[test]
fn a_lone_caller_is_woken_whenever_it_leaves_its_waker() {
    check(|| {
        let journal = open(&FaultDisk::default(), small_segments());
        let orders = name("orders");
        for at in 1..=3 {
            assert_eq!(block_on(append(&journal, &orders, at)).unwrap().get(), at);
            assert_eq!(head(&journal, &orders), at);
        }
    });
}

#[test]
fn several_callers_all_get_their_answer_and_a_full_queue_refuses_the_others() {
    check(|| {
        let options = small_segments().queue_appends_max(2);
        let journal = Arc::new(open(&FaultDisk::default(), options));
        let caller = |stream: &'static str| {
            let journal = Arc::clone(&journal);
            thread::spawn(move || {
                let stream = name(stream);
                let mut at = 1;
                while at <= 2 {
                    match block_on(append(&journal, &stream, at)) {
                        Ok(appended) => {
                            assert_eq!(appended.get(), at);
                            assert!(head(&journal, &stream) >= at, "durable, so it is shown");
                            at += 1;
                        }
                        Err(AppendError::Rejected {
                            reason: RejectReason::Overloaded,
                            ..
                        }) => thread::yield_now(),
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        };
        let callers = ["orders", "cards", "carts"].map(caller);
        for caller in callers {
            caller.join().unwrap();
        }
        for stream in ["orders", "cards", "carts"] {
            assert_eq!(head(&journal, &name(stream)), 2);
        }
    });
}

#[test]
fn what_callers_gave_up_waiting_for_is_written_and_hinders_nobody() {
    check(|| {
        let disk = FaultDisk::default();
        let journal = Arc::new(open(&disk, small_segments()));
        let (orders, cards) = (name("orders"), name("cards"));
        let other = {
            let (journal, cards) = (Arc::clone(&journal), cards.clone());
            thread::spawn(move || {
                for at in 1..=2 {
                    block_on(append(&journal, &cards, at)).unwrap();
                }
            })
        };
        let mut impatient = append(&journal, &orders, 1);
        look_once(&mut impatient);
        drop(impatient);
        // One that nobody ever looked at.
        drop(append(&journal, &orders, 2));
        block_on(append(&journal, &orders, 3)).unwrap();
        other.join().unwrap();
        drop(journal);
        let journal = open(&disk.after_power_loss(), small_segments());
        assert_eq!(head(&journal, &orders), 3);
        assert_eq!(head(&journal, &cards), 2);
    });
}

#[test]
fn whoever_waits_when_the_journal_is_closed_gets_an_answer() {
    check(|| {
        let disk = FaultDisk::default();
        let journal = open(&disk, small_segments());
        let streams = ["orders", "cards"].map(name);
        let callers = streams.clone().map(|stream| {
            let appending = append(&journal, &stream, 1);
            thread::spawn(move || block_on(appending).unwrap())
        });
        drop(journal);
        for caller in callers {
            assert_eq!(caller.join().unwrap(), Position::FIRST);
        }
        let journal = open(&disk.after_power_loss(), small_segments());
        for stream in &streams {
            assert_eq!(head(&journal, stream), 1);
        }
    });
}

#[test]
fn when_the_writer_gives_up_everybody_is_told_and_nothing_is_acknowledged_afterwards() {
    check(|| {
        let disk = FaultDisk::default();
        let journal = Arc::new(open(&disk, small_segments()));
        let caller = |stream: &'static str| {
            let journal = Arc::clone(&journal);
            thread::spawn(move || {
                let stream = name(stream);
                let mut has_failed = false;
                for at in 1..=3 {
                    match block_on(append(&journal, &stream, at)) {
                        Ok(_) => assert!(!has_failed, "acknowledged after a failure"),
                        Err(_) => has_failed = true,
                    }
                }
            })
        };
        let callers = ["orders", "cards"].map(caller);
        disk.fail_next(Kind::Sync);
        for caller in callers {
            caller.join().unwrap();
        }
        let told = block_on(append(&journal, &name("orders"), 9)).unwrap_err();
        assert!(!matches!(told, AppendError::Unknown { .. }), "{told}");
    });
}

#[test]
fn segments_fill_and_are_compacted_while_the_journal_is_closed() {
    check(|| {
        let disk = FaultDisk::default();
        let journal = open(&disk, small_segments());
        let orders = name("orders");
        let large = "x".repeat(2200);
        for at in 1..=3 {
            block_on(journal.append(&orders, position(at), batch(&[&large]))).unwrap();
        }
        let compacted = journal.compact();
        let waiting = thread::spawn(move || block_on(compacted));
        let last = journal.append(&orders, position(4), batch(&[&large]));
        drop(journal);
        // It was done, or it was too late.
        let _ = waiting.join().unwrap();
        block_on(last).unwrap();
        let journal = open(&disk.after_power_loss(), small_segments());
        assert_eq!(head(&journal, &orders), 4);
    });
}

#[test]
fn whoever_follows_a_stream_is_woken_by_each_entry_and_by_the_end() {
    check(|| {
        let journal = Arc::new(open(&FaultDisk::default(), small_segments()));
        let orders = name("orders");
        let follow = |entries: u64| {
            let cursor = block_on(journal.follow(&orders, Position::FIRST)).unwrap();
            thread::spawn(move || seen(cursor, entries))
        };
        let (until_two, until_the_end) = (follow(2), follow(u64::MAX));
        for at in 1..=2 {
            block_on(append(&journal, &orders, at)).unwrap();
        }
        assert_eq!(until_two.join().unwrap(), 2);
        drop(journal);
        assert!(until_the_end.join().unwrap() <= 2);
    });
}

/// Follows until so many entries were seen, or nothing more will come.
fn seen(mut cursor: Box<dyn Cursor>, entries: u64) -> u64 {
    let mut seen = 0;
    while seen < entries
        && let Ok(Some(chunk)) = block_on(cursor.next())
    {
        for (at, _) in chunk.entries() {
            assert_eq!(at.get(), seen + 1, "each once, in order");
            seen += 1;
        }
    }
    seen
}
