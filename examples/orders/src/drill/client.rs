//! A client of the order processor that does not give up soon: bounded requests, repeated with
//! growing pauses, under a constant identity.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt;
use reqwest::{RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::api::{ChannelView, OrderPage};
use crate::domain::{OrderId, OrderStatus};
use crate::processor::{OrderCount, OrderStored, SubmitOrder};

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(5);

/// How long it is repeated.
const PATIENCE: Duration = Duration::from_secs(180);

/// The pause before the first repetition; each further one is twice as long, up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(10);
const PAUSE_LONGEST: Duration = Duration::from_millis(500);

/// Orders on one page.
const PAGE: usize = 1_000;

/// Talks to the order processor. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
}

/// One order, and how it is submitted.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The identity that stays the same in every repetition.
    pub id: String,
    /// In which form it is sent.
    pub form: Form,
    /// The order.
    pub order: SubmitOrder,
}

/// The forms in which an order can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Plain JSON with an `Idempotency-Key`.
    Json,
    /// A CloudEvent in binary mode: its attributes are headers.
    CloudEvent,
}

/// Why a request got no answer that serves.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The client itself could not be made.
    #[error("no HTTP client: {0}")]
    Client(reqwest::Error),
    /// The processor does not want the request as it is.
    #[error("refused with {status}: {body}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// What it said.
        body: String,
    },
    /// Nothing but failures for too long.
    #[error("no answer within {PATIENCE:?} and {tries} tries; the last one: {last}")]
    GaveUp {
        /// How often it was tried.
        tries: u32,
        /// What happened last.
        last: String,
    },
}

impl Client {
    /// A client of the processor at `url`.
    ///
    /// # Errors
    /// When the HTTP library cannot be set up.
    pub fn new(url: String) -> Result<Client, ClientError> {
        // No request needs TLS. Yet where another crate of the build turns on reqwest's TLS without a
        // provider, as backups in S3 do, no client can be made before there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(REQUEST)
            // The programs are on this machine, whatever the environment says of proxies.
            .no_proxy()
            .build()
            .map_err(ClientError::Client)?;
        Ok(Client { http, url })
    }

    /// Submits an order until it is stored, and gives its number.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn submit(&self, submission: &Submission) -> Result<OrderId, ClientError> {
        let stored: OrderStored = self.persist(|| self.submission(submission)).await?;
        Ok(stored.order_id)
    }

    fn submission(&self, submission: &Submission) -> RequestBuilder {
        let request = self.http.post(format!("{}/orders", self.url));
        let request = match submission.form {
            Form::Json => request.header("idempotency-key", &submission.id),
            Form::CloudEvent => request
                .header("ce-specversion", "1.0")
                .header("ce-type", "shop.order.submitted")
                .header("ce-source", "/drill")
                .header("ce-id", &submission.id),
        };
        request.json(&submission.order)
    }

    /// How many orders there are.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn count(&self) -> Result<OrderCount, ClientError> {
        self.persist(|| self.http.get(format!("{}/stats", self.url)))
            .await
    }

    /// All orders, page by page.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn orders(&self) -> Result<BTreeMap<OrderId, OrderStatus>, ClientError> {
        let mut orders = BTreeMap::new();
        let mut cursor = Some(OrderId::default());
        while let Some(after) = cursor {
            let url = format!("{}/orders?limit={PAGE}&cursor={after}", self.url);
            let page: OrderPage = self.persist(|| self.http.get(&url)).await?;
            orders.extend(
                page.orders
                    .into_iter()
                    .map(|order| (order.order_id, order.status)),
            );
            cursor = page.next_cursor;
        }
        Ok(orders)
    }

    /// The state of the channel called `name`, if there is one.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn channel(&self, name: &str) -> Result<Option<ChannelView>, ClientError> {
        let url = format!("{}/channels", self.url);
        let channels: Vec<ChannelView> = self.persist(|| self.http.get(&url)).await?;
        Ok(channels.into_iter().find(|channel| channel.name == name))
    }

    /// Makes the channel called `name` deliver again.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn deliver(&self, name: &str) -> Result<ChannelView, ClientError> {
        let url = format!("{}/channels/{name}/deliver", self.url);
        self.persist(|| self.http.post(&url)).await
    }

    /// Sends the request that `build` makes until it is answered, for better or worse.
    async fn persist<T: DeserializeOwned>(
        &self,
        build: impl Fn() -> RequestBuilder,
    ) -> Result<T, ClientError> {
        let until = Instant::now() + PATIENCE;
        let (mut tries, mut pause) = (0, PAUSE_FIRST);
        loop {
            tries += 1;
            let last = match attempt(build()).await {
                Attempt::Done(answer) => return Ok(answer),
                Attempt::Refused { status, body } => {
                    return Err(ClientError::Refused { status, body });
                }
                Attempt::Again(reason) => reason,
            };
            if Instant::now() + pause > until {
                return Err(ClientError::GaveUp { tries, last });
            }
            // Clients that failed together must not come back together.
            let part = rand::rng().random_range(0.5..1.0);
            tokio::time::sleep(pause.mul_f64(part)).await;
            pause = (pause * 2).min(PAUSE_LONGEST);
        }
    }
}

/// How one try ended.
enum Attempt<T> {
    Done(T),
    Refused { status: StatusCode, body: String },
    Again(String),
}

async fn attempt<T: DeserializeOwned>(request: RequestBuilder) -> Attempt<T> {
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return Attempt::Again(chain(&error)),
    };
    let status = response.status();
    let body = match response.bytes().await {
        Ok(body) => body,
        Err(error) => return Attempt::Again(chain(&error)),
    };
    if status.is_success() {
        // An answer that was cut short is as good as none.
        return match serde_json::from_slice(&body) {
            Ok(answer) => Attempt::Done(answer),
            Err(error) => Attempt::Again(format!("{status} with an unreadable answer: {error}")),
        };
    }
    let body = String::from_utf8_lossy(&body).into_owned();
    let later = [
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::CONFLICT,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    if status.is_client_error() && !later.contains(&status) {
        return Attempt::Refused { status, body };
    }
    Attempt::Again(format!("{status}: {body}"))
}

/// An error with its causes, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}
