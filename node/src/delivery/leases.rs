//! Rows that a base client was given and has not acknowledged.
//!
//! The next fetch of the same channel on the same connection acknowledges, and so does a clean
//! close; anything else brings the rows back when the lease ends.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use quicproquo_schemas::id::IdentityKey;
use tokio::time::Instant;

use crate::store::write::Channel;

/// One connection of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnectionId(pub(crate) u64);

type Key = (IdentityKey, Channel);

#[derive(Debug)]
enum Lease {
    /// A fetch is under way; the rows of the one before it are being removed.
    Asked { releasing: Vec<u64> },
    /// These rows were answered.
    Answered { seqs: Vec<u64>, until: Instant },
}

/// What a fetch finds of the one before it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Previous {
    /// It has not been answered yet.
    Unanswered,
    /// It was answered with these rows, which are now acknowledged.
    Acknowledged(Vec<u64>),
}

/// All leases of the process.
#[derive(Debug)]
pub(crate) struct Leases {
    map: Mutex<HashMap<Key, HashMap<ConnectionId, Lease>>>,
    time: Duration,
}

impl Leases {
    pub(crate) fn new(time: Duration) -> Self {
        Self { map: Mutex::default(), time }
    }

    /// Starts a fetch. Unless [`Previous::Unanswered`], it must end with [`Self::answer`] or
    /// [`Self::abandon`].
    pub(crate) fn ask(&self, key: Key, connection: ConnectionId) -> Previous {
        let mut map = self.lock();
        let leases = map.entry(key).or_default();
        let acknowledged = match leases.get_mut(&connection) {
            Some(Lease::Asked { .. }) => return Previous::Unanswered,
            Some(Lease::Answered { seqs, until }) if *until > Instant::now() => {
                std::mem::take(seqs)
            }
            Some(Lease::Answered { .. }) | None => Vec::new(),
        };
        leases.insert(connection, Lease::Asked { releasing: acknowledged.clone() });
        Previous::Acknowledged(acknowledged)
    }

    /// Rows of this channel that others have.
    pub(crate) fn held_by_others(&self, key: &Key, connection: ConnectionId) -> HashSet<u64> {
        let now = Instant::now();
        let map = self.lock();
        let Some(leases) = map.get(key) else {
            return HashSet::new();
        };
        leases
            .iter()
            .filter(|(holder, _)| **holder != connection)
            .filter_map(|(_, lease)| match lease {
                Lease::Answered { seqs, until } => (*until > now).then_some(seqs),
                Lease::Asked { releasing } => Some(releasing),
            })
            .flatten()
            .copied()
            .collect()
    }

    /// Takes rows for a fetch, if nobody else has taken one of them meanwhile.
    pub(crate) fn answer(&self, key: Key, connection: ConnectionId, seqs: Vec<u64>) -> bool {
        let now = Instant::now();
        let mut map = self.lock();
        let leases = map.entry(key).or_default();
        let taken = leases.iter().any(|(holder, lease)| match lease {
            Lease::Answered { seqs: theirs, until } => {
                *holder != connection && *until > now && theirs.iter().any(|seq| seqs.contains(seq))
            }
            Lease::Asked { .. } => false,
        });
        if !taken {
            leases.insert(connection, Lease::Answered { seqs, until: now + self.time });
        }
        !taken
    }

    /// Ends a fetch that will not be answered.
    pub(crate) fn abandon(&self, key: &Key, connection: ConnectionId) {
        let mut map = self.lock();
        if let Some(leases) = map.get_mut(key) {
            leases.retain(|holder, lease| {
                *holder != connection || !matches!(lease, Lease::Asked { .. })
            });
            if leases.is_empty() {
                map.remove(key);
            }
        }
    }

    /// Ends all leases of a connection; returns what it was answered and still held.
    pub(crate) fn end(&self, connection: ConnectionId) -> Vec<(IdentityKey, Vec<u64>)> {
        let now = Instant::now();
        let mut held = Vec::new();
        let mut map = self.lock();
        map.retain(|(identity, _), leases| {
            if let Some(Lease::Answered { seqs, until }) = leases.remove(&connection)
                && until > now
                && !seqs.is_empty()
            {
                held.push((*identity, seqs));
            }
            !leases.is_empty()
        });
        held
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, HashMap<ConnectionId, Lease>>> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = (IdentityKey::new([1; 32]), None);
    const A: ConnectionId = ConnectionId(1);
    const B: ConnectionId = ConnectionId(2);

    #[tokio::test]
    async fn the_next_fetch_acknowledges_within_the_time_only() {
        let leases = Leases::new(Duration::from_millis(200));
        assert_eq!(leases.ask(KEY, A), Previous::Acknowledged(vec![]));
        assert_eq!(leases.ask(KEY, A), Previous::Unanswered);
        assert!(leases.answer(KEY, A, vec![1, 2]));
        assert_eq!(leases.held_by_others(&KEY, B), HashSet::from([1, 2]));
        assert!(!leases.answer(KEY, B, vec![2, 3]));
        assert_eq!(leases.ask(KEY, A), Previous::Acknowledged(vec![1, 2]));
        assert!(leases.answer(KEY, A, vec![3]));
        tokio::time::sleep(Duration::from_millis(250)).await;
        assert!(leases.held_by_others(&KEY, B).is_empty());
        assert_eq!(leases.ask(KEY, A), Previous::Acknowledged(vec![]));
        leases.abandon(&KEY, A);
        assert!(leases.lock().is_empty());
    }

    #[tokio::test]
    async fn a_close_returns_what_was_answered() {
        let leases = Leases::new(Duration::from_mins(1));
        leases.ask(KEY, A);
        leases.answer(KEY, A, vec![7]);
        leases.ask(KEY, B);
        assert_eq!(leases.end(A), vec![(KEY.0, vec![7])]);
        assert!(leases.end(A).is_empty());
        assert!(leases.end(B).is_empty());
        assert!(leases.lock().is_empty());
    }
}
