//! An HTTP endpoint as a destination.
//!
//! One attempt is one request. The idempotency key travels with it, so a destination that honours
//! the key has its effect once however often the request comes; see [`head`] for the headers.
//!
//! | What came | Outcome |
//! |---|---|
//! | 2xx and a whole body in time | reply |
//! | 2xx, but the body is too large, compressed, not JSON or too deep | failure |
//! | 408, 425, 429, 5xx | failure; `Retry-After` counts |
//! | any other 4xx | failure, marked `permanent` |
//! | 3xx, 101 | failure: redirects are not followed |
//! | a response head that is too large | failure |
//! | no connection, TLS refused, a name without an allowed address | not responding |
//! | reset, closed or garbage before the end of a reply | not responding |
//! | nothing whole before the deadline | not responding |
//! | (nothing was sent: the request cannot be translated or is too large) | failure |
//!
//! *Failure* means that the destination spoke, or that this very request can never be sent. All else
//! is *not responding*: a processor must not take a broken cable for an opinion.
//!
//! Nothing is followed, unpacked or taken from the environment: no redirects, no compression, no
//! proxies. Reply, head and time are bounded, and so are the addresses ([`guard`]).

mod guard;
mod head;
mod options;
mod retry_after;
mod translation;
mod verdict;

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Scheme, Uri};
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use refrain_core::Timestamp;
use refrain_core::limit::WINDOW_MAX;
use refrain_core::port::BoxFuture;
use refrain_core::port::destination::{Attempted, Delivery, Destination, Failure};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::{Instant, timeout_at};

use self::guard::GuardedResolver;
pub use self::options::{HttpDestinationError, HttpOptions, KeyForm};
#[cfg(feature = "fuzzing")]
pub(crate) use self::retry_after::read as read_retry_after;
#[cfg(feature = "fuzzing")]
pub(crate) use self::translation::Payload;
use self::translation::Replies;
pub(crate) use self::verdict::Verdict;
use crate::body::{self, BodyError};

/// Bytes of a response's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// How long an idle connection is kept: less than the 5 s after which the quickest of the common
/// servers close theirs, so that a request seldom meets a connection that is just being closed.
const IDLE_MAX: Duration = Duration::from_secs(4);

/// Bytes of a failure's body that are read for its words.
const FAILURE_BYTES_MAX: usize = 8 * 1024;

/// How long a failure's words are waited for: the status alone says enough.
const FAILURE_WORDS_MAX: Duration = Duration::from_millis(500);

type Connector = HttpsConnector<HttpConnector<GuardedResolver<GaiResolver>>>;

/// An HTTP endpoint as a destination: each delivery is one request to its URL.
///
/// Connections are kept and used again. The request travels as JSON unless [`HttpOptions`] say
/// otherwise, with the delivery's key as `Idempotency-Key`.
///
/// ```
/// use refrain_http::{HttpDestination, HttpOptions};
///
/// let gateway = HttpDestination::new("https://api.example.com/v1/charges")?;
/// let local = HttpOptions::default().allow_loopback();
/// let validator = HttpDestination::with("http://127.0.0.1:8081/validations", local)?;
/// assert!(HttpDestination::new("http://169.254.169.254/latest/meta-data").is_err());
/// # Ok::<(), refrain_http::HttpDestinationError>(())
/// ```
pub struct HttpDestination {
    client: Client<Connector, Full<Bytes>>,
    url: Uri,
    options: HttpOptions,
}

impl HttpDestination {
    /// The endpoint at `url`, with the default options.
    ///
    /// # Errors
    /// When `url` is not an absolute `http` or `https` URL, or its address may not be called.
    pub fn new(url: &str) -> Result<HttpDestination, HttpDestinationError> {
        HttpDestination::with(url, HttpOptions::default())
    }

    /// The endpoint at `url`.
    ///
    /// # Errors
    /// When `url` is not an absolute `http` or `https` URL, its address may not be called, or TLS
    /// cannot be set up.
    pub fn with(url: &str, options: HttpOptions) -> Result<HttpDestination, HttpDestinationError> {
        let url = checked_url(url)?;
        if let Some(address) = url.host().and_then(guard::literal)
            && !options.reach.allows(address)
        {
            return Err(HttpDestinationError::Address { address });
        }
        let tls = tls_config(&url, &options)?;
        let mut tcp = HttpConnector::new_with_resolver(GuardedResolver::new(
            GaiResolver::new(),
            options.reach,
        ));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(options.connect_timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(WINDOW_MAX as usize)
            .http1_max_buf_size(HEAD_BYTES_MAX)
            .build(connector);
        Ok(HttpDestination {
            client,
            url,
            options,
        })
    }

    /// Makes the attempt. Ends by the delivery's deadline.
    async fn attempt(&self, delivery: &Delivery) -> Attempted {
        let deadline = Instant::now() + delivery.timeout;
        let request = match self.request(delivery) {
            Ok(request) => request,
            Err(reason) => return failed(format!("permanent: not sent: {reason}")),
        };
        match timeout_at(deadline, self.client.request(request)).await {
            Ok(Ok(response)) => self.outcome(delivery, response, deadline).await,
            Ok(Err(error)) if is_head_too_large(&error) => failed(format!(
                "the response's head is larger than {HEAD_BYTES_MAX} bytes"
            )),
            Ok(Err(error)) => self.not_responding(delivery, &chain(&error)),
            Err(_) => self.not_responding(delivery, "no response in time"),
        }
    }

    fn request(&self, delivery: &Delivery) -> Result<Request<Full<Bytes>>, String> {
        let payload = self.options.payload;
        let body = payload.request(delivery.encoding, &delivery.request)?;
        let limit = self.options.request_bytes_max;
        if body.len() > limit {
            return Err(format!(
                "its body has {} bytes of at most {limit}",
                body.len()
            ));
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = self.options.method.clone();
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = head::of(delivery, &self.options);
        Ok(request)
    }

    async fn outcome(
        &self,
        delivery: &Delivery,
        response: Response<Incoming>,
        deadline: Instant,
    ) -> Attempted {
        let (head, body) = response.into_parts();
        let verdict = Verdict::of(head.status);
        match verdict {
            Verdict::Reply => self.reply(delivery, &head.headers, body, deadline).await,
            Verdict::FailedForNow => {
                let retry_after =
                    retry_after::read(&head.headers, began(delivery), self.options.retry_after_max);
                let error = words(verdict, head.status, body, deadline).await;
                Attempted::Failed(Failure { error, retry_after })
            }
            Verdict::FailedForGood | Verdict::Redirected => {
                failed(words(verdict, head.status, body, deadline).await)
            }
        }
    }

    async fn reply(
        &self,
        delivery: &Delivery,
        headers: &HeaderMap,
        mut body: Incoming,
        deadline: Instant,
    ) -> Attempted {
        let payload = self.options.payload;
        let limit = self.options.reply_bytes_max;
        let bytes = match payload.replies() {
            Replies::Ignored => Ok(Ok(Bytes::new())),
            Replies::Read if is_encoded(headers) => {
                return failed("the reply is compressed, which was not asked for".to_owned());
            }
            Replies::Read => timeout_at(deadline, body::read(&mut body, limit)).await,
        };
        match bytes {
            Ok(Ok(bytes)) => match payload.reply(delivery.encoding, bytes) {
                Ok(reply) => Attempted::Replied(reply),
                Err(reason) => failed(format!("the reply cannot be read: {reason}")),
            },
            Ok(Err(BodyError::TooLarge { limit })) => {
                failed(format!("the reply has more than {limit} bytes"))
            }
            Ok(Err(BodyError::Broken(error))) => self.not_responding(delivery, &chain(&*error)),
            Err(_) => self.not_responding(delivery, "no whole reply in time"),
        }
    }

    /// The outcome has no room for the reason, so it goes to the log.
    fn not_responding(&self, delivery: &Delivery, reason: &str) -> Attempted {
        tracing::info!(
            sender = %delivery.sender,
            channel = delivery.channel,
            delivery = delivery.number,
            attempt = delivery.attempt,
            url = %self.url,
            reason,
            "destination is not responding"
        );
        Attempted::NotResponding
    }
}

impl Destination for HttpDestination {
    fn deliver(&self, delivery: Delivery) -> BoxFuture<'_, Attempted> {
        Box::pin(async move { self.attempt(&delivery).await })
    }
}

impl std::fmt::Debug for HttpDestination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpDestination")
            .field("url", &self.url)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// When the attempt began, by the clock that set its deadline.
fn began(delivery: &Delivery) -> Timestamp {
    let before_deadline = u64::try_from(delivery.timeout.as_micros()).unwrap_or(u64::MAX);
    Timestamp::from_micros(
        delivery
            .deadline
            .as_micros()
            .saturating_sub(before_deadline),
    )
}

fn failed(error: String) -> Attempted {
    Attempted::Failed(Failure {
        error,
        retry_after: None,
    })
}

/// What the destination said with its failure, as far as it comes soon.
async fn words(
    verdict: Verdict,
    status: StatusCode,
    mut body: Incoming,
    deadline: Instant,
) -> String {
    let soon = deadline.min(Instant::now() + FAILURE_WORDS_MAX);
    let said = match timeout_at(soon, body::read(&mut body, FAILURE_BYTES_MAX)).await {
        Ok(Ok(said)) => said,
        Ok(Err(BodyError::TooLarge { .. } | BodyError::Broken(_))) | Err(_) => Bytes::new(),
    };
    verdict.words(status, &said)
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn is_head_too_large(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| (*error).source())
        .filter_map(|error| error.downcast_ref::<hyper::Error>())
        .any(hyper::Error::is_parse_too_large)
}

/// An error and its causes on one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let texts: Vec<String> = std::iter::successors(Some(error), |error| (*error).source())
        .map(ToString::to_string)
        .collect();
    texts.join(": ")
}

fn checked_url(text: &str) -> Result<Uri, HttpDestinationError> {
    let refused = |reason: String| HttpDestinationError::Url {
        // What stands before an '@' may be a password.
        url: text.rsplit('@').next().unwrap_or_default().to_owned(),
        reason,
    };
    let url: Uri = text
        .parse()
        .map_err(|error: http::uri::InvalidUri| refused(error.to_string()))?;
    match url.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS => {}
        Some(scheme) => return Err(refused(format!("its scheme is {scheme}"))),
        None => return Err(refused("it has no scheme".to_owned())),
    }
    let authority = url.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        let reason = "credentials belong into a header, not into a URL";
        return Err(refused(reason.to_owned()));
    }
    if url.host().is_none_or(str::is_empty) {
        return Err(refused("it has no host".to_owned()));
    }
    Ok(url)
}

/// TLS with the authorities that the options name, else the system's; none for plain HTTP.
fn tls_config(url: &Uri, options: &HttpOptions) -> Result<ClientConfig, HttpDestinationError> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| HttpDestinationError::Tls(Box::new(error)))?;
    if url.scheme() == Some(&Scheme::HTTPS) && options.roots.is_empty() {
        let builder = builder
            .with_native_roots()
            .map_err(|error| HttpDestinationError::Tls(Box::new(error)))?;
        return Ok(builder.with_no_client_auth());
    }
    let mut roots = RootCertStore::empty();
    for root in &options.roots {
        roots
            .add(root.clone())
            .map_err(|error| HttpDestinationError::Tls(Box::new(error)))?;
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
