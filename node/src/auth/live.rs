//! The live Sessions of this process, and what dies with them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use quicproquo_schemas::id::{IdentityKey, Instance};
use tokio::sync::oneshot;

/// Access tokens of one Session; one more ends the oldest.
const TOKENS: usize = 16;

/// Why a Session is not the live one any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// This instance took over.
    Displaced(Instance),
    /// The operator has shut the identity out.
    Banned,
    /// The identity was deleted.
    Deleted,
}

#[derive(Debug)]
struct Entry {
    /// Which entry of this process it is: numbers of Sessions begin anew after a deletion.
    id: u64,
    number: u64,
    instance: Instance,
    ended: oneshot::Sender<Ended>,
    tokens: Vec<[u8; 32]>,
    subscribed: bool,
}

#[derive(Debug, Default)]
struct Inner {
    sessions: HashMap<IdentityKey, Entry>,
    entered: u64,
    /// By SHA-256 of the token: whose it is and when it ends.
    tokens: HashMap<[u8; 32], (IdentityKey, u64)>,
}

impl Inner {
    fn leave(&mut self, identity: &IdentityKey) -> Option<Entry> {
        let entry = self.sessions.remove(identity)?;
        for token in &entry.tokens {
            self.tokens.remove(token);
        }
        Some(entry)
    }
}

/// The registry.
#[derive(Debug, Clone, Default)]
pub(crate) struct Live(Arc<Mutex<Inner>>);

/// A Session's place in the registry.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) place: Place,
    /// Answers once the Session is not the live one any more.
    pub(crate) ended: oneshot::Receiver<Ended>,
}

impl Live {
    /// Enters a Session that the database has accepted. The higher number wins, whichever comes
    /// first.
    pub(crate) fn enter(
        &self,
        identity: IdentityKey,
        number: u64,
        instance: Instance,
    ) -> Admission {
        let (sender, ended) = oneshot::channel();
        let mut inner = self.lock();
        inner.entered += 1;
        let id = inner.entered;
        let place = Place { live: self.clone(), identity, id };
        if let Some(newer) = inner.sessions.get(&identity).filter(|entry| entry.number > number) {
            let _ = sender.send(Ended::Displaced(newer.instance));
            drop(inner);
            return Admission { place, ended };
        }
        if let Some(former) = inner.leave(&identity) {
            let _ = former.ended.send(Ended::Displaced(instance));
        }
        inner.sessions.insert(
            identity,
            Entry { id, number, instance, ended: sender, tokens: Vec::new(), subscribed: false },
        );
        drop(inner);
        Admission { place, ended }
    }

    /// Ends the live Session of an identity, and its tokens.
    pub(crate) fn expel(&self, identity: &IdentityKey, why: Ended) {
        if let Some(entry) = self.lock().leave(identity) {
            let _ = entry.ended.send(why);
        }
    }

    /// Whose live Session has issued the token with this SHA-256.
    pub(crate) fn token(&self, hash: &[u8; 32], now: u64) -> Option<IdentityKey> {
        let inner = self.lock();
        let (identity, expires_at) = inner.tokens.get(hash)?;
        (*expires_at > now).then_some(*identity)
    }

    /// The instance whose Session is the live one.
    pub(crate) fn instance(&self, identity: &IdentityKey) -> Option<Instance> {
        self.lock().sessions.get(identity).map(|entry| entry.instance)
    }

    /// Whether a Session of the identity is subscribed.
    pub(crate) fn is_subscribed(&self, identity: &IdentityKey) -> bool {
        self.lock().sessions.get(identity).is_some_and(|entry| entry.subscribed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves the registry when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    live: Live,
    identity: IdentityKey,
    id: u64,
}

impl Place {
    /// Gives the place up for a reason, with its tokens, if it is still the live one.
    pub(crate) fn leave(&self, why: Ended) {
        let mut inner = self.live.lock();
        if self.entry(&mut inner).is_some()
            && let Some(entry) = inner.leave(&self.identity)
        {
            let _ = entry.ended.send(why);
        }
    }

    /// Remembers a token. False: the Session is not live.
    pub(crate) fn add_token(&self, hash: [u8; 32], expires_at: u64) -> bool {
        let mut inner = self.live.lock();
        let Some(entry) = self.entry(&mut inner) else {
            return false;
        };
        entry.tokens.push(hash);
        let oldest = (entry.tokens.len() > TOKENS).then(|| entry.tokens.remove(0));
        if let Some(oldest) = oldest {
            inner.tokens.remove(&oldest);
        }
        inner.tokens.insert(hash, (self.identity, expires_at));
        true
    }

    /// Notes whether the Session is subscribed.
    pub(crate) fn set_subscribed(&self, subscribed: bool) {
        let mut inner = self.live.lock();
        if let Some(entry) = self.entry(&mut inner) {
            entry.subscribed = subscribed;
        }
    }

    fn entry<'a>(&self, inner: &'a mut Inner) -> Option<&'a mut Entry> {
        inner.sessions.get_mut(&self.identity).filter(|entry| entry.id == self.id)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.live.lock();
        if self.entry(&mut inner).is_some() {
            inner.leave(&self.identity);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: IdentityKey = IdentityKey::new([1; 32]);
    const FIRST: Instance = Instance::new([1; 16]);
    const SECOND: Instance = Instance::new([2; 16]);

    #[test]
    fn a_newer_session_ends_the_tokens_of_the_former() {
        let live = Live::default();
        let mut first = live.enter(IDENTITY, 1, FIRST);
        assert!(first.place.add_token([1; 32], 100));
        assert_eq!(live.token(&[1; 32], 99), Some(IDENTITY));
        assert_eq!(live.token(&[1; 32], 100), None);
        first.place.set_subscribed(true);
        assert!(live.is_subscribed(&IDENTITY));

        let second = live.enter(IDENTITY, 2, SECOND);
        assert_eq!(first.ended.try_recv(), Ok(Ended::Displaced(SECOND)));
        assert_eq!(live.token(&[1; 32], 0), None);
        assert!(!live.is_subscribed(&IDENTITY));
        assert_eq!(live.instance(&IDENTITY), Some(SECOND));
        assert!(!first.place.add_token([1; 32], 100));
        drop(first);
        assert!(second.place.add_token([2; 32], 100));

        let mut late = live.enter(IDENTITY, 1, FIRST);
        assert_eq!(late.ended.try_recv(), Ok(Ended::Displaced(SECOND)));
        drop(late);
        assert_eq!(live.token(&[2; 32], 0), Some(IDENTITY));
        drop(second);
        assert_eq!(live.token(&[2; 32], 0), None);
    }

    #[test]
    fn a_deleted_identity_that_comes_again_is_not_taken_for_the_former() {
        let live = Live::default();
        let former = live.enter(IDENTITY, 7, FIRST);
        former.place.leave(Ended::Deleted);
        let again = live.enter(IDENTITY, 1, SECOND);
        assert!(again.place.add_token([2; 32], 100));
        former.place.leave(Ended::Deleted);
        let same = live.enter(IDENTITY, 1, SECOND);
        drop(again);
        assert!(!former.place.add_token([1; 32], 100));
        drop(former);
        assert!(same.place.add_token([3; 32], 100));
        assert_eq!(live.token(&[3; 32], 0), Some(IDENTITY));
    }

    #[test]
    fn an_expelled_session_is_told_why_and_its_tokens_end() {
        let live = Live::default();
        live.expel(&IDENTITY, Ended::Banned);
        let mut session = live.enter(IDENTITY, 1, FIRST);
        assert!(session.place.add_token([1; 32], 100));
        live.expel(&IDENTITY, Ended::Banned);
        assert_eq!(session.ended.try_recv(), Ok(Ended::Banned));
        assert_eq!(live.token(&[1; 32], 0), None);
        assert!(!session.place.add_token([2; 32], 100));
    }
}
