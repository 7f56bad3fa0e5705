//! Connections counted by the address they come from.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// What counts as one address: an IPv4 address, or an IPv6 /64, which is what one subscriber gets
/// (RFC 6177).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Site {
    V4(Ipv4Addr),
    V6([u8; 8]),
}

impl From<IpAddr> for Site {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let mut prefix = [0; 8];
                prefix.copy_from_slice(&address.octets()[..8]);
                Self::V6(prefix)
            }
        }
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    unauthenticated: usize,
    authenticated: usize,
}

/// The table, with the most that one address may have.
#[derive(Debug)]
pub(crate) struct Addresses {
    unauthenticated: usize,
    authenticated: usize,
    table: Mutex<HashMap<Site, Count>>,
}

impl Addresses {
    pub(crate) fn new(unauthenticated: usize, authenticated: usize) -> Self {
        Self { unauthenticated, authenticated, table: Mutex::default() }
    }

    /// Whether no further unauthenticated connection is let in.
    pub(crate) fn is_full(&self, address: IpAddr) -> bool {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let count = table.get(&address.into()).copied().unwrap_or_default();
        count.unauthenticated >= self.unauthenticated
    }

    /// Whether no further connection may authenticate.
    fn is_crowded(&self, site: Site) -> bool {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.get(&site).is_some_and(|count| count.authenticated >= self.authenticated)
    }

    /// Lets an unauthenticated connection in, unless its address has as many as it may.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let site = address.into();
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let count = table.entry(site).or_default();
        if count.unauthenticated >= self.unauthenticated {
            return None;
        }
        count.unauthenticated += 1;
        drop(table);
        Some(Seat { addresses: Arc::clone(self), site, authenticated: Cell::new(false) })
    }
}

/// A connection's entry in the table, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    addresses: Arc<Addresses>,
    site: Site,
    authenticated: Cell<bool>,
}

impl Seat {
    /// Whether [`Seat::authenticate`] would succeed.
    pub(crate) fn may_authenticate(&self) -> bool {
        self.authenticated.get() || !self.addresses.is_crowded(self.site)
    }

    /// Counts the connection as authenticated from now on. False: its address has as many of
    /// those as it may.
    pub(crate) fn authenticate(&self) -> bool {
        if self.authenticated.get() {
            return true;
        }
        let mut table = self.addresses.table.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = table.get_mut(&self.site) else {
            return false;
        };
        if count.authenticated >= self.addresses.authenticated {
            return false;
        }
        count.unauthenticated -= 1;
        count.authenticated += 1;
        self.authenticated.set(true);
        true
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut table = self.addresses.table.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = table.get_mut(&self.site) else {
            return;
        };
        if self.authenticated.get() {
            count.authenticated -= 1;
        } else {
            count.unauthenticated -= 1;
        }
        if count.authenticated + count.unauthenticated == 0 {
            table.remove(&self.site);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_address_has_its_own_count_and_a_64_is_one_address() {
        let addresses = Arc::new(Addresses::new(1, 1));
        let first = addresses.enter(ip("2001:db8:0:1::1")).unwrap();
        assert!(addresses.is_full(ip("2001:db8:0:1:ffff::2")));
        assert!(addresses.enter(ip("2001:db8:0:1:ffff::2")).is_none());
        let _other = addresses.enter(ip("2001:db8:0:2::1")).unwrap();
        let _v4 = addresses.enter(ip("192.0.2.1")).unwrap();
        assert!(addresses.enter(ip("::ffff:192.0.2.1")).is_none(), "the same in other words");

        assert!(first.authenticate() && first.authenticate());
        let second = addresses.enter(ip("2001:db8:0:1::1")).unwrap();
        assert!(!second.authenticate());
        drop(first);
        assert!(second.authenticate());
        drop(second);
        assert_eq!(addresses.table.lock().unwrap().len(), 2);
    }
}
