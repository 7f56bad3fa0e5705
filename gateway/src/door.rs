//! A door: where connections come in, within bounds that `axum::serve` does not have.
//!
//! HTTP/1.1 over TCP, with or without TLS, and over a Unix socket. hyper refuses what two readers
//! could understand in two ways (RFC 9112 section 6.3): lengths that differ, codings that do not
//! end with `chunked`; after a request with both a length and a coding it closes the connection.

mod accept;
mod connection;
mod listener;
mod places;
#[cfg(test)]
mod tests;
pub(crate) mod tls;

use std::error::Error;
use std::io::{self, ErrorKind};
use std::iter::successors;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures::future::join_all;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use listener::{Listener, ListenerError};
use places::Places;
pub(crate) use places::{ConnectionPermit, network};

/// Bounds of a door.
#[derive(Debug, Clone)]
pub struct DoorLimits {
    /// Connections at once, streams included; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Connections of one address at once (of IPv6, a /64); further ones are closed. Loopback and
    /// Unix sockets have no such bound: a proxy brings many callers from one address.
    pub per_address: usize,
    /// From a connection's start, or the end of its last answer, to the end of the next headers;
    /// and for the TLS handshake.
    pub head: Duration,
    /// How long a peer may read nothing of what waits for it; over TCP, to the next 32 KiB.
    pub stalled: Duration,
    /// Bytes of headers.
    pub head_bytes: usize,
}

impl Default for DoorLimits {
    fn default() -> Self {
        Self {
            connections: 10_240,
            per_address: 256,
            head: Duration::from_secs(10),
            stalled: Duration::from_secs(10),
            head_bytes: 64 * 1024,
        }
    }
}

/// Whether a write failed because its peer has read nothing of it for too long.
pub(crate) fn is_stall(error: &(dyn Error + 'static)) -> bool {
    let timed_out = |error: &io::Error| error.kind() == ErrorKind::TimedOut;
    successors(Some(error), |&error| error.source())
        .any(|error| error.downcast_ref().is_some_and(timed_out))
}

/// Who is at the other end of a connection; every request carries it as an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Somebody at an address.
    Tcp(SocketAddr),
    /// A process of the same user, or of root, through the Unix socket.
    Local,
}

impl Peer {
    /// Its address, if it has one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip().to_canonical()),
            Self::Local => None,
        }
    }
}

/// What a door counts. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct DoorCounts {
    pub(crate) open: Gauge,
    pub(crate) accepted: Counter,
    pub(crate) crowded: Counter,
    pub(crate) handshakes_failed: Counter,
}

/// What ends a door's connections.
#[derive(Debug, Clone, Default)]
pub struct DoorEnd {
    /// No more connections.
    pub closed: CancellationToken,
    /// Connections end after the request that is being answered.
    pub soft: CancellationToken,
    /// Connections are dropped.
    pub hard: CancellationToken,
}

/// What all connections of a door share.
#[derive(Debug)]
pub struct Door {
    router: Router,
    limits: DoorLimits,
    places: Places,
    counts: DoorCounts,
    tasks: TaskTracker,
    end: DoorEnd,
}

impl Door {
    /// A door to these routes. Connections live in `tasks`.
    pub fn new(router: Router, limits: DoorLimits, tasks: TaskTracker, end: DoorEnd) -> Self {
        let counts = DoorCounts::default();
        let places = Places::new(limits.connections, limits.per_address, counts.open.clone());
        Self { router, limits, places, counts, tasks, end }
    }

    /// Counts there instead.
    #[must_use]
    pub fn counted_by(mut self, counts: DoorCounts) -> Self {
        let DoorLimits { connections, per_address, .. } = self.limits;
        self.places = Places::new(connections, per_address, counts.open.clone());
        self.counts = counts;
        self
    }

    /// Answers what comes in at all listeners until the door is closed.
    pub async fn serve(self, listeners: Vec<Listener>) {
        let door = Arc::new(self);
        join_all(listeners.into_iter().map(|listener| accept::accept(listener, Arc::clone(&door))))
            .await;
    }
}
