//! What compaction costs those who append meanwhile.

use std::sync::Arc;
use std::time::Duration;

use refrain_journal::{FileJournal, JournalOptions};

use crate::callers::{Caller, Run, run};
use crate::effort::{Assignment, Failure, Scratch};
use crate::journal::Streams;
use crate::report::Table;
use crate::stored::{ENTRY_BYTES, Noise};
use crate::turns::{Side, row};
use crate::verdict::{Bound, Verdict};

const STREAMS: usize = 64;

const IN_FLIGHT: usize = 256;

/// The share of its rate that append keeps while compaction runs.
const KEPT_MIN: f64 = 0.9;

/// Measures appends while compaction runs beside appends while it rests.
///
/// # Errors
/// When a journal cannot be made.
pub(crate) fn measure(assignment: &Assignment) -> Result<Table, Failure> {
    let (mut rows, mut verdicts) = (Vec::new(), Vec::new());
    if !assignment.effort.levels(&[IN_FLIGHT]).is_empty() {
        for payload in [Payload::Noise, Payload::Same] {
            let running = Journal::open(assignment, JournalOptions::default())?;
            let resting = JournalOptions::default().compaction_bytes_per_second(0);
            let resting = Journal::open(assignment, resting)?;
            let row = row(
                &assignment.effort,
                (payload.name(), "entries"),
                running.appends(assignment, payload, true),
                vec![("at rest", resting.appends(assignment, payload, false))],
            );
            let reached = row.references[0].ratio.median;
            verdicts.push(Verdict::new(
                payload.name(),
                Bound::AtLeast(KEPT_MIN),
                reached,
            ));
            rows.push(row.in_flight(IN_FLIGHT));
        }
    }
    Ok(Table {
        name: "compaction",
        title: "Appends while compaction runs",
        notes: NOTES.map(str::to_owned).to_vec(),
        rows,
        verdicts,
    })
}

const NOTES: [&str; 2] = [
    "One entry of 256 B an append, 64 streams. Compaction as it is unless set, always behind.",
    "at rest: the same in a journal whose compaction is switched off.",
];

/// What is appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Payload {
    /// Nothing that compression makes smaller.
    Noise,
    /// What compression makes almost nothing of.
    Same,
}

impl Payload {
    fn name(self) -> &'static str {
        match self {
            Payload::Noise => "append beside compaction, incompressible",
            Payload::Same => "append beside compaction, all bytes the same",
        }
    }
}

struct Journal {
    _scratch: Scratch,
    streams: Arc<Streams>,
}

impl Journal {
    fn open(assignment: &Assignment, options: JournalOptions) -> Result<Journal, Failure> {
        let scratch = assignment.scratch()?;
        let journal = FileJournal::open_with(scratch.path().join("journal"), options)?;
        Ok(Journal {
            _scratch: scratch,
            streams: Streams::new(journal, STREAMS),
        })
    }

    fn appends(self, assignment: &Assignment, payload: Payload, is_running: bool) -> Side<'_> {
        let noise = Noise::new();
        Box::new(move |span| {
            // Until there is more to compact than it gets done.
            while is_running && self.streams.compaction().log_segments == 0 {
                self.run(assignment, &noise, payload, span);
            }
            let run = self.run(assignment, &noise, payload, span);
            let compaction = self.streams.compaction();
            let is_at_work = compaction.log_segments > 0 && compaction.failures == 0;
            assert!(is_at_work || !is_running, "compaction has work");
            assert!(
                is_running || compaction.bytes_written == 0,
                "compaction rests"
            );
            run
        })
    }

    fn run(&self, assignment: &Assignment, noise: &Noise, payload: Payload, span: Duration) -> Run {
        let caller = |at| Appends {
            streams: Arc::clone(&self.streams),
            noise: noise.clone(),
            payload,
            at,
        };
        let callers = (0..IN_FLIGHT).map(caller).collect();
        let run = assignment.runtime.block_on(run(callers, span));
        assignment.wrote(run.operations as f64 * ENTRY_BYTES as f64);
        run
    }
}

/// Appends to the streams in turn.
struct Appends {
    streams: Arc<Streams>,
    noise: Noise,
    payload: Payload,
    at: usize,
}

impl Caller for Appends {
    async fn call(&mut self) -> u64 {
        let entry = match self.payload {
            Payload::Noise => self.noise.entry(self.at),
            Payload::Same => &[0x5a; ENTRY_BYTES],
        };
        let appending = self.streams.append(self.at % STREAMS, entry);
        self.at += IN_FLIGHT;
        appending.await.expect("the journal works");
        1
    }
}
