//! What a destination's user may choose, and why a choice is refused.

use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, header};
use rustls::pki_types::CertificateDer;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::guard::{Access, Reach};
use super::head;
use super::translation::{Payload, Replies};

/// How an [`HttpDestination`](super::HttpDestination) speaks and what it allows.
///
/// ```
/// use refrain_http::HttpOptions;
/// use std::time::Duration;
///
/// let options = HttpOptions::default()
///     .allow_loopback()
///     .reply_bytes_max(64 * 1024)
///     .connect_timeout(Duration::from_millis(500))
///     .header("authorization", "Bearer 0123")?;
/// # Ok::<(), refrain_http::HttpDestinationError>(())
/// ```
#[derive(Clone)]
pub struct HttpOptions {
    pub(crate) method: Method,
    pub(crate) payload: Payload,
    pub(crate) key_form: KeyForm,
    pub(crate) headers: HeaderMap,
    pub(crate) reach: Reach,
    pub(crate) roots: Vec<CertificateDer<'static>>,
    pub(crate) connect_timeout: Duration,
    pub(crate) retry_after_max: Duration,
    pub(crate) request_bytes_max: usize,
    pub(crate) reply_bytes_max: usize,
}

/// How the idempotency key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum KeyForm {
    /// `Idempotency-Key: 0f3c...`: 32 hexadecimal digits, as nearly all servers read it.
    #[default]
    Plain,
    /// `Idempotency-Key: "0f3c..."`: a string of RFC 8941, as the IETF draft has it.
    Quoted,
}

impl Default for HttpOptions {
    fn default() -> HttpOptions {
        HttpOptions {
            method: Method::POST,
            payload: Payload::json(),
            key_form: KeyForm::Plain,
            headers: HeaderMap::new(),
            reach: Reach::default(),
            roots: Vec::new(),
            connect_timeout: Duration::from_secs(3),
            retry_after_max: Duration::from_secs(3600),
            request_bytes_max: 1024 * 1024,
            reply_bytes_max: 1024 * 1024,
        }
    }
}

impl HttpOptions {
    /// The method; `POST` unless chosen.
    #[must_use]
    pub fn method(mut self, method: Method) -> HttpOptions {
        self.method = method;
        self
    }

    /// Translates requests from the stored encoding to JSON through their type `Q`, instead of by
    /// structure alone. Replies need no translation: they are recorded as they come.
    ///
    /// The plain translation knows no types, and CBOR and JSON do not agree on all of them: use this
    /// when a request holds bytes, characters, `f32`, or types that write themselves differently for
    /// people (addresses, UUIDs, times).
    #[must_use]
    pub fn typed<Q>(mut self) -> HttpOptions
    where
        Q: Serialize + DeserializeOwned,
    {
        self.payload = Payload::typed_json::<Q>().with_replies(self.payload.replies());
        self
    }

    /// Sends the stored bytes as they are, with the content type of their encoding
    /// (`application/cbor` or `application/json`), and takes the reply's bytes as they are.
    #[must_use]
    pub fn as_stored(mut self) -> HttpOptions {
        self.payload = Payload::as_stored().with_replies(self.payload.replies());
        self
    }

    /// Takes any 2xx response as a confirmation and does not read its body: for one-way channels
    /// whose destination answers with something else than JSON.
    #[must_use]
    pub fn ignore_reply(mut self) -> HttpOptions {
        self.payload = self.payload.with_replies(Replies::Ignored);
        self
    }

    /// How the idempotency key is written.
    #[must_use]
    pub fn key_form(mut self, form: KeyForm) -> HttpOptions {
        self.key_form = form;
        self
    }

    /// Sends this header with every attempt. The value counts as a secret: it is never printed.
    ///
    /// # Errors
    /// When name or value are not those of a header, or the header is one that the destination or
    /// the connection sets itself.
    pub fn header(mut self, name: &str, value: &str) -> Result<HttpOptions, HttpDestinationError> {
        let refused = |reason| HttpDestinationError::Header {
            name: name.escape_default().to_string(),
            reason,
        };
        let header: HeaderName = name.parse().map_err(|_| refused("this is not a name"))?;
        if head::is_own(&header) || is_of_connection(&header) {
            return Err(refused("the destination sets it itself"));
        }
        let mut value: HeaderValue = value
            .parse()
            .map_err(|_| refused("its value has characters that no header may have"))?;
        value.set_sensitive(true);
        self.headers.append(header, value);
        Ok(self)
    }

    /// Allows destinations on this machine: `127.0.0.0/8` and `::1`.
    #[must_use]
    pub fn allow_loopback(mut self) -> HttpOptions {
        self.reach.loopback = Access::Allowed;
        self
    }

    /// Allows destinations in private networks, such as `10.0.0.0/8` and `fc00::/7`.
    #[must_use]
    pub fn allow_private(mut self) -> HttpOptions {
        self.reach.private = Access::Allowed;
        self
    }

    /// Trusts servers with a certificate from this authority (DER), and no longer those of the
    /// system's authorities. May be given several times.
    #[must_use]
    pub fn trust(mut self, authority_der: Vec<u8>) -> HttpOptions {
        self.roots.push(CertificateDer::from(authority_der));
        self
    }

    /// How long connecting may take; 3 s unless chosen. The delivery's own timeout holds as well.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> HttpOptions {
        self.connect_timeout = timeout;
        self
    }

    /// The longest `Retry-After` that is honoured; longer ones count as this. One hour unless
    /// chosen.
    #[must_use]
    pub fn retry_after_max(mut self, longest: Duration) -> HttpOptions {
        self.retry_after_max = longest;
        self
    }

    /// Bytes of a request's body; 1 MiB unless chosen. A larger request is never sent.
    #[must_use]
    pub fn request_bytes_max(mut self, bytes: usize) -> HttpOptions {
        self.request_bytes_max = bytes;
        self
    }

    /// Bytes of a reply's body; 1 MiB unless chosen. A larger reply is a failure.
    #[must_use]
    pub fn reply_bytes_max(mut self, bytes: usize) -> HttpOptions {
        self.reply_bytes_max = bytes;
        self
    }
}

/// Headers by which a connection is managed and a body is framed.
fn is_of_connection(name: &HeaderName) -> bool {
    [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::EXPECT,
        header::HOST,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ]
    .contains(name)
}

impl std::fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpOptions")
            .field("method", &self.method)
            .field("key_form", &self.key_form)
            .field("headers", &self.headers.keys())
            .field("reach", &self.reach)
            .field("connect_timeout", &self.connect_timeout)
            .field("retry_after_max", &self.retry_after_max)
            .field("request_bytes_max", &self.request_bytes_max)
            .field("reply_bytes_max", &self.reply_bytes_max)
            .finish_non_exhaustive()
    }
}

/// Why a destination cannot be built. What was configured must change.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpDestinationError {
    /// The text is not the URL of an HTTP resource.
    #[error("{url:?} is not an absolute http or https URL: {reason}")]
    Url {
        /// What was given, without credentials.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The address in the URL is one that may not be called.
    #[error(
        "{address} may not be called: link-local, metadata and reserved addresses never are, \
         loopback and private ones only when allowed (`allow_loopback`, `allow_private`)"
    )]
    Address {
        /// The address.
        address: std::net::IpAddr,
    },
    /// A header cannot be sent.
    #[error("header {name} cannot be added: {reason}")]
    Header {
        /// The header's name.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// TLS cannot be set up: no trusted authorities, or an unreadable one.
    #[error("TLS cannot be set up")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_the_destination_sets_itself_is_refused() {
        for name in [
            "Idempotency-Key",
            "refrain-attempt",
            "Refrain-Anything",
            "traceparent",
            "content-type",
            "Content-Length",
            "host",
            "connection",
            "",
            "no spaces",
        ] {
            let refused = HttpOptions::default().header(name, "x");
            assert!(refused.is_err(), "{name}");
        }
        assert!(HttpOptions::default().header("x-a", "a\r\nb: c").is_err());
        assert!(HttpOptions::default().header("x-a", "a").is_ok());
    }

    #[test]
    fn secrets_in_headers_are_not_printed() {
        let options = HttpOptions::default()
            .header("authorization", "Bearer canary")
            .unwrap();
        assert!(!format!("{options:?}").contains("canary"));
        assert!(!format!("{:?}", options.headers).contains("canary"));
    }
}
