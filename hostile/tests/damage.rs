//! Damage in one place of a small journal: refused with file and offset, or without any meaning.
//!
//! `cargo run --release -p hostile -- damage` tries every bit; here it is one in some.

#![allow(clippy::unwrap_used, reason = "this is test code")]

use hostile::damage::{self, Bits, Meaningless, Seen, Tally, Zeros};
use hostile::specimen::{self, Specimen};

/// Bits that are passed over between two flips: no multiple of a byte, so that all bits of bytes
/// come up.
const STRIDE: usize = 67;

fn none_is_served(tally: &Tally) {
    assert_eq!(tally.violations, Vec::<String>::new());
    let count = |seen| tally.seen.get(&seen).copied().unwrap_or_default();
    assert!(
        count(Seen::Refused) > 0 && count(Seen::NotServed) > 0,
        "{tally:?}"
    );
}

/// Flips bits of these specimens.
fn flips_of<'a>(specimens: impl IntoIterator<Item = &'a Specimen>) {
    let bits = Bits {
        from: 0,
        stride: STRIDE,
        zeros: Zeros::EachBit,
    };
    let mut total = Tally::default();
    for specimen in specimens {
        total.add(damage::flips(specimen, bits));
    }
    none_is_served(&total);
    let slot = Seen::Unchanged(Meaningless::Slot);
    assert!(total.seen.contains_key(&slot), "the other slot counts");
}

/// B2.7
#[test]
fn flipped_bits_of_log_segments_are_refused_or_mean_nothing() {
    let specimens = specimen::all();
    flips_of(
        specimens
            .iter()
            .filter(|specimen| !specimen.has_directory()),
    );
}

/// B2.7
#[test]
fn flipped_bits_of_stream_segments_are_refused_or_mean_nothing() {
    let specimens = specimen::all();
    flips_of(specimens.iter().filter(|specimen| specimen.has_directory()));
}

/// B2.7
#[test]
fn missing_cut_exchanged_and_old_files_are_refused_or_not_needed() {
    let mut total = Tally::default();
    for specimen in specimen::all() {
        total.add(damage::files(&specimen));
    }
    none_is_served(&total);
}

/// B3.3
#[test]
fn no_flipped_bit_of_a_snapshot_is_served() {
    let tally = damage::snapshot_flips();
    assert_eq!(tally.violations, Vec::<String>::new());
    assert_eq!(tally.seen.keys().collect::<Vec<_>>(), [&Seen::Refused]);
}

/// The control: with the checksums made right, the same flips are no longer seen.
#[test]
fn a_flipped_bit_with_right_checksums_is_served() {
    let specimens = specimen::all();
    let mut files = specimens[0].files.clone();
    let log = files.bytes_mut("0000000001.log").unwrap();
    let text = log.windows(6).position(|bytes| bytes == b"append").unwrap();
    log[text] ^= 1;
    let (opened, _) = specimen::open(files.resealed());
    assert_ne!(opened.unwrap(), specimens[0].kept);
}
