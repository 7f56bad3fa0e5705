//! How much a caller may do in a time: per sender, per address, per pair and target of claims.
//!
//! Token buckets in memory (the `governor` crate); a restart fills them. What is kept for long is
//! bounded in the store instead.

use std::fmt;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use quicproquo_schemas::id::IdentityKey;

use crate::auth::Caller;
use crate::config::{Limits, Rate};
use crate::store::write::Sender;

/// Takings after which buckets that are full again are forgotten.
const PRUNE_EVERY: u32 = 16_384;

/// A limit was reached; the caller may try again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("over the limit of {0}; try again later")]
pub(crate) struct OverRate(&'static str);

/// One bucket per key.
struct Buckets<K: Hash + Eq + Clone> {
    limiter: RateLimiter<K, HashMapStateStore<K>, DefaultClock>,
    takings: AtomicU32,
    what: &'static str,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    /// A rate without period does not limit: `None`.
    fn new(rate: Rate, what: &'static str) -> Option<Self> {
        let burst = NonZeroU32::new(rate.burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(rate.period)?.allow_burst(burst);
        Some(Self { limiter: RateLimiter::hashmap(quota), takings: AtomicU32::new(0), what })
    }

    fn take(&self, key: &K, count: u32) -> Result<(), OverRate> {
        if self.takings.fetch_add(1, Ordering::Relaxed) % PRUNE_EVERY == PRUNE_EVERY - 1 {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        let Some(count) = NonZeroU32::new(count) else { return Ok(()) };
        match self.limiter.check_key_n(key, count) {
            Ok(Ok(())) => Ok(()),
            // More than a full bucket is over every limit.
            Ok(Err(_)) | Err(_) => Err(OverRate(self.what)),
        }
    }
}

impl<K: Hash + Eq + Clone> fmt::Debug for Buckets<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buckets").field("what", &self.what).finish_non_exhaustive()
    }
}

fn take<K: Hash + Eq + Clone>(
    buckets: Option<&Buckets<K>>,
    key: &K,
    count: u32,
) -> Result<(), OverRate> {
    buckets.map_or(Ok(()), |buckets| buckets.take(key, count))
}

/// All rates of a process.
#[derive(Debug)]
pub(crate) struct Rates {
    claims_per_pair: Option<Buckets<(Option<IdentityKey>, IdentityKey)>>,
    claims_per_target: Option<Buckets<IdentityKey>>,
    rows: Option<Buckets<Sender>>,
    kibibytes: Option<Buckets<Sender>>,
    authentications: Option<Buckets<IpAddr>>,
    registrations: Option<Buckets<IpAddr>>,
}

impl Rates {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            claims_per_pair: Buckets::new(limits.claims_per_pair, "claims of a pair"),
            claims_per_target: Buckets::new(limits.claims_per_target, "claims of a target"),
            rows: Buckets::new(limits.rows_per_sender, "rows of a sender"),
            kibibytes: Buckets::new(limits.kibibytes_per_sender, "bytes of a sender"),
            authentications: Buckets::new(
                limits.authentications_per_address,
                "authentications from an address",
            ),
            registrations: Buckets::new(
                limits.registrations_per_address,
                "new identities from an address",
            ),
        }
    }

    /// Whether one more one-time package of `target` may go to `caller`.
    pub(crate) fn may_claim(&self, caller: Caller, target: IdentityKey) -> bool {
        let claimer = match caller {
            Caller::Bound(identity) => Some(identity),
            Caller::Operator => None,
        };
        take(self.claims_per_pair.as_ref(), &(claimer, target), 1).is_ok()
            && take(self.claims_per_target.as_ref(), &target, 1).is_ok()
    }

    /// Rows and payload bytes that are to be stored, or bytes that are to be read.
    pub(crate) fn transfer(&self, sender: Sender, rows: usize, bytes: u64) -> Result<(), OverRate> {
        take(self.rows.as_ref(), &sender, u32::try_from(rows).unwrap_or(u32::MAX))?;
        let kibibytes = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        take(self.kibibytes.as_ref(), &sender, kibibytes)
    }

    /// One more try to authenticate.
    pub(crate) fn authenticate(&self, from: IpAddr) -> Result<(), OverRate> {
        take(self.authentications.as_ref(), &network(from), 1)
    }

    /// One more identity that this node has not seen before.
    pub(crate) fn register(&self, from: IpAddr) -> Result<(), OverRate> {
        take(self.registrations.as_ref(), &network(from), 1)
    }
}

/// What one host can choose freely counts as one address: the lower half of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const CLAIMER: Caller = Caller::Bound(IdentityKey::new([1; 32]));
    const TARGET: IdentityKey = IdentityKey::new([3; 32]);

    #[test]
    fn six_at_once_then_one_per_period() {
        let pair = Rate { burst: 6, period: Duration::from_millis(300) };
        let target = Rate { burst: 10, ..pair };
        let limits =
            Limits { claims_per_pair: pair, claims_per_target: target, ..Limits::default() };
        let rates = Rates::new(&limits);
        let other = Caller::Bound(IdentityKey::new([2; 32]));
        let allowed = |caller| (0..9).filter(|_| rates.may_claim(caller, TARGET)).count();
        assert_eq!(allowed(CLAIMER), 6);
        assert_eq!(allowed(other), 4);
        std::thread::sleep(Duration::from_millis(310));
        assert_eq!(allowed(CLAIMER), 1);
    }

    #[test]
    fn rows_and_bytes_are_counted_apart_and_a_rate_without_period_does_not_limit() {
        let rate = |burst| Rate { burst, period: Duration::from_hours(1) };
        let limits = Limits {
            rows_per_sender: rate(10),
            kibibytes_per_sender: rate(4),
            claims_per_pair: Rate { burst: 1, period: Duration::ZERO },
            claims_per_target: Rate { burst: 1, period: Duration::ZERO },
            ..Limits::default()
        };
        let rates = Rates::new(&limits);
        assert!(rates.transfer(Sender(1), 11, 1).is_err());
        assert!(rates.transfer(Sender(1), 9, 2048).is_ok());
        assert!(rates.transfer(Sender(1), 2, 1).is_err());
        assert!(rates.transfer(Sender(1), 1, 1025).is_ok());
        assert!(rates.transfer(Sender(1), 0, 1).is_err());
        assert!(rates.transfer(Sender(1), 0, 0).is_ok());
        assert!(rates.transfer(Sender(2), 10, 4096).is_ok());
        assert!((0..100).all(|_| rates.may_claim(CLAIMER, TARGET)));
    }

    #[test]
    fn a_host_cannot_multiply_itself_by_its_addresses() {
        let once = Rate { burst: 1, period: Duration::from_hours(1) };
        let limits = Limits { registrations_per_address: once, ..Limits::default() };
        let rates = Rates::new(&limits);
        let register = |address: &str| rates.register(address.parse().unwrap()).is_ok();
        assert!(register("2001:db8::1"));
        assert!(!register("2001:db8::2"));
        assert!(register("2001:db8:0:1::1"));
        assert!(register("192.0.2.1"));
        assert!(!register("::ffff:192.0.2.1"));
        assert!(register("192.0.2.2"));
    }
}
