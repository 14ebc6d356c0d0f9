//! `orders validator`: the external service, which knows nothing of Refrain.
//!
//! It speaks the contract in the README and misbehaves as its flags say. Its verdict for a key is
//! drawn at the first sight of the key, written to the ledger, and the same for ever.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::announcement::Announcement;
use crate::clock;
use crate::ledger::{Answer, Call, Ledger, Verdict};
use crate::lifetime::Lifetime;

/// How long a caller is left without an answer at most, should it never hang up.
const SILENCE: Duration = Duration::from_secs(60);

/// The flags of `orders validator`.
#[derive(Debug, clap::Args)]
pub struct ValidatorFlags {
    /// Where to listen; port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7001")]
    listen: SocketAddr,
    /// So many first calls in a hundred fail with 503, without a verdict.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(..=100))]
    fail_percent: u8,
    /// So many calls in a hundred get no answer, although the verdict is made.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(..=100))]
    silent_percent: u8,
    /// How long an answer takes, in milliseconds: drawn anew for each call.
    #[arg(long, value_name = "A..B", default_value = "0..0", value_parser = parse_range)]
    delay_ms: RangeInclusive<u64>,
    /// So many cards in a hundred are declined.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u8).range(..=100))]
    decline_percent: u8,
    /// A file that keeps the verdicts over restarts: one line of JSON for each call.
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    #[command(flatten)]
    lifetime: Lifetime,
}

/// `A..B` or a single number.
fn parse_range(text: &str) -> Result<RangeInclusive<u64>, String> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let number = |text: &str| {
        text.parse::<u64>()
            .map_err(|error| format!("{text:?}: {error}"))
    };
    let (from, to) = (number(from)?, number(to)?);
    if from > to {
        return Err(format!("{from} is more than {to}"));
    }
    Ok(from..=to)
}

/// Runs the validator until it is told to stop.
///
/// # Errors
/// When it cannot listen, or cannot read its ledger.
pub async fn run(flags: ValidatorFlags) -> Result<(), std::io::Error> {
    let book = Book::open(flags.ledger.as_deref())?;
    let listener = TcpListener::bind(flags.listen).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let ended = flags.lifetime.clone();
    let validator = Arc::new(Validator {
        flags,
        book: Mutex::new(book),
    });
    let routes = Router::new()
        .route("/validations", post(validate))
        .route("/stats", get(stats))
        .with_state(validator);
    Announcement::Listening(url).print();
    tokio::select! {
        served = axum::serve(listener, routes) => served,
        () = ended.over() => Ok(()),
    }
}

struct Validator {
    flags: ValidatorFlags,
    book: Mutex<Book>,
}

/// What the validator remembers: for each key the order it was used for, and the verdict once there
/// is one.
#[derive(Debug, Default)]
struct Book {
    calls: u64,
    known: HashMap<String, Known>,
    ledger: Option<Ledger>,
}

#[derive(Debug)]
struct Known {
    order_id: u64,
    verdict: Option<Verdict>,
}

#[derive(Debug, Deserialize)]
struct Validation {
    order_id: u64,
    // A real validator would look at these. Ours only insists that they are there.
    #[serde(rename = "card_number")]
    _card_number: String,
    #[serde(rename = "amount_cents")]
    _amount_cents: u64,
}

#[derive(Debug, Serialize)]
struct Stats {
    calls: u64,
    distinct_keys: usize,
}

async fn stats(State(validator): State<Arc<Validator>>) -> Json<Stats> {
    let book = validator
        .book
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    Json(Stats {
        calls: book.calls,
        distinct_keys: book.known.len(),
    })
}

async fn validate(
    State(validator): State<Arc<Validator>>,
    headers: HeaderMap,
    Json(asked): Json<Validation>,
) -> Response {
    let Some(key) = text(&headers, "idempotency-key") else {
        return (StatusCode::BAD_REQUEST, "an Idempotency-Key is needed").into_response();
    };
    let call = {
        let mut book = validator
            .book
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let epoch = text(&headers, "refrain-epoch").and_then(|epoch| epoch.parse().ok());
        match book.take(&validator.flags, key.to_owned(), asked.order_id, epoch) {
            Ok(call) => call,
            Err(refused) => return refused.into_response(),
        }
    };
    let delay = rand::rng().random_range(validator.flags.delay_ms.clone());
    tokio::time::sleep(Duration::from_millis(delay)).await;
    match call.answer {
        Answer::Verdict => Json(call.verdict).into_response(),
        Answer::Failure => (StatusCode::SERVICE_UNAVAILABLE, "the bank is closed").into_response(),
        Answer::Silence => {
            tokio::time::sleep(SILENCE).await;
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Why a call is not taken into the book.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("this Idempotency-Key was used for order {0}")]
    KeyOfAnotherOrder(u64),
    #[error("the ledger cannot be written: {0}")]
    Ledger(#[from] std::io::Error),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match self {
            Refused::KeyOfAnotherOrder(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Refused::Ledger(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, self.to_string()).into_response()
    }
}

impl Book {
    fn open(ledger: Option<&std::path::Path>) -> std::io::Result<Book> {
        let Some(path) = ledger else {
            return Ok(Book::default());
        };
        let (ledger, calls) = Ledger::open(path)?;
        let mut book = Book {
            ledger: Some(ledger),
            ..Book::default()
        };
        for call in calls {
            book.remember(&call);
        }
        Ok(book)
    }

    /// Decides how the call is answered and writes that down. Once there is a verdict for a key,
    /// a call with that key never fails again.
    fn take(
        &mut self,
        flags: &ValidatorFlags,
        key: String,
        order_id: u64,
        epoch: Option<u64>,
    ) -> Result<Call, Refused> {
        let known = self.known.get(&key);
        if let Some(known) = known.filter(|known| known.order_id != order_id) {
            return Err(Refused::KeyOfAnotherOrder(known.order_id));
        }
        let verdict = known
            .and_then(|known| known.verdict.clone())
            .or_else(|| (!in_a_hundred(flags.fail_percent)).then(|| draw(flags)));
        let answer = match &verdict {
            None => Answer::Failure,
            Some(_) if in_a_hundred(flags.silent_percent) => Answer::Silence,
            Some(_) => Answer::Verdict,
        };
        let call = Call {
            at_micros: clock::now_micros(),
            key,
            order_id,
            epoch,
            answer,
            verdict,
        };
        if let Some(ledger) = &mut self.ledger {
            ledger.append(&call)?;
        }
        self.remember(&call);
        Ok(call)
    }

    fn remember(&mut self, call: &Call) {
        self.calls += 1;
        let known = self.known.entry(call.key.clone()).or_insert(Known {
            order_id: call.order_id,
            verdict: None,
        });
        if known.verdict.is_none() {
            known.verdict.clone_from(&call.verdict);
        }
    }
}

fn draw(flags: &ValidatorFlags) -> Verdict {
    if in_a_hundred(flags.decline_percent) {
        let reason = "limit exceeded".to_owned();
        return Verdict::Declined { reason };
    }
    Verdict::Validated
}

fn in_a_hundred(percent: u8) -> bool {
    rand::rng().random_range(0..100) < percent
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        flags: ValidatorFlags,
    }

    fn flags(line: &[&str]) -> ValidatorFlags {
        let line = std::iter::once(&"validator").chain(line);
        Line::parse_from(line).flags
    }

    #[test]
    fn verdict_for_a_key_is_the_same_for_ever_and_over_restarts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let even = flags(&["--decline-percent", "50", "--silent-percent", "30"]);
        let mut book = Book::open(Some(&path)).unwrap();
        let first: Vec<_> = (0..40)
            .map(|n| {
                book.take(&even, format!("key-{n}"), n, None)
                    .unwrap()
                    .verdict
            })
            .collect();
        assert!(first.iter().all(Option::is_some));

        let mut book = Book::open(Some(&path)).unwrap();
        assert_eq!(book.calls, 40);
        let failing = flags(&["--fail-percent", "100"]);
        for (n, verdict) in (0..40).zip(first) {
            let again = book.take(&failing, format!("key-{n}"), n, None).unwrap();
            assert_eq!((again.answer, again.verdict), (Answer::Verdict, verdict));
        }
        assert_eq!(book.known.len(), 40);
    }

    #[test]
    fn key_that_failed_may_get_a_verdict_later() {
        let mut book = Book::default();
        let key = || "key".to_owned();
        let failing = flags(&["--fail-percent", "100"]);
        let failed = book.take(&failing, key(), 1, Some(3)).unwrap();
        assert_eq!((failed.answer, failed.verdict), (Answer::Failure, None));
        assert!(
            book.take(&flags(&[]), key(), 1, None)
                .unwrap()
                .verdict
                .is_some()
        );
    }

    #[test]
    fn key_that_was_used_for_another_order_is_refused() {
        let mut book = Book::default();
        let key = || "key".to_owned();
        assert!(book.take(&flags(&[]), key(), 1, None).is_ok());
        let refused = book.take(&flags(&[]), key(), 2, None);
        assert!(matches!(refused, Err(Refused::KeyOfAnotherOrder(1))));
    }

    #[test]
    fn delay_is_a_number_or_a_range() {
        assert_eq!(parse_range("5"), Ok(5..=5));
        assert_eq!(parse_range("5..20"), Ok(5..=20));
        assert!(parse_range("20..5").is_err());
        assert!(parse_range("a..b").is_err());
    }
}
