//! Who waits for what, by key. Loom checks this file (`node/loom`).

use std::collections::HashMap;
use std::hash::Hash;

use tokio::sync::watch;

use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Map<K> = HashMap<K, watch::Sender<()>>;

/// The registry, by the key of a queue.
#[derive(Debug)]
pub(crate) struct Waiters<K: Copy + Eq + Hash>(Mutex<Map<K>>);

impl<K: Copy + Eq + Hash> Default for Waiters<K> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Copy + Eq + Hash> Waiters<K> {
    /// Registers for wakes of one queue, until the guard is dropped.
    pub(crate) fn register(self: &Arc<Self>, key: K) -> Registration<K> {
        let wakes = self.lock().entry(key).or_insert_with(|| watch::Sender::new(())).subscribe();
        Registration { waiters: Arc::clone(self), key, wakes: Some(wakes) }
    }

    /// Wakes everybody who waits for rows of these queues.
    pub(crate) fn wake(&self, keys: &[K]) {
        if keys.is_empty() {
            return;
        }
        let map = self.lock();
        for key in keys {
            if let Some(sender) = map.get(key) {
                sender.send_replace(());
            }
        }
    }

    /// Wakes everybody.
    pub(crate) fn wake_all(&self) {
        self.lock().values().for_each(|sender| {
            sender.send_replace(());
        });
    }

    /// Queues that somebody waits at.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Map<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the registry.
#[derive(Debug)]
pub(crate) struct Registration<K: Copy + Eq + Hash> {
    waiters: Arc<Waiters<K>>,
    key: K,
    wakes: Option<watch::Receiver<()>>,
}

impl<K: Copy + Eq + Hash> Registration<K> {
    /// Waits for a wake since registration or the last call. Cancel-safe.
    pub(crate) async fn woken(&mut self) {
        if let Some(wakes) = &mut self.wakes {
            // The sender lives in the map for as long as this receiver does.
            let _ = wakes.changed().await;
        }
    }
}

impl<K: Copy + Eq + Hash> Drop for Registration<K> {
    fn drop(&mut self) {
        let mut map = self.waiters.lock();
        self.wakes = None;
        if map.get(&self.key).is_some_and(|sender| sender.receiver_count() == 0) {
            map.remove(&self.key);
        }
    }
}
