//! Rows that a base client was given and has not acknowledged.
//!
//! The next fetch of the same channel on the same connection acknowledges, and so does a clean
//! close; anything else brings the rows back when the lease ends.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use quicproquo_schemas::id::IdentityKey;
use tokio::time::Instant;

use crate::store::write::Channel;

/// One connection of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// One channel of one queue.
pub(crate) type Key = (IdentityKey, Channel);

#[derive(Debug)]
enum Lease {
    /// A fetch is under way, or the connection has ended; these acknowledged rows are being
    /// removed and nobody else gets them meanwhile.
    Asked { releasing: Vec<u64>, until: Instant },
    /// These rows were answered.
    Answered { seqs: Vec<u64>, until: Instant },
}

/// The leases of one channel.
#[derive(Debug, Default)]
struct Holders {
    leases: HashMap<ConnectionId, Lease>,
    /// Counts answers with rows: who looked before the last one looks again.
    version: u64,
}

/// What a fetch finds of the one before it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Previous {
    /// It has not been answered yet.
    Unanswered,
    /// It was answered with these rows, which are now acknowledged.
    Acknowledged(Vec<u64>),
}

/// What others have of a channel.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) seqs: HashSet<u64>,
    /// When the first of them comes back by itself.
    pub(crate) back_at: Option<Instant>,
    version: u64,
}

#[derive(Debug, Default)]
struct Inner {
    channels: HashMap<Key, Holders>,
    connections: HashMap<ConnectionId, HashSet<Key>>,
}

impl Inner {
    fn put(&mut self, key: Key, connection: ConnectionId, lease: Lease) {
        self.channels.entry(key).or_default().leases.insert(connection, lease);
        self.connections.entry(connection).or_default().insert(key);
    }

    fn take(&mut self, key: &Key, connection: ConnectionId) -> Option<Lease> {
        let holders = self.channels.get_mut(key)?;
        let lease = holders.leases.remove(&connection);
        if holders.leases.is_empty() {
            self.channels.remove(key);
        }
        if let Entry::Occupied(mut keys) = self.connections.entry(connection) {
            keys.get_mut().remove(key);
            if keys.get().is_empty() {
                keys.remove();
            }
        }
        lease
    }
}

/// All leases of the process.
#[derive(Debug)]
pub(crate) struct Leases {
    inner: Mutex<Inner>,
    time: Duration,
}

impl Leases {
    pub(crate) fn new(time: Duration) -> Self {
        Self { inner: Mutex::default(), time }
    }

    /// Starts a fetch. Unless [`Previous::Unanswered`], it must end with [`Self::answer`] or
    /// [`Self::abandon`], and say [`Self::released`] once the acknowledged rows are gone.
    pub(crate) fn ask(&self, key: Key, connection: ConnectionId) -> Previous {
        let now = Instant::now();
        let mut inner = self.lock();
        let (acknowledged, until) = match inner.take(&key, connection) {
            Some(lease @ Lease::Asked { .. }) => {
                inner.put(key, connection, lease);
                return Previous::Unanswered;
            }
            Some(Lease::Answered { seqs, until }) if until > now => (seqs, until),
            Some(Lease::Answered { .. }) | None => (Vec::new(), now),
        };
        let asked = Lease::Asked { releasing: acknowledged.clone(), until };
        inner.put(key, connection, asked);
        Previous::Acknowledged(acknowledged)
    }

    /// The acknowledged rows of a fetch under way are removed.
    pub(crate) fn released(&self, key: Key, connection: ConnectionId) {
        let mut inner = self.lock();
        let holders = inner.channels.get_mut(&key);
        if let Some(Lease::Asked { releasing, .. }) =
            holders.and_then(|holders| holders.leases.get_mut(&connection))
        {
            releasing.clear();
        }
    }

    /// Rows of this channel that others have.
    pub(crate) fn held_by_others(&self, key: &Key, connection: ConnectionId) -> Held {
        let now = Instant::now();
        let inner = self.lock();
        let Some(holders) = inner.channels.get(key) else {
            return Held::default();
        };
        let mut held = Held { version: holders.version, ..Held::default() };
        for (holder, lease) in &holders.leases {
            if *holder == connection {
                continue;
            }
            match lease {
                Lease::Answered { seqs, until } if *until > now => {
                    held.seqs.extend(seqs);
                    held.back_at = Some(held.back_at.map_or(*until, |first| first.min(*until)));
                }
                Lease::Answered { .. } => {}
                Lease::Asked { releasing, .. } => held.seqs.extend(releasing),
            }
        }
        held
    }

    /// Takes rows for a fetch, unless others were answered since `held` was looked up: then some
    /// of these rows may be theirs, or gone already.
    pub(crate) fn answer(
        &self,
        key: Key,
        connection: ConnectionId,
        seqs: Vec<u64>,
        held: &Held,
    ) -> bool {
        let until = Instant::now() + self.time;
        let mut inner = self.lock();
        // An answer without rows leaves nothing to acknowledge, so nothing is kept of it.
        if seqs.is_empty() {
            inner.take(&key, connection);
            return true;
        }
        let holders = inner.channels.entry(key).or_default();
        if holders.version != held.version {
            return false;
        }
        holders.version += 1;
        inner.put(key, connection, Lease::Answered { seqs, until });
        true
    }

    /// Ends a fetch that will not be answered. Rows whose removal is under way stay acknowledged:
    /// the next fetch removes what is left of them.
    pub(crate) fn abandon(&self, key: Key, connection: ConnectionId) {
        let mut inner = self.lock();
        match inner.take(&key, connection) {
            Some(Lease::Asked { releasing: seqs, until }) if !seqs.is_empty() => {
                inner.put(key, connection, Lease::Answered { seqs, until });
            }
            Some(answered @ Lease::Answered { .. }) => inner.put(key, connection, answered),
            Some(Lease::Asked { .. }) | None => {}
        }
    }

    /// Ends all leases of a connection and returns what it was answered and still held. After a
    /// clean end nobody else gets these rows until [`Self::forget`].
    pub(crate) fn end(&self, connection: ConnectionId, clean: bool) -> Vec<(Key, Vec<u64>)> {
        let now = Instant::now();
        let mut ended = Vec::new();
        let mut inner = self.lock();
        for key in inner.connections.get(&connection).cloned().unwrap_or_default() {
            if let Some(Lease::Answered { seqs, until }) = inner.take(&key, connection)
                && until > now
            {
                if clean {
                    let releasing = Lease::Asked { releasing: seqs.clone(), until };
                    inner.put(key, connection, releasing);
                }
                ended.push((key, seqs));
            }
        }
        ended
    }

    /// Drops whatever is left of a connection.
    pub(crate) fn forget(&self, connection: ConnectionId) {
        let mut inner = self.lock();
        for key in inner.connections.get(&connection).cloned().unwrap_or_default() {
            inner.take(&key, connection);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = (IdentityKey::new([1; 32]), None);
    const A: ConnectionId = ConnectionId(1);
    const B: ConnectionId = ConnectionId(2);

    fn leases() -> Leases {
        Leases::new(Duration::from_mins(1))
    }

    fn empty(leases: &Leases) -> bool {
        let inner = leases.lock();
        inner.channels.is_empty() && inner.connections.is_empty()
    }

    /// Asks and is answered.
    fn take(leases: &Leases, connection: ConnectionId, seqs: &[u64]) -> Vec<u64> {
        let Previous::Acknowledged(acknowledged) = leases.ask(KEY, connection) else {
            panic!("the fetch before is not answered");
        };
        leases.released(KEY, connection);
        let held = leases.held_by_others(&KEY, connection);
        assert!(leases.answer(KEY, connection, seqs.to_vec(), &held));
        acknowledged
    }

    #[tokio::test]
    async fn the_next_fetch_acknowledges_within_the_time_only() {
        let leases = leases();
        assert_eq!(take(&leases, A, &[1, 2]), []);
        let held = leases.held_by_others(&KEY, B);
        assert_eq!(held.seqs, HashSet::from([1, 2]));
        assert!(held.back_at.is_some_and(|back_at| back_at > Instant::now()));
        assert_eq!(take(&leases, A, &[3]), [1, 2]);

        let ends_at_once = Leases::new(Duration::ZERO);
        take(&ends_at_once, A, &[1]);
        let held = ends_at_once.held_by_others(&KEY, B);
        assert!(held.seqs.is_empty() && held.back_at.is_none());
        assert_eq!(take(&ends_at_once, A, &[]), []);
        assert!(empty(&ends_at_once));
    }

    #[tokio::test]
    async fn a_second_fetch_before_the_answer_gets_nothing() {
        let leases = leases();
        assert_eq!(leases.ask(KEY, A), Previous::Acknowledged(vec![]));
        assert_eq!(leases.ask(KEY, A), Previous::Unanswered);
        // However often it is tried.
        assert_eq!(leases.ask(KEY, A), Previous::Unanswered);
        leases.abandon(KEY, A);
        assert!(empty(&leases));
    }

    #[tokio::test]
    async fn who_looked_before_anothers_answer_looks_again() {
        let leases = leases();
        leases.ask(KEY, B);
        let stale = leases.held_by_others(&KEY, B);
        // Taken, acknowledged and gone, all between B's look and B's answer.
        take(&leases, A, &[1, 2]);
        take(&leases, A, &[]);
        assert!(!leases.answer(KEY, B, vec![1, 2], &stale));
        let fresh = leases.held_by_others(&KEY, B);
        assert!(leases.answer(KEY, B, vec![3], &fresh));
    }

    #[tokio::test]
    async fn rows_on_their_way_out_are_nobody_elses() {
        let leases = leases();
        take(&leases, A, &[1, 2]);
        leases.ask(KEY, A);
        assert_eq!(leases.held_by_others(&KEY, B).seqs, HashSet::from([1, 2]));
        // The call is dropped while its rows are being removed.
        leases.abandon(KEY, A);
        assert_eq!(leases.held_by_others(&KEY, B).seqs, HashSet::from([1, 2]));
        assert_eq!(leases.ask(KEY, A), Previous::Acknowledged(vec![1, 2]));
        leases.released(KEY, A);
        assert!(leases.held_by_others(&KEY, B).seqs.is_empty());
        leases.abandon(KEY, A);
        assert!(empty(&leases));
    }

    #[tokio::test]
    async fn an_end_returns_what_was_answered_and_a_clean_one_keeps_it_from_others() {
        let leases = leases();
        take(&leases, A, &[7]);
        leases.ask(KEY, B);
        assert_eq!(leases.end(A, false), [(KEY, vec![7])]);
        assert!(leases.held_by_others(&KEY, B).seqs.is_empty());
        assert!(leases.end(A, false).is_empty());

        take(&leases, A, &[8]);
        assert_eq!(leases.end(A, true), [(KEY, vec![8])]);
        assert_eq!(leases.held_by_others(&KEY, B).seqs, HashSet::from([8]));
        leases.forget(A);
        assert!(leases.held_by_others(&KEY, B).seqs.is_empty());
        assert!(leases.end(B, true).is_empty());
        assert!(empty(&leases));
    }
}
