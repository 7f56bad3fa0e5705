//! Bounded waiting: for a condition, never for a time.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// For what happens in milliseconds when all is well.
pub const SOON: Duration = Duration::from_secs(20);

/// For what includes process starts, reconnects or a hundred messages.
pub const LONG: Duration = Duration::from_secs(90);

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(25);

/// Looks until `condition` yields something and returns that; panics after `limit`.
pub async fn wait_for<T, F, Fut>(what: &str, limit: Duration, mut condition: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + limit;
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} in vain for {what}");
    }
}

/// Awaits something that must come within `limit`; panics otherwise.
pub async fn within<T>(what: &str, limit: Duration, work: impl Future<Output = T>) -> T {
    let Ok(value) = timeout(limit, work).await else {
        panic!("waited {limit:?} in vain for {what}");
    };
    value
}
