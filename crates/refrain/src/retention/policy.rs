//! How much of a stream is kept.

use std::time::Duration;

/// How much of a processor's stream is kept, at least. Everything, unless set.
///
/// What is beyond that is forgotten in the background, once nobody needs it any more: see
/// [`ProcessorBuilder::retention`](crate::ProcessorBuilder::retention).
///
/// ```
/// use refrain::RetentionPolicy;
/// use std::time::Duration;
///
/// let month = Duration::from_secs(30 * 24 * 3600);
/// let policy = RetentionPolicy::entries(1_000_000).and_span(month);
/// # let _ = policy;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetentionPolicy {
    pub(super) keep: Option<Keep>,
    pub(super) answers: Answers,
}

/// What a policy keeps when it does not keep everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keep {
    pub(super) entries: u64,
    pub(super) span: Duration,
}

/// Whether entries are kept for the answers in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Answers {
    #[default]
    Kept,
    LetGo,
}

impl RetentionPolicy {
    /// Everything is kept.
    #[must_use]
    pub fn everything() -> RetentionPolicy {
        RetentionPolicy::default()
    }

    /// The last `count` entries are kept, and whatever is still needed.
    #[must_use]
    pub fn entries(count: u64) -> RetentionPolicy {
        RetentionPolicy {
            keep: Some(Keep {
                entries: count,
                span: Duration::ZERO,
            }),
            answers: Answers::Kept,
        }
    }

    /// The entries of the last `span` are kept, and whatever is still needed.
    #[must_use]
    pub fn span(span: Duration) -> RetentionPolicy {
        RetentionPolicy::entries(0).and_span(span)
    }

    /// The entries of the last `span` are kept as well.
    #[must_use]
    pub fn and_span(mut self, span: Duration) -> RetentionPolicy {
        if let Some(keep) = &mut self.keep {
            keep.span = span;
        }
        self
    }

    /// Entries are not kept for the answers in them alone. A message that comes again still changes
    /// nothing; when its answer is gone, it is told [`AnswerGone`](crate::AskError::AnswerGone).
    ///
    /// Without this, entries stay for as long as their messages are
    /// [remembered](crate::Remember), and the last one of each numbered source for ever.
    #[must_use]
    pub fn letting_answers_go(mut self) -> RetentionPolicy {
        self.answers = Answers::LetGo;
        self
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.keep.is_none()
    }
}
