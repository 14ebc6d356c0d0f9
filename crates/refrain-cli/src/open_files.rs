//! How many files the program may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Allows as many as the system does. Usually fewer are allowed at first, and a backup holds all the
/// snapshots open that it takes along, so that none of them goes while it works.
pub(crate) fn allow_all() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: maximum,
        maximum,
    };
    // Whoever needs more than there are is told so by the system.
    let _ = setrlimit(Resource::Nofile, wanted);
}
