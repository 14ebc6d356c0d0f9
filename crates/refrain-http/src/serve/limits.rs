//! What a server bears from its clients.

use std::time::Duration;

/// What a server bears from each of its clients, and of all together.
///
/// ```
/// let limits = refrain_http::ServeLimits { connections_max: 100, ..Default::default() };
/// assert!(limits.head_bytes_max >= 8 * 1024);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeLimits {
    /// How long the head of a request may take, from the end of the request before it: so this is
    /// also how long a connection may be idle. 10 s.
    pub head_time_max: Duration,
    /// Bytes of the head of a request. At least 8 KiB count; 16 KiB.
    pub head_bytes_max: usize,
    /// How long a body may take, from the end of its head. 30 s.
    pub body_time_max: Duration,
    /// How long a client may leave a response lying without taking a byte of it. 30 s.
    pub stall_time_max: Duration,
    /// Connections at once. More wait to be accepted. 8,192; the process must be allowed that many
    /// open files.
    pub connections_max: usize,
    /// How long a shutdown waits for requests that are under way. 10 s.
    pub drain_time_max: Duration,
}

impl Default for ServeLimits {
    fn default() -> ServeLimits {
        ServeLimits {
            head_time_max: Duration::from_secs(10),
            head_bytes_max: 16 * 1024,
            body_time_max: Duration::from_secs(30),
            stall_time_max: Duration::from_secs(30),
            connections_max: 8192,
            drain_time_max: Duration::from_secs(10),
        }
    }
}
