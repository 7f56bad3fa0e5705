//! How many connections there may be, in all and of one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A connection's place, kept while it or a stream on it lives.
pub(crate) type ConnectionPermit = Arc<Place>;

/// All places of a door.
#[derive(Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    per_address: usize,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
    open: Gauge,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Place {
    _one: OwnedSemaphorePermit,
    _seat: Option<Seat>,
    open: Gauge,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.dec();
    }
}

/// A connection's entry in the table of its address.
#[derive(Debug)]
struct Seat {
    address: IpAddr,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Places {
    pub(super) fn new(connections: usize, per_address: usize, open: Gauge) -> Self {
        let all = Arc::new(Semaphore::new(connections));
        Self { all, per_address, taken: Arc::default(), open }
    }

    /// Waits for a free one.
    pub(super) async fn free(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).acquire_owned().await.ok()
    }

    /// Gives it to a connection, unless its address has as many as it may.
    pub(super) fn give(
        &self,
        one: OwnedSemaphorePermit,
        address: Option<IpAddr>,
    ) -> Option<ConnectionPermit> {
        let seat = match address.filter(|address| !address.is_loopback()) {
            Some(address) => Some(self.seat(network(address))?),
            None => None,
        };
        self.open.inc();
        Some(Arc::new(Place { _one: one, _seat: seat, open: self.open.clone() }))
    }

    fn seat(&self, address: IpAddr) -> Option<Seat> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(address).or_default();
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        drop(taken);
        Some(Seat { address, taken: Arc::clone(&self.taken) })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = taken.get_mut(&self.address) else { return };
        *count -= 1;
        if *count == 0 {
            taken.remove(&self.address);
        }
    }
}

/// What one host can choose freely counts as one address: the lower half of IPv6 (RFC 6177).
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_has_so_many_places_and_a_64_is_one_address() {
        let places = Places::new(100, 2, Gauge::default());
        let enter = async |text: &str| {
            let one = places.free().await.unwrap();
            places.give(one, Some(text.parse().unwrap()))
        };
        let first = enter("2001:db8::1").await.unwrap();
        let _second = enter("2001:db8::2").await.unwrap();
        assert!(enter("2001:db8::3").await.is_none());
        let _other = enter("2001:db8:0:1::1").await.unwrap();
        drop(first);
        let _third = enter("2001:db8::3").await.unwrap();
        let mut local = Vec::new();
        for _ in 0..10 {
            local.push(enter("127.0.0.1").await.unwrap());
        }
        assert_eq!(places.taken.lock().unwrap().len(), 2);
        assert_eq!(places.all.available_permits(), 100 - 13);
    }
}
