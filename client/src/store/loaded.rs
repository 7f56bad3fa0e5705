//! Groups in memory: those that were used last, of all sessions together.
//!
//! Here are only groups that equal their rows. A session takes the groups out that a unit of work
//! needs, and gives them back when the unit is committed. What is not here is read again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use quicproquo_core::group::Group;
use quicproquo_core::id::GroupId;

use super::Owner;

type Name = (Owner, GroupId);

/// A bounded cache; the least recently used groups leave it.
pub(crate) struct Loaded {
    /// Bytes that all groups may take, about.
    limit: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    groups: HashMap<Name, Held>,
    /// By when they were given back.
    order: BTreeMap<u64, Name>,
    given: u64,
    bytes: usize,
}

struct Held {
    group: Box<Group>,
    given: u64,
    bytes: usize,
}

impl Loaded {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, inner: Mutex::default() }
    }

    /// Bytes that the groups of one unit of work may take before it makes room.
    pub(crate) fn unit_limit(&self) -> usize {
        self.limit / 8
    }

    /// Takes a group out.
    pub(crate) fn take(&self, owner: Owner, id: &GroupId) -> Option<Box<Group>> {
        self.lock().remove(&(owner, id.clone()))
    }

    /// Gives a group back whose rows are committed.
    pub(crate) fn give(&self, owner: Owner, id: &GroupId, group: Box<Group>) {
        let bytes = group.weight();
        let mut guard = self.lock();
        let inner = &mut *guard;
        let name = (owner, id.clone());
        let mut left = vec![inner.remove(&name)];
        inner.given += 1;
        inner.bytes += bytes;
        inner.order.insert(inner.given, name.clone());
        inner.groups.insert(name, Held { group, given: inner.given, bytes });
        while inner.bytes > self.limit
            && let Some((_, oldest)) = inner.order.first_key_value()
        {
            let oldest = oldest.clone();
            left.push(inner.remove(&oldest));
        }
        // Freeing a large group takes time; others need not wait for it.
        drop(guard);
        drop(left);
    }

    /// Drops the groups of a session: it ends, or reads its state again.
    pub(crate) fn forget(&self, owner: Owner) {
        let mut inner = self.lock();
        let names: Vec<Name> =
            inner.groups.keys().filter(|(of, _)| *of == owner).cloned().collect();
        for name in names {
            inner.remove(&name);
        }
    }

    /// How many groups are here, and about how many bytes they take.
    pub(crate) fn size(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.groups.len(), inner.bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn remove(&mut self, name: &Name) -> Option<Box<Group>> {
        let Held { group, given, bytes } = self.groups.remove(name)?;
        self.order.remove(&given);
        self.bytes -= bytes;
        Some(group)
    }
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (groups, bytes) = self.size();
        write!(f, "Loaded({groups} groups, {bytes} bytes)")
    }
}

#[cfg(test)]
mod tests {
    use quicproquo_core::group::GroupParams;
    use quicproquo_core::identity::Identity;
    use quicproquo_core::kem::HybridSecret;
    use quicproquo_core::suite::{Profile, Suite};

    use super::*;

    fn group() -> Box<Group> {
        let hybrid = HybridSecret::generate().unwrap();
        let params = GroupParams {
            group_id: GroupId::random(),
            suite: Suite::Native,
            profile: Profile::Standard,
            name: "name",
            topic: "",
            hybrid: hybrid.public(),
            now: crate::clock::now_ms() / 1000,
        };
        Box::new(Group::create(&Identity::generate(), params).unwrap())
    }

    fn give(loaded: &Loaded, owner: Owner, group: Box<Group>) -> GroupId {
        let id = group.id().clone();
        loaded.give(owner, &id, group);
        id
    }

    #[test]
    fn the_group_that_was_not_used_for_longest_leaves() {
        let first = group();
        let loaded = Loaded::new(first.weight() * 5 / 2);
        let first = give(&loaded, Owner(1), first);
        let second = give(&loaded, Owner(2), group());
        let used = loaded.take(Owner(1), &first).unwrap();
        give(&loaded, Owner(1), used);
        let third = give(&loaded, Owner(1), group());
        assert_eq!(loaded.size().0, 2);
        assert!(loaded.take(Owner(2), &second).is_none());
        assert!(loaded.take(Owner(2), &first).is_none(), "a session has only its own");
        assert!(loaded.take(Owner(1), &first).is_some());
        assert!(loaded.take(Owner(1), &third).is_some());
        assert_eq!(loaded.size(), (0, 0));
    }

    #[test]
    fn without_a_budget_nothing_stays_and_a_session_that_ends_leaves_nothing() {
        let loaded = Loaded::new(0);
        give(&loaded, Owner(1), group());
        assert_eq!(loaded.size(), (0, 0));
        let loaded = Loaded::new(usize::MAX);
        give(&loaded, Owner(1), group());
        let other = give(&loaded, Owner(2), group());
        loaded.forget(Owner(1));
        assert_eq!(loaded.size().0, 1);
        assert!(loaded.take(Owner(2), &other).is_some());
    }
}
