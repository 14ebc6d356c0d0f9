//! Addresses on which a program can be started again and again.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use rand::RngExt;

/// Ports that no system hands out for outgoing connections.
///
/// A port from that range is unsafe for a program that is killed and restarted: while it is away,
/// somebody's outgoing connection may take its port. It may even be a client's own attempt to reach
/// the program, which then talks to itself.
const PORTS: std::ops::Range<u16> = 18_000..30_000;

const TRIES: usize = 100;

/// An address of this machine on which nobody listens now.
///
/// # Errors
/// When none is found.
pub fn free_address() -> io::Result<SocketAddr> {
    let mut tried = Err(io::Error::from(io::ErrorKind::AddrInUse));
    for _ in 0..TRIES {
        let port = rand::rng().random_range(PORTS);
        tried = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|free| free.local_addr());
        if tried.is_ok() {
            break;
        }
    }
    tried
}
