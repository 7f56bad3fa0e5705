//! Who waits for rows of which queue.
//!
//! Register first, then look: a row that is committed in between is found by the look, a later
//! one by the wake.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use quicproquo_schemas::id::IdentityKey;
use tokio::sync::watch;

type Map = HashMap<IdentityKey, watch::Sender<()>>;

/// The registry.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Mutex<Map>);

impl Waiters {
    /// Registers for wakes of one queue, until the guard is dropped.
    pub(crate) fn register(self: &Arc<Self>, identity: IdentityKey) -> Registration {
        let wakes =
            self.lock().entry(identity).or_insert_with(|| watch::Sender::new(())).subscribe();
        Registration { waiters: Arc::clone(self), identity, wakes: Some(wakes) }
    }

    /// Wakes everybody who waits for rows of these queues.
    pub(crate) fn wake(&self, identities: &[IdentityKey]) {
        if identities.is_empty() {
            return;
        }
        let map = self.lock();
        for identity in identities {
            if let Some(sender) = map.get(identity) {
                sender.send_replace(());
            }
        }
    }

    /// Queues that somebody waits at.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Map> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the registry.
#[derive(Debug)]
pub(crate) struct Registration {
    waiters: Arc<Waiters>,
    identity: IdentityKey,
    wakes: Option<watch::Receiver<()>>,
}

impl Registration {
    /// Waits for a wake since registration or the last call. Cancel-safe.
    pub(crate) async fn woken(&mut self) {
        if let Some(wakes) = &mut self.wakes {
            // The sender lives in the map for as long as this receiver does.
            let _ = wakes.changed().await;
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut map = self.waiters.lock();
        self.wakes = None;
        if map.get(&self.identity).is_some_and(|sender| sender.receiver_count() == 0) {
            map.remove(&self.identity);
        }
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(waiters.lock().len(), 1);
        drop(first);
        assert!(waiters.lock().is_empty());
    }
}
