//! Is this backend a journal? Asks for every promise of [`Journal`].
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use refrain_core::port::BoxFuture;
//! use refrain_core::port::journal::Journal;
//! use refrain_testkit::conformance::journal::{Instance, run_all};
//! # use std::path::PathBuf;
//! # #[derive(Debug, Clone)]
//! # struct MyJournal;
//! # impl MyJournal {
//! #     fn open(_: &PathBuf) -> Arc<dyn Journal> { unimplemented!() }
//! # }
//! # fn new_directory() -> PathBuf { unimplemented!() }
//!
//! struct InDirectory {
//!     directory: PathBuf,
//!     journal: Option<Arc<dyn Journal>>,
//! }
//!
//! impl Instance for InDirectory {
//!     fn journal(&self) -> Arc<dyn Journal> {
//!         Arc::clone(self.journal.as_ref().expect("it is open"))
//!     }
//!
//!     fn reopen(&mut self) -> BoxFuture<'_, ()> {
//!         Box::pin(async {
//!             self.journal = None;
//!             self.journal = Some(MyJournal::open(&self.directory));
//!         })
//!     }
//! }
//!
//! # async fn test() {
//! // in a test:
//! run_all(async || {
//!     let directory = new_directory();
//!     let journal = Some(MyJournal::open(&directory));
//!     InDirectory { directory, journal }
//! })
//! .await;
//! # }
//! ```

mod append;
mod follow;
mod forget;
mod pipeline;
mod probe;
mod read;
mod reopen;
mod streams;

use std::sync::Arc;

use refrain_core::port::BoxFuture;
use refrain_core::port::journal::Journal;

use super::check::{self, Check};

/// One journal of the backend, which the suite may end and open again.
pub trait Instance: Send {
    /// The journal. Where the backend has connections or clients, each call may give another one.
    fn journal(&self) -> Arc<dyn Journal>;

    /// Ends the journal and opens it again with what it held. The suite has dropped every handle it
    /// had. A crash asks more of the journal than a clean end; where a backend can do both, it runs
    /// the suite twice.
    fn reopen(&mut self) -> BoxFuture<'_, ()>;

    /// From now on nothing becomes durable, until what this gives is released. `None` where the
    /// backend cannot be held back; the checks that need it then look only from outside.
    fn hold(&self) -> Option<Box<dyn Hold>> {
        None
    }
}

/// Durability that is held back.
pub trait Hold: Send {
    /// Lets all that waits become durable, and what comes later as well.
    fn release(self: Box<Self>);
}

/// Runs every check of [`CHECKS`], each on an instance of its own that `open` gives and that holds
/// nothing.
///
/// # Panics
/// When a promise is broken, with all that are and what was seen.
pub async fn run_all<I: Instance + 'static>(open: impl AsyncFn() -> I) {
    let open = async || Box::new(open().await) as Box<dyn Instance>;
    check::run_all("journal", CHECKS, open).await;
}

/// Every promise of the journal port.
pub const CHECKS: &[Check<dyn Instance>] = &[
    Check::new(
        "positions_start_at_1_and_have_no_gaps",
        "Positions of a stream start at 1 and have no gaps, whatever the entries hold",
        |instance| Box::pin(append::positions_start_at_1_and_have_no_gaps(instance)),
    ),
    Check::new(
        "append_answers_its_last_position",
        "An append is answered with the position of its last entry",
        |instance| Box::pin(append::append_answers_its_last_position(instance)),
    ),
    Check::new(
        "stale_append_is_fenced",
        "An append below the next position is fenced, is told the next position, and changes nothing",
        |instance| Box::pin(append::stale_append_is_fenced(instance)),
    ),
    Check::new(
        "early_append_is_fenced",
        "An append above the next position is fenced, is told the next position, and changes nothing",
        |instance| Box::pin(append::early_append_is_fenced(instance)),
    ),
    Check::new(
        "empty_batch_is_rejected",
        "A batch without entries is rejected before anything happened",
        |instance| Box::pin(append::empty_batch_is_rejected(instance)),
    ),
    Check::new(
        "too_large_entry_is_rejected",
        "A batch with an entry that is too large is rejected whole, before anything happened",
        |instance| Box::pin(append::too_large_entry_is_rejected(instance)),
    ),
    Check::new(
        "largest_entry_is_kept",
        "An entry as large as the journal says it takes is kept, byte for byte",
        |instance| Box::pin(append::largest_entry_is_kept(instance)),
    ),
    Check::new(
        "largest_batch_is_kept",
        "A batch with the most entries or the most bytes is kept",
        |instance| Box::pin(append::largest_batch_is_kept(instance)),
    ),
    Check::new(
        "batch_is_shown_whole",
        "A batch is shown whole or not at all",
        |instance| Box::pin(append::batch_is_shown_whole(instance)),
    ),
    Check::new(
        "one_writer_wins_each_position",
        "Of several writers exactly one wins each position, and its entry is there",
        |instance| Box::pin(append::one_writer_wins_each_position(instance)),
    ),
    Check::new(
        "appends_in_flight_take_effect_in_order",
        "Appends that are in flight together take effect in the order of the calls",
        |instance| Box::pin(pipeline::appends_in_flight_take_effect_in_order(instance)),
    ),
    Check::new(
        "appends_complete_in_order",
        "Appends to one stream complete in the order in which they were submitted",
        |instance| Box::pin(pipeline::appends_complete_in_order(instance)),
    ),
    Check::new(
        "append_is_submitted_by_the_call",
        "An append is submitted by the call, before its future is polled",
        |instance| Box::pin(pipeline::append_is_submitted_by_the_call(instance)),
    ),
    Check::new(
        "dropped_append_happens",
        "Dropping the future of an append does not take it back",
        |instance| Box::pin(pipeline::dropped_append_happens(instance)),
    ),
    Check::new(
        "appends_behind_a_failed_one_fail",
        "When an append fails, those in flight behind it fail as well",
        |instance| Box::pin(pipeline::appends_behind_a_failed_one_fail(instance)),
    ),
    Check::new(
        "nothing_undurable_is_acknowledged",
        "An append is not acknowledged before it is durable",
        |instance| Box::pin(pipeline::nothing_undurable_is_acknowledged(instance)),
    ),
    Check::new(
        "nothing_undurable_is_shown",
        "Nothing is shown to a reader before it is durable",
        |instance| Box::pin(pipeline::nothing_undurable_is_shown(instance)),
    ),
    Check::new(
        "missing_stream_is_empty",
        "A stream that does not exist reads as empty and has neither head nor first position",
        |instance| Box::pin(read::missing_stream_is_empty(instance)),
    ),
    Check::new(
        "read_starts_where_it_is_asked_to",
        "A read starts at the position it is asked for; behind the head it is empty",
        |instance| Box::pin(read::read_starts_where_it_is_asked_to(instance)),
    ),
    Check::new(
        "read_ends_at_the_head_of_the_call",
        "A read ends at the head as it was when it was asked for",
        |instance| Box::pin(read::read_ends_at_the_head_of_the_call(instance)),
    ),
    Check::new(
        "long_stream_is_read_in_chunks",
        "A long stream is read whole, a bounded chunk at a time",
        |instance| Box::pin(read::long_stream_is_read_in_chunks(instance)),
    ),
    Check::new(
        "follower_sees_what_comes",
        "A follower sees what is there, then waits and sees what comes, and does not end",
        |instance| Box::pin(follow::follower_sees_what_comes(instance)),
    ),
    Check::new(
        "follower_waits_for_a_missing_stream",
        "A follower of a stream that does not exist waits for its first entry",
        |instance| Box::pin(follow::follower_waits_for_a_missing_stream(instance)),
    ),
    Check::new(
        "every_follower_sees_everything",
        "Every follower of a stream sees every entry from its own start on",
        |instance| Box::pin(follow::every_follower_sees_everything(instance)),
    ),
    Check::new(
        "streams_are_apart",
        "Streams have their own entries and positions, however alike their names are",
        |instance| Box::pin(streams::streams_are_apart(instance)),
    ),
    Check::new(
        "streams_are_listed_by_prefix",
        "Streams are listed by prefix, in order of their names",
        |instance| Box::pin(streams::streams_are_listed_by_prefix(instance)),
    ),
    Check::new(
        "streams_are_listed_in_pages",
        "Streams are listed after a name and up to a limit, so that pages neither skip nor repeat",
        |instance| Box::pin(streams::streams_are_listed_in_pages(instance)),
    ),
    Check::new(
        "forgotten_entries_are_gone",
        "Forgotten entries are gone for readers at once, who are told the first one that is left",
        |instance| Box::pin(forget::forgotten_entries_are_gone(instance)),
    ),
    Check::new(
        "forgetting_touches_nothing_else",
        "Forgetting changes neither later entries nor other streams, and never brings entries back",
        |instance| Box::pin(forget::forgetting_touches_nothing_else(instance)),
    ),
    Check::new(
        "forgotten_positions_are_not_used_again",
        "The head stays what it was when everything is forgotten, and no position is used again",
        |instance| Box::pin(forget::forgotten_positions_are_not_used_again(instance)),
    ),
    Check::new(
        "open_cursor_skips_nothing_forgotten",
        "A cursor that was open when its entries were forgotten never skips them in silence",
        |instance| Box::pin(forget::open_cursor_skips_nothing_forgotten(instance)),
    ),
    Check::new(
        "acknowledged_entries_survive",
        "What was acknowledged is there, in its order, when the journal is opened again",
        |instance| Box::pin(reopen::acknowledged_entries_survive(instance)),
    ),
    Check::new(
        "shown_entries_survive",
        "What was shown to a reader is there when the journal is opened again",
        |instance| Box::pin(reopen::shown_entries_survive(instance)),
    ),
    Check::new(
        "unfinished_appends_leave_whole_batches",
        "Of appends that were in flight at the end, whole batches are there, the first ones first",
        |instance| Box::pin(reopen::unfinished_appends_leave_whole_batches(instance)),
    ),
    Check::new(
        "positions_go_on_after_reopening",
        "Positions go on where they were when the journal is opened again, also behind forgotten entries",
        |instance| Box::pin(reopen::positions_go_on_after_reopening(instance)),
    ),
];
