//! How often one-time packages are handed out.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use quicproquo_schemas::id::IdentityKey;
use tokio::time::Instant;

use crate::auth::Caller;
use crate::config::Rate;

/// Entries above which those that no longer limit are dropped.
const PRUNE_ABOVE: usize = 16_384;

/// The time until which a key has used up its rate (the generic cell rate algorithm).
type Times<K> = HashMap<K, Instant>;

#[derive(Debug, Default)]
struct Inner {
    pairs: Times<(Option<IdentityKey>, IdentityKey)>,
    targets: Times<IdentityKey>,
}

/// Limits per pair of claimer and target, and per target.
#[derive(Debug)]
pub(crate) struct ClaimLimiter {
    inner: Mutex<Inner>,
    pair: Rate,
    target: Rate,
}

impl ClaimLimiter {
    pub(crate) fn new(pair: Rate, target: Rate) -> Self {
        Self { inner: Mutex::default(), pair, target }
    }

    /// Whether one more one-time package of `target` may go to `caller`.
    pub(crate) fn allow(&self, caller: Caller, target: IdentityKey) -> bool {
        let now = Instant::now();
        let claimer = match caller {
            Caller::Bound(identity) => Some(identity),
            Caller::Operator => None,
        };
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        take(&mut inner.pairs, (claimer, target), self.pair, now)
            && take(&mut inner.targets, target, self.target, now)
    }
}

fn take<K: Eq + Hash>(times: &mut Times<K>, key: K, rate: Rate, now: Instant) -> bool {
    if times.len() > PRUNE_ABOVE {
        times.retain(|_, used_until| *used_until > now);
    }
    let used_until = times.get(&key).copied().unwrap_or(now).max(now) + rate.period;
    let allowed = used_until - now <= rate.period.saturating_mul(rate.burst).max(Duration::ZERO);
    if allowed {
        times.insert(key, used_until);
    }
    allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn six_at_once_then_one_per_period() {
        let rate = Rate { burst: 6, period: Duration::from_millis(300) };
        let limiter = ClaimLimiter::new(rate, Rate { burst: 10, ..rate });
        let (claimer, other) =
            (Caller::Bound(IdentityKey::new([1; 32])), Caller::Bound(IdentityKey::new([2; 32])));
        let target = IdentityKey::new([3; 32]);
        let allowed = |caller| (0..9).filter(|_| limiter.allow(caller, target)).count();
        assert_eq!(allowed(claimer), 6);
        assert_eq!(allowed(other), 4);
        tokio::time::sleep(Duration::from_millis(310)).await;
        assert_eq!(allowed(claimer), 1);
    }
}
