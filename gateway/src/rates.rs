//! How many requests a token, or an address without one, may make in a time.
//!
//! Token buckets in memory (the `governor` crate); a restart fills them. What is left is told in
//! the fields of draft-ietf-httpapi-ratelimit-headers-10: `RateLimit-Policy: "token";q=..;w=..`
//! and `RateLimit: "token";r=..;t=..`.

use std::fmt;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use http::{HeaderName, HeaderValue};
use quicproquo_client::IdentityKey;
use quicproquo_client::clock::now_ms;

use crate::auth::{TokenHash, presented};
use crate::config::Rate;
use crate::door::{Peer, network};
use crate::matrix;
use crate::problem::{Kind, Problem};
use crate::state::AppState;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// Takings after which buckets that are full again are forgotten.
const PRUNE_EVERY: u32 = 16_384;

/// Wrong passwords for one bot from one address: what a program in a loop uses up soon, and only
/// for itself.
const LOGIN: Rate = Rate { per_sec: 1, burst: 10 };

/// All rates of a gateway.
#[derive(Debug)]
pub(crate) struct Rates {
    tokens: Option<Buckets<TokenHash>>,
    addresses: Option<Buckets<IpAddr>>,
    logins: Option<Buckets<(IpAddr, IdentityKey)>>,
}

impl Rates {
    /// A rate of 0 per second does not limit.
    pub(crate) fn new(token: Rate, address: Rate) -> Self {
        let logins = if address.per_sec == 0 { address } else { LOGIN };
        Self {
            tokens: Buckets::new("token", token),
            addresses: Buckets::new("address", address),
            logins: Buckets::new("login", logins),
        }
    }

    /// One more request with a valid token.
    pub(crate) fn token(&self, hash: &TokenHash) -> Option<Standing> {
        self.tokens.as_ref().map(|tokens| tokens.take(hash))
    }

    /// One more request without one.
    pub(crate) fn address(&self, peer: Option<Peer>) -> Option<Standing> {
        self.addresses.as_ref().map(|addresses| addresses.take(&origin(peer)))
    }

    /// One more wrong password for a bot.
    pub(crate) fn login(&self, peer: Option<Peer>, bot: IdentityKey) -> Option<Standing> {
        self.logins.as_ref().map(|logins| logins.take(&(origin(peer), bot)))
    }
}

/// Processes at the Unix socket have one address.
fn origin(peer: Option<Peer>) -> IpAddr {
    let address = peer.and_then(|peer| peer.ip());
    network(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
}

/// One bucket per key.
struct Buckets<K: Hash + Eq + Clone> {
    limiter: Limiter<K>,
    takings: AtomicU32,
    name: &'static str,
    burst: NonZeroU32,
    /// Until one more request is there.
    period: Duration,
    policy: HeaderValue,
}

type Limiter<K> = RateLimiter<K, HashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

impl<K: Hash + Eq + Clone> Buckets<K> {
    fn new(name: &'static str, rate: Rate) -> Option<Self> {
        let per_sec = NonZeroU32::new(rate.per_sec)?;
        let burst = NonZeroU32::new(rate.burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(per_sec).allow_burst(burst);
        let period = quota.replenish_interval();
        let window = seconds(period * burst.get());
        let policy = HeaderValue::try_from(format!("\"{name}\";q={burst};w={window}")).ok()?;
        let limiter = RateLimiter::hashmap(quota).with_middleware();
        Some(Self { limiter, takings: AtomicU32::new(0), name, burst, period, policy })
    }

    fn take(&self, key: &K) -> Standing {
        if self.takings.fetch_add(1, Ordering::Relaxed) % PRUNE_EVERY == PRUNE_EVERY - 1 {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        let (left, wait) = match self.limiter.check_key(key) {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(until) => (0, Some(seconds(until.wait_time_from(DefaultClock::default().now())))),
        };
        // Until the bucket is full again; until the next request may come when it is empty.
        let full = || seconds(self.period * self.burst.get().saturating_sub(left));
        let limit = format!("\"{}\";r={left};t={}", self.name, wait.unwrap_or_else(full));
        Standing { wait, policy: self.policy.clone(), limit: HeaderValue::try_from(limit).ok() }
    }
}

impl<K: Hash + Eq + Clone> fmt::Debug for Buckets<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buckets").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// Whole seconds, rounded up, at least one.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0 || time.is_zero())
}

/// Where a caller is with its rate.
#[derive(Debug)]
pub(crate) struct Standing {
    /// Seconds to wait, if it is over.
    wait: Option<u64>,
    policy: HeaderValue,
    limit: Option<HeaderValue>,
}

impl Standing {
    /// Refuses who is over.
    ///
    /// # Errors
    /// `RateLimited`.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        self.wait.map_or(Ok(()), |wait| Err(Problem::new(Kind::RateLimited).retry_after(wait)))
    }
}

/// Counts requests, refuses those that are too many, and tells what is left.
pub(crate) async fn limit(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    let hash = presented(request.headers()).ok().map(|token| token.hash());
    let standing = match hash.filter(|hash| is_valid(&state, hash)) {
        Some(hash) => state.rates.token(&hash),
        None if matrix::counts_itself(&request) => None,
        None => state.rates.address(peer),
    };
    let Some(standing) = standing else { return next.run(request).await };
    let mut response = match standing.check() {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(POLICY, standing.policy);
    if let Some(limit) = standing.limit {
        headers.insert(LIMIT, limit);
    }
    response
}

fn is_valid(state: &AppState, hash: &TokenHash) -> bool {
    let is_bots = || state.tokens.find(hash).is_some_and(|grant| !grant.is_expired(now_ms()));
    *hash == state.admin || is_bots()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &HeaderValue) -> &str {
        value.to_str().unwrap()
    }

    #[test]
    fn a_burst_passes_then_one_at_a_time_and_each_key_for_itself() {
        let rate = Rate { per_sec: 1, burst: 3 };
        let rates = Rates::new(rate, rate);
        let one = TokenHash::from_slice(&[1; 32]).unwrap();
        let standings: Vec<_> = (0..4).map(|_| rates.token(&one).unwrap()).collect();
        assert_eq!(text(&standings[0].policy), "\"token\";q=3;w=3");
        let limits: Vec<_> =
            standings.iter().map(|standing| text(standing.limit.as_ref().unwrap())).collect();
        assert_eq!(limits[..2], ["\"token\";r=2;t=1", "\"token\";r=1;t=2"]);
        assert!(standings[2].check().is_ok());
        assert_eq!(limits[3], "\"token\";r=0;t=1");
        assert_eq!(standings[3].check().unwrap_err().kind(), Kind::RateLimited);
        let two = TokenHash::from_slice(&[2; 32]).unwrap();
        assert!(rates.token(&two).unwrap().check().is_ok());
    }

    #[test]
    fn addresses_are_counted_by_network_and_zero_is_no_limit() {
        let once = Rate { per_sec: 1, burst: 1 };
        let rates = Rates::new(Rate { per_sec: 0, burst: 1 }, once);
        let from = |address: &str| {
            let peer = Peer::Tcp(format!("{address}:7").parse().unwrap());
            rates.address(Some(peer)).unwrap().check().is_ok()
        };
        assert!(from("[2001:db8::1]") && !from("[2001:db8::2]") && from("192.0.2.1"));
        assert!(rates.address(None).unwrap().check().is_ok());
        assert!(rates.address(Some(Peer::Local)).unwrap().check().is_err());
        assert!(rates.token(&TokenHash::from_slice(&[1; 32]).unwrap()).is_none());
    }

    #[test]
    fn wrong_passwords_count_for_one_bot_from_one_address() {
        let rates = Rates::new(Rate::TOKEN, Rate::ADDRESS);
        let [one, other] = [1, 2].map(|n| IdentityKey::from_slice(&[n; 32]).unwrap());
        let peer = |text: &str| Some(Peer::Tcp(format!("{text}:7").parse().unwrap()));
        let fails = |from: &str, bot| rates.login(peer(from), bot).unwrap().check().is_err();
        assert!((0..LOGIN.burst).all(|_| !fails("192.0.2.1", one)));
        assert!(fails("192.0.2.1", one));
        assert!(!fails("192.0.2.1", other) && !fails("192.0.2.2", one));
        assert!(rates.address(peer("192.0.2.1")).unwrap().check().is_ok());
        let unlimited = Rates::new(Rate::TOKEN, Rate { per_sec: 0, burst: 1 });
        assert!(unlimited.login(peer("192.0.2.1"), one).is_none());
    }
}
