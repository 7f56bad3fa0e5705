//! Who is writing: what others say of themselves, and what is said of us.

use std::collections::HashMap;
use std::time::Duration;

use quicproquo_client::{GroupId, IdentityKey};
use tokio::time::Instant;

/// A notice lives for 30 s; it is said again before that, while the person writes on.
const AGAIN: Duration = Duration::from_secs(10);

/// Others who are writing.
#[derive(Debug, Default)]
pub(super) struct Writers(HashMap<GroupId, Vec<Writer>>);

#[derive(Debug)]
struct Writer {
    who: IdentityKey,
    name: String,
    until: Instant,
}

impl Writers {
    /// Somebody is writing, for so long unless it is said again.
    pub(super) fn begins(
        &mut self,
        group: &GroupId,
        who: IdentityKey,
        name: String,
        until: Instant,
    ) {
        let writers = self.0.entry(group.clone()).or_default();
        writers.retain(|writer| writer.who != who);
        writers.push(Writer { who, name, until });
    }

    /// Somebody has stopped, or what was written has come. Answers whether that changes anything.
    pub(super) fn ends(&mut self, group: &GroupId, who: &IdentityKey) -> bool {
        let Some(writers) = self.0.get_mut(group) else { return false };
        let before = writers.len();
        writers.retain(|writer| writer.who != *who);
        writers.len() < before
    }

    /// Forgets those of whom nothing was heard; answers in which groups.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<GroupId> {
        let mut changed = Vec::new();
        for (group, writers) in &mut self.0 {
            let before = writers.len();
            writers.retain(|writer| writer.until > now);
            if writers.len() < before {
                changed.push(group.clone());
            }
        }
        self.0.retain(|_, writers| !writers.is_empty());
        changed
    }

    /// What those are called who are writing in a group.
    pub(super) fn names(&self, group: &GroupId) -> Vec<String> {
        let writers = self.0.get(group).into_iter().flatten();
        writers.map(|writer| writer.name.clone()).collect()
    }
}

/// What others were told of us.
#[derive(Debug, Default)]
pub(super) struct Told(HashMap<GroupId, Instant>);

impl Told {
    /// The person writes or has stopped; answers whether others are to be told.
    pub(super) fn writing(&mut self, group: &GroupId, active: bool, now: Instant) -> bool {
        if !active {
            return self.0.remove(group).is_some();
        }
        let due = self.0.get(group).is_none_or(|told| now >= *told + AGAIN);
        if due {
            self.0.insert(group.clone(), now);
        }
        due
    }

    /// What was written is sent, which says that it is finished.
    pub(super) fn sent(&mut self, group: &GroupId) {
        self.0.remove(group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_come_and_go() {
        let (tea, work) =
            (GroupId::from_slice(&[1; 32]).unwrap(), GroupId::from_slice(&[2; 32]).unwrap());
        let (bob, eve) = (IdentityKey::new([2; 32]), IdentityKey::new([3; 32]));
        let now = Instant::now();
        let later = |secs| now + Duration::from_secs(secs);
        let mut writers = Writers::default();
        writers.begins(&tea, bob, "bob".into(), later(30));
        writers.begins(&tea, eve, "eve".into(), later(40));
        writers.begins(&tea, bob, "bob".into(), later(50));
        assert_eq!(writers.names(&tea), ["eve", "bob"]);
        assert!(writers.names(&work).is_empty() && !writers.ends(&work, &bob));
        assert_eq!(writers.expire(later(45)), std::slice::from_ref(&tea));
        assert!(writers.expire(later(45)).is_empty());
        assert!(writers.ends(&tea, &bob) && !writers.ends(&tea, &bob));
        assert!(writers.names(&tea).is_empty());
    }

    #[test]
    fn others_are_told_seldom() {
        let tea = GroupId::from_slice(&[1; 32]).unwrap();
        let now = Instant::now();
        let mut told = Told::default();
        assert!(!told.writing(&tea, false, now));
        assert!(told.writing(&tea, true, now) && !told.writing(&tea, true, now));
        assert!(told.writing(&tea, true, now + AGAIN));
        assert!(told.writing(&tea, false, now) && !told.writing(&tea, false, now));
        told.writing(&tea, true, now);
        told.sent(&tea);
        assert!(!told.writing(&tea, false, now));
    }
}
