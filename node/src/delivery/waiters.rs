//! Who waits for rows of which queue.
//!
//! Register first, then look: a row that is committed in between is found by the look, a later
//! one by the wake.

mod registry;

use quicproquo_schemas::id::IdentityKey;

/// The registry.
pub(crate) type Waiters = registry::Waiters<IdentityKey>;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_wake_between_register_and_wait_is_not_lost_and_the_place_is_given_back() {
        let waiters = Arc::new(Waiters::default());
        let identity = IdentityKey::new([1; 32]);
        let mut first = waiters.register(identity);
        let second = waiters.register(identity);
        waiters.wake(&[identity]);
        first.woken().await;
        drop(second);
        assert!(!waiters.is_empty());
        drop(first);
        assert!(waiters.is_empty());
    }
}
