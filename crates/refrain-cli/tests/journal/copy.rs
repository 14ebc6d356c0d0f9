//! `copy`: the same streams, positions and entries in a new journal.

use refrain::{FileJournal, Journal};

use crate::run;
use crate::support::{Place, append, fill, flip, lively, name, open, position, take_orders};

#[tokio::test]
async fn a_copy_has_every_stream_with_its_positions_and_nothing_that_was_forgotten() {
    let place = Place::new();
    let (dir, to) = (place.path("journal"), place.path("copy"));
    fill(&dir, &["orders", "payments", "gone"], 100).await;
    {
        let journal = open(&dir);
        journal.forget(&name("orders"), position(41)).await.unwrap();
        journal.forget(&name("gone"), position(101)).await.unwrap();
    }
    let before = run!("ls", &dir, "--json").value();
    let ran = run!("copy", &dir, &to, "--json");
    assert_eq!(ran.assert_exit(0).value()["entries"], 160);
    assert_eq!(run!("ls", &to, "--json").value(), before);
    assert_eq!(before["streams"][0]["last"], 100);
    assert!(before["streams"][0]["first"].is_null());
    assert_eq!(before["streams"][1]["first"], 41);
    for stream in ["orders", "payments"] {
        let [old, new] = [&dir, &to].map(|dir| run!("cat", dir, stream, "--json").out);
        assert_eq!(old, new);
    }
    run!("verify", &to).assert_exit(0);
    // Positions go on where they were.
    let journal = open(&to);
    append(&journal, "gone", 101, b"more").await;
    append(&journal, "orders", 101, b"more").await;
}

/// B11.3 in part: moving a stream to a new journal without changing what a program sees.
#[tokio::test]
async fn a_program_goes_on_in_the_copy() {
    let place = Place::new();
    let (dir, to) = (place.path("journal"), place.path("copy"));
    take_orders(&dir, &["4242"]).await;
    run!("copy", &dir, &to).assert_exit(0);
    take_orders(&to, &["4343"]).await;
    let lines = run!("cat", &to, "orders", "--json").lines();
    let answers: Vec<_> = lines
        .iter()
        .filter_map(|line| line["answer"].as_u64())
        .collect();
    assert_eq!(answers, [1, 2]);
}

#[tokio::test]
async fn a_journal_that_is_being_written_is_copied_as_of_one_moment() {
    let place = Place::new();
    let dir = place.path("journal");
    let journal = FileJournal::open_with(&dir, lively()).unwrap();
    append(&journal, "orders", 1, b"one").await;
    let (from, to) = (dir.clone(), place.path("copies"));
    let copying = tokio::task::spawn_blocking(move || {
        let mut ends = Vec::<u64>::new();
        // With the control: they are copies of different moments.
        while ends.len() < 6 || ends.first() == ends.last() {
            let to = to.join(ends.len().to_string());
            let ran = run!("copy", &from, &to, "--json");
            ran.assert_exit(0);
            run!("verify", &to).assert_exit(0);
            ends.push(ran.value()["streams"][0]["last"].as_u64().unwrap());
        }
        ends
    });
    let mut number = 1;
    while !copying.is_finished() {
        number += 1;
        append(&journal, "orders", number, &[7; 400]).await;
        if number.is_multiple_of(64) {
            let below = position(number - 32);
            journal.forget(&name("orders"), below).await.unwrap();
        }
    }
    let ends = copying.await.unwrap();
    assert!(ends.is_sorted(), "{ends:?}");
}

#[tokio::test]
async fn what_is_damaged_is_not_copied_and_nothing_is_copied_over_something() {
    let place = Place::new();
    let (dir, to) = (place.path("journal"), place.path("copy"));
    fill(&dir, &["orders"], 100).await;
    run!("copy", &dir, &dir).assert_exit(6);
    flip(&dir.join("0000000001.log"), 4096 + 40 + 24 + 3);
    let ran = run!("copy", &dir, &to);
    ran.assert_exit(1);
    assert!(ran.err.contains("0000000001.log"), "{}", ran.err);
    assert!(!to.exists() && !place.path("copy.restoring").exists());
}
