//! libFuzzer over one target of the crate `hostile`, which the environment names.

#![no_main]

use std::sync::LazyLock;

use hostile::allowance::{Time, within};
use libfuzzer_sys::fuzz_target;

/// Which target to drive.
const CHOICE: &str = "FUZZ_TARGET";

/// The fuzzer's own control: it must find the way behind four bytes, one after the other.
const PLANTED: &str = "planted";

static RUN: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var(CHOICE).unwrap_or_default();
    if name == PLANTED {
        return planted;
    }
    let target = hostile::target(&name);
    target.unwrap_or_else(|| panic!("{CHOICE} names no target: {name:?}")).run
});

fuzz_target!(
    // What a target makes once does not count for its first run.
    init: RUN(&[]),
    |bytes: &[u8]| within(Time::Counts, || RUN(bytes))
);

fn planted(bytes: &[u8]) {
    if let Some((_, rest)) = bytes.split_at_checked(4) {
        assert_ne!(rest.first_chunk(), Some(b"RFRM"), "the planted panic");
    }
}
