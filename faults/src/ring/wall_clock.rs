//! The wall clock jumps while a process runs, or stands elsewhere in each life. The times of entries go
//! on as if nothing were: the runtime reads the wall clock when it starts and counts from there, and a
//! stream's time never goes back.

use refrain_core::port::journal::Journal;
use refrain_core::{Entry, Timestamp};

use super::{OPENING, Patient, Ring, acknowledgements, block_on, proven, wait_for};
use crate::chance::Chance;
use crate::clock::time_of_day;
use crate::findings::{Control, Findings, Trial};
use crate::history::Violation;
use crate::order::{Door, Order};
use crate::process::Worker;
use crate::wall_clock::WallClock;
use crate::work::{chain, open, stream_name};

/// Lives of a round of each kind, and jumps within one.
const LIVES: u64 = 5;
const JUMPS: u64 = 8;

/// Messages that are handled between two jumps.
const BETWEEN: usize = 10;

/// The furthest that the clock is moved: about eleven days.
const JUMP_SECONDS_MAX: u64 = 1_000_000;

/// Where the times of a trial lie: between two looks at a clock that did not jump.
#[derive(Debug, Clone, Copy)]
struct Between(Timestamp, Timestamp);

pub(super) fn run(ring: &Ring) -> Result<Findings, String> {
    let mut chance = ring.chance("wall-clock");
    let clock = WallClock::new(&ring.scratch)?;
    Ok(Findings {
        trials: vec![
            within(ring, &clock, &mut chance)?,
            elsewhere(ring, &clock, &mut chance)?,
        ],
        controls: vec![read_each_time(&clock, &mut chance)?],
        not_run: Vec::new(),
    })
}

/// The clock is right when a life starts, and jumps again and again while it lasts.
fn within(ring: &Ring, clock: &WallClock, chance: &mut Chance) -> Result<Trial, String> {
    let mut trial = Trial::new("wall clock jumps in a life, then kill -9");
    let mut patient = Patient::new(&ring.scratch.join("wall-clock-within"));
    let began = time_of_day();
    for _ in 0..LIVES {
        clock.jump(0)?;
        let order = Order::draw(patient.dir(), Door::Runtime, chance);
        let worker = Worker::start(&order, &clock.wrap())?;
        wait_for(&worker, BETWEEN)?;
        let mut goes_on = true;
        for _ in 0..JUMPS {
            clock.jump(far(chance))?;
            let more = worker.line_count();
            let handled = |lines: &[_]| acknowledgements(&lines[more..]) >= BETWEEN;
            goes_on &= worker.wait_until(OPENING, handled);
        }
        let lines = worker.kill()?;
        let stands = || Violation("it stood still after a jump of the clock".to_owned());
        patient.life(&mut trial, |patient| {
            patient.take(&lines)?;
            goes_on.then_some(()).ok_or_else(stands)?;
            patient.check(&order)?;
            steady(&times(&order)?, Some(Between(began, time_of_day())))
        });
        trial.count("jumps", JUMPS);
    }
    proven(trial)
}

/// The clock stands somewhere else in each life: ahead, and behind again.
fn elsewhere(ring: &Ring, clock: &WallClock, chance: &mut Chance) -> Result<Trial, String> {
    let mut trial = Trial::new("wall clock elsewhere in each life, then kill -9");
    let mut patient = Patient::new(&ring.scratch.join("wall-clock-elsewhere"));
    for _ in 0..LIVES {
        clock.jump(far(chance))?;
        let order = Order::draw(patient.dir(), Door::Runtime, chance);
        let worker = Worker::start(&order, &clock.wrap())?;
        wait_for(&worker, BETWEEN)?;
        let lines = worker.kill()?;
        patient.life(&mut trial, |patient| {
            patient.judge(&lines, &order)?;
            steady(&times(&order)?, None)
        });
    }
    proven(trial)
}

/// A program that reads the wall clock each time: its times must not pass for steady ones.
fn read_each_time(clock: &WallClock, chance: &mut Chance) -> Result<Control, String> {
    let mut control = Control::new("wall clock jumps, read each time");
    for _ in 0..LIVES {
        clock.jump(0)?;
        let began = time_of_day();
        let mut times = vec![clock.shown()?];
        for _ in 0..JUMPS {
            clock.jump(far(chance))?;
            times.push(clock.shown()?);
        }
        control.run(&steady(&[times], Some(Between(began, time_of_day()))));
    }
    Ok(control.must(100))
}

fn far(chance: &mut Chance) -> i64 {
    let seconds = i64::try_from(1 + chance.below(JUMP_SECONDS_MAX)).expect("it is some days");
    if chance.below(2) == 0 {
        seconds
    } else {
        -seconds
    }
}

/// Whether the times of each stream never go back, and lie where they must.
fn steady(streams: &[Vec<Timestamp>], within: Option<Between>) -> Result<(), Violation> {
    for times in streams {
        if let Some(pair) = times.windows(2).find(|pair| pair[1] < pair[0]) {
            let detail = format!("time went back from {} to {}", pair[0], pair[1]);
            return Err(Violation(detail));
        }
        let Some(Between(began, ended)) = within else {
            continue;
        };
        if let Some(time) = times.iter().find(|time| !(began..=ended).contains(time)) {
            let detail = format!("an entry is of {time}, made from {began} to {ended}");
            return Err(Violation(detail));
        }
    }
    Ok(())
}

/// The times of all entries, by stream.
fn times(order: &Order) -> Result<Vec<Vec<Timestamp>>, Violation> {
    let read = block_on(async {
        let journal = open(order).map_err(|error| chain(&error))?;
        let mut all = Vec::new();
        for stream in 0..order.streams {
            let name = stream_name(stream);
            let mut times = Vec::new();
            let first = journal.first(&name).await.map_err(|error| chain(&error))?;
            if let Some(first) = first {
                let cursor = journal.read(&name, first).await;
                let mut cursor = cursor.map_err(|error| chain(&error))?;
                while let Some(chunk) = cursor.next().await.map_err(|error| chain(&error))? {
                    for (_, bytes) in chunk.entries() {
                        times.push(time_of(bytes)?);
                    }
                }
            }
            all.push(times);
        }
        Ok(all)
    });
    read.and_then(|times: Result<_, String>| times)
        .map_err(Violation)
}

fn time_of(bytes: &[u8]) -> Result<Timestamp, String> {
    Ok(match Entry::decode(bytes).map_err(|error| chain(&error))? {
        Entry::Begun(begun) => begun.time,
        Entry::Step(step) => step.time,
        Entry::ChannelMoved(moved) => moved.time,
        Entry::Watermark(watermark) => watermark.time,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_go_back_or_lie_elsewhere_are_not_steady() {
        let at = Timestamp::from_micros;
        let within = Some(Between(at(1), at(9)));
        let judged = |times: &[u64]| {
            let times = times.iter().map(|micros| at(*micros)).collect();
            steady(&[times], within).is_ok()
        };
        assert!(judged(&[]) && judged(&[1, 1, 5, 9]));
        assert!(!judged(&[5, 4]) && !judged(&[0, 5]) && !judged(&[5, 10]));
        assert!(steady(&[vec![at(0), at(99)]], None).is_ok());
    }
}
