//! What is still needed of a stream, and for what: the entries below all claims may go.

use std::fmt;

use refrain_core::Position;
use refrain_core::port::hold::Need;

/// For what the oldest entries of a stream are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeptFor {
    /// The retention policy says so.
    Policy,
    /// There are fewer valid snapshots than are to be kept, so a replay may have to begin there.
    Replay,
    /// The oldest snapshot that is kept and valid: a recovery may have to begin with it.
    Snapshot(Position),
    /// A delivery that waits in the journal alone.
    Delivery,
    /// The answer to a message that is remembered.
    Answer,
    /// The hold of this name.
    Hold(String),
}

impl fmt::Display for KeptFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeptFor::Policy => f.write_str("the policy"),
            KeptFor::Replay => f.write_str("a replay, for want of valid snapshots"),
            KeptFor::Snapshot(position) => write!(f, "the snapshot at {position}"),
            KeptFor::Delivery => f.write_str("a delivery that waits"),
            KeptFor::Answer => f.write_str("the answer to a message that is remembered"),
            KeptFor::Hold(name) => write!(f, "{name}"),
        }
    }
}

/// One reason to keep entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) need: Need,
    pub(super) by: KeptFor,
}

impl Claim {
    pub(super) fn from(position: Position, by: KeptFor) -> Claim {
        Claim {
            need: Need::From(position),
            by,
        }
    }

    /// The first entry that must stay; `None` when none need to.
    pub(super) fn first(&self) -> Option<Position> {
        match self.need {
            Need::Everything => Some(Position::FIRST),
            Need::From(position) => Some(position),
            Need::Nothing => None,
        }
    }
}

/// The claim that keeps most.
pub(super) fn widest(claims: Vec<Claim>) -> Option<Claim> {
    claims.into_iter().min_by_key(|claim| claim.need)
}
