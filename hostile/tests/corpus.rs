//! The committed corpus, run through the same functions that the fuzzer drives.

#![allow(clippy::unwrap_used, reason = "this is test code")]

use std::path::{Path, PathBuf};

use hostile::TARGETS;
use hostile::allowance::{Time, within};

/// Bytes of all inputs together.
const CORPUS_BYTES_MAX: u64 = 1024 * 1024;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus")
}

fn inputs(target: &str) -> Vec<PathBuf> {
    let dir = corpus().join(target);
    let entries = std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// B2.7
#[test]
fn every_input_of_the_corpus_keeps_every_promise() {
    for target in TARGETS {
        (target.run)(&[]);
        let inputs = inputs(target.name);
        assert!(!inputs.is_empty(), "{} has no corpus", target.name);
        for path in inputs {
            let bytes = std::fs::read(&path).unwrap();
            // Shown only if it fails: by then the name is what one wants to know.
            println!("{}", path.display());
            within(Time::Passes, || (target.run)(&bytes));
        }
    }
}

#[test]
fn the_corpus_is_small_and_of_targets_that_exist() {
    let mut bytes = 0;
    for entry in std::fs::read_dir(corpus()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            hostile::target(&name).is_some(),
            "there is no target {name}"
        );
        for path in inputs(&name) {
            bytes += path.metadata().unwrap().len();
        }
    }
    assert!(bytes < CORPUS_BYTES_MAX, "{bytes} bytes");
}
