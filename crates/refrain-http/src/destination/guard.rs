//! Which addresses a destination may be at.
//!
//! A URL that someone else can influence must not become a way into the own network. So addresses
//! are judged, not names: a literal address when the destination is built, a resolved one each time
//! a connection is made, and the connection goes to exactly the address that was judged. There is no
//! second look-up in which a name could point elsewhere.
//!
//! Never allowed, whatever is configured: link-local addresses and the well-known addresses of cloud
//! metadata services, unspecified, multicast and reserved ones. An IPv6 address that carries an IPv4
//! address is judged by what it carries.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

/// Which kinds of addresses are allowed beside public ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Reach {
    pub(crate) loopback: Access,
    pub(crate) private: Access,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Access {
    #[default]
    Denied,
    Allowed,
}

/// What kind of network an address belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    Public,
    Loopback,
    Private,
    /// Link-local, metadata, unspecified, multicast, reserved.
    Forbidden,
}

impl Reach {
    pub(crate) fn allows(self, address: IpAddr) -> bool {
        match network_of(address) {
            Network::Public => true,
            Network::Loopback => self.loopback == Access::Allowed,
            Network::Private => self.private == Access::Allowed,
            Network::Forbidden => false,
        }
    }
}

/// Metadata services that do not live at a link-local address.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

pub(crate) fn network_of(address: IpAddr) -> Network {
    match address {
        IpAddr::V4(address) => network_of_v4(address),
        IpAddr::V6(address) => match carried_v4(address) {
            Some(carried) => network_of_v4(carried),
            None => network_of_v6(address),
        },
    }
}

fn network_of_v4(address: Ipv4Addr) -> Network {
    if METADATA_V4.contains(&address) {
        return Network::Forbidden;
    }
    match address.octets() {
        [127, ..] => Network::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Network::Private,
        // Shared by carriers (RFC 6598) and for benchmarks (RFC 2544): not reachable from outside.
        [100, 64..=127, ..] | [198, 18..=19, ..] => Network::Private,
        // "This" network, link-local, protocol assignments, multicast, reserved and broadcast.
        [0, ..] | [169, 254, ..] | [192, 0, 0, _] | [224..=255, ..] => Network::Forbidden,
        _ => Network::Public,
    }
}

fn network_of_v6(address: Ipv6Addr) -> Network {
    if METADATA_V6.contains(&address) {
        return Network::Forbidden;
    }
    if address.is_loopback() {
        return Network::Loopback;
    }
    match address.segments() {
        [0xfc00..=0xfdff, ..] => Network::Private,
        // Global unicast is 2000::/3; all else is unspecified, link-local, multicast or unassigned.
        // Teredo (2001::/32) tunnels to an address that is not written plainly.
        [0x2001, 0, ..] => Network::Forbidden,
        [0x2000..=0x3fff, ..] => Network::Public,
        _ => Network::Forbidden,
    }
}

/// The IPv4 address inside of a mapped, compatible, translated (RFC 6052) or 6to4 address.
fn carried_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0..=1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => Some(join(high, low)),
        [0, 0, 0, 0, 0xffff, 0, high, low] => Some(join(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(join(high, low)),
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

/// The address that a URL's host is, if it is one and not a name. Forms such as `127.1` and
/// `0x7f000001` are names here and are judged when they are resolved.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    bare.parse().ok()
}

/// Resolves names with `inner` and passes on only the addresses that are allowed.
#[derive(Debug, Clone)]
pub(crate) struct GuardedResolver<R> {
    inner: R,
    reach: Reach,
}

impl<R> GuardedResolver<R> {
    pub(crate) fn new(inner: R, reach: Reach) -> GuardedResolver<R> {
        GuardedResolver { inner, reach }
    }
}

impl<R> Service<Name> for GuardedResolver<R>
where
    R: Service<Name, Error = io::Error>,
    R::Response: Iterator<Item = SocketAddr>,
    R::Future: Send + 'static,
{
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, io::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.reach;
        let resolving = self.inner.call(name.clone());
        Box::pin(async move {
            let found: Vec<SocketAddr> = resolving.await?.collect();
            let allowed: Vec<SocketAddr> = found
                .iter()
                .copied()
                .filter(|address| reach.allows(address.ip()))
                .collect();
            if allowed.is_empty() {
                let reason = format!("no address of {name} is allowed, found {found:?}");
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
            }
            Ok(allowed.into_iter())
        })
    }
}

#[cfg(test)]
mod tests;
