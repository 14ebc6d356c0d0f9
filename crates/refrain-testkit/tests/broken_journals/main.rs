//! The negative control of the journal suite: journals that break a promise are caught, each by the
//! check of that promise, and every check catches at least one.

mod append_flaws;
mod durability_flaws;
mod flawed;
mod read_flaws;

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use append_flaws::{
    AcceptsEmptyBatches, AnswersFirstPosition, ClipsEntries, CompletesOutOfOrder,
    DropsEmptyEntries, FencesOnlyStale, IgnoresExpectedPosition, NamesWrongNext, RefusesBigBatches,
    ReversesBatches, SplitsBatches, SubmitsWhenPolled,
};
use durability_flaws::{
    AcknowledgesTooEarly, BringsForgottenBack, LosesTheLastEntry, ShowsTooEarly, WritesBehind,
};
use flawed::{Flaw, Flawed};
use read_flaws::{
    FoldsCase, FollowersEnd, FollowersSleep, ForgetsEveryStream, ForgetsNothing, GivesOneChunk,
    IgnoresAfter, KnowsOnlyExistingStreams, OrdersByCollation, Panics, ReadsFromTheStart,
    ReadsToTheLatestHead, ReusesForgottenPositions, SkipsForgotten,
};
use refrain_testkit::conformance::journal::{CHECKS, run_all};

/// Long enough for a check in memory, short enough for the flaws that never answer.
const PATIENCE: Duration = Duration::from_secs(2);

type Open = fn() -> Flawed;

/// Each flaw, and the checks that must catch it.
const FLAWS: &[(Open, &[&str])] = &[
    (
        open::<IgnoresExpectedPosition>,
        &[
            "stale_append_is_fenced",
            "early_append_is_fenced",
            "one_writer_wins_each_position",
            "appends_behind_a_failed_one_fail",
        ],
    ),
    (
        open::<FencesOnlyStale>,
        &["early_append_is_fenced", "appends_behind_a_failed_one_fail"],
    ),
    (
        open::<NamesWrongNext>,
        &["stale_append_is_fenced", "one_writer_wins_each_position"],
    ),
    (
        open::<AnswersFirstPosition>,
        &["append_answers_its_last_position"],
    ),
    (open::<AcceptsEmptyBatches>, &["empty_batch_is_rejected"]),
    (
        open::<ClipsEntries>,
        &[
            "too_large_entry_is_rejected",
            "largest_entry_is_kept",
            "long_stream_is_read_in_chunks",
        ],
    ),
    (open::<RefusesBigBatches>, &["largest_batch_is_kept"]),
    (
        open::<DropsEmptyEntries>,
        &["positions_start_at_1_and_have_no_gaps"],
    ),
    (
        open::<ReversesBatches>,
        &["appends_in_flight_take_effect_in_order"],
    ),
    (
        open::<SplitsBatches>,
        &["batch_is_shown_whole", "too_large_entry_is_rejected"],
    ),
    (
        open::<SubmitsWhenPolled>,
        &["append_is_submitted_by_the_call", "dropped_append_happens"],
    ),
    (open::<CompletesOutOfOrder>, &["appends_complete_in_order"]),
    (
        open::<AcknowledgesTooEarly>,
        &["nothing_undurable_is_acknowledged"],
    ),
    (open::<ShowsTooEarly>, &["nothing_undurable_is_shown"]),
    (
        open::<WritesBehind>,
        &["acknowledged_entries_survive", "shown_entries_survive"],
    ),
    (
        open::<LosesTheLastEntry>,
        &[
            "acknowledged_entries_survive",
            "unfinished_appends_leave_whole_batches",
        ],
    ),
    (
        open::<BringsForgottenBack>,
        &["positions_go_on_after_reopening"],
    ),
    (
        open::<KnowsOnlyExistingStreams>,
        &["missing_stream_is_empty"],
    ),
    (
        open::<ReadsFromTheStart>,
        &["read_starts_where_it_is_asked_to"],
    ),
    (
        open::<ReadsToTheLatestHead>,
        &["read_ends_at_the_head_of_the_call"],
    ),
    (open::<GivesOneChunk>, &["long_stream_is_read_in_chunks"]),
    (
        open::<FollowersEnd>,
        &[
            "follower_sees_what_comes",
            "follower_waits_for_a_missing_stream",
        ],
    ),
    (
        open::<FollowersSleep>,
        &["follower_sees_what_comes", "every_follower_sees_everything"],
    ),
    (open::<FoldsCase>, &["streams_are_apart"]),
    (open::<OrdersByCollation>, &["streams_are_listed_by_prefix"]),
    (open::<IgnoresAfter>, &["streams_are_listed_in_pages"]),
    (open::<ForgetsNothing>, &["forgotten_entries_are_gone"]),
    (
        open::<SkipsForgotten>,
        &[
            "forgotten_entries_are_gone",
            "open_cursor_skips_nothing_forgotten",
        ],
    ),
    (
        open::<ForgetsEveryStream>,
        &["forgetting_touches_nothing_else"],
    ),
    (
        open::<ReusesForgottenPositions>,
        &[
            "forgotten_positions_are_not_used_again",
            "positions_go_on_after_reopening",
        ],
    ),
    (open::<Panics>, &["missing_stream_is_empty"]),
];

fn open<F: Flaw + Default>() -> Flawed {
    Flawed::new(F::default())
}

#[tokio::test]
async fn every_broken_promise_is_caught_by_its_check() {
    for (open, names) in FLAWS {
        for name in *names {
            let check = CHECKS.iter().find(|check| check.name() == *name);
            let check = check.unwrap_or_else(|| panic!("there is no check {name}"));
            let mut flawed = open();
            let flaw = format!("{flawed:?}");
            let broken = check
                .run(&mut flawed, PATIENCE)
                .await
                .expect_err(&format!("{name} did not catch {flaw}"));
            assert!(broken.to_string().contains(check.promise()), "{broken}");
        }
    }
}

#[test]
fn every_check_catches_a_broken_journal() {
    let all: BTreeSet<&str> = CHECKS.iter().map(|check| check.name()).collect();
    let catching: BTreeSet<&str> = FLAWS
        .iter()
        .flat_map(|(_, names)| *names)
        .copied()
        .collect();
    assert_eq!(all, catching);
    assert_eq!(all.len(), CHECKS.len(), "names are unique");
}

#[derive(Debug, Default)]
struct Nothing;

impl Flaw for Nothing {}

#[tokio::test]
async fn journal_without_a_flaw_keeps_every_promise() {
    run_all(async || open::<Nothing>()).await;
}

#[test]
fn suite_needs_no_runtime() {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut suite = pin!(run_all(async || open::<Nothing>()));
    while suite
        .as_mut()
        .poll(&mut Context::from_waker(&waker))
        .is_pending()
    {
        std::thread::park();
    }
}
